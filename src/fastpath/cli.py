"""The command line. Everything heavy is imported when a command runs, so that --help answers at once."""
from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fastpath.lineage import WHOLE_STREAMS, bom, read_texts
from fastpath.offload.command import offload, project
from fastpath.openoffload.command import device_app
from fastpath.options import Checksums, Compat, ConfigFile, Continuous, KeyLogs, MoreRules, OnlyRules, Overwrite, Packs, Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fastpath.control.config import Config
    from fastpath.control.result import Result, Sink
    from fastpath.outputs.timeline import Timeline

DONE, FAILED, USAGE, FOUND, INTERRUPTED = 0, 1, 2, 3, 130
#: A last argument of one word that is a filter, not a capture.
FILTERS = frozenset(("ip", "ip6", "tcp", "udp", "icmp", "icmp6", "arp", "rarp", "sctp", "igmp", "esp", "ah", "vlan", "mpls", "pppoes", "geneve"))
#: What a filter of several words may begin with beside those.
FILTER_WORDS = frozenset(("port", "portrange", "host", "net", "src", "dst", "not", "proto", "ether", "less", "greater", "gateway"))

ABOUT = """The packet-inspection stage of a DPU, in software: captures in, verdicts out.

Rules are Suricata's language, options are spelled as Suricata spells them.

\b
  fastpath demo                                     see it work
  fastpath replay traffic.pcap -S my.rules -l out   alerts into out/eve.json
  fastpath rules check my.rules                     what is exact, what is refused and why
"""

