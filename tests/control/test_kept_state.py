"""What rules keep and leave behind: texts of flows and packets in EVE, sets in files, files in a store. What is expected is what Suricata
7.0.10 gives on the same packets."""
from __future__ import annotations

import hashlib
import io
import json

import pytest
from captures import conversation, ethernet, ipv6, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import assert_ledger, rules_of

import fastpath as fp
from fastpath.outputs.eve import EveWriter
from fastpath.outputs.filestore import FileStore
from fastpath.rules.datasets import DataFiles

LOGIN = [udp(b"login alice pw=secret\x00\x01", sport=4000, dport=5000), udp(b"ok alice", "10.0.0.2", 5000, "10.0.0.1", 4000),
         udp(b"again key=val k2=v2", sport=4000, dport=5000), udp(b"bye", "10.0.0.2", 5000, "10.0.0.1", 4000)]


def events(path, rules, *, sets=(), sinks=(), types=("alert", "flow", "fileinfo"), **engine) -> list[dict]:
    out = io.BytesIO()
    rules = rules_of(rules) if isinstance(rules, str) else rules
    with fp.Engine(rules, config=fp.Config.load(None, sets), **engine) as made:
        result = made.replay(str(path), sinks=[*sinks, EveWriter(out, types)])
    assert_ledger(result.stats)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def of_alerts(found: list[dict]) -> list[tuple[int, int, dict | None]]:
    return [(one["pcap_cnt"], one["alert"]["signature_id"], one.get("metadata")) for one in found if one["event_type"] == "alert"]


# ---- texts ----

CAPTURES = r"""
alert udp any any -> any any (flowvar:user,ali; sid:1;)
alert udp any any -> any any (content:"login"; pcre:"/login (?P<flow_user>\w+) pw=(?P<pkt_pw>.*)/s"; sid:2;)
alert udp any any -> any any (pktvar:pw,secr; sid:3;)
alert udp any any -> any any (content:"key="; pcre:"/(\w+)=(\w+) (\w+)=(\w+)/, pkt:key,pkt:value"; sid:4;)
alert udp any any -> any any (content:"key="; pcre:"/(\w+)=(\w+) (\w+)=(\w+)/, flow:a, pkt:b, flow:c"; sid:5;)
"""


def test_texts_of_flows_and_packets(capture):
    found = events(capture(LOGIN), CAPTURES)
    user = {"flowvars": [{"user": "alice"}]}
    more = {"flowvars": [{"user": "alice"}, {"a": "key"}, {"c": "k2"}]}
    first, third = user | {"pktvars": [{"pw": "secret.."}]}, more | {"pktvars": [{"b": "val"}, {"key": "val"}]}
    assert of_alerts(found) == [(1, 2, first), (1, 1, first), (1, 3, first), (2, 1, user), (3, 5, third), (3, 1, third), (3, 4, third),
                                (4, 1, more)]
    assert found[-1]["event_type"] == "flow" and found[-1]["metadata"] == more


def test_which_groups_are_kept(capture):
    rules = r"""
    alert udp any any -> any any (content:"login"; pcre:"/login(?P<flow_e>z*)(?P<flow_f>q)?(?P<flow_g> a)/"; sid:16;)
    alert udp any any -> any any (content:"login"; pcre:"/(lo)(?P<foo>g)(?P<flow_h>in) (?P<flow_i>\w+)/"; sid:17;)
    alert udp any any -> any any (content:"login"; pcre:"/(lo)g(?P<flow_j>in) (?P<flow_k>\w+).*\1?/"; sid:18;)
    alert udp any any -> any any (pcre:!"/zzz(?P<flow_l>in)/"; content:"login"; sid:19;)
    alert udp any any -> any any (content:"login"; pcre:"/login (?P<flow_m>\w+)/"; content:"zzzz"; sid:21;)
    alert udp any any -> any any (content:"login"; pcre:"/login (?P<alert_n>\w+)/"; sid:22;)
    """
    kept = {"flowvars": [{"e": ""}, {"g": " a"}, {"h": "g"}, {"i": "in"}, {"j": "in"}, {"k": "alice"}]}
    assert of_alerts(events(capture(LOGIN[:1]), rules)) == [(1, sid, kept) for sid in (16, 17, 18, 19, 22)]


