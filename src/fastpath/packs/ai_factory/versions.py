"""Rules that read out which version a service is, and what its clients are, made from versions.toml. They find nothing by themselves: what
they capture goes to what the other rules have found (control/inventory.py)."""
from __future__ import annotations

import re
import tomllib
from importlib.resources import files

from .risks import SOFTWARE

FIRST_SID = 9_150_000       # + the id
VERSION = r"v?[0-9][0-9A-Za-z.+_-]{0,46}"
_SPECIAL = re.compile(rb'[^ -~]|["|;:\\]')


def told() -> list[dict]:
    """What versions.toml says."""
    return tomllib.loads(files(__package__).joinpath("versions.toml").read_text())["told"]


def rules() -> str:
    """The text of all of them, a line each."""
    return "".join(_rule(each) + "\n" for each in told())


def _rule(each: dict) -> str:
    client = each.get("client", False)
    size = f" bsize:<{each['size'] + 1};" if "size" in each else ""
    server = f'http.server; content:"{each["server"]}"; fast_pattern; ' if "server" in each else ""
    method = f'grpc.method; content:"{each["method"]}"; startswith; endswith; fast_pattern; ' if "method" in each else ""
    content = f' content:"{_escaped(each["content"])}"; {"" if server else "fast_pattern;"}' if each["content"] else ""
    expression = each["expression"].replace("VERSION", VERSION).replace("/", r"\/").replace('"', r"\x22").replace(";", r"\x3b")
    keeps = "inventory:client, inventory:client_version" if client else "inventory:version"
    about = ", ".join(f"version_of {name.replace(' ', '_')}" for name in each.get("of", ["client"]))
    return (f'alert {"http2" if method else "http"} any any -> any any (msg:"AI service version: {", ".join(each.get("of", ["client"]))}"; '
            f'flow:established,{"to_server" if client else "to_client"}; {server}{method}{each["buffer"]};{size}{content} '
            f'pcre:"/{expression}/{each.get("options", "")}, {keeps}"; inventory; metadata:{about}, {SOFTWARE}; sid:{FIRST_SID + each["id"]}; rev:2;)')


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: b"|%02x|" % found[0][0], text.encode()).decode()
