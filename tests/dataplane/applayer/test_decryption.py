"""TLS sessions with their keys, whole: from packets to the alerts on what was said inside."""
from __future__ import annotations

import json
import random
import ssl
import warnings

import pytest
from captures import write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import alert_counts, replay, rules_of
from tls_sessions import BODY, REPLY, REQUEST, RULES, SUITES, Sessions, frames_of, native, web_session, write_pcapng

import fastpath as fp

ALL = [(version, suite) for version, suites in SUITES.items() for suite in suites]
ONE_EACH = [(version, suites[0]) for version, suites in SUITES.items()]
BURSTS_AND_WORKERS = [(1, 1), (7, 1), (128, 1), (256, 1), (128, 2), (7, 4)]
INSIDE = {1, 2}


def sids(result) -> set[int]:
    return set(result.alerts["sid"].tolist())


def uri_rules(count: int) -> str:
    return "\n".join(f'alert http any any -> any any (msg:"{i}"; http.uri; content:"/page-{i}."; sid:{100 + i};)' for i in range(count))


def page(number: int, size: int = 100) -> tuple[bytes, bytes]:
    body = bytes(random.Random(number).choices(b"abcdefgh", k=size))
    return (b"GET /page-%d.html HTTP/1.1\r\nHost: inside.example\r\n\r\n" % number,
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """(version, suite) -> a session's flights and its key log, made once."""
    made = {}

    def session(version, suite):
        if (version, suite) not in made:
            made[version, suite] = web_session(tmp_path_factory.mktemp("tls"), version, suite)
        return made[version, suite]
    return session


# ---- what is seen ----

@pytest.mark.parametrize(("version", "suite"), ALL)
def test_rules_see_what_was_said(tmp_path, sessions, version, suite):
    talk, keylog = sessions(version, suite)
    assert talk.client.cipher()[0] == suite
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    assert sids(replay(path, RULES)) == {3}
    result = replay(path, RULES, engine={"keylog": keylog})
    assert sids(result) == {1, 2, 3, 4}
    assert result.stats["decryption"] == result.stats["decryption"] | {"sessions": 1, "failed": 0, "ciphers_refused": 0}
    assert result.stats["uninspected"]["bytes"] == 0
    assert result.stats["uninspected"]["of"] == sum(len(data) for _, data in talk.flights)


@pytest.mark.parametrize(("version", "suite"), ONE_EACH)
def test_alerts_say_that_it_was_decrypted(tmp_path, sessions, version, suite):
    from fastpath.outputs.eve import EveWriter, check_events
    talk, keylog = sessions(version, suite)
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    eve = tmp_path / "eve.json"
    with eve.open("wb") as out:
        result = replay(path, RULES, engine={"keylog": keylog}, sinks=[EveWriter(out, check_events(["all"]), "ids")])
    assert {sid: flag for sid, flag in zip(result.alerts["sid"].tolist(), result.alerts["decrypted"].tolist(), strict=True) if sid < 4} \
        == {1: True, 2: True, 3: False}
    events = [json.loads(line) for line in eve.read_text().splitlines()]
    alerts = {event["alert"]["signature_id"]: event for event in events if event["event_type"] == "alert"}
    assert alerts[1]["app_proto"], alerts[1]["app_proto_orig"] == ("http", "tls")
    assert alerts[1]["http"]["url"] == "/secret/plans?x=1"
    assert alerts[1]["decrypted"] is True
    assert "decrypted" not in alerts[3]
    assert alerts[3]["app_proto"] == "tls"
    [http] = [event for event in events if event["event_type"] == "http"]
    assert http["decrypted"] is True
    [tls] = [event for event in events if event["event_type"] == "tls"]
    assert tls["tls"]["sni"] == "inside.example"
    assert "decrypted" not in tls
    [file] = [event for event in events if event["event_type"] == "fileinfo"]
    assert file["fileinfo"]["size"] == len(BODY)
    [flow] = [event for event in events if event["event_type"] == "flow"]
    assert flow["app_proto"] == "tls"


def test_the_tls_transaction_stays_as_it_was(tmp_path, sessions):
    """Events and alerts of the session itself are the same with the keys and without."""
    from fastpath.outputs.eve import EveWriter, check_events
    rules = """
        alert tls any any -> any any (msg:"sni"; tls.sni; content:"inside"; sid:1;)
        alert tls any any -> any any (msg:"ja3"; ja3.string; content:"771,"; sid:2;)
        alert tls any any -> any any (msg:"subject"; tls.cert_subject; content:"inside"; sid:3;)
        alert tcp any any -> any any (msg:"payload"; content:"GET /secret"; sid:4;)
    """
    for version, suite in ONE_EACH:
        talk, keylog = sessions(version, suite)
        path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
        seen = []
        for given_keys in (None, keylog):
            with (tmp_path / "eve.json").open("wb") as out:
                result = replay(path, rules, engine={"keylog": given_keys}, sinks=[EveWriter(out, check_events(["tls"]), "ids")])
            seen.append((alert_counts(result), (tmp_path / "eve.json").read_text()))
        assert seen[0] == seen[1]
        assert seen[0][1]


def test_many_exchanges_and_large_bodies(tmp_path):
    pages = [page(number, size) for number, size in enumerate((10, 70_000, 3, 16384, 16385, 40_000))]
    for version, suite in ONE_EACH:
        talk, keylog = web_session(tmp_path / version, version, suite, pages)
        path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
        result = replay(path, uri_rules(8), engine={"keylog": keylog})
        assert sids(result) == {100 + number for number in range(len(pages))}
        assert result.stats["decryption"]["bytes"] >= sum(map(len, talk.plain))


@pytest.mark.parametrize(("plain", "also"), [(b"EHLO client.example\r\n", set()), (b"\0\1\2nobody knows this", set()),
                                             (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", {4})])
def test_what_no_room_recognises_is_decrypted_and_counted(tmp_path, plain, also):
    """HTTP/2 is recognised, and there is no room that takes it apart."""
    talk, keylog = web_session(tmp_path, "1.3", SUITES["1.3"][0], [(plain, b"whatever")], alpn=("h2",))
    result = replay(write_pcap(tmp_path / "a.pcap", frames_of(talk.flights)), RULES, engine={"keylog": keylog})
    assert sids(result) == {3} | also
    assert result.stats["decryption"]["bytes"] >= len(plain) + len(b"whatever")
    assert result.stats["uninspected"]["bytes"] == 0


def test_smtp_after_starttls(tmp_path):
    """The session around is an upgrade itself; what is inside is a third."""
    mail = [(b"EHLO client.example\r\n", b"250 mail.example\r\n"), (b"MAIL FROM:<a@example>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@example>\r\n", b"250 ok\r\n"), (b"DATA\r\n", b"354 go\r\n"),
            (b"Subject: plans\r\nContent-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n"
             b"the model weights are here\r\n.\r\n", b"250 ok\r\n")]
    talk, keylog = web_session(tmp_path, "1.3", SUITES["1.3"][0], mail)
    clear = [(1, b"220 mail.example ESMTP\r\n"), (0, b"EHLO client.example\r\n"), (1, b"250-mail.example\r\n250 STARTTLS\r\n"),
             (0, b"STARTTLS\r\n"), (1, b"220 go ahead\r\n")]
    path = write_pcap(tmp_path / "a.pcap", frames_of(clear + talk.flights, dport=25))
    rules = 'alert smtp any any -> any any (msg:"mail"; file.data; content:"model weights"; sid:1;)\n' \
            'alert tls any any -> any any (tls.sni; content:"inside"; sid:2;)'
    assert sids(replay(path, rules)) == {2}
    result = replay(path, rules, engine={"keylog": keylog})
    assert sids(result) == {1, 2}


# ---- where the keys come from ----

@pytest.mark.parametrize(("version", "suite"), ALL)
def test_secrets_in_the_capture(tmp_path, sessions, version, suite):
    talk, keylog = sessions(version, suite)
    frames = frames_of(talk.flights)
    secrets = ("secrets", keylog.read_bytes())
    for at in (0, 3):       # before all; between the packets of the handshake of TCP and those of TLS
        path = write_pcapng(tmp_path / f"{at}.pcapng", [*frames[:at], secrets, *frames[at:]])
        found = {(burst, workers): replay(path, RULES, engine={"burst": burst, "workers": workers}) for burst, workers in BURSTS_AND_WORKERS}
        assert {frozenset(sids(one)) for one in found.values()} == {frozenset({1, 2, 3, 4})}
        assert len({one.digest for one in found.values()}) == 1
        assert found[1, 1].stats["decryption"]["capture_secrets"] == (1 if version == "1.2" else 4)


def test_secrets_that_come_too_late_count_from_there_on(tmp_path, sessions):
    """Whatever the size of a burst: a secret is for the packets behind it."""
    talk, keylog = sessions(*ONE_EACH[1])
    frames = frames_of(talk.flights)
    path = write_pcapng(tmp_path / "a.pcapng", [*frames, ("secrets", keylog.read_bytes()), frames[0]])
    found = [replay(path, RULES, engine={"burst": burst, "workers": workers}) for burst, workers in BURSTS_AND_WORKERS]
    assert {frozenset(sids(one)) for one in found} == {frozenset({3})}
    assert len({one.digest for one in found}) == 1


def test_secrets_of_one_capture_are_not_for_the_next(tmp_path, sessions):
    talk, keylog = sessions(*ONE_EACH[1])
    secrets = write_pcapng(tmp_path / "1.pcapng", [("secrets", keylog.read_bytes()), frames_of(talk.flights)[0]])
    packets = write_pcapng(tmp_path / "2.pcapng", frames_of(talk.flights))
    assert sids(replay([secrets, packets], RULES)) == {3}
    assert sids(replay([secrets, packets], RULES, continuous=True)) == {1, 2, 3, 4}


def test_streams_and_packets_from_python(tmp_path, sessions):
    talk, keylog = sessions(*ONE_EACH[0])
    frames = frames_of(talk.flights)
    path = write_pcap(tmp_path / "a.pcap", frames)
    with fp.Engine(rules_of(RULES), keylog=keylog) as engine:
        assert {sid for batch in engine.stream(str(path)) for sid in batch["sid"].tolist()} == {1, 2, 3, 4}
        assert set(engine.inspect(frames).alerts["sid"].tolist()) >= {1, 2}


def test_several_key_logs(tmp_path, sessions):
    talk, keylog = sessions(*ONE_EACH[1])
    lines = keylog.read_text().splitlines(keepends=True)
    parts = [tmp_path / "1.log", tmp_path / "2.log"]
    parts[0].write_text("".join(lines[::2]))
    parts[1].write_text("".join(lines[1::2]))
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    assert sids(replay(path, RULES, engine={"keylog": parts})) == {1, 2, 3, 4}


# ---- keys that do not fit ----

def wrong(keylog, tmp_path):
    """The same lines, the last digit of every secret another one."""
    lines = [line.split() for line in keylog.read_text().splitlines() if line and not line.startswith("#")]
    path = tmp_path / "wrong.log"
    path.write_text("".join(f"{label} {rand} {secret[:-1]}{'0' if secret[-1] != '0' else '1'}\n" for label, rand, secret in lines))
    return path


@pytest.mark.parametrize(("version", "suite"), ALL)
def test_wrong_keys_are_an_event_once_and_the_session_goes_on(tmp_path, sessions, version, suite):
    talk, keylog = sessions(version, suite)
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    result = replay(path, RULES, engine={"keylog": wrong(keylog, tmp_path)})
    assert sids(result) == {3, 5}
    assert result.alerts["sid"].tolist().count(5) == 1
    assert result.stats["decryption"]["failed"] == 2        # one a direction
    assert result.stats["decryption"]["bytes"] == 0
    assert result.stats["uninspected"]["bytes"] > 0


@pytest.mark.parametrize("broken", [0, 1])
def test_a_record_that_was_changed_on_the_way(tmp_path, sessions, broken):
    """What came before it has been seen; its direction is not opened again."""
    talk, keylog = sessions(*ONE_EACH[1])
    flights = list(talk.flights)
    at = max(i for i, (direction, data) in enumerate(flights) if direction == broken and data[0] == 23 and len(data) > 60)
    flights[at] = (broken, flights[at][1][:-1] + bytes([flights[at][1][-1] ^ 1]))
    result = replay(write_pcap(tmp_path / "a.pcap", frames_of(flights)), RULES, engine={"keylog": keylog})
    assert 5 in sids(result)
    assert result.stats["decryption"]["failed"] == 1


def test_half_of_the_secrets(tmp_path, sessions):
    """Those of one side alone: that side is seen."""
    talk, keylog = sessions(*ONE_EACH[1])
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    some = tmp_path / "some.log"
    some.write_text("".join(line for line in keylog.read_text().splitlines(keepends=True) if line.startswith("CLIENT_")))
    result = replay(path, RULES, engine={"keylog": some})
    assert 1 in sids(result)
    assert 2 not in sids(result)
    assert 0 < result.stats["uninspected"]["bytes"] < result.stats["uninspected"]["of"]


def test_the_allowance_of_ciphers(tmp_path, sessions):
    """At the limit sessions stay encrypted, and that is counted; one that ends makes room."""
    talk, keylog = sessions(*ONE_EACH[1])
    both = [frames_of(talk.flights, sport=port, closed=False) for port in (40000, 40001)]
    path = write_pcap(tmp_path / "a.pcap", both[0] + both[1])
    sets = ("app-layer.protocols.tls.decrypt-sessions=1", "flow.memcap=8mb", "stream.memcap=8mb", "stream.reassembly.memcap=8mb")
    result = replay(path, RULES, engine={"keylog": keylog}, sets=sets)
    buckets = fp.Config.load(None, sets).settings()["buckets"]
    assert result.stats["decryption"]["sessions"] + result.stats["decryption"]["ciphers_refused"] == 2
    assert result.stats["decryption"]["ciphers_refused"] == (1 if buckets == 1 else result.stats["decryption"]["ciphers_refused"])
    result = replay(path, RULES, engine={"keylog": keylog}, sets=(*sets[1:], "app-layer.protocols.tls.decrypt-sessions=0"))
    assert result.stats["decryption"]["ciphers_refused"] == 2
    assert result.stats["exceptions"]["ciphers_refused"] == 2
    assert sids(result) == {3}


# ---- the way that bytes come ----

@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), which=st.sampled_from(ALL))
def test_segments_at_any_byte(tmp_path, sessions, data, which):
    talk, keylog = sessions(*which)

    def cut(flight):
        edges = sorted({0, len(flight), *data.draw(st.lists(st.integers(0, len(flight)), max_size=8))})
        return [flight[low:high] for low, high in zip(edges, edges[1:], strict=False)]
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights, cut))
    found = [replay(path, RULES, engine={"keylog": keylog, "burst": burst, "workers": workers}) for burst, workers in ((1, 1), (256, 2), (7, 4))]
    assert {frozenset(sids(one)) for one in found} == {frozenset({1, 2, 3, 4})}
    assert len({one.digest for one in found}) == 1
    assert found[0].stats["uninspected"]["bytes"] == 0