def test_bits_and_numbers_stand_beside_texts(capture):
    rules = 'alert udp any any -> any any (content:"login"; flowbits:set,one; flowbits:set,traffic/label/two; flowint:no,=,7; sid:1;)'
    found = events(capture(LOGIN[:1]), rules)
    assert [one["metadata"] for one in found] == [{"flowbits": ["one"], "flowints": {"no": 7}}] * 2
    assert found[0]["traffic"] == {"label": ["two"]}


@pytest.mark.parametrize("options", [
    'pcre:"/(a)/, flow:a, flow:b";', 'pcre:"/(a)/, alert:a";', 'pcre:"/(a)(b)/, pkt:key";'[:-2] + ',flow:a";', 'pcre:"/(a)/, pkt:value";',
    "flowvar:a;", "flowvar:a,;"])
def test_texts_that_are_malformed(options):
    refusal, = fp.RuleSet.parse(f"alert udp any any -> any any ({options} sid:1;)").refusals
    assert refusal.malformed


def test_texts_are_bounded(capture):
    """A flow keeps 64 KiB of texts; what is more is not kept, and what was before stays."""
    big = [udp(b"x" + bytes([65 + i]) * 30000, sport=7) for i in range(3)]
    rules = "\n".join(f'alert udp any any -> any any (content:"x{chr(65 + i)}"; pcre:"/x(?P<flow_{chr(97 + i)}>.*)/"; sid:{i + 1};)'
                      for i in range(3))
    last = events(capture(big), rules)[-1]["metadata"]["flowvars"]
    assert [{name: len(text) for name, text in one.items()} for one in last] == [{"a": 30000}, {"b": 30000}]


# ---- sets ----

SIX = [ethernet(ipv6(17, udp(b"abc", sport=1, dport=2)[34:], src, dst), 0x86DD)
       for src, dst in (("2001:db8::1", "2001:db8::2"), ("2001:db8::2", "2001:db8::1"), ("::ffff:10.0.0.9", "2001:db8::1"))]
SETS = """
alert ip any any -> any any (ip.src; dataset:set,b,type ip,save b.lst; sid:2;)
alert ip any any -> any any (ip.dst; dataset:unset,b; sid:3;)
alert ip any any -> any any (ip.src; dataset:set,e,type ipv4,state e.lst; sid:5;)
alert ip any any -> any any (ip.src; dataset:isset,e; sid:8;)
alert ip any any -> any any (ip.src; datarep:e,==,0; sid:10;)
"""


def test_sets_that_rules_change(capture, tmp_path):
    (tmp_path / "e.lst").write_text("9.9.9.9,77\n")
    rules = fp.RuleSet.parse(SETS, data_files=DataFiles(str(tmp_path)))
    packets = [*SIX, udp(b"login x", "10.0.0.9", 1, "1.2.3.4", 2), udp(b"login y", "10.0.0.8", 1, "1.2.3.4", 2)]
    found = of_alerts(events(capture(packets), rules, sets=[f"default-data-dir={tmp_path}"]))
    assert [one[:2] for one in found] == [(1, 2), (1, 5), (2, 2), (2, 3), (3, 2), (3, 5), (4, 5), (4, 8), (4, 10), (5, 5), (5, 8), (5, 10)]
    assert (tmp_path / "e.lst").read_text() == "0.0.0.0\n9.9.9.9\n10.0.0.8\n10.0.0.9\n32.1.13.184\n"
    assert (tmp_path / "b.lst").read_text() == "0000:0000:0000:0000:0000:ffff:0a00:0009\n2001:0db8:0000:0000:0000:0000:0000:0002\n"


def test_a_state_goes_on_with_the_next_run(capture, tmp_path):
    text = "alert ip any any -> any any (udp.hdr; to_md5; dataset:set,seen,type md5,state seen.lst; sid:1;)"
    counts = []
    for size in (2, 3, 3):
        rules = fp.RuleSet.parse(text, data_files=DataFiles(str(tmp_path)))
        counts.append(len(of_alerts(events(capture(LOGIN[:size]), rules, sets=[f"default-data-dir={tmp_path}"]))))
    assert counts == [2, 1, 0]
    assert len((tmp_path / "seen.lst").read_text().splitlines()) == 3


