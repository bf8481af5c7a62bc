"""What becomes of packets that cannot be inspected as they should, by policy: with faults forced, and at real caps."""
import json

import pytest
from captures import fragment, tcp, udp
from runs import assert_ledger, replay
from segments import handshake, segment

import fastpath as fp
from fastpath.control.exceptions import CAUSES, FAULTS, fault_settings, policies

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
ALERT = 'alert tcp any any -> any any (content:"GET"; sid:1;)'
POLICIES = ("ignore", "pass-packet", "pass-flow", "bypass", "drop-packet", "drop-flow", "reject")


def session(data=REQUEST, again=REQUEST):
    """A handshake (packets 1 to 3), a request (4), its acknowledgment (5), another (6), and that one's (7)."""
    second = 1001 + len(data)
    return [*handshake(), segment(0, "PA", 1001, 5001, data), segment(1, "A", 5001, second), segment(0, "PA", second, 5001, again),
            segment(1, "A", 5001, second + len(again))]


#: Cause -> (packets, the fault, the packet that it strikes, the reason).
FORCED = {
    "defrag.memcap": ([fragment(17, 0, bytes(16), True), fragment(17, 16, bytes(16), False)], "packet-defrag-memcap=1", 1, "defrag memcap"),
    "flow.memcap": ([udp(b"GET"), udp(b"GET")], "packet-flow-memcap=1", 1, "flow memcap"),
    "tcp.ssn_memcap": (session(), "packet-tcp-ssn-memcap=1", 1, "stream memcap"),
    "tcp.reassembly": (session(), "packet-tcp-reassembly-memcap=4", 4, "stream reassembly memcap"),
    "tcp.midstream": ([tcp(b"GET"), tcp(b"GET", seq=3)], None, 1, "stream midstream"),
    "app_layer.error": (session(), "applayer-error-at-offset-ts=0", 4, "applayer error"),
}


def run(capture, cause, policy, mode="ips", rules=ALERT, engine=None, **options):
    frames, fault, *_ = FORCED[cause]
    sets = [f"{CAUSES[cause][0]}={policy}", "stream.checksum-validation=no", *fault_settings([fault] if fault else [])]
    return replay(capture([(1.0 + i / 10, frame) for i, frame in enumerate(frames)]), rules, sets=sets,
                  engine={"mode": mode} | (engine or {}), keep=("alerts", "packets"), **options)


@pytest.mark.parametrize("cause", FORCED)
def test_every_cause_has_every_policy(capture, cause):
    *_, struck, reason = FORCED[cause]
    for policy in POLICIES:
        result = run(capture, cause, policy)
        taken = policies(fp.Config.load(None, [f"{CAUSES[cause][0]}={policy}"]), "ips")[cause]
        action, why = (result.packets[name][struck - 1] for name in ("action", "reason"))
        assert action == ("reject" if taken == "reject" else "drop" if "drop" in taken else "pass"), (policy, result.packets["action"])
        assert why == (reason if taken != "ignore" else "none"), policy
        counted = {name for name in result.stats["exceptions"] if name.startswith(cause)}
        assert counted == ({f"{cause}.{taken}"} if (cause, taken) != ("tcp.midstream", "ignore") else set()), policy


@pytest.mark.parametrize("cause", [cause for cause, (_, on_flow, _) in CAUSES.items() if on_flow])
def test_a_flow_that_is_dropped_stays_so_and_one_that_passes_is_not_inspected(capture, cause):
    struck = FORCED[cause][2]
    for policy in ("drop-flow", "reject"):
        result = run(capture, cause, policy)
        assert all(action != "pass" for action in result.packets["action"][struck - 1:]), policy
    for policy in ("pass-flow", "bypass"):
        result = run(capture, cause, policy)
        assert set(result.packets["action"]) == {"pass"}
        assert not [one for one in result.alerts["ordinal"] if one >= struck or one == 0]


def test_drop_packet_drops_that_one(capture):
    result = run(capture, "tcp.reassembly", "drop-packet")
    assert [number + 1 for number, action in enumerate(result.packets["action"]) if action != "pass"] == [4]


def test_auto_fails_closed_in_ips_and_open_in_ids(capture):
    for cause, (*_, struck, reason) in FORCED.items():
        closed, opened = run(capture, cause, "auto"), run(capture, cause, "auto", "ids")
        assert closed.packets["action"][struck - 1] == "drop" and closed.stats["drops"][reason] == 1
        assert not opened.stats["drops"]
        assert run(capture, cause, "reject", "ids").digest == opened.digest


@pytest.mark.parametrize("cause", ["tcp.ssn_memcap", "tcp.reassembly", "tcp.midstream", "app_layer.error"])
def test_it_fails_closed_without_rules_too(capture, cause):
    *_, struck, reason = FORCED[cause]
    closed = run(capture, cause, "auto", rules="")
    assert closed.packets["action"][struck - 1] == "drop" and closed.stats["drops"][reason] >= 1