def test_byte_by_byte(tmp_path, sessions):
    for which in ONE_EACH:
        talk, keylog = sessions(*which)
        path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights, lambda flight: [flight[i:i + 1] for i in range(len(flight))]))
        assert sids(replay(path, RULES, engine={"keylog": keylog})) == {1, 2, 3, 4}


@pytest.mark.parametrize(("version", "suite"), ONE_EACH)
def test_a_capture_that_breaks_off_anywhere(tmp_path, sessions, version, suite):
    talk, keylog = sessions(version, suite)
    frames = frames_of(talk.flights)
    seen = []
    for kept in range(len(frames) + 1):
        result = replay(write_pcap(tmp_path / "a.pcap", frames[:kept]), RULES, engine={"keylog": keylog})
        seen.append(sids(result))
        assert 5 not in seen[-1]
    assert all(before <= after for before, after in zip(seen, seen[1:], strict=False))
    assert seen[-1] == {1, 2, 3, 4}


@pytest.mark.parametrize(("version", "suite"), ONE_EACH)
def test_without_its_beginning_or_a_piece(tmp_path, sessions, version, suite):
    talk, keylog = sessions(version, suite)
    frames = frames_of(talk.flights)
    for midstream in ("no", "yes"):
        for first in range(1, len(frames)):
            result = replay(write_pcap(tmp_path / "a.pcap", frames[first:]), RULES, engine={"keylog": keylog}, sets=(f"stream.midstream={midstream}",))
            assert 5 not in sids(result)
    for missing in range(3, len(frames)):
        result = replay(write_pcap(tmp_path / "a.pcap", frames[:missing] + frames[missing + 1:]), RULES, engine={"keylog": keylog})
        assert sids(result) <= {1, 2, 3, 4}