app = typer.Typer(name="fastpath", help=ABOUT, no_args_is_help=True, rich_markup_mode=None, add_completion=False,
                  pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
rules_app = typer.Typer(no_args_is_help=True, help="Check rules: what is exact, what is refused and why.")
app.add_typer(rules_app, name="rules")
app.add_typer(device_app, name="device")
app.command(no_args_is_help=True, short_help="What was fetched, as a CycloneDX ML-BOM.")(bom)
app.command(no_args_is_help=True, short_help="What session tables would take off the inspectors, and which alerts they would miss.")(offload)
app.command(no_args_is_help=True, short_help="From what a packet costs here to N cores and line rates.")(project)
policy_app = typer.Typer(no_args_is_help=True, help="Zero-trust policies: check one, print their JSON schema.")
app.add_typer(policy_app, name="policy")


def fail(message: str, code: int = USAGE) -> NoReturn:
    from fastpath.outputs.terminal import console, plain
    console(stderr=True).print(f"[bold red]fastpath:[/] {plain(message, 600)}", soft_wrap=True)
    raise typer.Exit(code)


def version(asked: bool) -> None:
    if asked:
        from fastpath import __version__
        typer.echo(f"fastpath {__version__}")
        raise typer.Exit


@app.callback()
def main_options(_: Annotated[bool, typer.Option("--version", "-V", callback=version, is_eager=True, help="Say the version.")] = False) -> None:
    pass


# ---- replay ----

@app.command(no_args_is_help=True, short_help="Inspect captures: alerts, flows, verdicts, a ledger and a digest.")
def replay(
    captures: Annotated[list[str] | None, typer.Argument(
        metavar="CAPTURE... ['BPF filter']", help="pcap or pcapng, .gz or .zst of them, folders, globs; - is standard input.")] = None,
    read: Annotated[list[str] | None, typer.Option("-r", metavar="FILE", help="A capture, as Suricata spells it.")] = None,
    only_rules: OnlyRules = None,
    more_rules: MoreRules = None,
    packs: Packs = None,
    config: ConfigFile = None,
    settings: Settings = None,
    simulate: Annotated[list[str] | None, typer.Option("--simulate", metavar="KIND=N", help="Force a fault, such as packet-flow-memcap=7: "
                                                       "Suricata's --simulate-* options, by what follows simulate-.")] = None,
    checksums: Checksums = None,
    test: Annotated[bool, typer.Option("-T", help="Load configuration and rules, and stop.")] = False,
    log: Annotated[str | None, typer.Option("-l", metavar="DIR|-", help="Write DIR/eve.json, or EVE to standard output.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Write on at the end of an eve.json that is there.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")] = False,
    events: Annotated[str, typer.Option("--events", metavar="LIST", help="Of alert,policy,anomaly,flow,stats and protocols, or all.")] = "alert,policy",
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Threads; they change no result.")] = 1,
    burst: Annotated[int, typer.Option("--burst", min=1, max=256, help="Packets a burst.")] = 128,
    continuous: Continuous = False,
    simulate_ips: Annotated[bool, typer.Option("--simulate-ips", help="Act as inline: drop and reject take effect.")] = False,
    parquet: Annotated[Path | None, typer.Option("--parquet", metavar="DIR", help="Alerts, flows and events as Parquet.")] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.html", help="A report of the run, one file.")] = None,
    timeline: Annotated[str | None, typer.Option("--timeline", metavar="HOST", help="One workload's story, in the order of time.")] = None,
    write: Annotated[list[str] | None, typer.Option("--write", metavar="alerts|drops:FILE.pcapng",
                                                    help="Write the packets that alerted, or were dropped.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="FILE|PROFILE", help="A session table to offload to: YAML, or a profile: "
                                               "bf2, bf3, unlimited (`fastpath device profiles`).")] = None,
    keylog: KeyLogs = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="A zero-trust policy: what no line allows is denied, "
                                                "before any rule; with --simulate-ips it is dropped.")] = None,
    hardware: Annotated[Path | None, typer.Option("--hardware", metavar="FILE", help="A manifest of hardware: MACs, DHCP clients, LLDP neighbours.")] = None,
    policy_labels: Annotated[Path | None, typer.Option("--policy-labels", metavar="FILE", help="--policy is Kubernetes NetworkPolicies, for "
                                                       "the pods and namespaces of this file.")] = None,
    tenants: Annotated[Path | None, typer.Option("--tenants", metavar="FILE", help="Tenants, told apart by VLAN, VNI, TEID or port: rules, "
                                                 "policy and outputs (-l DIR/NAME) of each apart.")] = None,
    manifest: Annotated[Path | None, typer.Option("--manifest", metavar="FILE", help="Approved models and data sets: SHA-256, who may write "
                                                  "and who may read them; docs/models.md.")] = None,
    internal: Annotated[Path | None, typer.Option("--internal-packages", metavar="FILE", help="Names of internal packages, a line each: asked for "
                                                  "outside, they raise an alert.")] = None,
    anonymise: Annotated[str | None, typer.Option("--anonymise", metavar="KEYFILE|env", help="Pseudonyms for addresses and names in every "
                                                  "output, by a key of 32 bytes: of a file, or of $FASTPATH_ANONYMISE_KEY.")] = None,
    dp_export: Annotated[Path | None, typer.Option("--dp-export", metavar="FILE.json", help="Counts by rule, protocol and service that may be "
                                                   "given away: differentially private, by workload.")] = None,
    dp_epsilon: Annotated[float, typer.Option("--dp-epsilon", metavar="E", help="What --dp-export may cost, of all its counts.")] = 1.0,
    dp_contribution: Annotated[int, typer.Option("--dp-contribution", metavar="N", min=1, help="How often a workload counts in each at most.")] = 20,
    fail_on: Annotated[str | None, typer.Option("--fail-on", metavar="alert|drop", help="Exit with 3 if there was one.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 before the first packet if any rule is refused.")] = False,
    compat: Compat = None,
    cache: Annotated[Path | None, typer.Option("--cache", metavar="DIR", help="Where compiled rules are kept for the next run, instead of "
                                               "$FASTPATH_CACHE or ~/.cache/fastpath.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read and compile the rules anew, and keep nothing.")] = False,
    reload_at: Annotated[list[str] | None, typer.Option("--reload-at", metavar="PACKET:RULES", help="These rules instead, from this "
                                                        "packet on (counted from 1 over all captures).")] = None,
    metrics: Annotated[int | None, typer.Option("--metrics", metavar="PORT", min=0, max=65535, help="Statistics while it runs, on "
                                                "127.0.0.1: /metrics for Prometheus, /stats.json, / as text.")] = None,
    verbose: Annotated[bool, typer.Option("-v", help="List refused rules and settings that are not supported.")] = False,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="Where data sets that rules save lie (default: the folder "
                                                  "of -l).")] = None,
    runmode: Annotated[str | None, typer.Option("--runmode", hidden=True)] = None,
    no_random: Annotated[bool, typer.Option("--no-random", hidden=True)] = False,
) -> None:
    """Inspect captures: alerts by rule, the ledger, and a digest that is the same on every machine.

    \b
    fastpath replay traffic.pcap                        with the demo rules
    fastpath replay *.pcap -S et/ -l out --events all   EVE into out/eve.json
    fastpath replay big.pcap.zst 'tcp port 443' -S my.rules --workers 4
    fastpath replay -r traffic.pcap -c suricata.yaml --set vars.address-groups.HOME_NET=10.0.0.0/8
    tcpdump -w - | fastpath replay - -S my.rules -l -   EVE on standard output
    fastpath replay ci.pcap -S my.rules --fail-on alert --report run.html
    fastpath replay big.pcap -S my.rules --write alerts:seen.pcapng --device unlimited
    fastpath replay big.pcap -S old.rules --reload-at 5000:new.rules
    fastpath replay day.pcap --pack ai_factory --timeline 10.0.0.4
    fastpath replay tls.pcap -S my.rules --keylog keys.log      what was said inside, as http.* and file.data

    SIGHUP: the rules are read again, and swapped while packets go on.

    Exit: 0 done; 1 malformed rules or damaged captures (all else is done), with --strict any refused rule;
    2 usage; 3 --fail-on found something; 130 Ctrl-C, with what was inspected until then.
    """
    from fastpath.control.config import Config
    from fastpath.control.engine import Engine
    from fastpath.control.exceptions import fault_settings
    from fastpath.outputs import terminal
    from fastpath.outputs.timeline import print_timeline
    from fastpath.reloads import on_hangup, read_reloads

    if fail_on not in (None, "alert", "drop"):
        fail(f"--fail-on takes alert or drop, not {fail_on}")
    if compat not in (None, "suricata-7.0"):
        fail(f"--compat takes suricata-7.0, not {compat}")
    if append and overwrite:
        fail("--append and --overwrite exclude each other")
    anonymiser = load_anonymiser(anonymise)
    if anonymiser is not None and write:
        fail("--anonymise goes without --write: packets are written as they were")
    paths, bpf = split_filter(captures or [], read or [])
    if not paths and not test:
        fail("no capture: name a file, a folder, or - for standard input")
    out = terminal.console(stderr=log == "-")
    errors = terminal.console(stderr=True)
    try:
        whole = [WHOLE_STREAMS] if manifest is not None and config is None else []
        settings_read = Config.load(config, [*whole, *(settings or []), *fault_settings(simulate or [])])
        texts = read_texts(manifest, internal)
    except ValueError as error:     # ConfigError too
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    say_settings(errors, settings_read, config, settings or [], verbose)
    if data_dir is not None or log not in (None, "-") and "default-data-dir" not in settings_read.values:
        settings_read.values["default-data-dir"] = str(data_dir if data_dir is not None else log)
    if tenants is not None:
        for name, given in (("--device", device), ("--policy", policy), ("--hardware", hardware), ("--report", report), ("--write", write),
                            ("-l -", log == "-"), ("--dp-export", dp_export), ("--timeline", timeline)):
            if given:
                fail(f"--tenants goes without {name}: of each tenant there is one")
        common = bool(only_rules or more_rules or packs or config)
        rules = load_rules(errors, settings_read, config, only_rules or [], more_rules or [], verbose, not no_cache and (cache or True),
                           packs or []) if common else None
        replay_tenants(tenants, paths, bpf, rules, {"config": settings_read, "mode": "ips" if simulate_ips else "ids", "workers": workers,
                                                    "burst": burst, "checksums": checksums, "compat": compat is not None,
                                                    "anonymiser": anonymiser, "keylog": keylog},
                       lambda name: open_sinks(log and str(Path(log) / name), append, overwrite, events, "ips" if simulate_ips else "ids",
                                               parquet and parquet / name, None, [], settings_read), continuous, fail_on, test)
    session_table = load_device(device)
    judge = load_policy(errors, policy, policy_labels)
    machines = load_hardware(hardware)
    rules = load_rules(errors, settings_read, config, only_rules or [], more_rules or [], verbose, not no_cache and (cache or True),
                       packs or [], texts)
    malformed = any(refusal.malformed for refusal in rules.refusals)
    if strict and rules.refusals:
        terminal.print_refusals(errors, rules, True)
        fail(f"--strict: {len(rules.refusals)} of {rules.rules} rules are refused", FAILED)
    try:
        reloads, sound = read_reloads(errors, rules, reload_at or [], verbose or strict)
    except ValueError as error:
        fail(str(error))
    malformed = malformed or not sound
    if strict and (not sound or any(one.refusals for one in reloads.values())):
        fail("--strict: some rules of --reload-at are refused", FAILED)
    try:
        with spoken_warnings(errors):
            engine = Engine(rules, config=settings_read, mode="ips" if simulate_ips else "ids", workers=workers, burst=burst,
                            checksums=checksums, compat=compat is not None, policy=judge, device=session_table, hardware=machines,
                            anonymiser=anonymiser, models=manifest is not None or "model" in events.split(","), keylog=keylog)
    except OSError as error:
        fail(f"--keylog: {error.filename}: {error.strerror}")
    except (ValueError, RuntimeError) as error:
        fail(str(error), FAILED if isinstance(error, RuntimeError) else USAGE)
    with engine:
        if test:
            out.print(f"configuration and {len(rules):,} rules loaded")
            raise typer.Exit(FAILED if malformed else DONE)
        sinks = open_sinks(log, append, overwrite, events, engine.mode, parquet, report, write or [], settings_read)
        story = tell_story(timeline, engine.mode)
        if story is not None:
            sinks.append(story.sink)
        private = open_private(dp_export, dp_epsilon, dp_contribution, overwrite)
        sinks += private
        with progress_bar() as progress, on_hangup(errors, engine, rules.files), serve_metrics(errors, engine, metrics):
            try:
                result = engine.replay(paths, bpf, keep=(), sinks=sinks, continuous=continuous, progress=progress, reload_at=reloads)
            except (OSError, ValueError) as error:
                fail(str(error))
    if reloads and max(reloads) > result.stats["packets"]:
        errors.print(f"[yellow]--reload-at {max(reloads)}[/]: there were {result.stats['packets']:,} packets")
    terminal.print_alerts(out, result)
    terminal.print_inventory(out, result.inventory)
    terminal.print_queue_pairs(out, result.roce)
    terminal.print_talkers(out, result.llm)
    terminal.print_models(out, result.models)
    if story is not None:
        print_timeline(out, story)
    if report is not None:
        write_report(report, result, paths if anonymiser is None else result.captures, rules, engine)
        out.print(f"report: {terminal.plain(report, 400)}")
    for counts in private:
        if counts.refused:
            fail(f"--dp-export: {counts.refused}", FAILED)
        terminal.print_budget(out, counts.budget, counts.contribution)
    terminal.print_summary(out, result)
    raise typer.Exit(exit_code(result, malformed, fail_on))