def test_a_run_that_fails_leaves_the_files(capture, tmp_path):
    (tmp_path / "seen.lst").write_text("00" * 16 + "\n")
    rules = fp.RuleSet.parse("alert ip any any -> any any (udp.hdr; to_md5; dataset:set,seen,type md5,state seen.lst; sid:1;)",
                             data_files=DataFiles(str(tmp_path)))

    class Full:
        wants = frozenset()

        def write(self, batch):
            raise OSError("the disk is full")

        def close(self, stats):
            pass
    with pytest.raises(OSError, match="full"):
        events(capture(LOGIN), rules, sets=[f"default-data-dir={tmp_path}"], sinks=[Full()])
    assert [path.name for path in tmp_path.glob("seen*")] == ["seen.lst"]
    assert (tmp_path / "seen.lst").read_text() == "00" * 16 + "\n"


def test_a_memcap_bounds_a_set(capture):
    rules = fp.RuleSet.parse("alert udp any any -> any any (udp.hdr; dataset:set,seen,type string,memcap 4096; sid:1;)")
    packets = [udp(b"x" * (i % 1000), sport=1000 + i) for i in range(400)]
    with fp.Engine(rules) as engine:
        verdicts = engine.inspect(packets, ts=1)
        stats = engine.stats
    added = len(verdicts.alerts)
    assert 0 < added < 400 and stats["datasets"]["refused"] == 400 - added and stats["datasets"]["memory"] <= 4096 * 2


ACROSS = r"""
alert udp any any -> any any (ip.src; dataset:set,src,type ipv4; sid:1;)
alert udp any any -> any any (ip.dst; dataset:isset,src; sid:2;)
alert udp any any -> any any (udp.hdr; to_md5; dataset:set,heads,type md5; sid:3;)
alert udp any any -> any any (content:"x"; ip.dst; dataset:unset,src; sid:4;)
alert udp any any -> any any (content:"x"; pcre:"/(?P<flow_t>x+)/"; sid:5;)
alert udp any any -> any any (flowvar:t,xx; sid:6;)
"""


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([b"x", b"xx", b"abc", b""])), min_size=1, max_size=300))
def test_the_number_of_workers_and_the_burst_change_nothing(tmp_path_factory, sent):
    from captures import write_pcap
    path = write_pcap(tmp_path_factory.mktemp("sets") / "a.pcap", [udp(text, f"10.0.0.{a}", 1, f"10.0.0.{b}", 2) for a, b, text in sent])
    digests = set()
    for workers, burst in ((1, 1), (1, 128), (2, 7), (4, 256)):
        with fp.Engine(rules_of(ACROSS), workers=workers, burst=burst) as engine:
            digests.add(engine.replay(str(path)).digest)
    assert len(digests) == 1


# ---- files ----

