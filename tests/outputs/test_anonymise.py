"""--anonymise: no output holds an address, a name or a hardware address of the captures; detection stays what it was; each field is declared."""
from __future__ import annotations

import io
import ipaddress
import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from captures import conversation, tcp, udp, write_pcap
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpath as fp
from fastpath.control import anonymise
from fastpath.control.anonymise import Anonymiser, Treatments, treatments
from fastpath.control.columns import SCHEMAS
from fastpath.dataplane.cryptopan import CryptoPan
from fastpath.outputs.eve import EveWriter, Shows

ROOT = Path(__file__).resolve().parents[2]
PCAPS = sorted((ROOT / "pcaps").glob("*.pcap"))
AI = sorted((ROOT / "src/fastpath/demo/ai").glob("*.pcap"))
EDGE = sorted((ROOT / "pcaps").glob("[ehms]*/*.pcap"))          # edge, http2, models, services
TELLING = [path for path in EDGE if path.stem in ("gtp", "n4", "hardware", "hardware-drift", "registries", "inference", "mqtt", "chat")]
#: That of the authors' reference, with what it gives.
SAMPLE_KEY = bytes((21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
                    216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2))
SAMPLES = dict(line.split("\t") for line in Path(__file__).with_name("crypto_pan.tsv").read_text().splitlines() if not line.startswith("#"))
KEY = bytes(range(32))
RULES = """
alert ip any any -> any any (msg:"seen from 10.0.0.1"; sid:1; metadata:found_at 10.0.0.2;)
alert tcp any any -> any any (msg:"bytes"; flow:established; content:"e"; sid:2; target:dest_ip;)
alert http any any -> any any (msg:"uri"; http.uri; content:"/"; sid:3;)
alert tls any any -> any any (msg:"name"; tls.sni; content:"."; sid:4;)
alert dns any any -> any any (msg:"question"; dns.query; content:"."; sid:5;)
alert smb any any -> any any (msg:"share"; content:"SMB"; sid:6;)
alert smtp any any -> any any (msg:"mail"; content:"@"; sid:7;)
alert ftp any any -> any any (msg:"ftp"; content:" "; sid:8;)
"""
ALL = Shows(payload=True, payload_printable=True, packet=True, verdict=True, ethernet=True)


def eve(engine, paths) -> list[dict]:
    out = io.BytesIO()
    engine.replay(paths, sinks=[EveWriter(out, ["all"], engine.mode, shows=ALL)], keep=())
    return [json.loads(line) for line in out.getvalue().splitlines()]


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, path)
    else:
        yield path, value


# ---- Crypto-PAn ----

def test_the_reference_of_the_authors():
    pan = CryptoPan(SAMPLE_KEY)
    assert len(SAMPLES) == 76
    assert {text: str(ipaddress.ip_address(pan.map(ipaddress.ip_address(text).packed))) for text in SAMPLES} == SAMPLES