def tell_story(host: str | None, mode: str) -> Timeline | None:
    from fastpath.outputs.timeline import Timeline
    try:
        return Timeline(host, mode) if host is not None else None
    except ValueError as error:
        fail(str(error))


def replay_tenants(file: Path, paths: list[str], bpf: str | None, rules: Any, options: dict[str, Any], sinks: Callable[[str], list[Sink]],
                   continuous: bool, fail_on: str | None, test: bool) -> NoReturn:
    """replay --tenants: each tenant's packets by its own engine."""
    from fastpath.control.tenants import Tenants
    from fastpath.outputs import terminal
    out, errors = terminal.console(), terminal.console(stderr=True)

    def load(files: list[Path]) -> Any:
        return load_rules(errors, options["config"], None, list(map(str, files)), [], False, True)
    try:
        with spoken_warnings(errors):
            tenants = Tenants.load(file, rules, load, **options)
        with tenants as made:
            if test:
                out.print(f"{len(made.names)} tenants loaded")
                raise typer.Exit(DONE)
            writers = {name: sinks(name) for name in made.names}
            with progress_bar() as progress:
                result = made.replay(paths, bpf, keep=(), sinks=writers, continuous=continuous, progress=progress)
    except (OSError, ValueError, RuntimeError) as error:
        fail(str(error))
    terminal.print_tenants(out, result)
    codes = [exit_code(one, False, fail_on) for one in result.results.values()]
    raise typer.Exit(INTERRUPTED if result.partial else FOUND if FOUND in codes else FAILED if result.damages else DONE)