def test_the_master_switch_and_what_is_said_of_one_cause():
    config = fp.Config.load(None, ["exception-policy=pass-flow", "stream.memcap-policy=drop-packet"])
    assert policies(config, "ips") == {
        "defrag.memcap": "pass-packet", "flow.memcap": "pass-packet", "tcp.ssn_memcap": "drop-packet", "tcp.reassembly": "pass-flow",
        "tcp.midstream": "pass-flow", "app_layer.error": "pass-flow"}
    assert policies(fp.Config.load(None, ["stream.midstream=yes"]), "ips")["tcp.midstream"] == "ignore"
    watched = policies(fp.Config.load(None, ["exception-policy=drop-flow", "flow.memcap-policy=drop-flow", "stream.memcap-policy=drop-flow",
                                             "stream.midstream-policy=drop-flow", "app-layer.error-policy=drop-packet"]), "ids")
    assert watched == {"defrag.memcap": "ignore", "flow.memcap": "pass-packet", "tcp.ssn_memcap": "pass-flow", "tcp.reassembly": "ignore",
                       "tcp.midstream": "ignore", "app_layer.error": "pass-packet"}
    with pytest.raises(fp.ConfigError, match=r"flow.memcap-policy: expected auto"):
        fp.Config.load(None, ["flow.memcap-policy=drop"])


def test_reject_answers(capture):
    with fp.Engine(fp.RuleSet.parse(ALERT), mode="ips", config=fp.Config.load(None, ["stream.midstream-policy=reject"])) as engine:
        verdicts = engine.inspect([tcp(b"x", flags=0x18, ack=77)], ts=1.0)
        assert verdicts.action.tolist() == [fp.Action.REJECT]
        assert [reply.to for reply in verdicts.replies] == ["src"]


@pytest.mark.parametrize("cause", FORCED)
def test_bursts_and_workers_change_nothing(capture, cause):
    digests = {run(capture, cause, policy, engine={"burst": burst, "workers": workers}).digest
               for policy in ("drop-flow",) for burst in (1, 7, 128, 256) for workers in (1, 2, 4)}
    assert len(digests) == 1


def test_a_lost_packet_has_its_number_and_stands_outside_of_the_ledger(capture):
    path = capture([(1.0 + i, udp(b"GET", sport=1000 + i)) for i in range(5)])
    rule = 'alert udp any any -> any any (content:"GET"; sid:1;)'
    for burst in (1, 2, 128):
        result = replay(path, rule, sets=["simulate.packet-loss=3"], engine={"burst": burst})
        assert result.alerts["ordinal"].tolist() == [1, 2, 4, 5]
        assert result.stats["packets"] == 4 and result.stats["exceptions"]["lost"] == 1


def test_an_alert_queue_that_does_not_grow(capture):
    path = capture([(1.0, udp(b"GET"))])
    rules = "\n".join(f'alert udp any any -> any any (content:"GET"; sid:{sid};)' for sid in range(1, 5)) + \
        '\ndrop udp any any -> any any (content:"GET"; priority:4; sid:9;)'
    assert replay(path, rules, sets=["packet-alert-max=2"], engine={"mode": "ips"}).stats["drops"] == {"rule": 1}
    result = replay(path, rules, sets=["packet-alert-max=2", "simulate.alert-queue-realloc-failure=yes"])
    assert len(result.alerts) == 2 and result.stats["exceptions"]["alerts_lost"] == 3


def test_real_caps(capture):
    """As many sessions as stream.memcap holds; the bytes of none."""
    frames = [frame for port in range(40000, 40100) for frame in handshake(port=port)]
    path = capture([(1.0 + i / 1000, frame) for i, frame in enumerate(frames)])
    capped = replay(path, sets=["stream.memcap=1kb", "stream.checksum-validation=no"], rules=ALERT, engine={"mode": "ips"}).stats
    assert capped["drops"]["stream memcap"] == capped["exceptions"]["tcp.ssn_memcap.drop-flow"] == 100 - 1024 // 64
    assert capped["drops"]["flow dropped"] == 2 * capped["drops"]["stream memcap"]
    path = capture([(1.0 + i / 1000, frame) for i, frame in enumerate(session())])
    full = replay(path, sets=["stream.reassembly.memcap=0", "stream.checksum-validation=no"], rules=ALERT, engine={"mode": "ips"}).stats
    assert full["drops"] == {"stream reassembly memcap": 1, "flow dropped": 3}
    fragments = capture([(1.0, fragment(17, 0, bytes(64), True)), (1.1, fragment(17, 64, bytes(64), False))])
    assert replay(fragments, sets=["defrag.memcap=0"], engine={"mode": "ips"}).stats["drops"] == {"defrag memcap": 2}


def test_eve_says_so(capture, tmp_path):
    from fastpath.outputs.eve import EveWriter
    with open(tmp_path / "eve.json", "wb") as out:
        result = run(capture, "app_layer.error", "drop-flow", sinks=[EveWriter(out, ("stats",), "ips")])
    said = json.loads((tmp_path / "eve.json").read_text().splitlines()[-1])["stats"]
    assert said["exception_policy"] == {"app_layer": {"error": {"drop_flow": 1}}}
    assert said["ips"]["drop_reason"] == {"applayer_error": 1, "flow_drop": 3}
    assert said["ips"]["blocked"] == 4 and said["ips"]["accepted"] == 3
    assert_ledger(result.stats)


def test_faults_by_name():
    assert fault_settings(["packet-loss=4", "alert-queue-realloc-failure"]) == ["simulate.packet-loss=4", "simulate.alert-queue-realloc-failure=yes"]
    for text in ("packet-loss", "packets=3"):
        with pytest.raises(ValueError, match="kinds: .*packet-tcp-ssn-memcap=N"):
            fault_settings([text])
    with pytest.raises(fp.ConfigError, match="simulate.packet-loss: expected a size"):
        fp.Config.load(None, fault_settings(["packet-loss=often"]))
    assert all(f"simulate.{kind}" in fp.Config.load(None, fault_settings([kind if meaning is None else f"{kind}=1"])).values
               for kind, meaning in FAULTS.items())
