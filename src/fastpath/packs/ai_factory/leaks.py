"""Rules against data leaks, made from leaks.toml: one for every place where what must not leave could be seen on its way out.

Each carries its class as `data_class`, which the policy's residency zones go by and which keeps what matched out of every output.
"""
from __future__ import annotations

import tomllib
from importlib.resources import files

FIRST_SID = 9_300_000       # + 10 for each id, + the place

#: Where it is seen: protocol, flow, buffer, how the message calls it.
PLACES = (("http", "established,to_server", "http.request_body", "an HTTP request"), ("http", "established,to_server", "http.uri", "a URI"),
          ("http", "established,to_client", "file.data", "an HTTP answer"), ("smtp", "established,to_server", "file.data", "mail"),
          ("ftp-data", "established", "file.data", "an FTP transfer"))


def rules() -> str:
    """The text of all of them, a line each."""
    leaks = tomllib.loads(files(__package__).joinpath("leaks.toml").read_text())["leak"]
    return "\n".join(_rule(leak, place) for leak in leaks for place in range(len(PLACES))) + "\n"


def _rule(leak: dict[str, object], place: int) -> str:
    protocol, flow, buffer, where = PLACES[place]
    steps = ""
    if "literal" in leak:
        steps += f'content:"{leak["literal"]}"; fast_pattern; '
    if "near" in leak:
        steps += f'pcre:"{_quoted(leak["near"])}"; pcre:"{_quoted(chr(92) + "A" + str(leak["expression"]))}R"; '
    else:
        steps += f'pcre:"{_quoted(leak["expression"])}"; '
    if "validate" in leak:
        steps += f'validate:{leak["validate"]}; '
    checked = "no checksum" if leak.get("checksum") is False else "checksum holds"
    return (f'alert {protocol} $HOME_NET any -> $EXTERNAL_NET any (msg:"AI factory leak: {leak["name"]} in {where} ({checked})"; flow:{flow}; '
            f"{buffer}; {steps}classtype:policy-violation; "
            f"metadata:data_class {leak['class']}{_shown(leak)}, mitre_atlas AML.T0057, owasp_llm LLM02; sid:{FIRST_SID + 10 * int(str(leak['id'])) + place}; rev:1;)")


def _shown(leak: dict[str, object]) -> str:
    """How much of it outputs show: a vendor's prefix; see rules/leaks.py."""
    literal = str(leak.get("literal", ""))
    kept = leak.get("kept", len(literal) if literal and str(leak["expression"]).removeprefix(r"\b").startswith(literal) else 0)
    return (f", data_kept {kept}" if kept else "") + (", data_known no" if leak.get("known") is False else "")


def _quoted(expression: object) -> str:
    """As an argument of pcre: between slashes, with what would end it escaped."""
    return "/" + str(expression).replace(";", r"\x3b").replace('"', r"\x22") + "/"
