"""Settings that decide what comes first and what becomes of packets that cannot be inspected."""
import fastpath as fp
from captures import tcp, udp
from runs import replay


def test_the_order_of_actions(capture):
    """A pass rule ends the list; what action-order puts before it counts."""
    rules = ("pass udp any any -> any any (content:\"x\"; sid:1;)\ndrop udp any any -> any any (content:\"x\"; sid:2;)\n"
             "alert udp any any -> any any (content:\"x\"; sid:3;)")
    path = capture([(1.0, udp(b"x"))])
    assert replay(path, rules, engine={"mode": "ips"}).alerts["sid"].tolist() == []
    first = replay(path, rules, engine={"mode": "ips"}, sets=["action-order=drop,pass,reject,alert"])
    assert first.alerts["sid"].tolist() == [2]


def test_a_pass_rule_alerts_when_asked(capture):
    path = capture([(1.0, udp(b"x"))])
    assert replay(path, 'pass udp any any -> any any (content:"x"; alert; sid:1;)').alerts["sid"].tolist() == [1]


def test_segments_outside_of_sessions(capture):
    path = capture([(1.0, tcp(b"get"))])
    rule = 'alert tcp-pkt any any -> any any (content:"get"; sid:1;)'

    def alerts(mode, policy):
        return len(replay(path, rule, engine={"mode": mode}, sets=[f"stream.midstream-policy={policy}"]).alerts)
    assert [alerts("ids", policy) for policy in ("auto", "ignore", "drop-flow", "pass-flow", "bypass")] == [1, 1, 1, 0, 0]
    assert [alerts("ips", policy) for policy in ("auto", "ignore", "drop-flow", "pass-packet")] == [0, 1, 0, 0]


def test_what_eve_log_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text("%YAML 1.1\n---\noutputs:\n  - eve-log:\n      types:\n        - alert:\n            payload: yes\n"
                                     "            payload-buffer-size: 1kb\n            verdict: no\n        - http\n")
    assert fp.Config.load(tmp_path / "a.yaml").eve() == {"payload": True, "payload-buffer-size": 1024, "verdict": False}