def test_packets_cut_by_the_capture(tmp_path, sessions):
    talk, keylog = sessions(*ONE_EACH[1])
    frames = [(1_700_000_000 + i * 0.001, frame[:96], len(frame)) for i, frame in enumerate(frames_of(talk.flights))]
    assert not sids(replay(write_pcap(tmp_path / "a.pcap", frames), RULES, engine={"keylog": keylog})) & INSIDE


# ---- sessions that go other ways ----

@pytest.mark.parametrize(("version", "suite"), ALL)
def test_resumption(tmp_path, version, suite):
    made = Sessions(tmp_path, version, suite)
    first = made.talk()
    first.say(0, REQUEST)
    first.say(1, REPLY)
    made.end(first)
    second = made.talk(resume=True)
    assert second.client.session_reused
    second.say(0, REQUEST)
    second.say(1, REPLY)
    made.end(second)
    path = write_pcap(tmp_path / "a.pcap", frames_of(second.flights))
    assert sids(replay(path, RULES, engine={"keylog": made.keylog})) == {1, 2, 3, 4}


@pytest.mark.parametrize("suite", SUITES["1.3"])
@pytest.mark.parametrize("both", [False, True])
def test_key_update(tmp_path, suite, both):
    library = native().lib
    made = Sessions(tmp_path, "1.3", suite)
    talk = made.talk()
    pages = [page(number) for number in range(6)]
    for number, (request, reply) in enumerate(pages):
        talk.say(0, request)
        talk.say(1, reply)
        if number % 2:
            side = talk.server if number % 4 == 1 else talk.client
            assert library.SSL_key_update(native().session(side), int(both)) == 1
    made.end(talk)
    result = replay(write_pcap(tmp_path / "a.pcap", frames_of(talk.flights)), uri_rules(6), engine={"keylog": made.keylog})
    assert sids(result) == {100 + number for number in range(6)}
    assert result.stats["decryption"]["failed"] == 0
    assert result.stats["uninspected"]["bytes"] == 0


