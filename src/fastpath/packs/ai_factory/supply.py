"""Rules on what is fetched: packages, container images and models over plain HTTP, from registries that nobody knows, and packages under
the names of internal ones (dependency confusion). The known registries are in registries.toml.
"""
from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files

FIRST_SID = 9_402_300
CONFUSION_SID = 9_402_800
NAMES_MAX = 1000

#: What is fetched: name, what the path of its request looks like (PCRE2), a literal of it, and the list of registries.toml.
KINDS = (
    ("a Python package", r"\.(?:whl|tar\.gz|zip)(?:$|[?#])", "/packages/", "packages"),
    ("the list of a Python package's files", r"^/simple/[A-Za-z0-9._-]+/?$", "/simple/", "packages"),
    ("a Python package", r"-(?:py[0-9]|cp[0-9]+)[^/]*\.whl(?:$|[?#])", ".whl", "packages"),
    ("an npm package", r"^/(?:@[^/]+/)?[^/]+/-/[^/]+\.tgz$", "/-/", "packages"),
    ("a conda package", r"/(?:noarch|linux-64|linux-aarch64|osx-64|osx-arm64|win-64)/[^/]+\.conda$", ".conda", "packages"),
    ("a container image's manifest", r"^/v2/[^?]+/manifests/[^/]+$", "/manifests/", "images"),
    ("a container image's layer", r"^/v2/[^?]+/blobs/sha256:[0-9a-f]{64}$", "/blobs/sha256", "images"),
    ("a model", r"^/[^/]+/[^/]+/resolve/[^/]+/.+", "/resolve/", "models"),
)
_ABOUT = "mitre_atlas AML.T0010, owasp_llm LLM03"


def registries() -> dict[str, list[str]]:
    """By kind of what they publish, the hosts that are known."""
    listed = tomllib.loads(files(__package__).joinpath("registries.toml").read_text())
    return {name: listed[name]["hosts"] for name in ("packages", "images", "models")}


def rules() -> str:
    """The text of all of them, a line each."""
    known = registries()
    made = []
    for number, (what, path, literal, kind) in enumerate(KINDS):
        hosts = "|".join(re.escape(host) for host in known[kind]).replace("\\-", "-")
        asked = (f'flow:established,to_server; http.method; content:"GET"; http.uri; content:"{literal.replace(":", "|3a|")}"; fast_pattern; '
                 f'pcre:"/{_quoted(path)}/"; ')
        at = FIRST_SID + 10 * number
        made.append(f'alert http $HOME_NET any -> any any (msg:"AI factory supply chain: {what} is fetched without encryption"; {asked}'
                    f"threshold:type limit,track by_both,count 1,seconds 3600; classtype:policy-violation; metadata:{_ABOUT}; sid:{at}; rev:1;)")
        made.append(f'alert http $HOME_NET any -> any any (msg:"AI factory supply chain: {what} comes from an unknown registry"; {asked}'
                    f'http.host; pcre:"/^(?!(?:{hosts})(?::[0-9]+)?$)/"; '
                    f"threshold:type limit,track by_both,count 1,seconds 3600; classtype:policy-violation; metadata:{_ABOUT}; sid:{at + 1}; rev:1;)")
    return "\n".join(made) + "\n"


def confusion_rules(names: Iterable[str], file: str) -> str:
    """Rules on internal packages that are asked for outside. names: of packages; runs of ".", "-" and "_" are one (PEP 503). file: where they
    stand, for errors. Raises ValueError for a name that is none, or more than NAMES_MAX."""
    made = []
    for line, name in enumerate(names, 1):
        name = name.partition("#")[0].strip()
        if not name:
            continue
        if not re.fullmatch(r"(?:@[a-z0-9._-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            raise ValueError(f"{file}:{line}:1: {name!r} is no name of a package")
        if len(made) == NAMES_MAX:
            raise ValueError(f"{file}:{line}:1: at most {NAMES_MAX} names")
        form = "[-_.]+".join(re.escape(part) for part in re.split(r"[-_.]+", name)).replace("/", r"\/").replace("\\@", "@")
        literal = max(re.split(r"[-_./@]+", name), key=len)
        made.append(f'alert http $HOME_NET any -> $EXTERNAL_NET any (msg:"AI factory supply chain: internal package {name} is asked for outside"; '
                    f'flow:established,to_server; http.uri; content:"{literal}"; nocase; fast_pattern; '
                    f'pcre:"/(?:^|\\/)(?:simple\\/|pypi\\/)?{form}(?:\\/|$|-[0-9])/i"; classtype:policy-violation; '
                    f"metadata:mitre_atlas AML.T0010.001, owasp_llm LLM03; sid:{CONFUSION_SID + len(made)}; rev:1;)")
    return "\n".join(made) + "\n"


def _quoted(expression: str) -> str:
    """As an argument of pcre: what would end it escaped."""
    return expression.replace("/", r"\/").replace(";", r"\x3b").replace('"', r"\x22").replace(":", r"\x3a").replace("(?\\x3a", "(?:")