PAGES = [(b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
         (b"GET /two HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno matter"),
         (b"GET /three HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]
STORE = ["outputs.0.file-store.enabled=yes"]


def stored(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_that_rules_choose_are_stored_once(capture, tmp_path):
    rules = "alert http any any -> any any (flow:to_client; filesize:2; filestore; sid:1;)"
    store = FileStore(tmp_path / "store", fileinfo=True)
    found = events(capture(conversation(PAGES)), rules, sets=STORE, sinks=[store])
    digest = hashlib.sha256(b"ok").hexdigest()
    kept = stored(tmp_path / "store")
    assert kept[f"{digest[:2]}/{digest}"] == b"ok" and store.stored == 2
    about = [json.loads(text) for name, text in kept.items() if name.endswith(".json")]
    assert [one["fileinfo"] for one in about] == [one["fileinfo"] for one in found if one["event_type"] == "fileinfo" and one["fileinfo"]["stored"]]
    assert [(one["fileinfo"]["stored"], one["fileinfo"].get("file_id"), one["fileinfo"].get("sid")) for one in found
            if one["event_type"] == "fileinfo"] == [(True, 1, [1]), (False, None, None), (True, 2, [1])]
    alerts = [one["files"][0] for one in found if one["event_type"] == "alert"]
    assert [(one["stored"], one["storing"], one["sid"]) for one in alerts] == [(False, True, [1])] * 2


@pytest.mark.parametrize("rules, sizes", [
    ('alert http any any -> any any (http.uri; content:"/one"; sid:1;)', []),
    ("alert http any any -> any any (flow:to_client; filesize:2; filestore:response,flow; sid:1;)", [2, 9])])
def test_scopes(capture, tmp_path, rules, sizes):
    store = FileStore(tmp_path / "store")
    events(capture(conversation(PAGES)), rules, sets=STORE, sinks=[store])
    assert sorted(len(data) for data in stored(tmp_path / "store").values()) == sizes


def test_every_file_is_stored_where_that_is_forced(capture, tmp_path):
    big = bytes(range(256)) * 1000
    pages = [(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big)),
             *((b"", big[at:at + 32000]) for at in range(0, len(big), 32000))]
    store = FileStore(tmp_path / "store")
    events(capture(conversation([*PAGES[:1], *pages])), "", sets=[*STORE, "outputs.0.file-store.force-filestore=yes"], sinks=[store])
    assert sorted(stored(tmp_path / "store").values()) == sorted([b"ok", big])      # beyond the limit of bodies
    assert not (tmp_path / "store" / "tmp").exists()


def test_nothing_is_stored_unless_enabled(capture, tmp_path):
    store = FileStore(tmp_path / "store")
    found = events(capture(conversation(PAGES)), "alert http any any -> any any (flow:to_client; filestore; sid:1;)", sinks=[store])
    assert not stored(tmp_path / "store")
    assert all("storing" not in file for one in found for file in one.get("files", ()))


# ---- when and in what order ----

def test_equal_rules_run_by_their_number(capture):
    rules = """
    alert udp any any -> any any (content:"login"; sid:40;)
    alert udp any any -> any any (content:"log"; sid:30;)
    alert udp any any -> any any (ip.src; content:"|0a|"; sid:50;)
    alert udp any any -> any any (content:"log"; sid:5;)
    """
    assert [sid for _, sid, _ in of_alerts(events(capture(LOGIN[:1]), rules))] == [5, 30, 40, 50]


def test_inline_a_session_that_is_picked_up_is_inspected_with_its_first_packet(capture):
    found = events(capture([tcp(b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n", flags=0x18, seq=1, ack=1)]),
                   'alert http any any -> any any (http.uri; content:"/a"; sid:1;)', sets=["stream.midstream=true"], mode="ips")
    assert of_alerts(found) == [(1, 1, None)]


PICKED_UP = [tcp(b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n", flags=0x18, seq=1, ack=1), tcp(b"", "10.0.0.2", 80, "10.0.0.1", 40000, flags=0x10, seq=1, ack=29),
             tcp(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "10.0.0.2", 80, "10.0.0.1", 40000, flags=0x18, seq=1, ack=29)]


@pytest.mark.parametrize("rule, where", [
    ("alert http any any -> any any (sid:1;)", [2, 3, None, None]), ("alert tcp any any -> any any (app-layer-protocol:http; sid:1;)", [1, 3]),
    ('alert tcp any any -> any any (content:"GET"; http.uri; content:"a"; sid:1;)', [1]),
    ("drop http any any -> any any (sid:1;)", [2]), ('drop http any any -> any any (http.uri; content:"a"; sid:1;)', [1])])
def test_inline_of_that_first_packet_transactions_alone_are_inspected(capture, rule, where):
    """Expected is what Suricata 7.0.10 says; of a flow that a rule drops it writes nothing that comes after."""
    found = events(capture(PICKED_UP), rule, sets=["stream.midstream=true"], mode="ips", types=("alert", "http", "fileinfo"))
    assert [one.get("pcap_cnt") for one in found if one["event_type"] == "alert"] == where
    assert len(found) == len(where) + (0 if rule.startswith("drop") else 2)


@pytest.mark.parametrize("asked, where", [
    ("", [5, 6, None, None]), ("flow:to_server;", [None]), ("flow:established;", [5, 6]), ("flowbits:isnotset,x;", [5, 6]),
    ("stream_size:both,>,1;", [6]), ('flow:established; http.uri; content:"one";', [None])])
def test_what_asks_for_more_than_a_protocol_is_not_met_by_the_flush(capture, asked, where):
    """Expected is what Suricata 7.0.10 says."""
    found = events(capture(conversation(PAGES[:1])[:6]), f"alert http any any -> any any ({asked} sid:1;)")
    assert [one.get("pcap_cnt") for one in found if one["event_type"] == "alert"] == where
