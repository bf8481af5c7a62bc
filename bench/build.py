"""Builds what only the benchmarks need, into the cache folder: the yardstick, libpcap's loop and the hs_scan recorder.

    python bench/build.py [NAME...]
"""
from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = {"plain": "micro/plain.pyx", "pcaploop": "peers/pcaploop.pyx"}
LIBRARIES = {"pcaploop": "libpcap"}
RECORDER = HERE / "micro/hsrecord.c"


def cache() -> Path:
    """Where traces and built helpers are kept: FASTPATH_BENCH_CACHE, else the user's cache folder."""
    base = os.environ.get("FASTPATH_BENCH_CACHE")
    folder = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastpath-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def flags(library: str) -> list[str]:
    return shlex.split(subprocess.run(["pkg-config", "--cflags", "--libs", library], check=True, capture_output=True,
                                      text=True).stdout)


def fresh(target: Path, source: Path) -> bool:
    return target.exists() and target.stat().st_mtime >= source.stat().st_mtime


def load(name: str):
    """The extension `name`, built first where its source is newer."""
    from setuptools import Extension
    from setuptools.command.build_ext import build_ext
    from setuptools.dist import Distribution

    source, folder = HERE / SOURCES[name], cache() / "built"
    command = build_ext(Distribution({"name": name}))
    target = folder / command.get_ext_filename(name)
    if not fresh(target, source):
        from Cython.Build import cythonize
        extra = flags(LIBRARIES[name]) if name in LIBRARIES else []
        extension = Extension(name, [str(source)], extra_compile_args=["-O3", "-DNDEBUG"] + [f for f in extra if f[:2] == "-I"],
                              extra_link_args=[f for f in extra if f[:2] != "-I"])
        distribution = Distribution({"name": name, "ext_modules": cythonize(
            [extension], build_dir=str(folder), quiet=True,
            compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True})})
        command = build_ext(distribution)
        command.build_lib, command.build_temp = str(folder), str(folder / "temp")
        command.ensure_finalized()
        command.run()
    spec = importlib.util.spec_from_file_location(name, target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorder() -> Path:
    """The library to preload that notes and replays every hs_scan."""
    target = cache() / "built" / "libhsrecord.so"
    if not fresh(target, RECORDER):
        target.parent.mkdir(exist_ok=True)
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", str(RECORDER), "-o", str(target),
                        *flags("libhs"), "-ldl"], check=True)
    return target


if __name__ == "__main__":
    for one in sys.argv[1:] or SOURCES:
        print(load(one).__file__)
    print(recorder())