@pytest.mark.parametrize("suite", SUITES["1.2"])
def test_renegotiation(tmp_path, suite):
    library = native().lib
    made = Sessions(tmp_path, "1.2", suite)
    for context in (made.server_context, made.client_context):
        context.options = context.options & ~ssl.OP_NO_RENEGOTIATION | 1 << 8       # SSL_OP_ALLOW_CLIENT_RENEGOTIATION
    talk = made.talk()
    for request, reply in (page(0),):
        talk.say(0, request)
        talk.say(1, reply)
    client, server = native().session(talk.client), native().session(talk.server)
    assert library.SSL_renegotiate(client) == 1
    before = len(talk.flights)
    for _ in range(6):
        library.SSL_do_handshake(client)
        talk.pump()
        library.SSL_do_handshake(server)
        talk.pump()
        talk.listen(0)
        talk.listen(1)
    assert len(talk.flights) > before + 2
    for request, reply in (page(1),):
        talk.say(0, request)
        talk.say(1, reply)
    result = replay(write_pcap(tmp_path / "a.pcap", frames_of(talk.flights)), uri_rules(2), engine={"keylog": made.keylog})
    assert sids(result) == {100, 101}
    assert result.stats["decryption"]["failed"] == 0


def test_suites_that_are_not_ours_stay_sealed(tmp_path):
    talk, keylog = web_session(tmp_path, "1.2", "ECDHE-RSA-AES128-SHA256")
    result = replay(write_pcap(tmp_path / "a.pcap", frames_of(talk.flights)), RULES, engine={"keylog": keylog})
    assert sids(result) == {3}
    assert result.stats["decryption"]["sessions"] == 0
    assert result.stats["uninspected"]["share"] > 0


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305"])
def test_other_key_exchanges(tmp_path, suite):
    talk, keylog = web_session(tmp_path, "1.2", suite)
    assert sids(replay(write_pcap(tmp_path / "a.pcap", frames_of(talk.flights)), RULES, engine={"keylog": keylog})) == {1, 2, 3, 4}


