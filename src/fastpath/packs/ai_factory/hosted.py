"""Rules that find hosted AI services by name, made from services.toml: by the name of a TLS session, an HTTP host, a DNS question, the name
of a QUIC connection."""
from __future__ import annotations

import tomllib
from importlib.resources import files

from .risks import RISKS

FIRST_SID = 9_200_000       # + 2,000 for each id; in it names from 0 (domains) and from 250 (hosts), and four of each for where they are seen
SEEN_IN = (("tls", "tls.sni", "to_server"), ("http", "http.host", "to_server"), ("dns", "dns.query", "to_server"),
           ("quic", "quic.sni", "to_server"))


def rules() -> str:
    """The text of all of them, a line each."""
    text = files(__package__).joinpath("services.toml").read_text()
    lines = []
    for service in tomllib.loads(text)["service"]:
        for first, names in ((0, service.get("domains", ())), (250, service.get("hosts", ()))):
            for at, name in enumerate(names, first):
                lines += [_rule(service, name, below=first == 0, seen=i, sid=FIRST_SID + 2000 * service["id"] + 4 * at + i)
                          for i in range(len(SEEN_IN))]
    return "\n".join(lines) + "\n"


def _rule(service: dict, name: str, *, below: bool, seen: int, sid: int) -> str:
    by, buffer, direction = SEEN_IN[seen]
    nocase = "" if buffer == "http.host" else " nocase;"        # whose letters are lower case
    content = f'dotprefix; content:".{name}";{nocase} endswith' if below else f'content:"{name}";{nocase} startswith; endswith'
    flow = f"flow:{direction}; " if by in ("dns", "quic") else f"flow:established,{direction}; "
    return (f'alert {by} any any -> any any (msg:"AI service: {service["name"]} by {by}"; {flow}{buffer}; {content}; fast_pattern; inventory; '
            f"metadata:service {service['name'].replace(' ', '_')}, service_kind hosted, service_by {by}, service_domain {'.' if below else ''}{name}, "
            f"{RISKS['hosted']}; sid:{sid}; rev:3;)")
