"""Options that several commands have: each is said once, and means the same everywhere."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OnlyRules = Annotated[list[str] | None, typer.Option("-S", metavar="RULES", help="These rules and no others.")]
MoreRules = Annotated[list[str] | None, typer.Option("-s", metavar="RULES", help="These rules beside those of the configuration.")]
Packs = Annotated[list[str] | None, typer.Option("--pack", metavar="NAME", help="The rules of a pack: ai_factory.")]
ConfigFile = Annotated[Path | None, typer.Option("-c", metavar="FILE", help="A suricata.yaml. Without it: Suricata's stock settings.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting of suricata.yaml.")]
Checksums = Annotated[str | None, typer.Option("-k", metavar="all|none|auto", help="Whether checksums are verified.")]
Continuous = Annotated[bool, typer.Option("--continuous", help="Captures follow each other: flows go on from one to the next.")]
Compat = Annotated[str | None, typer.Option("--compat", metavar="suricata-7.0", help="Leave out what Suricata lacks (GTP-U ...).")]
KeyLogs = Annotated[list[str] | None, typer.Option("--keylog", metavar="FILE", help="A TLS key log (SSLKEYLOGFILE): sessions whose "
                                                   "secrets it has are decrypted and inspected. Repeatable.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
