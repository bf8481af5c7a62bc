"""Tenants apart from each other: claims, the sum of ledgers, and that nothing of one reaches another."""
import gzip
import json
import struct

import numpy as np
import pytest
from captures import ethernet, ipv4, tcp, udp
from runs import MIXED_RULES, assert_ledger, replay, rules_of
from typer.testing import CliRunner

import fastpath as fp
from fastpath.cli import app

RULE = 'alert udp any any -> any any (content:"abc"; sid:1;)'


def vlan(frame: bytes, *identifiers: int) -> bytes:
    for identifier in reversed(identifiers):
        frame = frame[:12] + struct.pack(">HH", 0x8100, identifier) + frame[12:]
    return frame


def around(port: int, head: bytes, inner: bytes) -> bytes:
    return udp(head + inner, "192.0.2.1", 5000, "192.0.2.2", port)


def vxlan(frame: bytes, vni: int) -> bytes:
    return around(4789, struct.pack(">BxxxI", 8, vni << 8), frame)


def gtpu(frame: bytes, teid: int) -> bytes:
    return around(2152, struct.pack(">BBHI", 0x30, 255, len(frame) - 14, teid), frame[14:])


def traffic(seed: int, count: int = 60) -> list[bytes]:
    """What one tenant sends: small and mixed."""
    made = []
    for i in range(count):
        made.append(udp(b"abc"[:i % 4] + bytes(i % 5), sport=2000 + (i * seed) % 7) if i % 3 else
                    tcp(b"GET login pass 123456", sport=3000 + i % 5, dport=(80, 23, 6667)[i % 3], seq=i * 20))
    return made


def stamped(frames):
    return [(1.0 + i / 50, frame) for i, frame in enumerate(frames)]


def test_every_kind_of_tag(capture):
    claims = {"vlan": fp.Tenant({"vlan": [100, "200-210"]}), "vni": fp.Tenant({"vni": "5000-5999"}), "teid": fp.Tenant({"teid": "0x10-0x1f"}),
              "port": fp.Tenant({"port": 3})}
    frames = [vlan(udp(b"abc"), 100), vlan(udp(b"abc"), 205), vlan(udp(b"abc"), 99), vxlan(udp(b"abc"), 5555), vxlan(udp(b"abc"), 6000),
              gtpu(udp(b"abc"), 0x1f), gtpu(udp(b"abc"), 0x20), udp(b"abc"), vlan(udp(b"abc"), 4, 100)]
    with fp.Tenants(claims) as tenants:
        said = tenants.inspect(frames, ts=1.0)
        names = [*tenants.names, None]
        assert [names[min(number, 4)] for number in said.tenant.tolist()] == ["vlan", "vlan", None, "vni", None, "teid", None, None, "vlan"]
        assert set(tenants.inspect(frames[7:8], ts=2.0, port=3).tenant.tolist()) == {3}
        assert tenants.stats["unclaimed"]["packets"] == 4 and tenants.stats["packets"] == 10
        result = tenants.replay(capture(stamped(frames)))
        assert [result[name].stats["packets"] for name in tenants.names] == [3, 1, 1, 0]
        assert result.stats["unclaimed"]["packets"] == 4
        assert_ledger(result.stats)


@pytest.mark.parametrize("choose, expected", [("outermost", [0, 0, 1]), ("innermost", [1, 2, 1])])
def test_which_tag_decides(choose, expected):
    with fp.Tenants({"a": fp.Tenant({"vlan": 1}), "b": fp.Tenant({"vni": 7, "vlan": 2}), "c": fp.Tenant({"vlan": 3})}, choose=choose) as tenants:
        frames = [vlan(vxlan(udp(b"x"), 7), 1), vlan(vxlan(vlan(udp(b"x"), 3), 7), 1), vlan(udp(b"x"), 9, 2)]
        assert tenants.inspect(frames, ts=1.0).tenant.tolist() == expected