def split_filter(captures: list[str], read: list[str]) -> tuple[list[str], str | None]:
    """Captures, and the BPF filter if the last argument is one; with -r every argument belongs to the filter."""
    if read:
        return read, " ".join(captures) or None
    for at in range(1, len(captures)):      # a filter of several words comes in one argument or in several
        words = " ".join(captures[at:]).split()
        if words[:1] and not any(one == "-" or Path(one).exists() for one in captures[at:]) and (
                words[0] in FILTERS or len(words) > 1 and words[0] in FILTER_WORDS or " " in captures[-1].strip()):
            return captures[:at], " ".join(words)
    return captures, None


def say_settings(errors: Any, settings: Config, file: Path | None, sets: list[str], verbose: bool) -> None:
    """One line on a suricata.yaml; a --set that does nothing is named."""
    from fastpath.outputs.terminal import plain
    named = {text.partition("=")[0].strip() for text in sets}
    for key in dict.fromkeys(settings.unsupported):
        if key in named:
            errors.print(f"[yellow]--set {plain(key)}[/]: not supported, changes nothing")
    if file is None:
        return
    errors.print(f"{plain(file, 300)}: {settings.summary()}" + ("" if verbose else " [dim](-v lists them)[/]"), soft_wrap=True)
    if verbose:
        for key in dict.fromkeys(settings.unsupported):
            errors.print(f"  [dim]not supported:[/] {plain(key)}", soft_wrap=True)


@contextmanager
def spoken_warnings(errors: Any) -> Iterator[None]:
    """What Python warns of meanwhile is said in one line each."""
    from fastpath.outputs.terminal import plain
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for one in heard:
        errors.print(f"[yellow]{plain(one.message, 600)}[/]", soft_wrap=True)


def load_rules(errors: Any, settings: Config, config: Path | None, only: list[str], more: list[str], verbose: bool,
               cache: bool | Path = False, packs: list[str] | None = None, texts: Sequence[tuple[bytes, str]] = ()) -> Any:
    """The rules that -S, -s and the configuration name; those of the demo where none are named."""
    from fastpath.outputs.terminal import plain, print_refusals
    from fastpath.rules import RuleSet
    from fastpath.rules.classification import load_classifications, load_references
    from fastpath.rules.reputation import Reputations

    files: list[Any] = list(only)
    if not only:
        for path in settings.rule_files if config is not None else []:
            if path.exists():
                files.append(path)
            else:
                errors.print(f"[yellow]{plain(path, 300)}[/]: no such rule file", soft_wrap=True)
        files += more
    if not files and not packs and not texts:
        from fastpath.demo import rule_files
        files = list(rule_files())
        errors.print("[dim]no rules named: those of the demo are loaded (-S RULES for your own)[/]")
    options: dict[str, Any] = {}
    try:
        for key, name, load in (("classification-file", "classifications", load_classifications),
                                ("reference-config-file", "references", load_references)):
            if settings.get(key) is not None and Path(settings[key]).exists():
                options[name] = load(settings[key])
            elif settings.get(key) is not None:
                errors.print(f"[yellow]{plain(settings[key], 300)}[/]: no such {key}; the stock one holds", soft_wrap=True)
        if settings.get("reputation-categories-file") is not None:
            options["reputations"] = Reputations.load(settings["reputation-categories-file"], settings.reputation_files)
        with spoken_warnings(errors):
            rules = RuleSet.load(files, variables=settings.variables, cache=cache, packs=packs or [], texts=texts,
                                 data_files=settings.data_files, **options)
        if settings.get("threshold-file") is not None:
            rules.limit(settings["threshold-file"])
    except (OSError, ValueError, LookupError) as error:
        fail(str(error.args[0] if isinstance(error, LookupError) else error))
    refused = sum(not refusal.malformed for refusal in rules.refusals)
    if rules.refusals:
        errors.print(f"{len(rules):,} rules loaded, [yellow]{len(rules.refusals):,} not[/]: {refused:,} are not supported yet, "
                     f"{len(rules.refusals) - refused:,} malformed" + ("" if verbose else " [dim](-v lists them)[/]"))
    print_refusals(errors, rules, verbose)
    return rules


