"""What becomes of flows under a policy: statefulness, expiry, applications, names, tunnels, reloads."""
from __future__ import annotations

import pytest
from captures import checksum, conversation, ethernet, fragments, ipv4, tcp, udp
from made_tls import HANDSHAKE, client_hello, record, server_hello, server_name
from runs import assert_ledger, rules_of

import fastpath as fp

CLIENT, SERVER, OTHER = "10.0.0.1", "10.0.0.2", "192.0.2.9"
SEGMENTS = "version: 1\nsegments: {client: 10.0.0.1, server: [10.0.0.2, 10.0.0.3], lan: 10.0.0.0/24}\n"


def policy(lines: str, more: str = "") -> fp.Policy:
    return fp.Policy.parse(SEGMENTS + more + "lines:\n" + lines, "policy.yaml")


def run(path, judge, *, mode="ips", rules="", keep=("alerts", "flows"), **options):
    with fp.Engine(rules_of(rules), policy=judge, mode=mode, **options) as engine:
        result = engine.replay(str(path), keep=keep)
    assert_ledger(result.stats)
    return result


def dropped(result):
    """Numbers of packets, from 1."""
    return [number + 1 for number, action in enumerate(result.packets["action"].tolist()) if action != "pass" and action != 0]


def told(result):
    return {line["name"] or line["place"]: (line["packets"], line["flows"], line["denied"]) for line in result.stats["policy"]["lines"]}


def hello(name: bytes | None) -> bytes:
    return record(HANDSHAKE, client_hello(*([server_name(name)] if name is not None else [])), 0x0301)


# ---- state ----

