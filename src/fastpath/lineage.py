"""The commands about where models and data come from: `fastpath bom`, and the options of `replay` that bring a manifest."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def bom(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE...", help="pcap or pcapng, .gz or .zst of them, folders, globs; - is standard input.")],
    out: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Where to write it; standard output without it.")] = None,
    keylog: Annotated[list[Path] | None, typer.Option("--keylog", metavar="FILE", help="A TLS key log (SSLKEYLOGFILE): what was fetched inside "
                                                      "its sessions is listed too. Repeatable.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Threads; they change no result.")] = 1,
) -> None:
    """What was fetched, from where and by whom, as a CycloneDX ML-BOM: models, data sets, packages, container images, with their SHA-256.

    \b
    fastpath bom traffic.pcap -o bom.json
    fastpath bom traffic.pcap --keylog keys.log -o bom.json

    Credentials in URLs are starred out, by the leak rules of the pack ai_factory.

    Exit: 0 done; 1 damaged captures; 2 usage, or the extra `bom` is not installed.
    """
    from fastpath import __version__
    from fastpath.cli import DONE, FAILED, fail
    from fastpath.control.config import Config
    from fastpath.control.engine import Engine
    from fastpath.outputs.bom import Fetches, write_bom
    from fastpath.packs.ai_factory import leaks
    from fastpath.rules import RuleSet
    try:
        import cyclonedx  # noqa: F401
    except ImportError:
        fail("bom needs cyclonedx-python-lib: pip install 'fastpath-dpu[bom]'")
    fetches = Fetches()
    masked = RuleSet.load((), texts=[(leaks.rules().encode(), "packs/ai_factory/leaks.toml")])
    try:
        with Engine(masked, config=Config.load(None, [WHOLE_STREAMS]), models=True, workers=workers, keylog=keylog) as engine:
            result = engine.replay(captures, keep=(), sinks=[fetches])
    except (OSError, ValueError) as error:
        fail(str(error))
    text = write_bom(fetches.items, __version__)
    if out is None:
        sys.stdout.write(text + "\n")
    else:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            fail(f"{out}: {error.strerror}")
    for damage in result.damages:
        typer.echo(str(damage), err=True)
    raise typer.Exit(FAILED if result.damages else DONE)


#: A digest is that of a whole file: streams are put in order to their end.
WHOLE_STREAMS = "stream.reassembly.depth=0"


def read_texts(manifest: Path | None, internal: Path | None) -> list[tuple[bytes, str]]:
    """The rules that --manifest and --internal-packages come to, as RuleSet.load takes them. Raises OSError and ValueError with the place."""
    texts: list[tuple[bytes, str]] = []
    if manifest is not None:
        from fastpath.control.manifest import Manifest
        texts += Manifest.load(manifest).texts()
    if internal is not None:
        from fastpath.packs.ai_factory.supply import confusion_rules
        texts.append((confusion_rules(internal.read_text(encoding="utf-8").splitlines(), str(internal)).encode(), str(internal)))
    return texts
