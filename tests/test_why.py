"""why: what becomes of a rule in a capture, down to the first step that fails, and what becomes of its matches."""
from __future__ import annotations

import json

import pytest
from captures import conversation, tcp, udp, write_pcap
from typer.testing import CliRunner

import fastpath as fp
from fastpath.cli import app

GET = b"GET /a/b?id=7 HTTP/1.1\r\nHost: one.example\r\nUser-Agent: curl/8\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def traffic(tmp_path):
    """An HTTP session (packets 1 to 10), two datagrams and a SYN."""
    return write_pcap(tmp_path / "traffic.pcap", [
        *conversation([(GET, OK)]), udp(b"\x00\x07\x1b[31mevil", sport=5000, dport=6000), udp(b"other", sport=5001, dport=6000),
        tcp(sport=41000, dport=81, flags=2)])


def ask(traffic, text: str, sid: int = 1, **options):
    with fp.Engine(fp.RuleSet.parse(text)) as engine:
        return engine.why(traffic, sid, **options)


def only(answer):
    """The one flow that came near, and the attempt in it that came furthest."""
    story, = answer.near
    assert story.best is not None
    return story, story.best


def steps(look):
    return [(step.asks, step.holds, step.start, step.end) for step in look.steps]


@pytest.mark.parametrize(("header", "part"), [
    ("icmp any any -> any any", "protocol"), ("udp any any -> any 7000", "destination port"), ("udp any 1 -> any 6000", "source port"),
    ("udp any any -> 9.9.9.9 6000", "destination address"), ("udp 9.9.9.9 any -> any 6000", "source address"),
    ("dns any any -> any 6000", "application protocol"),
])
def test_header(traffic, header, part):
    answer = ask(traffic, f'alert {header} (msg:"m"; content:"evil"; sid:1;)')
    assert not answer.near and part in answer.far and sum(answer.far.values()) == 4
    flow = next(row["flow"] for row in flows(traffic) if row["src_port"] == 5000)
    named = community(traffic, flow)
    story, attempt = only(ask(traffic, f'alert {header} (msg:"m"; content:"evil"; sid:1;)', flow=named))
    assert (attempt.stage, attempt.header, story.src_port, story.community_id) == ("header", part, 5000, named)


def flows(traffic):
    with fp.Engine() as engine:
        return list(engine.replay(traffic).flows)


def community(traffic, flow):
    """As EVE writes it."""
    import io

    from fastpath.outputs.eve import EveWriter, check_events
    out = io.BytesIO()
    with fp.Engine() as engine:
        engine.replay(traffic, sinks=[EveWriter(out, check_events(["flow"]), "ids")])
    return next(event["community_id"] for event in map(json.loads, out.getvalue().splitlines()) if event["flow_id"] == flow % 2**63
                or event["src_port"] == 5000)


def test_fast_pattern_is_not_there(traffic):
    answer = ask(traffic, 'alert udp any any -> any 6000 (content:"nowhere"; sid:1;)')
    assert len(answer.near) == 2 and answer.pattern == '"nowhere"'
    for story in answer.near:
        assert story.best.stage == "fast pattern" and story.best.in_group and not story.match_count
        assert [(scan.buffer, scan.end) for scan in story.best.scans] == [("payload", None)]


def test_steps_down_to_the_one_that_fails(traffic):
    answer = ask(traffic, 'alert udp any any -> any 6000 (dsize:<20; byte_extract:2,0,n; content:"evil"; content:"!"; sid:1;)')
    story, attempt = only(answer)
    assert (attempt.pcap_cnt, attempt.stage, story.match_count) == (11, "step", 0)
    assert [(scan.buffer, scan.end) for scan in attempt.scans] == [("payload", 11)]
    assert [(step.asks, step.holds, step.value) for step in attempt.conditions] == [("dsize:0-19", True, 11)]
    look, = attempt.looks
    assert (look.buffer, look.length, look.state) == ("payload", 11, "does not hold")
    assert steps(look) == [("byte_extract:2,0,n", True, 0, 2), ('content:"evil"', True, 7, 11), ('content:"!"', False, None, None)]
    assert look.steps[0].value == 7
    assert look.steps[1].excerpt == b"\x00\x07\x1b[31mevil" and look.steps[1].excerpt_at == 0


def test_condition_that_fails(traffic):
    story, attempt = only(ask(traffic, 'alert udp any any -> any 6000 (dsize:>20; content:"evil"; sid:1;)'))
    assert attempt.stage == "condition" and not attempt.looks
    assert [(step.asks, step.holds, step.value) for step in attempt.conditions] == [("dsize:21-65535", False, 11)]


def test_the_way_that_came_furthest(tmp_path):
    """Of many tries the one that went deepest is told, and how many there were."""
    capture = write_pcap(tmp_path / "a.pcap", [udp(b"ab ab abc ab", dport=6000)])
    _, attempt = only(ask(capture, 'alert udp any any -> any any (content:"ab"; content:"c"; within:1; content:"d"; within:1; sid:1;)'))
    look, = attempt.looks
    assert steps(look) == [('content:"ab"', True, 6, 8), ('content:"c"; within:1', True, 8, 9), ('content:"d"; within:1', False, None, None)]
    assert look.steps[0].tries > 1