@pytest.mark.parametrize("handling", ["default", "bypass", "full"])
def test_encryption_handling(tmp_path, sessions, handling):
    """What is decrypted is not bypassed."""
    for which in ONE_EACH:
        talk, keylog = sessions(*which)
        path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
        result = replay(path, RULES, engine={"keylog": keylog}, sets=(f"app-layer.protocols.tls.encryption-handling={handling}",))
        assert sids(result) == {1, 2, 3, 4}, which


def test_a_device_leaves_what_is_decrypted_to_the_inspectors(tmp_path):
    pages = [page(number) for number in range(20)]
    talk, keylog = web_session(tmp_path, "1.3", SUITES["1.3"][0], pages)
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights), step=0.1)
    device = fp.Device(1000, insert_rate=None, insert_latency=0, offload={"encrypted": 1})
    without = replay(path, uri_rules(20), engine={"device": device})
    assert without.stats["ledger"]["offloaded"]["packets"] > 0
    result = replay(path, uri_rules(20), engine={"device": device, "keylog": keylog})
    assert result.stats["ledger"]["offloaded"]["packets"] == 0
    assert sids(result) == {100 + number for number in range(20)}


def test_a_rule_set_that_is_swapped_meanwhile(tmp_path):
    pages = [page(number) for number in range(10)]
    talk, keylog = web_session(tmp_path, "1.3", SUITES["1.3"][0], pages)
    path = write_pcap(tmp_path / "a.pcap", frames_of(talk.flights))
    found = set()
    for burst, workers in BURSTS_AND_WORKERS:
        result = replay(path, uri_rules(10), engine={"keylog": keylog, "burst": burst, "workers": workers},
                        reload_at={30: rules_of(uri_rules(10).replace("sid:1", "sid:2"))})
        assert {sid % 100 for sid in sids(result)} == set(range(10))
        found.add(result.digest)
    assert len(found) == 1


