"""The commands `fastpath offload` and `fastpath project`."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fastpath.options import Checksums, ConfigFile, Continuous, KeyLogs, MoreRules, OnlyRules, Overwrite, Packs, Settings


def offload(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE... ['BPF filter']", help="As replay takes them.")],
    only_rules: OnlyRules = None,
    more_rules: MoreRules = None,
    packs: Packs = None,
    config: ConfigFile = None,
    settings: Settings = None,
    checksums: Checksums = None,
    keylog: KeyLogs = None,
    continuous: Continuous = False,
    simulate_ips: Annotated[bool, typer.Option("--simulate-ips", help="Act as inline: what is dropped is offloaded as dropped.")] = False,
    sizes: Annotated[str, typer.Option("--sizes", metavar="LIST|auto", help="Sessions that the table holds: 1k,16k,1m. "
                                       "auto: as many as show the whole curve.")] = "auto",
    rates: Annotated[str, typer.Option("--rates", metavar="LIST", help="Sessions inserted a second, or unlimited.")] = "unlimited,1k",
    latencies: Annotated[str, typer.Option("--latencies", metavar="LIST", help="From insertion to being in force: 0,5ms,1s.")] = "0,100ms",
    timeouts: Annotated[str, typer.Option("--timeouts", metavar="LIST", help="Without a packet, until a session ends: 10s,2min.")] = "10s,60s",
    policies: Annotated[str | None, typer.Option("--policies", metavar="LIST", help="What asks for a session, see above.")] = None,
    confirm: Annotated[int, typer.Option("--confirm", metavar="N", min=0, max=3, help="Settings confirmed by a pass with a real device.")] = 1,
    as_json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="All settings and all missed alerts, as one JSON object.")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="FILE.svg", help="The curves, one file that needs nothing else.")] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.html", help="Picture, tables and missed alerts as one page.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """What session tables would take off the inspectors, and which alerts they would miss because they did.

    \b
    fastpath offload traffic.pcap -S my.rules
    fastpath offload traffic.pcap -S et/ --confirm 3 --picture offload.svg --json offload.json
    fastpath offload traffic.pcap -S et/ --sizes 1k,4k,16k --policies encrypted,elephant=1mb+encrypted

    One pass without a device writes a log. Then every combination of size, rate, latency, timeout and policy is simulated over it,
    hundreds in seconds; --confirm runs the most telling ones with the device itself. Times are packet time.

    A policy says what asks for a session, joined by +: bypass (rules with bypass), verdict (flows that a rule dropped or passed),
    encrypted (payload that is encrypted after the handshake), depth (beyond the reassembly depth), elephant=BYTES (of a flow). A number
    says from when on: bypass=10, drop=10, pass=10, encrypted=10 packets; depth=64kb.

    An alert is missed that the pass without a device raises and the one with it does not: its packet did not reach the inspectors, or
    not all bytes of its stream did. Each is named with its rule and its flow.

    Exit: 0 done; 1 damaged captures; 2 usage; 130 Ctrl-C.
    """
    from fastpath.cli import DONE, FAILED, INTERRUPTED, fail, load_keys, load_rules, split_filter, stage_bar
    from fastpath.control.config import Config, ConfigError
    from fastpath.control.engine import Engine
    from fastpath.offload import settings as tables
    from fastpath.outputs import offload as shown
    from fastpath.outputs import terminal

    paths, bpf = split_filter(captures, [])
    out, errors = terminal.console(stderr=as_json == "-"), terminal.console(stderr=True)
    for path in (picture, report, None if as_json in (None, "-") else Path(as_json)):
        if path is not None and path.exists() and not overwrite:
            fail(f"{path} exists: --overwrite replaces it")
    try:
        tried = tables.read_grid(None if sizes == "auto" else sizes, rates, latencies, timeouts, policies or tables.POLICIES)
        settings_read = Config.load(config, settings or [])
        rules = load_rules(errors, settings_read, config, only_rules or [], more_rules or [], False, True, packs)
        with Engine(rules, config=settings_read, mode="ips" if simulate_ips else "ids", checksums=checksums,
                    keylog=load_keys(errors, keylog)) as engine, \
                stage_bar() as progress:
            study = engine.offload(paths, tried, confirm=confirm, bpf=bpf, continuous=continuous, progress=progress)
    except typer.Exit:      # fail has said why
        raise
    except (ConfigError, OSError, ValueError, RuntimeError) as error:
        fail(str(error))
    if as_json == "-":
        sys.stdout.buffer.write(shown.as_json(study))
    else:
        shown.print_study(out, study)
    shown.write_files(out, study, json=None if as_json in (None, "-") else Path(as_json), picture=picture, report=report)
    raise typer.Exit(INTERRUPTED if study.partial else FAILED if study.damages else DONE)


def project(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE...", help="As replay takes them, but not standard input.")],
    only_rules: OnlyRules = None,
    more_rules: MoreRules = None,
    packs: Packs = None,
    config: ConfigFile = None,
    settings: Settings = None,
    checksums: Checksums = None,
    keylog: KeyLogs = None,
    device: Annotated[str | None, typer.Option("--device", metavar="FILE|PROFILE", help="A session table that takes packets off the cores, simulated.")] = None,
    calibration: Annotated[str | None, typer.Option("--calibration", metavar="NAME=FACTOR", help="Another processor, and how many times as long a "
                                                    "packet takes there. Without it there is no figure for another.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=99, help="Passes that are measured; the median counts.")] = 5,
    check: Annotated[bool, typer.Option("--check", help="Run two engines live behind rings, beside the simulation. Plain pcap, idle machine.")] = False,
    as_json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Everything as one JSON object.")] = None,
) -> None:
    """From what a packet of these captures costs here to N cores and line rates. Every number says whether it is measured, simulated or
    projected, and the formulas are shown.

    \b
    fastpath project traffic.pcap -S my.rules
    fastpath project traffic.pcap -S et/ --device bf3
    fastpath project traffic.pcap -S et/ --calibration 'Cortex-A78 2.5 GHz=1.6' --json -
    fastpath project traffic.pcap --check

    Measured: ns a packet by stage, the median of --rounds passes; what each packet took; which core symmetric RSS sends it to.
    Simulated: what --device takes; loss against load with rings of 256 to 4,096 packets. Projected: packets and bits a second
    at 1 to 128 cores, and cores for 100 to 800 Gbit/s, 1.6 and 3.2 Tbit/s, each core an engine of its own behind a queue of the card.

    Exit: 0 done; 2 usage; 130 Ctrl-C.
    """
    from fastpath.cli import INTERRUPTED, fail, load_device, load_keys, load_rules, stage_bar
    from fastpath.control.config import Config, ConfigError
    from fastpath.control.engine import Engine
    from fastpath.offload.projection import read_calibration
    from fastpath.outputs import projection as shown
    from fastpath.outputs import terminal

    out, errors = terminal.console(), terminal.console(stderr=True)
    table = load_device(device)
    try:
        factor = read_calibration(calibration) if calibration is not None else None
        settings_read = Config.load(config, settings or [])
        rules = load_rules(errors, settings_read, config, only_rules or [], more_rules or [], False, True, packs)
        keys = load_keys(errors, keylog)

        def make() -> Engine:
            return Engine(rules, config=settings_read, checksums=checksums, keylog=keys)
        checked = None
        with make() as engine, stage_bar() as progress:
            made = engine.project(captures, device=table, calibration=factor, rounds=rounds, progress=progress)
        if check:
            from fastpath.offload.live import check as check_live
            if len(made.captures) != 1:
                fail("--check takes one capture")
            checked = check_live(make, made, made.captures[0])
    except typer.Exit:      # fail has said why
        raise
    except (ConfigError, OSError, ValueError, RuntimeError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if as_json == "-":
        sys.stdout.buffer.write(shown.as_json(made, checked))
        raise typer.Exit
    shown.print_projection(out, made, checked)
    if as_json is not None:
        Path(as_json).write_bytes(shown.as_json(made, checked))
        out.print(f"{terminal.plain(as_json, 400)} written")