def open_sinks(log: str | None, append: bool, overwrite: bool, events: str, mode: str, parquet: Path | None, report: Path | None,
               write: list[str], settings: Config) -> list[Sink]:
    """The writers that the options ask for."""
    from fastpath.outputs.eve import EveWriter, Shows, check_events
    sinks: list[Sink] = []
    try:
        wanted = check_events(events.split(","))
        shows = Shows.of(settings.eve(), mode)
        if log == "-":
            sinks.append(EveWriter(sys.stdout.buffer, wanted, mode, shows=shows))
        elif log is not None:
            path = Path(log) / "eve.json"
            if path.exists() and not append and not overwrite:
                fail(f"{path} exists: --append writes on, --overwrite replaces it")
            path.parent.mkdir(parents=True, exist_ok=True)
            sinks.append(EveWriter(path.open("ab" if append else "wb"), wanted, mode, shows=shows))
        store = settings.file_store()
        if store and log not in (None, "-"):
            from fastpath.outputs.filestore import FileStore
            sinks.append(FileStore(Path(log) / store.get("dir", "filestore"), store.get("write-fileinfo", False)))
        if parquet is not None:
            from fastpath.outputs.columns import ParquetWriter
            sinks.append(ParquetWriter(parquet, overwrite=overwrite))
        if report is not None:
            from fastpath.outputs.report import check_jinja2
            if report.exists() and not overwrite:
                fail(f"{report} exists: --overwrite replaces it")
            check_jinja2()
        for one in write:
            from fastpath.outputs.pcapng import KINDS, PcapngWriter
            kind, colon, name = one.partition(":")
            if kind not in KINDS or not name:
                fail(f"--write takes {' or '.join(f'{each}:FILE.pcapng' for each in KINDS)}, not {one}")
            sinks.append(PcapngWriter(Path(name), kind, overwrite))
    except (ImportError, ValueError, FileExistsError) as error:
        fail(str(error) + (": --overwrite replaces it" if isinstance(error, FileExistsError) else ""))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    return sinks


def open_private(path: Path | None, epsilon: float, contribution: int, overwrite: bool) -> list[Any]:
    """The writer of --dp-export, if it is asked for."""
    if path is None:
        return []
    from fastpath.outputs.private import PrivateCounts
    try:
        return [PrivateCounts(path, epsilon, contribution, overwrite)]
    except (ImportError, ValueError, FileExistsError) as error:
        fail(f"--dp-export: {error}" + (": --overwrite replaces it" if isinstance(error, FileExistsError) else ""))


def serve_metrics(errors: Any, engine: Any, port: int | None) -> AbstractContextManager[Any]:
    """Serves an engine's statistics meanwhile, where --metrics asks for it."""
    from contextlib import nullcontext
    if port is None:
        return nullcontext()
    from fastpath.outputs.metrics import Server
    try:
        server = Server(engine.snapshot, port)
    except (ImportError, OSError) as error:
        fail(f"--metrics {port}: {error}")
    errors.print(f"[dim]metrics: http://127.0.0.1:{server.port}/metrics[/]")
    return server


def load_keys(errors: Any, keylog: list[str] | None) -> Any:
    """The key ring of --keylog, None without; bad lines are said, one that cannot be read raises OSError."""
    from fastpath.control.keylog import key_ring
    with spoken_warnings(errors):
        return key_ring(keylog)


def load_device(source: str | None) -> Any:
    """The session table of --device; None without one."""
    from fastpath.control.device import Device, DeviceError, profiles
    if source is None:
        return None
    try:
        return Device.load(source)
    except DeviceError as error:
        fail(str(error))
    except OSError as error:
        fail(f"--device: {source} is neither a profile ({', '.join(profiles())}) nor a file that can be read: {error.strerror}")


def load_anonymiser(source: str | None) -> Any:
    """What --anonymise asks for; None without it."""
    if source is None:
        return None
    from fastpath.control.anonymise import Anonymiser
    try:
        return Anonymiser.load(source)
    except ValueError as error:
        fail(f"--anonymise: {error}")
    except OSError as error:
        fail(f"--anonymise: {error.filename}: {error.strerror}")


@contextmanager
def read_as(option: str) -> Iterator[None]:
    """Around the reading of an option's YAML file: what is wrong ends the program, with the place."""
    from fastpath.control.policy import PolicyError
    try:
        yield
    except PolicyError as error:
        fail(str(error), FAILED)
    except OSError as error:
        fail(f"{option}: {error.filename}: {error.strerror}")