def test_transaction(traffic):
    story, attempt = only(ask(traffic, r'''alert http any any -> any any (flow:established,to_server; http.method; content:"GET";
        http.uri; content:"/a/"; pcre:"/^b\?id=[89]/R"; http.user_agent; content:"curl"; sid:1;)'''.replace("\n", " ")))
    assert (story.app_proto, story.dest_port, attempt.tx, attempt.stage, attempt.to_client) == ("http", 80, 0, "step", False)
    states = {look.buffer: look for look in attempt.looks}
    assert states["http.user_agent"].state == states["http.method"].state == "holds"
    uri = states["http.uri"]
    assert uri.state == "cannot hold any more" and uri.length == 9
    assert steps(uri) == [('content:"/a/"', True, 0, 3), (r'pcre:"/^b\?id=[89]/R"', False, None, None)]


def test_transaction_over_several_packets(traffic):
    story, attempt = only(ask(traffic, 'alert http any any -> any any (flow:to_client; http.stat_code; content:"200"; file.data; '
                                       'content:"hello"; startswith; endswith; sid:1;)'))
    assert attempt.stage == "matched" and story.match_count == 1
    assert {look.buffer: look.state for look in attempt.looks} == {"http.stat_code": "holds", "file.data": "holds"}
    match, = story.matches
    assert (match.fate, match.tx) == ("alert", 0)


def test_transforms_are_named(traffic):
    _, attempt = only(ask(traffic, 'alert http any any -> any any (http.host; dotprefix; content:".example"; content:".two"; sid:1;)'))
    look, = attempt.looks
    assert look.buffer == "http.host | dotprefix" and look.steps[0].excerpt.startswith(b".one.example")


def test_matches_are_those_of_a_replay(traffic):
    text = 'alert tcp any any -> any any (msg:"m"; content:"HTTP/1"; sid:1;) \n alert udp any any -> any any (content:"e"; sid:2;)'
    with fp.Engine(fp.RuleSet.parse(text)) as engine:
        result = engine.replay(traffic)
        for sid in (1, 2):
            alerts = [number for number, each in zip(result.alerts["pcap_cnt"].tolist(), result.alerts["sid"].tolist(), strict=True) if each == sid]
            told = sorted(match.pcap_cnt for story in result.why(sid).near for match in story.matches)
            assert told == sorted(alerts) and told


def test_what_hides_a_match(traffic):
    limit = ask(traffic, 'alert udp any any -> any any (content:"e"; threshold:type limit,track by_src,count 1,seconds 60; sid:1;)')
    assert sorted(match.fate for story in limit.near for match in story.matches) == ["alert", "hidden by a threshold or suppression"]
    assert limit.limits == ["threshold:type limit, track by_src, count 1, seconds 60"]
    counted = ask(traffic, 'alert udp any any -> any any (content:"e"; detection_filter:track by_src,count 5,seconds 60; sid:1;)')
    assert {match.fate for story in counted.near for match in story.matches} == {"not yet: a threshold counts"}
    silent = ask(traffic, 'alert udp any any -> any any (content:"evil"; noalert; sid:1;)')
    assert only(silent)[0].matches[0].fate == "no alert" and silent.limits == ["noalert"]


CHAIN = '''alert tcp any any -> any 80 (msg:"first"; content:"GET "; flowbits:set,one; noalert; sid:1;)
alert tcp any any -> any 80 (msg:"second"; flowbits:isset,one; content:"Host"; flowbits:set,two; noalert; sid:2;)
alert tcp any 80 -> any any (msg:"third"; flowbits:isset,two; content:"hello"; sid:3;)
alert tcp any any -> any any (msg:"unrelated"; content:"hello"; sid:4;)
'''


def test_the_rules_that_it_needs(traffic):
    answer = ask(traffic, CHAIN, 3)
    assert [(one.sid, one.matches) for one in answer.needs] == [(1, 1), (2, 1)]
    assert only(answer)[0].matches[0].fate == "alert"
    broken = ask(traffic, CHAIN.replace("Host", "Hxst"), 3)
    assert [(one.sid, one.matches) for one in broken.needs] == [(1, 1), (2, 0)]
    _, attempt = only(broken)
    assert attempt.stage == "condition" and ("flowbits:isset,two", False) in [(step.asks, step.holds) for step in attempt.conditions]
    assert ask(traffic, CHAIN, 4).needs == []


def test_a_pass_rule_hides_it(traffic):
    answer = ask(traffic, 'alert udp any any -> any any (content:"evil"; sid:1;)\npass udp any any -> any any (sid:2;)')
    assert [one.sid for one in answer.needs] == [2]
    assert not any(match.fate == "alert" for story in answer.near for match in story.matches)