def test_answers_of_an_allowed_flow_pass(capture):
    judge = policy("- {name: web, from: client, to: server, protocol: tcp, ports: 80}\n")
    result = run(capture(conversation([(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")])), judge, keep=("packets",))
    assert dropped(result) == []
    assert told(result) == {"web": (result.stats["packets"], 1, 0), "default deny": (0, 0, 0)}


def test_the_other_side_may_not_begin(capture):
    """What the client may ask the server, the server may not ask the client; not even from the allowed port."""
    judge = policy("- {name: web, from: client, to: server, protocol: udp, ports: 53}\n")
    path = capture([udp(b"a", SERVER, 53, CLIENT, 4000), udp(b"b", CLIENT, 4000, SERVER, 53), udp(b"c", CLIENT, 4001, SERVER, 53),
                    udp(b"d", SERVER, 53, CLIENT, 4001)])
    result = run(path, judge, keep=("packets",))
    assert dropped(result) == [1, 2]        # the second belongs to the flow that the first began
    assert result.stats["policy"]["denied_flows"] == {"default": 1}
    assert result.stats["reasons"] == {"policy": 2, "none": 2}


def test_denied_packets_are_dropped_and_not_inspected(capture):
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    path = capture([udp(b"secret", dport=53), udp(b"secret", dport=54), udp(b"secret", dport=54)])
    rule = 'alert udp any any -> any any (content:"secret"; sid:1;)'
    result = run(path, judge, rules=rule)
    assert len(result.alerts) == 1
    assert result.stats["ledger"]["dropped"]["packets"] == 2
    flows = {row["dest_port"]: row for row in result.flows}
    assert flows[54]["dropped_pkts"] == 2
    in_ids = run(path, judge, rules=rule, mode="ids")
    assert len(in_ids.alerts) == 3
    assert in_ids.stats["ledger"]["dropped"]["packets"] == 0
    assert in_ids.stats["policy"]["denied_packets"] == 2 and in_ids.stats["policy"]["denied_flows"] == {"default": 1}


def test_verdicts_name_policy_and_line():
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n- {name: never, from: lan, to: any, protocol: udp, ports: 99, action: deny}\n")
    with fp.Engine(rules_of('drop udp any any -> any 53 (content:"x"; sid:77;)'), policy=judge, mode="ips") as engine:
        verdicts = engine.inspect([udp(b"a", dport=53), udp(b"b", dport=99), udp(b"c", OTHER), udp(b"x", sport=1, dport=53)])
    assert (verdicts.action == fp.Action.DROP).tolist() == [False, True, True, True]
    assert (verdicts.reason == fp.Reason.POLICY).tolist() == [False, True, True, False]
    assert verdicts.line.tolist() == [-1, 1, -1, -1]
    assert verdicts.rule.tolist() == [-1, -1, -1, 77]


def test_a_pass_rule_does_not_get_past_policy(capture):
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    result = run(capture([udp(b"a", dport=54)]), judge, rules="pass udp any any -> any any (sid:1;)", keep=("packets",))
    assert dropped(result) == [1]


# ---- ICMP ----

def icmp(kind: int, code: int, rest: bytes, src: str, dst: str) -> bytes:
    body = bytes([kind, code, 0, 0]) + rest
    total = checksum(body)
    return ethernet(ipv4(1, body[:2] + total.to_bytes(2, "big") + body[4:], src, dst))


def test_echo_is_a_flow_and_its_type_a_service(capture):
    judge = policy("- {from: client, to: server, protocol: icmp, icmp_types: 8}\n")
    path = capture([icmp(8, 0, b"\0\1\0\1data", CLIENT, SERVER), icmp(0, 0, b"\0\1\0\1data", SERVER, CLIENT),
                    icmp(13, 0, b"\0\1\0\1" + bytes(12), CLIENT, SERVER)])
    assert dropped(run(path, judge, keep=("packets",))) == [3]


def test_an_error_passes_where_its_flow_does(capture):
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    asked, denied = udp(b"a", CLIENT, 4000, SERVER, 53), udp(b"a", CLIENT, 4000, SERVER, 54)
    path = capture([asked, icmp(3, 3, bytes(4) + asked[14:42], SERVER, CLIENT),     # about the flow that was allowed
                    denied, icmp(3, 3, bytes(4) + denied[14:42], SERVER, CLIENT),   # about one that was not
                    icmp(3, 3, bytes(4) + udp(b"a", CLIENT, 9, SERVER, 9)[14:42], SERVER, CLIENT)])     # about none
    assert dropped(run(path, judge, keep=("packets",))) == [3, 4, 5]


# ---- expiry ----

def test_an_exception_ends_in_packet_time(capture):
    judge = policy("- {name: web, from: client, to: server, protocol: udp, ports: 80}\n",
                   "exceptions:\n- {name: visit, from: client, to: any, protocol: udp, ports: 53, until: '2023-11-14T22:13:30Z', why: a visit}\n")
    until = 1_699_999_000 + 1010
    path = capture([(until - 5.0, udp(b"a", dport=53)), (until - 0.5, udp(b"b", dport=53)), (until + 0.0, udp(b"c", dport=53)),
                    (until + 1.0, udp(b"d", dport=53)), (until + 1.1, udp(b"e", sport=5, dport=53)), (until + 1.2, udp(b"f", dport=80))])
    result = run(path, judge, keep=("packets",))
    assert dropped(result) == [3, 4, 5]
    assert told(result) == {"visit": (2, 1, 0), "web": (1, 1, 0), "default deny": (3, 2, 3)}


# ---- applications ----

def test_an_application_is_waited_for(capture):
    judge = policy("- {name: ssh, from: client, to: server, application: ssh}\n- {name: web, from: client, to: server, application: http}\n")
    path = capture([*conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], dport=8888),
                    *conversation([(b"\x16\x03\x01nonsense that is no known thing\r\n", b"neither is this one here\r\n")], sport=5, dport=22)])
    result = run(path, judge, keep=("packets",))
    web, other = told(result)["web"], told(result)["default deny"]
    assert web[1:] == (1, 0)
    assert other[1] == 1 and other[2] > 0
    assert result.stats["policy"]["pending"]["packets"] > 0
    assert min(dropped(result)) > len(conversation([(b"x", b"y")]))     # all of the first conversation passed


def test_the_packet_that_tells_is_the_first_that_is_cut():
    judge = policy("- {from: client, to: server, application: http}\n")
    frames = conversation([(b"SSH-2.0-OpenSSH_9.0\r\n", b"SSH-2.0-OpenSSH_9.0\r\n")], dport=80)
    with fp.Engine(None, policy=judge, mode="ips") as engine:
        verdicts = engine.inspect(frames)
    first = (verdicts.action == fp.Action.DROP).tolist().index(True)
    assert b"SSH-2.0" in frames[first]
    assert (verdicts.action[first:] == fp.Action.DROP).all()


@pytest.mark.parametrize("limit, passed", [("packets: 5", 5), ("bytes: 200", 3)])
def test_what_is_not_known_at_the_limit_is_denied(capture, limit, passed):
    judge = policy("- {from: client, to: server, application: http}\n", f"pending: {{{limit}}}\n")
    frames = [tcp(b"", flags=2, seq=1), tcp(b"", SERVER, 80, CLIENT, 40000, flags=18, seq=9, ack=2), tcp(b"", seq=2, ack=10)]
    frames += [tcp(b"z", seq=2 + at, ack=10, flags=24) for at in range(20)]
    result = run(capture(frames), judge, keep=("packets",))
    assert dropped(result) == list(range(passed + 1, len(frames) + 1))
    assert result.stats["policy"]["denied_flows"] == {"limit": 1}


def test_unknown_does_not_get_past_a_line_that_denies(capture):
    judge = policy("- {name: no ssh, from: client, to: server, protocol: tcp, application: ssh, action: deny}\n- {name: rest, from: client, to: server}\n",
                   "pending: {packets: 4}\n")
    frames = [tcp(b"", flags=2, seq=1), tcp(b"", SERVER, 80, CLIENT, 40000, flags=18, seq=9, ack=2), tcp(b"", seq=2, ack=10)]
    frames += [tcp(b"z", seq=2 + at, ack=10, flags=24) for at in range(5)]
    assert told(run(capture(frames), judge))["no ssh"] == (4, 1, 4)


# ---- server names ----

NAMED = """- {name: ours, from: client, to: any, server_name: ["*.example.com", shop.example.org]}
- {name: plain, from: client, to: any, protocol: tcp, ports: 80}
"""


@pytest.mark.parametrize("name, allowed", [(b"www.example.com", True), (b"WWW.EXAMPLE.COM", True), (b"shop.example.org", True),
                                           (b"example.com", False), (b"badexample.com", False), (b"a.shop.example.org", False), (None, False)])
def test_server_names(name, allowed):
    frames = conversation([(hello(name), record(HANDSHAKE, server_hello()))], dport=443)
    with fp.Engine(None, policy=policy(NAMED), mode="ips") as engine:
        verdicts = engine.inspect(frames)
        stats = engine.stats
    assert stats["policy"]["lines"][0]["flows"] == allowed
    assert (verdicts.action == fp.Action.DROP).any() != allowed
    if not allowed:     # the hello does not reach the server
        assert verdicts.action[3] == fp.Action.DROP


def test_what_is_no_tls_has_no_name():
    frames = conversation([(b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")], dport=443)
    with fp.Engine(None, policy=policy(NAMED), mode="ips") as engine:
        assert (engine.inspect(frames).action == fp.Action.DROP).any()


# ---- data ----

RESIDENCY = """- {from: lan, to: any}
residency:
- {name: at home, data: pii, from: lan, to: lan}
"""
FINDS = 'alert tcp any any -> any any (msg:"pii"; content:"SSN"; flow:established; metadata: data_class pii; sid:1;)'


def test_data_stays_where_it_may_be(capture):
    def frames(server, **options):
        return conversation([(b"hello SSN 078-05-1120\n", b"thanks\n"), (b"more\n", b"ok\n")], dst=server, **options)
    judge = policy(RESIDENCY)
    inside, outside = run(capture(frames(SERVER)), judge, rules=FINDS), run(capture(frames(OTHER)), judge, rules=FINDS)
    assert inside.stats["policy"]["denied_packets"] == 0
    assert told(outside)["at home"][1] == 1
    assert outside.stats["policy"]["denied_flows"] == {"data": 1}
    assert outside.stats["ledger"]["dropped"]["packets"] > 2
    harmless = run(capture(frames(OTHER)), judge, rules=FINDS.replace("pii;", "other;"))
    assert harmless.stats["policy"]["denied_packets"] == 0


def test_data_in_an_answer_is_sent_by_the_server(capture):
    judge = policy("- {from: any, to: any}\nresidency:\n- {name: out, data: pii, from: any, to: lan}\n")
    path = capture(conversation([(b"give\n", b"SSN 078-05-1120\n"), (b"more\n", b"ok\n")], src=OTHER, dst=SERVER))
    assert told(run(path, judge, rules=FINDS))["out"][1] == 1
    path = capture(conversation([(b"give\n", b"SSN 078-05-1120\n"), (b"more\n", b"ok\n")], src=CLIENT, dst=OTHER))
    assert told(run(path, judge, rules=FINDS))["out"][1] == 0


# ---- reloads ----

def test_a_new_policy_judges_flows_that_are_there():
    first = policy("- {name: one, from: client, to: server, protocol: udp, ports: 53}\n")
    second = policy("- {name: two, from: client, to: server, protocol: udp, ports: 54}\n")
    with fp.Engine(None, policy=first, mode="ips") as engine:
        packets = [udp(b"a", dport=53), udp(b"b", SERVER, 53, CLIENT, 40000), udp(b"c", dport=54)]
        assert engine.inspect(packets).action.tolist() == [0, 0, 1]
        engine.reload(policy=second)
        assert engine.inspect(packets).action.tolist() == [1, 1, 0]
        engine.reload(policy=first)
        assert engine.inspect(packets).action.tolist() == [0, 0, 1]
        lines = {line["name"]: (line["packets"], line["denied"]) for line in engine.stats["policy"]["lines"]}
    assert lines == {"one": (4, 0), "two": (1, 0), "default deny": (4, 4)}


def test_the_direction_of_a_flow_outlives_a_reload():
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    with fp.Engine(None, policy=judge, mode="ips") as engine:
        assert engine.inspect([udp(b"a", SERVER, 53, CLIENT, 4000)]).action.tolist() == [1]
        engine.reload(policy=policy("- {name: again, from: client, to: server, protocol: udp, ports: 53}\n"))
        assert engine.inspect([udp(b"b", CLIENT, 4000, SERVER, 53)]).action.tolist() == [1]


def test_a_policy_that_comes_late_judges_flows_by_their_initiator():
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    with fp.Engine(None, mode="ips") as engine:
        engine.inspect([udp(b"a", CLIENT, 4000, SERVER, 53), udp(b"a", SERVER, 53, CLIENT, 4001)])
        engine.reload(policy=judge)
        assert engine.inspect([udp(b"b", SERVER, 53, CLIENT, 4000), udp(b"b", SERVER, 53, CLIENT, 4001)]).action.tolist() == [0, 1]


def test_a_policy_serves_two_runs_of_one_engine(capture):
    """Epochs belong to a run: what a replay does with the policy changes nothing for the live side."""
    judges = [policy(f"- {{name: {name}, from: client, to: server, protocol: udp, ports: 53}}\n") for name in ("one", "two")]
    path = capture([udp(b"a", dport=54)])
    with fp.Engine(None, policy=judges[0], mode="ips") as engine:
        engine.inspect([udp(b"a", dport=53)])
        engine.reload(policy=judges[1])
        engine.inspect([udp(b"a", dport=53), udp(b"a", dport=54)])
        first = engine.replay(str(path))
        assert engine.inspect([udp(b"a", dport=53), udp(b"a", dport=54)]).action.tolist() == [0, 1]
        assert engine.stats["policy"]["denied_flows"] == {"default": 1}
        assert engine.replay(str(path)).digest == first.digest


def test_reload_of_rules_keeps_the_policy():
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    with fp.Engine(rules_of("alert udp any any -> any any (sid:1;)"), policy=judge, mode="ips") as engine:
        engine.inspect([udp(b"a", dport=53)])
        engine.reload(rules_of("alert udp any any -> any any (sid:2;)"))
        assert engine.inspect([udp(b"a", dport=53), udp(b"a", dport=9)]).action.tolist() == [0, 1]
        with pytest.raises(TypeError, match="policy must be a Policy"):
            engine.reload(policy="x")
        assert engine.inspect([udp(b"a", dport=9)]).action.tolist() == [1]


# ---- the device ----

def test_a_new_policy_takes_a_flow_off_the_device():
    allowing = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    denying = policy("- {from: client, to: server, protocol: udp, ports: 54}\n")
    rules = rules_of('alert udp any any -> any any (content:"go"; bypass; sid:1;)')
    with fp.Engine(rules, policy=allowing, mode="ips", device=fp.Device(sessions=100)) as engine:
        engine.inspect([udp(b"go", dport=53)], ts=100.0)
        engine.inspect([udp(b"x", dport=53)] * 3, ts=102.0)     # the batch of requests closed at the tick between
        assert engine.stats["ledger"]["offloaded"]["packets"] > 0
        engine.reload(policy=denying)
        verdicts = engine.inspect([udp(b"x", dport=53)] * 3, ts=103.0)
        assert (verdicts.reason == fp.Reason.POLICY).all()
        assert engine.stats["device"]["sessions"] == 0


# ---- what has no flow, and tunnels ----

def test_no_flow_at_the_memcap_is_judged_all_the_same():
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    config = fp.Config.load(None, ["flow.memcap=8mb"])
    with fp.Engine(None, policy=judge, mode="ips", config=config) as engine:
        assert engine.inspect([udp(b"a", dport=54)]).action.tolist() == [1]


def test_ip_without_a_key_is_denied_and_what_is_not_ip_passes():
    judge = policy("- {from: any, to: any}\n")
    arp = b"\xff" * 6 + b"\x02" * 6 + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + bytes(20)
    with fp.Engine(None, policy=judge, mode="ips") as engine:
        verdicts = engine.inspect([udp(b"a")[:24], arp, udp(b"a")])
    assert verdicts.action.tolist() == [1, 0, 0]


def test_fragments_pass_and_the_whole_is_judged(capture):
    judge = policy("- {from: client, to: server, protocol: udp, ports: 53}\n")
    def datagram(port, ident):
        return fragments(17, udp(b"x" * 64, dport=port)[34:], [24, 48], ident=ident)
    result = run(capture(datagram(53, 1) + datagram(54, 2)), judge, keep=("packets",))
    assert dropped(result) == [6]


def test_vlans_and_vnis_count():
    judge = fp.Policy.parse("""version: 1
tenants: {blue: {vlan: 100}}
segments: {blue: {tenant: blue, addresses: 10.0.0.0/24}}
lines:
- {from: blue, to: blue}
""")
    def tagged(vlan):
        plain = udp(b"a", sport=vlan)
        return plain[:12] + b"\x81\x00" + vlan.to_bytes(2, "big") + plain[12:]
    with fp.Engine(None, policy=judge, mode="ips") as engine:
        assert engine.inspect([tagged(100), tagged(101), udp(b"a")]).action.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="vlan.use-for-tracking"):
        fp.Engine(None, policy=judge, config=fp.Config.load(None, ["vlan.use-for-tracking=no"]))


def vxlan(vni: int, inner: bytes, sport: int = 4000) -> bytes:
    return udp(b"\x08\0\0\0" + vni.to_bytes(3, "big") + b"\0" + inner, "172.16.0.1", sport, "172.16.0.2", 4789)


@pytest.mark.parametrize("carriers", ["judge", "pass"])
def test_a_flow_does_not_change_its_tunnel(carriers):
    judge = fp.Policy.parse(f"""version: 1
carriers: {carriers}
segments: {{blue: {{vni: 5001, addresses: 10.0.0.0/24}}, underlay: 172.16.0.0/24}}
lines:
- {{name: blue, from: blue, to: blue}}
- {{name: tunnels, from: underlay, to: underlay, protocol: udp, ports: 4789}}
""")
    with fp.Engine(None, policy=judge, mode="ips") as engine:
        verdicts = engine.inspect([vxlan(5001, udp(b"a")), vxlan(5002, udp(b"b")), vxlan(5001, udp(b"c", SERVER, 53, CLIENT, 40000)),
                                   vxlan(5002, udp(b"d", SERVER, 53, CLIENT, 40000)), vxlan(5002, udp(b"e", sport=9))])
        lines = {line["name"]: line["packets"] for line in engine.stats["policy"]["lines"]}
    assert verdicts.action.tolist() == [0, 1, 0, 1, 1]
    assert lines["tunnels"] == (5 if carriers == "judge" else 0)