def load_policy(errors: Any, path: Path | None, labels: Path | None = None) -> Any:
    """The policy of --policy, its warnings said; None without one. With labels: Kubernetes NetworkPolicies."""
    from fastpath.control.policy import Policy
    from fastpath.outputs.terminal import plain
    if path is None:
        return None
    with read_as("--policy"):
        policy = Policy.load(path) if labels is None else Policy.load_kubernetes(path, labels)
    for warning in policy.warnings:
        errors.print(f"[yellow]{plain(warning, 600)}[/]", soft_wrap=True)
    return policy


def load_hardware(path: Path | None) -> Any:
    """The manifest of --hardware; None without one."""
    from fastpath.control.hardware import Hardware
    with read_as("--hardware"):
        return Hardware.load(path) if path is not None else None


def write_report(path: Path, result: Result, captures: list[str], rules: Any, engine: Any) -> None:
    from fastpath.outputs.report import render
    path.write_text(render(result, captures=captures, rules=rules, mode=engine.mode), encoding="utf-8")


def progress_bar() -> AbstractContextManager[Any]:
    """A bar on standard error, where that is a terminal; the context gives the callback for Engine.replay, or None."""
    from contextlib import nullcontext
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from fastpath.outputs.terminal import console, plain
    from fastpath.outputs.visible import scaled

    @contextmanager
    def bar() -> Any:
        with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(),
                      console=console(stderr=True), transient=True) as shown:
            task = shown.add_task("", total=None, rate="")

            def step(at: Any) -> None:
                rate = scaled(at.packets / at.seconds, "packets/s") if at.seconds else ""
                shown.update(task, description=plain(Path(at.capture).name, 40), completed=at.fraction or 0,
                             total=None if at.fraction is None else 1, rate=f"{at.packets:,} packets, {rate}, {at.alerts:,} alerts")
            yield step
    return bar()


def stage_bar() -> AbstractContextManager[Any]:
    """The same for what goes on in stages: the callback takes what is being done, and how far it is, or None."""
    from contextlib import nullcontext
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from fastpath.outputs.terminal import console, plain

    @contextmanager
    def bar() -> Any:
        with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console(stderr=True), transient=True) as shown:
            task = shown.add_task("", total=None)

            def step(what: str, fraction: float | None) -> None:
                shown.update(task, description=plain(what, 90), completed=fraction or 0, total=None if fraction is None else 1)
            yield step
    return bar()


def exit_code(result: Result, malformed: bool, fail_on: str | None) -> int:
    if result.partial:
        return INTERRUPTED
    dropped = sum(packets for action, packets in result.stats["verdicts"].items() if action != "pass")
    if (fail_on == "alert" and result.stats["alerts"]) or (fail_on == "drop" and dropped):
        return FOUND
    return FAILED if malformed or result.damages else DONE


# ---- the other commands ----

@rules_app.command("check", no_args_is_help=True)
def rules_check(
    paths: Annotated[list[str], typer.Argument(metavar="RULES...", help="Files, folders, globs.")],
    config: ConfigFile = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting of suricata.yaml.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: rules, exact, refused, refusals, groups, cost.")] = False,
    verbose: Annotated[bool, typer.Option("-v", help="List every refusal with its place.")] = False,
) -> None:
    """Which rules are honoured exactly, and why the others are refused. No part of a rule is ever ignored.

    \b
    fastpath rules check my.rules
    fastpath rules check /etc/suricata/rules --json | jq '.refusals[] | .reason' | sort | uniq -c

    Exit: 0; 1 if a rule is malformed; 2 usage.
    """
    from fastpath.control.config import Config, ConfigError
    from fastpath.dataplane import rows
    from fastpath.outputs import terminal
    from fastpath.rules import RuleSet
    try:
        settings_read = Config.load(config, settings or [])
        rules = RuleSet.load(paths, variables=settings_read.variables, data_files=settings_read.data_files)
    except (ConfigError, OSError) as error:
        fail(str(error))
    codes = {name: code for code, name in enumerate(rows.events())}
    if as_json:
        import msgspec
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(rules.assess(codes))) + b"\n")
    else:
        terminal.print_check(terminal.console(), rules, rules.assess(codes), verbose)
    raise typer.Exit(FAILED if any(refusal.malformed for refusal in rules.refusals) else DONE)


@rules_app.command("keywords")
def rules_keywords(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The tables of docs/rules.md.")] = False,
) -> None:
    """Every keyword of the rule language: exact, or refused and why.

    \b
    fastpath rules keywords
    fastpath rules keywords --markdown > docs/rules.md
    """
    from fastpath.outputs import terminal
    from fastpath.rules import support
    if as_markdown:
        print(support.markdown(), end="")
    else:
        terminal.print_keywords(terminal.console(), support.keyword_support())


@policy_app.command("check", no_args_is_help=True)
def policy_check(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A policy; with --labels NetworkPolicies, or a folder of them.")],
    labels: Annotated[Path | None, typer.Option("--labels", metavar="FILE", help="The pods and namespaces of NetworkPolicies.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: segments, lines, classes, memory, warnings.")] = False,
) -> None:
    """Read a policy as replay would: its segments, its lines in their order, what is odd in it, what it takes.

    \b
    fastpath policy check policy.yaml
    fastpath policy check policy.yaml --json | jq '.warnings[]'

    Exit: 0; 1 for a policy that cannot be read or contradicts itself; 2 usage.
    """
    from fastpath.outputs import terminal
    judge = load_policy(terminal.console(stderr=True), path, labels)
    if as_json:
        import msgspec
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(judge.describe())) + b"\n")
    else:
        terminal.print_policy(terminal.console(), judge.describe())


