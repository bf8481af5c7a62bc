"""A library that is missing is named, with the package to install."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]



@pytest.mark.parametrize(("environment", "named"), [
    ({"PKG_CONFIG_LIBDIR": "/nowhere", "PKG_CONFIG_PATH": ""}, ("libpcre2-dev", "pcre2-devel", "brew install pcre2")),
    ({"PKG_CONFIG_LIBDIR": "/nowhere", "PKG_CONFIG_PATH": "", "FASTPATH_LIBPCRE2_8_CFLAGS": "", "FASTPATH_LIBPCRE2_8_LIBS": ""},
     ("libhyperscan-dev", "hyperscan-devel", "brew install vectorscan", "FASTPATH_LIBHS_CFLAGS")),
    ({"PATH": "/nowhere"}, ("apt install pkg-config", "dnf install pkgconf", "brew install pkgconf")),
])
def test_missing_library(environment, named):
    pytest.importorskip("Cython")
    ran = subprocess.run([sys.executable, "setup.py", "--name"], cwd=ROOT, env=os.environ | environment, check=False, capture_output=True, text=True)
    assert ran.returncode != 0
    for words in named:
        assert words in ran.stderr
