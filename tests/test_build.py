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