def test_both_directions_of_a_rule(traffic):
    _, attempt = only(ask(traffic, 'alert tcp any 80 <> any any (content:"hello"; sid:1;)'))
    assert attempt.matched and attempt.to_client


def test_iponly(traffic):
    answer = ask(traffic, "alert udp 10.0.0.1 any -> any any (sid:1;)")
    assert {story.stage for story in answer.near} == {"matched"} and len(answer.near) == 2 and answer.pattern == ""


def test_errors(traffic, tmp_path):
    rules = fp.RuleSet.parse('alert tcp any any -> any any (content:"a"; luajit:x.lua; sid:7;)\nalert tcp any any -> any any (sid:8;)')
    with fp.Engine(rules) as engine:
        with pytest.raises(LookupError, match="refused: .*:1:"):
            engine.why(traffic, 7)
        with pytest.raises(LookupError, match="no rule has the sid 9"):
            engine.why(traffic, 9)
        with pytest.raises(LookupError, match="the gid 5"):
            engine.why(traffic, 8, gid=5)
        with pytest.raises(ValueError, match="standard input"):
            engine.why("-", 8)
        with pytest.raises(OSError, match="nowhere"):
            engine.why(tmp_path / "nowhere.pcap", 8)
    with fp.Engine() as engine, pytest.raises(LookupError, match="no rules"):
        engine.why(traffic, 1)


def test_a_trace_changes_no_result(traffic):
    text = 'alert tcp any any -> any any (content:"HTTP/1"; sid:1;)\nalert http any any -> any any (http.uri; content:"/a"; sid:2;)'
    with fp.Engine(fp.RuleSet.parse(text)) as engine:
        before = engine.replay(traffic)
        before.why(1)
        before.why(2)
        assert engine.replay(traffic).digest == before.digest


# ---- on the command line ----

def run(*arguments, code: int = 0):
    result = CliRunner().invoke(app, ["why", *map(str, arguments)])
    assert result.exit_code == code, result.output + (repr(result.exception) if result.exception else "")
    return result.output


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "my.rules"
    path.write_text('alert udp any any -> any 6000 (msg:"m [red]x"; content:"evil"; byte_test:2,=,7,0; sid:1;)\n'
                    'alert udp any any -> any 6000 (msg:"n"; content:"evil"; byte_test:2,=,8,0; sid:2;)\n' + CHAIN.replace("sid:", "sid:10"))
    return path


def test_text(traffic, rules):
    text = run(traffic, "-S", rules, "--sid", 1)
    assert "1:1:0 m [red]x" in text and 'content:"evil" at 7-11' in text and "byte_test:2,=,7,0 at 0-2, read 7 (0x7)" in text
    assert "65 76 69 6c" in text and "\x1b" not in text            # hostile bytes are hex
    assert "packet 11 of" in text and ": alert" in text and "2 by protocol" in text
    text = run(traffic, "-S", rules, "--sid", 2, code=3)
    assert "no match" in text and "no  byte_test:2,=,8,0 at 0-2, read 7 (0x7)" in text
    text = run(traffic, "-S", rules, "--sid", 103)
    assert "1:101 first (1 matches)" in text and "raw stream" in text


def test_json(traffic, rules):
    told = json.loads(run(traffic, "-S", rules, "--sid", 1, "--json"))
    assert (told["sid"], told["near"][0]["stage"], told["near"][0]["match_count"]) == (1, "matched", 1)
    look, = told["near"][0]["best"]["looks"]
    assert look["steps"][0]["excerpt"] == b"\x00\x07\x1b[31mevil".hex()
    flow = told["near"][0]["community_id"]
    assert len(json.loads(run(traffic, "-S", rules, "--sid", 2, "--json", "--flow", flow, code=3))["near"]) == 1
    assert json.loads(run(traffic, "tcp port 80", "-S", rules, "--sid", 1, "--json", code=3))["near"] == []


def test_usage(traffic, rules, tmp_path):
    assert "no rule has the sid 77" in run(traffic, "-S", rules, "--sid", 77, code=2)
    assert "standard input" in run("-", "-S", rules, "--sid", 1, code=2)
    assert "nowhere" in run(tmp_path / "nowhere.pcap", "-S", rules, "--sid", 1, code=2)
    text = " ".join(run("--help").split())
    assert "--flow" in text and "Exit: 0 it matched; 3 it did not" in text


def test_demo_rules_all_answer():
    """Every rule of the demo over every capture of the demo."""
    from pathlib import Path

    from fastpath.demo import rule_files, story
    captures = sorted(map(str, Path(story.__file__).parent.glob("*.pcap")))
    loaded = fp.RuleSet.load(list(rule_files()))
    with fp.Engine(loaded) as engine:
        alerts = engine.replay(captures).alerts["sid"].tolist()
        for plan in loaded.plans:
            answer = engine.why(captures, plan.sid)
            assert answer.lost == 0
            told = sum(match.fate == "alert" for each in answer.near for match in each.matches)
            assert told == min(alerts.count(plan.sid), told) and bool(told) == (plan.sid in alerts)
            json.dumps(answer.as_dict())