@policy_app.command("schema")
def policy_schema() -> None:
    """The JSON schema of policy files, for editors and for CI.

    \b
    fastpath policy schema > policy.schema.json
    """
    from fastpath.control.policy import schema
    print(schema(), end="")


@app.command(no_args_is_help=True, short_help="Why a rule did or did not fire, step by step.")
def why(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE... ['BPF filter']", help="As replay takes them, but not standard input.")],
    sid: Annotated[int, typer.Option("--sid", metavar="N", help="Which rule.")],
    gid: Annotated[int | None, typer.Option("--gid", metavar="N", help="Where several have this sid.")] = None,
    flow: Annotated[str | None, typer.Option("--flow", metavar="COMMUNITY_ID", help="Of this flow alone, even where its header does not fit.")] = None,
    only_rules: OnlyRules = None,
    more_rules: MoreRules = None,
    packs: Packs = None,
    config: ConfigFile = None,
    settings: Settings = None,
    checksums: Checksums = None,
    continuous: Continuous = False,
    simulate_ips: Annotated[bool, typer.Option("--simulate-ips", help="Act as inline.")] = False,
    compat: Compat = None,
    keylog: KeyLogs = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="Flows that are shown.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="All flows that came near, as one JSON object; bytes are hex.")] = False,
) -> None:
    """Why a rule did or did not fire: of each flow that came near it the header, the group, the fast pattern, then every condition
    and step with the bytes that it looked at, down to the first that failed. A match is told with the packet that it came with, and
    with what became of it: an alert, or hidden by a threshold, or noalert.

    \b
    fastpath why traffic.pcap -S my.rules --sid 2024897
    fastpath why traffic.pcap -S my.rules --sid 2024897 --flow '1:LQU9qZlK+B5F3KDmev6m5PMibrg='   (from eve.json)
    fastpath why traffic.pcap 'host 10.0.0.7' -S et/ --sid 2024897 --json | jq '.near[].stage'

    The rule runs with those alone whose flowbits, flowints or xbits it needs, and with the pass rules. Flows are sorted by how
    far the rule came. A step that was tried at several places is shown as it was tried on the way that came furthest.

    Exit: 0 it matched; 3 it did not; 2 usage, or no such rule.
    """
    from fastpath.control.config import Config, ConfigError
    from fastpath.control.engine import Engine
    from fastpath.outputs import terminal
    from fastpath.outputs.why import print_why

    paths, bpf = split_filter(captures, [])
    errors = terminal.console(stderr=True)
    try:
        settings_read = Config.load(config, settings or [])
        rules = load_rules(errors, settings_read, config, only_rules or [], more_rules or [], False, packs=packs)
        with Engine(config=settings_read, mode="ips" if simulate_ips else "ids", checksums=checksums, compat=compat is not None,
                    keylog=load_keys(errors, keylog)) as engine:
            answer = engine.why(paths, sid, gid=gid, flow=flow, bpf=bpf, continuous=continuous, rules=rules)
    except typer.Exit:      # fail has said why
        raise
    except (ConfigError, OSError, ValueError, RuntimeError) as error:
        fail(str(error))
    except LookupError as error:
        fail(str(error.args[0]))
    if as_json:
        import msgspec
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(answer.as_dict())) + b"\n")
    else:
        print_why(terminal.console(), answer, most)
    raise typer.Exit(DONE if any(story.match_count for story in answer.near) else FOUND)


