"""A library that is missing is named, with the package to install."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTHING = {"PKG_CONFIG_LIBDIR": "/nowhere", "PKG_CONFIG_PATH": ""}


def given(*packages: str) -> dict[str, str]:
    """Flags from the environment stand for what pkg-config would say."""
    return {f"FASTPATH_{package}_{kind}": "" for package in packages for kind in ("CFLAGS", "LIBS")}


@pytest.mark.parametrize(("environment", "named"), [
    (NOTHING, ("libssl-dev", "openssl-devel", "brew install openssl", "FASTPATH_LIBCRYPTO_CFLAGS")),
    (NOTHING | given("LIBCRYPTO"), ("zlib1g-dev", "zlib-devel", "brew install zlib")),
    (NOTHING | given("LIBCRYPTO", "ZLIB", "LIBLZMA", "LIBBROTLIDEC", "LIBHS", "LIBMAGIC"), ("libpcre2-dev", "pcre2-devel", "brew install pcre2")),
    (NOTHING | given("LIBCRYPTO", "ZLIB", "LIBLZMA", "LIBBROTLIDEC"), ("libmagic-dev", "file-devel", "brew install libmagic")),
    (NOTHING | given("LIBCRYPTO", "ZLIB", "LIBLZMA", "LIBBROTLIDEC", "LIBPCRE2_8", "LIBMAGIC"),
     ("libhyperscan-dev", "hyperscan-devel", "brew install vectorscan", "FASTPATH_LIBHS_CFLAGS")),
    ({"PATH": "/nowhere"}, ("apt install pkg-config", "dnf install pkgconf", "brew install pkgconf")),
])
def test_missing_library(environment, named):
    pytest.importorskip("Cython")
    ran = subprocess.run([sys.executable, "setup.py", "--name"], cwd=ROOT, env=os.environ | environment, check=False, capture_output=True, text=True)
    assert ran.returncode != 0
    for words in named:
        assert words in ran.stderr


TINY = '''
cdef extern from "<assert.h>" nogil:
    """
    #ifdef FASTPATH_DEBUG
    enum { DEBUG = 1 };
    #else
    enum { DEBUG = 0 };
    #endif
    """
    enum: DEBUG
    void c_assert "assert"(bint condition)

IS_DEBUG = DEBUG

def at(const unsigned char[::1] data, Py_ssize_t i):
    return data[i]

def hold(bint condition):
    c_assert(condition)
'''


@pytest.mark.parametrize("debug", [False, True])
def test_debug_checks_bounds_and_asserts(tmp_path, debug):
    """FASTPATH_DEBUG=1, and a build without it, of a module that steps over its bounds (into the NUL that ends every bytes object)."""
    pytest.importorskip("Cython")
    (tmp_path / "src/fastpath/dataplane").mkdir(parents=True)
    (tmp_path / "src/fastpath/tiny.pyx").write_text(TINY)
    (tmp_path / "setup.py").write_bytes((ROOT / "setup.py").read_bytes())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTPATH_")} | ({"FASTPATH_DEBUG": "1"} if debug else {})

    def python(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)

    built = python("setup.py", "-q", "build_ext", "--build-lib", "lib")
    assert built.returncode == 0, built.stderr
    use = "import sys; sys.path.insert(0, 'lib/fastpath'); import tiny; "
    assert python("-c", use + "print(tiny.IS_DEBUG, tiny.at(b'abc', 2))").stdout.split() == [str(int(debug)), "99"]
    beyond, failed = python("-c", use + "print(tiny.at(b'abc', 3))"), python("-c", use + "tiny.hold(False); print('went on')")
    if debug:
        assert "IndexError" in beyond.stderr and failed.returncode < 0 and "hold" in failed.stderr
    else:
        assert beyond.stdout == "0\n" and failed.stdout == "went on\n"