def test_a_tenant_is_what_its_packets_alone_would_be(capture):
    """However much another sends, whatever it reloads, however the work is cut up."""
    mine, flood = [vlan(frame, 7) for frame in traffic(3)], [vlan(udp(bytes([i % 256]), sport=i % 60000 + 1, src=f"10.1.{i >> 8}.{i & 255}"), 8)
                                                              for i in range(3000)]
    mixed = stamped(flood[:1000]) + [(1.0 + i / 50, frame) for i, frame in enumerate(mine[:30])] + stamped(flood[1000:2500])
    mixed += [(1.0 + i / 50, frame) for i, frame in enumerate(mine) if i >= 30] + stamped(flood[2500:])
    rules, others = rules_of(MIXED_RULES), rules_of(RULE)
    for mode in ("ids", "ips"):
        sets = [f"{name}={value}" for name, value in (("flow.memcap", 64 << 20), ("defrag.memcap", 16 << 20), ("stream.memcap", 32 << 20),
                                                      ("stream.reassembly.memcap", 128 << 20))]
        alone = replay(capture(stamped(mine)), rules, engine={"mode": mode}, sets=sets)
        assert len(alone.alerts)
        digests = set()
        for burst, workers, flooding in ((1, 1, True), (7, 2, True), (256, 4, True), (128, 1, False)):
            told = {"mine": fp.Tenant({"vlan": 7}, rules), "other": fp.Tenant({"vlan": 8}, others)}
            with fp.Tenants(told, burst=burst, workers=workers, mode=mode) as tenants:
                path = capture(mixed if flooding else [one for one in mixed if one[1][14:16] == b"\0\7"])
                result = tenants.replay(path, progress=lambda _, tenants=tenants: tenants.reload("other", rules_of(RULE.replace("abc", "xyz"))))
                assert result["mine"].stats["packets"] == 60
                assert_ledger(result.stats)
                digests.add(result["mine"].digest)
        assert digests == {alone.digest}, mode


def test_a_reload_is_of_one(capture):
    with fp.Tenants({name: fp.Tenant({"vlan": number}, rules_of(RULE)) for number, name in enumerate("ab", 1)}) as tenants:
        frames = [vlan(udp(b"abc"), 1), vlan(udp(b"abc"), 2)]
        assert [len(tenants.inspect(frames, ts=1.0).of(name)[0].alerts) for name in "ab"] == [1, 1]
        tenants.reload("a", rules_of(RULE.replace("abc", "xyz")))
        assert [len(tenants.inspect(frames, ts=2.0).of(name)[0].alerts) for name in "ab"] == [0, 1]


def test_a_small_share_is_ones_own(capture):
    """At its memory cap, only the tenant that floods loses flows."""
    flood = [vlan(udp(b"x", sport=i + 1, src=f"10.{i >> 14 & 255}.{i >> 6 & 255}.1"), 1) for i in range(3000)]
    told = {"flooding": fp.Tenant({"vlan": 1}, share=0.001), "quiet": fp.Tenant({"vlan": 2}, share=0.9)}
    with fp.Tenants(told) as tenants:
        result = tenants.replay(capture(stamped(flood + [vlan(udp(b"x"), 2)])))
        assert result["flooding"].stats["exceptions"]["forced"] and not result["quiet"].stats["exceptions"]


def test_who_nobody_claims():
    told = {"a": fp.Tenant({"vlan": 1}), "rest": fp.Tenant()}
    frames = [vlan(udp(b"abc"), 1), udp(b"abc")]
    with fp.Tenants(told, default="rest", mode="ips") as tenants:
        said = tenants.inspect(frames, ts=1.0)
        assert said.tenant.tolist() == [0, 1] and said.action.tolist() == [0, 0]
    with fp.Tenants(told, mode="ips") as tenants:
        said = tenants.inspect(frames, ts=1.0)
        assert said.action.tolist() == [fp.Action.PASS, fp.Action.DROP] and tenants.stats["ledger"]["dropped"]["packets"] == 1
        assert_ledger(tenants.stats)
    with fp.Tenants(told) as tenants:
        assert tenants.inspect(frames, ts=1.0).action.tolist() == [0, 0]


