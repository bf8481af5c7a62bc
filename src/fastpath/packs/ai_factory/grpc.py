"""Rules that find self-hosted AI services by their calls of gRPC, made from grpc.toml. A call counts once who has it answers it."""
from __future__ import annotations

import tomllib
from importlib.resources import files

from .risks import RISKS

FIRST_SID = 9_121_000       # + 10 for each id: names from 0, packages from 5; with methods one a method


def rules() -> str:
    """The text of all of them, a line each."""
    lines = []
    for service in tomllib.loads(files(__package__).joinpath("grpc.toml").read_text())["service"]:
        first = FIRST_SID + 10 * service["id"]
        if "methods" in service:
            made = [(name, "startswith; endswith", method) for name in service["names"] for method in service["methods"]]
            lines += [_rule(service, *one, sid) for sid, one in enumerate(made, first)]
            continue
        lines += [_rule(service, name, "startswith; endswith", "", sid) for sid, name in enumerate(service.get("names", ()), first)]
        lines += [_rule(service, f"{name}.", "startswith", "", sid) for sid, name in enumerate(service.get("packages", ()), first + 5)]
    return "\n".join(lines) + "\n"


def _rule(service: dict, name: str, where: str, method: str, sid: int) -> str:
    more = f' grpc.method; content:"{method}"; startswith; endswith;' if method else ""
    return (f'alert http2 any any -> any any (msg:"AI service: {service["name"]} by gRPC"; flow:established,to_client; grpc.service; '
            f'content:"{name}"; {where}; fast_pattern;{more} inventory; metadata:service {service["name"].replace(" ", "_")}, '
            f'service_kind {service["kind"]}, service_by grpc, {RISKS[service["kind"]]}; sid:{sid}; rev:2;)')
