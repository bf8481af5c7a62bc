"""The extensions of fastpath. Metadata and tools are in pyproject.toml."""
import functools
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("FASTPATH_DEBUG") == "1"
SANITIZE = os.environ.get("FASTPATH_SANITIZE", "")
TRACE = os.environ.get("FASTPATH_TRACE") == "1"
ANNOTATE = os.environ.get("FASTPATH_ANNOTATE") == "1"
OPTIMIZE = os.environ.get("FASTPATH_OPTIMIZE", "3")     # 1 builds in half the time, for trying things out
JOBS = int(os.environ.get("FASTPATH_JOBS", os.cpu_count() or 1))

# pkg-config name -> what to install
PACKAGES = {
    "libhs": "apt install libhyperscan-dev | dnf install hyperscan-devel | brew install vectorscan",
    "libcrypto": "apt install libssl-dev | dnf install openssl-devel | brew install openssl",
    "zlib": "apt install zlib1g-dev | dnf install zlib-devel | brew install zlib",
    "liblzma": "apt install liblzma-dev | dnf install xz-devel | brew install xz",
    "libbrotlidec": "apt install libbrotli-dev | dnf install brotli-devel | brew install brotli",
    "libmagic": "apt install libmagic-dev | dnf install file-devel | brew install libmagic",
    "libpcre2-8": "apt install libpcre2-dev | dnf install pcre2-devel | brew install pcre2",
}
# what a module links against; every other module links nothing
LINKS = {
    "fastpath._core": ["libcrypto"],
    "fastpath.dataplane.applayer.tls": ["libcrypto"],
    "fastpath.dataplane.applayer.ssh": ["libcrypto"],
    "fastpath.dataplane.applayer.keyring": ["libcrypto"],
    "fastpath.dataplane.cryptopan": ["libcrypto"],
    "fastpath.dataplane.match.prefilter": ["libhs"],
    "fastpath.dataplane.match.secrets": ["libpcre2-8"],
    "fastpath.dataplane.match.database": ["libhs", "libpcre2-8"],
    "fastpath.dataplane.match.steps": ["libpcre2-8"],
    "fastpath.dataplane.match.transforms": ["libpcre2-8", "libcrypto"],
    "fastpath.dataplane.match.trace": ["libhs"],
    "fastpath.dataplane.trial": ["libhs"],
    "fastpath.dataplane.applayer.dispatch": ["libcrypto"],
    "fastpath.dataplane.applayer.magic": ["libmagic"],
    "fastpath.dataplane.applayer.models": ["libcrypto", "zlib"],
    "fastpath.dataplane.applayer.quic": ["libcrypto"],
    "fastpath.dataplane.applayer.smb": ["libcrypto"],
    "fastpath.dataplane.applayer.smtp": ["libcrypto"],
    "fastpath.dataplane.applayer.ftp_data": ["libcrypto"],
    "fastpath.dataplane.applayer.http2": ["libcrypto", "zlib", "liblzma", "libbrotlidec"],
    "fastpath.dataplane.applayer.http1": ["libcrypto", "zlib", "liblzma", "libbrotlidec"],
}


def flags_of(package):
    """Compiler and linker flags of a library: FASTPATH_LIBHS_CFLAGS / _LIBS (and so on) first, then pkg-config."""
    name = "FASTPATH_" + package.upper().replace("-", "_")
    found = {}
    for kind, option in (("CFLAGS", "--cflags"), ("LIBS", "--libs")):
        text = os.environ.get(f"{name}_{kind}")
        if text is None:
            try:
                text = subprocess.run(["pkg-config", option, package], check=True, capture_output=True, text=True).stdout
            except FileNotFoundError:
                sys.exit(f"fastpath needs pkg-config to find {package}: apt install pkg-config | dnf install pkgconf | brew install pkgconf")
            except subprocess.CalledProcessError:
                sys.exit(f"fastpath needs {package}, which pkg-config does not find.\n  {PACKAGES[package]}\n"
                         f"  or set {name}_CFLAGS and {name}_LIBS")
        found[kind] = shlex.split(text)
    return found["CFLAGS"], found["LIBS"]


@functools.cache
def short_strings():
    """GCC clears and copies structs of a few cache lines by `rep stos`, which takes longer to begin than they take: moves instead."""
    strategy = "unrolled_loop:256:noalign,libcall:-1:noalign"
    flags = [f"-mmemset-strategy={strategy}", f"-mmemcpy-strategy={strategy}"]
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        return []
    tried = subprocess.run([*compiler, *flags, "-x", "c", "-c", os.devnull, "-o", os.devnull], capture_output=True, check=False)
    return flags if tried.returncode == 0 else []


def extension(path):
    module = ".".join(path.relative_to("src").with_suffix("").parts)
    compile_args = ["-g1", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-function", "-Wno-unused-parameter",
                    "-Wno-missing-field-initializers", "-Wno-cast-function-type", "-Wno-sign-compare",
                    "-Werror=incompatible-pointer-types"]      # as GCC 14 has it by itself
    compile_args += ["-O1", "-fno-omit-frame-pointer"] if SANITIZE else ["-O0"] if DEBUG else [f"-O{OPTIMIZE}", "-DNDEBUG"]
    compile_args += short_strings()
    macros = [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")]
    link_args = []
    if DEBUG or SANITIZE:
        compile_args.append("-UNDEBUG")
        macros.append(("FASTPATH_DEBUG", "1"))
    if TRACE:
        macros.append(("CYTHON_TRACE_NOGIL", "1"))
    if SANITIZE:
        compile_args += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=undefined"]
        link_args.append(f"-fsanitize={SANITIZE}")
    for package in LINKS.get(module, ()):
        cflags, libs = flags_of(package)
        compile_args += cflags
        link_args += libs
    return Extension(module, [str(path)], include_dirs=["src/fastpath/dataplane", numpy.get_include()], define_macros=macros,
                     extra_compile_args=compile_args, extra_link_args=link_args,
                     depends=[str(h) for h in Path("src/fastpath/dataplane").rglob("*.h")])


class BuildExt(build_ext):
    """build_ext that compiles everything anew when the last build was made with other settings: files cannot tell that."""
    stamp = Path("build/settings")
    settings = f"{DEBUG=} {TRACE=}"

    @classmethod
    def changed(cls):
        return cls.stamp.exists() and cls.stamp.read_text() != cls.settings

    def run(self):
        self.force = self.force or self.changed()
        super().run()
        self.stamp.parent.mkdir(exist_ok=True)
        self.stamp.write_text(self.settings)


def main():
    sources = sorted(Path("src").rglob("*.pyx"))
    only = os.environ.get("FASTPATH_ONLY")     # a comma-separated list of module names, for building one room; empty: none
    if only is not None:
        sources = [p for p in sources if p.stem in only.split(",")]
    setup(
        ext_modules=cythonize(
            [extension(p) for p in sources],
            include_path=["src"],
            nthreads=JOBS if len(sources) > 1 else 0,
            force=BuildExt.changed() or ANNOTATE or None,
            annotate=DEBUG or ANNOTATE,
            compiler_directives={
                "language_level": 3, "boundscheck": DEBUG, "wraparound": False, "initializedcheck": DEBUG,
                "cdivision": True, "linetrace": TRACE, "freethreading_compatible": False, "embedsignature": True,
            },
        ),
        cmdclass={"build_ext": BuildExt},
        options={"build_ext": {"parallel": JOBS}},
    )


if __name__ == "__main__":      # cythonize's processes import this file where they are spawned
    main()