@app.command(no_args_is_help=True, short_help="What a change of rules or policy newly drops, allows or alerts on.")
def diff(
    captures: Annotated[list[str], typer.Argument(metavar="CAPTURE... ['BPF filter']", help="As replay takes them.")],
    old: Annotated[list[str] | None, typer.Option("--old", metavar="RULES", help="The rules (file, folder, glob) or the policy (.yaml) before.")] = None,
    new: Annotated[list[str] | None, typer.Option("--new", metavar="RULES", help="Those after.")] = None,
    both: Annotated[list[str] | None, typer.Option("-S", metavar="RULES", help="Rules of both.")] = None,
    packs: Packs = None,
    old_policy: Annotated[Path | None, typer.Option("--old-policy", metavar="FILE", help="The policy before.")] = None,
    new_policy: Annotated[Path | None, typer.Option("--new-policy", metavar="FILE", help="The policy after.")] = None,
    mode: Annotated[str, typer.Option("--mode", metavar="auto|ids|ips", help="auto: ips where there is a policy or a rule that drops.")] = "auto",
    config: ConfigFile = None,
    settings: Settings = None,
    checksums: Checksums = None,
    continuous: Continuous = False,
    compat: Compat = None,
    keylog: KeyLogs = None,
    as_json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="All of it as one JSON object.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="A row for each flow of each change.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """What a change of rules or policy newly drops, newly allows, newly alerts on, and no longer alerts on, by rule and flow.

    \b
    fastpath diff traffic.pcap --old rules/ --new rules-next/
    fastpath diff week/*.pcap --old policy.yaml --new policy-next.yaml -S rules/ --json change.json
    fastpath diff traffic.pcap -S rules/ --new extra.rules

    The captures are read once; both go through them at the same time. docs/diff.md has a workflow that gates a change in CI.

    Exit: 0 no difference; 3 there is one; 1 damaged captures, and no difference; 2 usage; 130 Ctrl-C.
    """
    from fastpath.control.config import Config, ConfigError
    from fastpath.control.diff import diff as compare
    from fastpath.outputs import diff as shown
    from fastpath.outputs import terminal

    if mode not in ("auto", "ids", "ips"):
        fail(f"--mode takes auto, ids or ips, not {mode}")
    if not (old or new or old_policy or new_policy):
        fail("nothing to compare: --old and --new name rules or policies")
    for path in (parquet, None if as_json in (None, "-") else Path(as_json)):
        if path is not None and path.exists() and not overwrite:
            fail(f"{path} exists: --overwrite replaces it")
    paths, bpf = split_filter(captures, [])
    out, errors = terminal.console(stderr=as_json == "-"), terminal.console(stderr=True)
    sides: dict[str, Any] = {}
    try:
        settings_read = Config.load(config, settings or [])
        for name, given, policy in (("old", old or [], old_policy), ("new", new or [], new_policy)):
            files = [*(both or []), *(one for one in given if Path(one).suffix not in (".yaml", ".yml"))]
            policies = [Path(one) for one in given if Path(one).suffix in (".yaml", ".yml")] + ([policy] if policy else [])
            if len(policies) > 1:
                fail(f"--{name}: one policy, not {len(policies)}")
            sides[name] = load_rules(errors, settings_read, config, files, [], False, True, packs) if files or packs else None
            sides[f"{name}_policy"] = load_policy(errors, policies[0]) if policies else None
        with progress_bar() as progress:
            found = compare(paths, **sides, bpf=bpf, mode=None if mode == "auto" else mode, config=settings_read, checksums=checksums,
                            compat=compat is not None, continuous=continuous, keylog=load_keys(errors, keylog), progress=progress)
        if parquet is not None:
            shown.write_parquet(found, parquet)
    except typer.Exit:      # fail has said why
        raise
    except (ConfigError, OSError, ValueError, RuntimeError, ImportError) as error:
        fail(str(error))
    if as_json == "-":
        sys.stdout.buffer.write(shown.as_json(found))
    else:
        shown.print_diff(out, found)
    if as_json not in (None, "-"):
        Path(as_json).write_bytes(shown.as_json(found))
    raise typer.Exit(INTERRUPTED if found.partial else FOUND if found else FAILED if found.damages else DONE)


@app.command(short_help="Measure on your own traffic and rules, with peers beside it.")
def bench(
    captures: Annotated[list[str] | None, typer.Argument(metavar="[CAPTURE...]", help="Default: those of the demo.")] = None,
    rules: Annotated[str | None, typer.Option("-S", metavar="RULES", help="Measure with these rules too.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64)] = 1,
    bursts: Annotated[str, typer.Option("--bursts", metavar="LIST", help="Burst sizes.")] = "1,32,256",
    peers: Annotated[str, typer.Option("--peers", metavar="LIST|none", help="Of libpcap,dpkt,scapy,suricata.")] = "libpcap,dpkt,scapy",
    as_json: Annotated[bool, typer.Option("--json", help="The record on standard output instead of the table.")] = False,
    against: Annotated[Path | None, typer.Option("--against", metavar="RECORD", help="Compare; exit with 3 if slower.")] = None,
) -> None:
    """Measure on your own traffic and rules, peers beside it, in turn.

    \b
    fastpath bench traffic.pcap -S my.rules --peers libpcap,suricata
    fastpath bench traffic.pcap --json > before.json; fastpath bench traffic.pcap --against before.json
    """
    from fastpath.control.bench import run_bench
    try:
        sizes = [int(one) for one in bursts.split(",")]
    except ValueError:
        fail(f"--bursts takes numbers such as 1,32,256, not {bursts}")
    try:
        code = run_bench(captures or [], rules, workers=workers, bursts=sizes, peers=[] if peers == "none" else peers.split(","),
                         json_out="-" if as_json else None, against=against)
    except (OSError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code)


@app.command(short_help="See it work, in an empty folder.")
def demo(
    ai: Annotated[bool, typer.Option("--ai", help="The day of an AI factory instead: what runs there, and what is stopped.")] = False,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE.html", help="The same as a page.")] = None,
) -> None:
    """Benign traffic, an attack stopped, a tunnel opened, a hostile packet named: from captures inside the package."""
    from fastpath.demo import run_demo
    from fastpath.outputs.terminal import console
    out = console()
    out.record = page is not None and not ai
    if ai:
        from fastpath.demo.factory import tell_factory
        day = tell_factory(out)
    else:
        run_demo(out)
    if page is not None:
        try:
            if ai:
                from fastpath.demo.page import render
                page.write_text(render(day), encoding="utf-8")
            else:
                out.save_html(str(page))
        except ImportError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{page}: {error.strerror}")