def test_verdicts_stand_in_the_order_of_the_packets():
    drop = rules_of('drop udp any any -> any any (content:"no"; sid:1;)\nreject tcp any any -> any any (content:"no"; sid:2;)')
    with fp.Tenants({"a": fp.Tenant({"vlan": 1}, drop), "b": fp.Tenant({"vlan": 2})}, mode="ips",
                    config=fp.Config.load(None, ["stream.midstream-policy=ignore"])) as tenants:
        frames = [vlan(udp(b"no"), number) for number in (2, 1, 2, 1, 3)] + [vlan(tcp(b"no", flags=0x18), 1)]
        said = tenants.inspect(frames, ts=1.0)
        assert said.action.tolist() == [0, 1, 0, 1, 1, 2]
        assert [(reply.packet, reply.to) for reply in said.replies] == [(5, "src")]
        assert len(said) == 6 and said.of("b")[1].tolist() == [0, 2] and len(tenants.inspect([], ts=1.0)) == 0


@pytest.mark.parametrize("told, said", [
    ({"a": fp.Tenant({"vlan": "1-5"}), "b": fp.Tenant({"vlan": [9, 5]})}, "b:1:1: vlan 5 of 'b' overlaps vlan 1-5 of 'a' (a:1:1)"),
    ({"a": fp.Tenant({"vlan": 5000})}, "expected a vlan from 0 to 4095"), ({"a": fp.Tenant({"vni": "9-3"})}, "found '9-3'"),
    ({"a": fp.Tenant({"mac": 1})}, "told apart by port, vlan, vni, teid"), ({}, "there are no tenants"),
    ({"a": fp.Tenant({}, share=0.7), "b": fp.Tenant({}, share=0.7)}, "come to 1.4"),
])
def test_what_cannot_be(told, said):
    with pytest.raises(fp.TenantError) as error:
        fp.Tenants(told)
    assert said in str(error.value)


FILE = """# who is who
default: green
choose: innermost
tenants:
  blue:
    vlan: [100, 200-210]
    rules: blue.rules
    share: 25%
    set: {flow-timeouts.udp.new: 5}
  red: {vni: 5000-5999, port: 3}
  green: {}
"""


def test_the_file(tmp_path):
    (tmp_path / "tenants.yaml").write_text(FILE)
    (tmp_path / "blue.rules").write_text(RULE)
    with fp.Tenants.load(tmp_path / "tenants.yaml") as tenants:
        assert tenants.names == ("blue", "red", "green")
        assert tenants["blue"].config["flow-timeouts.udp.new"] == 5 and tenants["red"].config["flow-timeouts.udp.new"] == 30
        shares = [tenants[name].config["flow.memcap"] / (128 << 20) for name in tenants.names]
        assert np.allclose(shares, [.25, .375, .375])
        assert tenants.inspect([udp(b"abc"), vlan(udp(b"abc"), 205)], ts=1.0).tenant.tolist() == [2, 0]


@pytest.mark.parametrize("old, new, place, said", [
    ("vni: 5000-5999", "vlan: 205", "10:15", "vlan 205 of 'red' overlaps vlan 200-210 of 'blue' ({file}:6:17)"),
    ("[100, 200-210]", "[100, 5000]", "6:17", "expected a vlan from 0 to 4095"),
    ("default: green", "default: white", "2:10", "there is no tenant 'white'"),
    ("choose: innermost", "choose: inner", "3:9", "expected outermost or innermost"),
    ("share: 25%", "share: 2", "8:12", "expected a share above 0"),
    ("flow-timeouts.udp.new: 5", "flow-timeouts.udp.new: soon", "9:11", "expected a number"),
    ("rules: blue.rules", "rules: gone.rules", "7:12", "gone.rules"),
    ("  green: {}", "  green: {mac: 1}", "11:11", "a tenant has no 'mac'"),
    ("  green: {}", "  ../green: {}", "11:3", "is named by letters"),
    ("tenants:", "tenants: [", "11:1", "not YAML"),
])
def test_the_place_of_an_error(tmp_path, old, new, place, said):
    (tmp_path / "blue.rules").write_text(RULE)
    file = tmp_path / "tenants.yaml"
    file.write_text(FILE.replace(old, new))
    with pytest.raises(fp.TenantError) as error:
        fp.Tenants.load(file)
    assert str(error.value).startswith(f"{file}:{place}: ") or "not YAML" in str(error.value)
    assert said.replace("{file}", str(file)) in str(error.value)


