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
          ("ftp-data", "established", "file.data", "an FTP transfer"),
          ("http", "established,to_server", "http.header", "a header"))
#: Where credentials are told of as well, unless they go to the services that they are of.
HEADER = 5

#: Each rule tells of a flow once.
ONCE = "threshold:type limit, track by_flow, count 1, seconds 86400; "


def rules() -> str:
    """The text of all of them, a line each."""
    every = entries()
    return "\n".join(_rule(completed(leak, every), place) for leak in every for place in places(leak)) + "\n"


def places(leak: dict[str, object]) -> range:
    """Those of PLACES for an entry. What is told by what stands before it, and numbers, are in no headers."""
    return range(HEADER + (leak["class"] == "credential" and "literal" in leak) if "of" not in leak else HEADER)


def entries() -> list[dict[str, object]]:
    """Of leaks.toml, as they stand there."""
    return tomllib.loads(files(__package__).joinpath("leaks.toml").read_text())["leak"]     # type: ignore[no-any-return]


def completed(leak: dict[str, object], every: list[dict[str, object]]) -> dict[str, object]:
    """An entry that is about many of another (`of`), with all that the other says."""
    return next(one for one in every if one["id"] == leak["of"]) | leak if "of" in leak else leak


def _rule(leak: dict[str, object], place: int) -> str:
    protocol, flow, buffer, where = PLACES[place]
    steps = ""
    if "literal" in leak:
        literal = "".join(f"|{ord(one):02x}|" if one in ';:"|\\' else one for one in str(leak["literal"]))
        steps += f'content:"{literal}"; '
    if "first" in leak:
        steps += f'pcre:"{_quoted(leak["first"])}"; '
    if "near" in leak:
        steps += f'pcre:"{_quoted(leak["near"])}"; pcre:"{_quoted(chr(92) + "A" + str(leak["expression"]))}R"; '
    else:
        steps += f'pcre:"{_quoted(leak["expression"])}"; '
    if "validate" in leak:
        steps += f"validate:{leak['validate']}" + (f",{leak['count']}; " if "count" in leak else "; ")
    checked = "no checksum" if leak.get("checksum") is False else "checksum holds"
    if place == HEADER and "services" in leak:
        steps += "http.host; dotprefix; " + "".join(f'content:!".{one}"; endswith; ' for one in leak["services"])    # type: ignore[attr-defined]
        where += " to another service"
    return (f'alert {protocol} $HOME_NET any -> $EXTERNAL_NET any (msg:"AI factory leak: {leak["name"]} in {where} ({checked})"; flow:{flow}; '
            f"{buffer}; {steps}{ONCE}classtype:policy-violation; "
            f"metadata:data_class {leak['class']}{_shown(leak)}, mitre_atlas AML.T0057, owasp_llm LLM02; sid:{FIRST_SID + 10 * int(str(leak['id'])) + place}; rev:1;)")


def _shown(leak: dict[str, object]) -> str:
    """How much of it outputs show: a vendor's prefix; see rules/leaks.py."""
    literal = str(leak.get("literal", ""))
    kept = leak.get("kept", len(literal) if literal and str(leak["expression"]).removeprefix(r"\b").startswith(literal) else 0)
    return (f", data_kept {kept}" if kept else "") + (", data_known no" if leak.get("known") is False else "")


def _quoted(expression: object) -> str:
    """As an argument of pcre: between slashes, with what would end it escaped."""
    return "/" + str(expression).replace(";", r"\x3b").replace('"', r"\x22") + "/"