@given(st.binary(min_size=32, max_size=32), st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_another_implementation_says_the_same(key, addresses):
    """yacryptopan; with the rows of flows, too."""
    other, pan = pytest.importorskip("yacryptopan").CryptoPAn(key), CryptoPan(key)
    expected = [ipaddress.ip_address(other.anonymize(str(address))) for address in addresses]
    assert [ipaddress.ip_address(pan.map(address.packed)) for address in addresses] == expected
    rows = np.zeros((len(addresses), 16), "u1")
    for row, address in zip(rows, addresses, strict=True):
        row[:len(address.packed)] = np.frombuffer(address.packed, "u1")
    pan.map_rows(rows, np.array([address.version for address in addresses], "u1"))
    rest = [row.tobytes()[len(address.packed):] for row, address in zip(rows, addresses, strict=True)]
    assert [ipaddress.ip_address(row.tobytes()[:len(address.packed)]) for row, address in zip(rows, addresses, strict=True)] == expected
    assert not any(map(any, rest)), "what is behind an IPv4 address stays zero"


def test_prefixes_are_kept_bit_by_bit():
    pan, rng = CryptoPan(KEY), np.random.RandomState(5)
    for size in (4, 16):
        for _ in range(100):
            first = rng.bytes(size)
            shared = rng.randint(0, 8 * size)
            second = (int.from_bytes(first, "big") ^ 1 << (8 * size - 1 - shared)).to_bytes(size, "big")
            both = [int.from_bytes(pan.map(one), "big") for one in (first, second)]
            assert 8 * size - (both[0] ^ both[1]).bit_length() == shared


@pytest.mark.parametrize("length", (0, 16, 31, 33))
def test_a_key_has_32_bytes(length):
    with pytest.raises(ValueError, match=f"32 bytes was expected, not of {length}"):
        Anonymiser(bytes(length))


# ---- the key ----

def test_a_key_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    for name, content in (("raw", KEY), ("hex", KEY.hex().encode() + b"\n")):
        (tmp_path / name).write_bytes(content)
        assert Anonymiser.load(tmp_path / name).address("10.0.0.1") == Anonymiser(KEY).address("10.0.0.1")
    monkeypatch.setenv(anonymise.VARIABLE, KEY.hex())
    assert Anonymiser.load("env").address("10.0.0.1") == Anonymiser(KEY).address("10.0.0.1")
    monkeypatch.delenv(anonymise.VARIABLE)
    with pytest.raises(ValueError, match="FASTPATH_ANONYMISE_KEY is not set"):
        Anonymiser.load("env")


@pytest.mark.parametrize("content", (b"", b"short", b"ab" * 20, bytes(31), bytes(33)))
def test_another_length_is_refused_and_said(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ValueError, match="was expected, not of"):
        Anonymiser.load(tmp_path / "key")


def test_the_command_line_refuses_a_short_key_and_packets(tmp_path):
    (tmp_path / "short").write_bytes(b"abc")
    (tmp_path / "key").write_bytes(KEY)
    for more, said in ((["--anonymise", str(tmp_path / "short")], "32 bytes"), (["--anonymise", str(tmp_path / "none")], "No such file"),
                       (["--anonymise", str(tmp_path / "key"), "--write", f"alerts:{tmp_path}/x.pcapng"], "without --write")):
        ran = subprocess.run([sys.executable, "-m", "fastpath", "replay", str(PCAPS[0]), *more], check=False, capture_output=True, text=True)
        assert ran.returncode == 2 and said in ran.stderr
    assert not (tmp_path / "x.pcapng").exists()


# ---- nothing original in any output ----

def originals(events: list[dict]) -> tuple[set[str], set[str]]:
    """Addresses, and names and hardware addresses, of events that were written as they are."""
    addresses, names = set(), set()
    for event in events:
        for path, value in leaves(event):
            if not isinstance(value, str) or len(value) < 4:
                continue
            if path.rpartition(".")[2] in ("src_ip", "dest_ip", "ip"):
                addresses.add(value)
            elif value != "00:00:00:00:00:00" and treatments().of(path) in ("map", "drop") and path not in ("payload", "payload_printable", "packet"):
                if not re.fullmatch(r"[0-9.]{1,6}", value):      # such as a status
                    names.add(value)
    return addresses, names


def forms(text: str) -> list[bytes]:
    """As text, hex, and base64 at each of the places where groups of it may begin; addresses packed too, but for those of mostly zeros."""
    raw = [text.encode()]
    packed = b""
    try:
        packed = ipaddress.ip_address(text).packed
        raw += [ipaddress.ip_address(text).exploded.encode(), str(ipaddress.ip_address(text)).encode()]
    except ValueError:
        if re.fullmatch(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", text):
            packed = bytes.fromhex(text.replace(":", ""))
    if len(packed) > 4 and packed.count(0) < len(packed) // 2:
        raw.append(packed)
    made = []
    for one in raw:
        made += [one, one.hex().encode()]
        for shift in range(3):      # the digits that hang on these bytes alone
            made.append(b64encode(bytes(shift) + one)[(8 * shift + 5) // 6:8 * (shift + len(one)) // 6])
    return [one for one in made if len(one) >= 6]


def outputs(tmp_path, capture: Path, rules: str, *more: str) -> dict[str, bytes]:
    (tmp_path / "key").write_text(KEY.hex())
    (tmp_path / "x.rules").write_text(rules)
    (tmp_path / "x.yaml").write_text("%YAML 1.1\n---\noutputs:\n  - eve-log:\n      ethernet: yes\n      types:\n        - alert:\n            payload: yes\n"
                                     "            payload-printable: yes\n            packet: yes\n")
    ran = subprocess.run([sys.executable, "-m", "fastpath", "replay", str(capture), "-S", str(tmp_path / "x.rules"), "-c", str(tmp_path / "x.yaml"),
                          "-l", str(tmp_path / "out"), "--events", "all", "--parquet", str(tmp_path / "parquet"), "--report", str(tmp_path / "r.html"),
                          "--overwrite", "--anonymise", str(tmp_path / "key"), "--no-cache", *more],
                         check=False, capture_output=True, env=os.environ | {"COLUMNS": "200"})
    assert ran.returncode in (0, 1), ran.stderr
    import pyarrow.parquet
    made = {"terminal": ran.stdout.replace(str(tmp_path).encode(), b"")}
    for path in (tmp_path / "out" / "eve.json", tmp_path / "r.html"):
        made[path.name] = path.read_bytes()
    for path in (tmp_path / "parquet").glob("*.parquet"):
        table = pyarrow.parquet.read_table(path)
        times = [field.name for field in table.schema if pyarrow.types.is_timestamp(field.type)]
        made[path.name] = json.dumps(table.drop_columns(times).to_pylist()).encode() + path.read_bytes()
    return made


def check_outputs(tmp_path, capture: Path, pack: bool = False) -> int:
    (tmp_path / "all.rules").write_text(RULES)
    with fp.Engine(fp.RuleSet.load([tmp_path / "all.rules"], packs=["ai_factory"] if pack else []), models=pack) as engine:
        addresses, names = originals(eve(engine, capture))
    made = outputs(tmp_path, capture, RULES, *(["--pack", "ai_factory"] if pack else []))
    declared = {address for address in addresses if address in ("0.0.0.0", "255.255.255.255", "::")}
    for text in (addresses - declared) | names | {capture.name}:
        for form in forms(text):
            for name, content in made.items():
                at = content.find(form)
                while at >= 0 and form[:1].isdigit() and content[at - 1:at].isdigit() | content[at + len(form):at + len(form) + 1].isdigit():
                    at = content.find(form, at + 1)
                assert at < 0, (text, form, name, content[max(0, at - 200):at + 100])
    return len(addresses) + len(names)


@pytest.mark.parametrize("capture", PCAPS, ids=lambda path: path.stem)
def test_no_output_holds_an_original(tmp_path, capture):
    assert check_outputs(tmp_path, capture) > 1 or capture.stem == "hostile"


@pytest.mark.parametrize("capture", AI, ids=lambda path: path.stem)
def test_no_output_of_the_pack_holds_an_original(tmp_path, capture):
    assert check_outputs(tmp_path, capture, pack=True) > 1


@pytest.mark.parametrize("capture", TELLING, ids=lambda path: path.stem)
def test_no_output_of_the_edge_holds_an_original(tmp_path, capture):
    """Devices, tunnels and their subscribers, hardware, registries."""
    assert check_outputs(tmp_path, capture, pack=True) > 1


CORPUS = ("*smb*.pcap*", "*smtp*.pcap*", "*ftp*.pcap*", "*http*.pcap*", "*dns*.pcap*", "*ssh*.pcap*", "*tls*.pcap*", "*ipv6*.pcap*",
          "*dhcp*.pcap*", "*dcerpc*.pcap*", "*vxlan*.pcap*", "*gre*.pcap*")


@pytest.mark.parametrize("like", CORPUS)
def test_no_output_holds_an_original_of_the_corpus(tmp_path, corpus, like):
    found = sorted((path for path in (corpus / "pcaps").rglob(like) if path.suffix in (".pcap", ".pcapng") and path.stat().st_size < 60_000),
                   key=lambda path: (-path.stat().st_size, path.name))[:2]
    if not found:
        pytest.skip(f"the corpus has no {like}")
    for capture in found:
        check_outputs(tmp_path, capture)


# ---- detection is what it was ----

def test_alerts_are_the_same_by_sid_and_mapped_flow():
    mapper, rules = Anonymiser(KEY), fp.RuleSet.parse(RULES)
    with fp.Engine(rules) as plain, fp.Engine(rules, anonymiser=mapper) as mapped:
        before, after = plain.replay(PCAPS), mapped.replay(PCAPS)
    flows = mapper.flows(before.alerts["flow"])
    assert Counter(zip(before.alerts["sid"].tolist(), flows.tolist(), strict=True)) == Counter(
        zip(after.alerts["sid"].tolist(), after.alerts["flow"].tolist(), strict=True))
    assert len(before.alerts) > 100 and not set(before.alerts["src_ip"]) & set(after.alerts["src_ip"])
    assert [mapper.address(one) if one else one for one in before.alerts["src_ip"]] == after.alerts["src_ip"].tolist()
    assert before.digest != after.digest


def test_promises_hold():
    made = set()
    for workers, burst in ((1, 1), (1, 128), (4, 7), (2, 256)):
        with fp.Engine(fp.RuleSet.parse(RULES), workers=workers, burst=burst, anonymiser=Anonymiser(KEY)) as engine:
            made.add(engine.replay(PCAPS).digest)
    assert len(made) == 1


def test_live_verdicts_and_subscriptions_name_mapped_flows():
    mapper, rules = Anonymiser(KEY), fp.RuleSet.parse('alert udp any any -> any any (msg:"x"; sid:1;)')
    packet = udp(b"hello")
    with fp.Engine(rules) as plain, fp.Engine(rules, anonymiser=mapper) as mapped:
        subscription = mapped.subscribe()
        before, after = plain.inspect([packet], ts=1), mapped.inspect([packet], ts=1)
        subscription.close()
        [told] = list(subscription)
    expected = mapper.flows(before.flow).tolist()
    assert after.flow.tolist() == expected == told["flow"].tolist() == after.alerts["flow"].tolist()
    assert after.alerts["src_ip"].tolist() == [mapper.address("10.0.0.1")]
    assert before.flow.tolist() != expected


def test_why_is_refused():
    with fp.Engine(fp.RuleSet.parse(RULES), anonymiser=Anonymiser(KEY)) as engine, pytest.raises(ValueError, match="anonymises"):
        engine.why(PCAPS[0], 1)


def test_orders_name_mapped_workloads(tmp_path):
    mapper, out = Anonymiser(KEY), io.BytesIO()
    with fp.Engine(fp.RuleSet.parse(RULES), anonymiser=mapper) as engine:
        engine.isolate("10.0.0.7")
        engine.isolate("10.2.0.0/16", why="rack 10.2.0.9")
        engine.replay(write_pcap(tmp_path / "a.pcap", [tcp(flags=2)]), sinks=[EveWriter(out, ["all"])], keep=())
        assert "10.0.0.7" not in str(engine.snapshot())
    events = [one for one in map(json.loads, out.getvalue().splitlines()) if one["event_type"] == "isolation"]
    assert [one["isolation"]["workload"] for one in events] == [mapper.address("10.0.0.7"), mapper.network("10.2.0.0/16")]
    assert b"10.2.0.9" not in out.getvalue()


# ---- the table ----

def test_what_is_not_declared_is_dropped():
    event = {"event_type": "new", "src_ip": "1.2.3.4", "new": {"owner": "Ada", "count": 3}, "http": {"status": 200, "body": "Ada"}}
    assert Anonymiser(KEY).event(event) == {"event_type": "new", "src_ip": "1.2.3.4", "http": {"status": 200}}


def test_a_treatment_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="one of keep"):
        Treatments({"a": "hide"})


def undeclared(events) -> set[str]:
    return {path for event in events for path, _ in leaves(event) if treatments().of(path) is None}


def test_every_field_of_a_run_is_declared(tmp_path):
    bodies = conversation([(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
    made = write_pcap(tmp_path / "a.pcap", bodies)
    for mode in ("ids", "ips"):
        with fp.Engine(fp.RuleSet.parse(RULES + 'reject tcp any any -> any 80 (msg:"r"; content:"POST"; sid:9;)\n'), mode=mode) as engine:
            engine.isolate("10.9.9.9", why="x")
            assert undeclared(eve(engine, [*PCAPS, made])) == set()


@pytest.mark.parametrize("capture", AI + EDGE, ids=lambda path: path.stem)
def test_every_field_of_the_pack_is_declared(capture):
    with fp.Engine(fp.RuleSet.pack("ai_factory"), models=True) as engine:
        assert undeclared(eve(engine, capture)) == set()


def test_every_field_of_the_corpus_is_declared(corpus):
    found = [path for path in sorted((corpus / "pcaps").rglob("*.pcap")) if path.stat().st_size < 20_000][::7]
    with fp.Engine(fp.RuleSet.parse(RULES)) as engine:
        assert undeclared(eve(engine, found)) == set()


def test_every_name_that_a_protocol_says_is_declared():
    """The names that rooms of the data plane put into records: each stands in the table."""
    names = set()
    for path in (ROOT / "src/fastpath/dataplane/applayer").glob("*.p[yx]*"):
        names |= set(re.findall(r'(?:say_\w+|put_key)\([^"\n]*\bb"([A-Za-z0-9_.-]+)"', path.read_text()))
    declared = {part for path in anonymise._table()["eve"] for part in path.split(".")}
    below = {"query", "answer", "answers", "authorities", "server"}     # that others stand below, by `*` and `**`
    below |= {"interfaces", "uuid", "ack_result", "ack_reason", "req", "res", "frag_cnt", "stub_data_size", "opnum", "call_id", "rpc_version", "seqnum"}
    assert len(names) > 100 and names - declared - below == set()


def test_every_column_is_declared():
    for kind, schema in SCHEMAS.items():
        names = tuple(name for name, _, _ in schema)
        assert anonymise.columns(kind, names) == set(names)
    assert anonymise.columns("alerts", ("sid", "user")) == {"sid"}