def test_the_command(capture, tmp_path):
    (tmp_path / "tenants.yaml").write_text(FILE.replace("default: green\n", ""))
    (tmp_path / "blue.rules").write_text(RULE)
    path = capture(stamped([vlan(udp(b"abc"), 100), vlan(udp(b"abc", sport=9), 100), vxlan(udp(b"abc"), 5001), udp(b"abc")]))
    packed = tmp_path / "a.pcap.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    runner = CliRunner()
    ran = runner.invoke(app, ["replay", str(packed), "--tenants", str(tmp_path / "tenants.yaml"), "-l", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    lines = (tmp_path / "out/blue/eve.json").read_text().splitlines()
    assert [json.loads(line)["pcap_cnt"] for line in lines] == [1, 2]
    assert (tmp_path / "out/red/eve.json").read_text() == "" and "unclaimed" in ran.output and "4 packets = 4 inspected" in ran.output
    ran = runner.invoke(app, ["replay", str(path), "--tenants", str(tmp_path / "tenants.yaml"), "--fail-on", "alert"])
    assert ran.exit_code == 3
    assert runner.invoke(app, ["replay", str(path), "--tenants", str(tmp_path / "no.yaml")]).exit_code == 2
    assert runner.invoke(app, ["replay", str(path), "--tenants", str(tmp_path / "tenants.yaml"), "--write", "alerts:x"]).exit_code == 2


def test_hostile_packets_have_no_tenant_and_do_no_harm():
    rng = np.random.default_rng(1)
    frames = [vlan(vxlan(gtpu(udp(b"abc"), 5), 7), 1)]
    cut = [frames[0][:length] for length in range(len(frames[0]) + 1)] + [bytes(rng.integers(0, 256, 90, np.uint8)) for _ in range(500)]
    with fp.Tenants({"a": fp.Tenant({"vlan": 1, "vni": "0-100", "teid": "0-100", "port": 1})}) as tenants:
        said = tenants.inspect(cut, ts=1.0)
        assert len(said) == len(cut) and said.tenant[len(frames[0])] == 0
        assert_ledger(tenants.stats)


def test_other_link_types_wait_their_turn(tmp_path):
    """A pcapng whose interfaces differ: by interface to tenants, in the order of the packets."""
    def block(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    def packet(interface: int, data: bytes) -> bytes:
        return block(6, struct.pack("<IIIII", interface, 0, 1000, len(data), len(data)) + data + bytes(-len(data) % 4))
    raw = ipv4(17, udp(b"abc")[34:])
    made = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + b"".join(
        block(1, struct.pack("<HHI", link, 0, 65535)) for link in (1, 101, 1))
    made += b"".join(packet(at % 3, ethernet(raw) if at % 3 != 1 else raw) for at in range(12))
    (tmp_path / "a.pcapng").write_bytes(made)
    with fp.Tenants({"a": fp.Tenant({"port": "0-1"}, rules_of(RULE)), "b": fp.Tenant({"port": 2}, rules_of(RULE))}) as tenants:
        result = tenants.replay(tmp_path / "a.pcapng")
        assert [result[name].stats["alerts"] for name in "ab"] == [8, 4] and result.stats["unclaimed"]["packets"] == 0