# ---- secrets stay secret ----

def test_no_secret_is_written_anywhere(tmp_path, sessions):
    from fastpath.outputs.columns import ParquetWriter
    from fastpath.outputs.eve import EveWriter, check_events
    from fastpath.outputs.pcapng import PcapngWriter
    from fastpath.outputs.report import render
    talk, keylog = sessions(*ONE_EACH[1])
    secrets = {word for line in keylog.read_text().splitlines() if not line.startswith("#") for word in line.split()[2:]}
    assert secrets
    bad = tmp_path / "keys.log"
    bad.write_text(keylog.read_text() + f"CLIENT_RANDOM {next(iter(secrets))}\nnot a line {next(iter(secrets))}\n")
    path = write_pcapng(tmp_path / "a.pcapng", [("secrets", bad.read_bytes()), *frames_of(talk.flights)])
    out = tmp_path / "out"
    out.mkdir()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with (out / "eve.json").open("wb") as eve:
            with fp.Engine(rules_of(RULES), keylog=bad) as engine:
                sinks = [EveWriter(eve, check_events(["all"]), "ids"), PcapngWriter(out / "alerts.pcapng", "alerts"), ParquetWriter(out / "parquet")]
                result = engine.replay(str(path), sinks=sinks)
                said = [repr(engine), str(vars(engine)), repr(engine._settings), repr(result), str(result.stats), render(result)]
    assert sids(result) == {1, 2, 3, 4}
    said += [str(one.message) for one in heard]
    assert len(heard) == 2
    written = [file.read_bytes() for file in out.rglob("*") if file.is_file()]
    assert len(written) >= 3
    for secret in secrets:
        assert not any(secret in text.lower() for text in said)
        for data in written:
            assert secret.encode() not in data.lower()
            assert bytes.fromhex(secret) not in data
    with pytest.raises(TypeError):
        import pickle
        pickle.dumps(engine._settings["keys"])
