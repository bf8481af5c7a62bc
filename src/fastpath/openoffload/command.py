"""`fastpath device`: the session table by itself."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

device_app = typer.Typer(no_args_is_help=True, help="The emulated DPU's session table by itself: serve it, list its profiles.")


@device_app.command("serve")
def serve(
    device: Annotated[str, typer.Option("--device", metavar="FILE|PROFILE", help="The table: YAML, or a profile.")] = "unlimited",
    listen: Annotated[str, typer.Option("--listen", metavar="ADDRESS:PORT", help="Where to listen; port 0 takes a free one.")] = "127.0.0.1:3443",
    key: Annotated[Path | None, typer.Option("--key", help="Private key (PEM): TLS, with --certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="Its certificate (PEM).")] = None,
) -> None:
    """Serve a session table over gRPC (OpenOffload's sessionOffload v2), for whoever writes a client of one: its capacity, insert
    rate and latency, timeouts and refusals are those of the device, in the clock's time. It has no traffic of its own; from Python,
    `fastpath.openoffload.server.serve(engine.device, address)` serves that of an engine at work.
    """
    from fastpath.cli import fail, load_device
    table = load_device(device)
    if (key is None) != (certificate is None):
        fail("--key and --certificate go together")
    try:
        from fastpath.openoffload.server import serve as serve_table
    except ImportError:
        fail("device serve needs grpcio and protobuf: pip install 'fastpath-dpu[grpc]'")
    from fastpath.control.engine import Engine
    with Engine(None, device=table) as engine:
        sessions = engine.device
        assert sessions is not None     # there is a device
        sessions.advance()
        try:
            server, port = serve_table(sessions, listen, key=key.read_bytes() if key else None,
                                       certificate=certificate.read_bytes() if certificate else None)
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}")
        except RuntimeError as error:
            fail(str(error))
        typer.echo(f"{listen.rpartition(':')[0]}:{port}: {table.sessions:,} sessions, {'with' if key else 'without'} TLS; Ctrl-C ends it")
        try:
            while True:
                time.sleep(1 - time.time() % 1)
                sessions.advance()
        except KeyboardInterrupt:
            server.stop(grace=1).wait()


@device_app.command("profiles")
def list_profiles() -> None:
    """List the profiles of --device: each number, and where it is from or that it is a guess."""
    from fastpath.control.device import RANGES, profiles
    for name, said in profiles().items():
        typer.echo(f"{name}: {said['about']}")
        for setting, one in said.items():
            if setting != "about":
                known = f"source: {one['source']}" if "source" in one else f"guess: {one['guess']}"
                typer.echo(f"  {setting} {one['value']:,} {RANGES[setting][2]}\n    {known}")
