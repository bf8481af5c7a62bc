"""The TLS room: what it makes of sessions, of broken ones, and of hostile certificates."""
from __future__ import annotations

import hashlib
import random

import pytest
from made_tls import (
    ALERT,
    CHANGE,
    COMMON_NAME,
    DATA,
    GENERALIZED_TIME,
    HANDSHAKE,
    HEARTBEAT,
    UTC_TIME,
    UTF8,
    algorithms,
    alpn,
    attribute,
    certificate,
    chain,
    client_hello,
    der,
    extension,
    groups,
    message,
    name,
    newer_session,
    oid,
    older_hello,
    record,
    server_hello,
    server_name,
    session,
    u16,
    u24,
)

from fastpath.dataplane.applayer.room_trial import RoomTrial

TO_SERVER, TO_CLIENT, ALERTED = 0, 1, 2
IN_PROGRESS, CERT_READY, HANDSHAKE_DONE, FINISHED = range(4)
NO_PAYLOAD, NO_REASSEMBLY, BYPASS = 1 << 6, 1 << 7, 1 << 8
BUFFERS = ("tls.sni", "tls.cert_subject", "tls.cert_issuer", "tls.cert_serial", "tls.cert_fingerprint", "tls.certs", "tls.random", "ja3.hash",
           "ja3.string", "ja4.hash", "ja3s.hash", "ja3s.string", "tls.version", "tls.cert_notbefore", "tls.cert_chain_len")


def fed(moves, **settings) -> RoomTrial:
    trial = RoomTrial("tls", **settings)
    held = [b"", b""]
    for direction, data in moves:
        held[direction] += data
        held[direction] = held[direction][trial.feed(direction, held[direction]):]
    return trial


def to_server(*messages: bytes, **settings) -> RoomTrial:
    return fed([(0, record(HANDSHAKE, one)) for one in messages], **settings)


def with_certificates(*certificates: bytes, **settings) -> RoomTrial:
    return fed(session(*certificates)[:2], **settings)


def logged(trial: RoomTrial):
    record = trial.log(0, TO_CLIENT)
    return record and record["tls"]


def events(trial: RoomTrial) -> list[str]:
    return [event.removeprefix("tls.") for event in trial.transactions()[0]["events"]]


def seen(trial: RoomTrial):
    """All that can be told of a session."""
    transaction, = trial.transactions()
    transaction.pop("flags")
    return transaction, logged(trial), [trial.buffer(0, direction, name) for direction in (0, 1) for name in BUFFERS], trial.stopped, trial.flags & NO_PAYLOAD


# ---- a session ----

def test_a_session():
    trial = fed(session())
    fingerprint = hashlib.sha1(certificate()).hexdigest()
    fingerprint = ":".join(fingerprint[i:i + 2] for i in range(0, 40, 2)).encode()
    ja3 = b"771,49199-4865,0-10-11-13-16,29-23,0"
    assert logged(trial) == {
        "subject": b"C=US, O=Example, Inc., CN=www.example.org", "issuerdn": b"CN=Example CA", "serial": b"0A:1B", "fingerprint": fingerprint,
        "sni": b"www.example.org", "version": "TLS 1.2", "notbefore": b"2020-01-02T03:04:05", "notafter": b"2030-01-02T03:04:05",
        "ja3": {"hash": hashlib.md5(ja3).hexdigest().encode(), "string": ja3},
        "ja3s": {"hash": hashlib.md5(b"771,49199,65281").hexdigest().encode(), "string": b"771,49199,65281"},
    }
    assert trial.log(0, ALERTED)["tls"] == {**logged(trial), "ja4": trial.buffer(0, 0, "ja4.hash")[0]}
    assert trial.log(0, TO_SERVER) is None
    assert logged(fed(session(), **{"tls.log-ja4": 1})) == trial.log(0, ALERTED)["tls"]
    assert events(trial) == []


def test_its_buffers():
    trial = fed(session())

    def bytes_of(direction, which, index=0):
        found = trial.buffer(0, direction, which, index)
        return found and found[0]
    assert bytes_of(0, "tls.sni") == b"www.example.org"
    assert bytes_of(1, "tls.cert_subject") == b"C=US, O=Example, Inc., CN=www.example.org"
    assert bytes_of(0, "tls.cert_subject") is None
    assert bytes_of(1, "tls.certs") == certificate()
    assert bytes_of(1, "tls.certs", 1) is None
    assert bytes_of(0, "tls.random") == bytes(range(32))
    assert bytes_of(1, "tls.random_time") == bytes(range(32, 36))
    assert bytes_of(1, "tls.random_bytes") == bytes(range(36, 64))
    assert trial.buffer(0, 0, "tls.version") == trial.buffer(0, 1, "ssl.version") == 0x0303
    assert trial.buffer(0, 1, "tls.cert_notbefore") == 1577934245
    assert trial.buffer(0, 1, "tls.cert_notafter") == 1893553445
    assert trial.buffer(0, 1, "tls.cert_chain_len") == 1


def test_progress():
    trial = RoomTrial("tls")
    moves = session()
    steps = []
    for direction, data in moves:
        trial.feed(direction, data)
        steps.append(trial.transactions()[0]["progress"])
    # the certificate says all there is to say
    assert steps == [(IN_PROGRESS, IN_PROGRESS)] + [(HANDSHAKE_DONE, HANDSHAKE_DONE)] * 5
    assert trial.flags & NO_PAYLOAD
    trial.feed(0, eof=True)
    assert trial.transactions()[0]["progress"] == (FINISHED, FINISHED)


def test_the_state_is_of_the_latest_records():
    trial = RoomTrial("tls")
    states = []
    for direction, data in session():
        trial.feed(direction, data)
        states.append(trial.buffer(0, direction, "ssl.state"))
    assert states == [1, 2, 4, 0, 0, 0]


def test_encryption_handling():
    assert fed(session()).flags & (NO_PAYLOAD | NO_REASSEMBLY | BYPASS) == NO_PAYLOAD
    assert fed(session(), **{"tls.encryption-handling": "bypass"}).flags & (NO_PAYLOAD | NO_REASSEMBLY | BYPASS) == NO_PAYLOAD | NO_REASSEMBLY | BYPASS
    assert fed(session(), **{"tls.encryption-handling": "full"}).flags & NO_PAYLOAD == 0
    assert fed(session()[:2]).flags & NO_PAYLOAD == 0


def test_client_certificates():
    asked = record(HANDSHAKE, server_hello() + chain(certificate()) + message(13, b"\1\1\0\2\4\1\0\0") + message(14))
    own = certificate(subject=name(attribute(COMMON_NAME, b"client")), serial=b"\7")
    trial = fed([session()[0], (1, asked)])
    assert trial.transactions()[0]["progress"] == (CERT_READY, IN_PROGRESS)
    trial.feed(0, record(HANDSHAKE, chain(own)))
    assert trial.transactions()[0]["progress"] == (HANDSHAKE_DONE, HANDSHAKE_DONE)
    assert logged(trial)["client"]["subject"] == b"CN=client"
    assert logged(trial)["client"]["serial"] == b"07"
    assert trial.buffer(0, 0, "tls.cert_subject")[0] == b"CN=client"


def test_newer_versions_show_no_certificate():
    trial = fed(newer_session())
    assert logged(trial)["version"] == "TLS 1.3"
    assert logged(trial)["sni"] == b"new.example"
    assert "session_resumed" not in logged(trial) and "subject" not in logged(trial)
    assert logged(trial)["ja3s"]["string"] == b"771,4865,43-51"      # of the first hello of each side
    assert trial.buffer(0, 1, "tls.version") == 0x0304
    assert events(trial) == []


@pytest.mark.parametrize(("version", "text"), [(0x0300, "SSLv3"), (0x0301, "TLSv1"), (0x0302, "TLS 1.1"), (0x7F1C, "TLS 1.3 draft-28"),
                                               (0x0304, "TLS 1.3 draft-<16"), (0xFB1A, "TLS 1.3 draft-26-fb"), (0x7E01, b"0x7e01")])
def test_versions(version, text):
    trial = fed([(0, record(HANDSHAKE, client_hello(version=version), 0x0301)),
                 (1, record(HANDSHAKE, server_hello(version=version) + chain(certificate()), 0x0301))])
    if version in (0x0304, 0x7F1C):     # the hello of these drafts has no session id to read
        trial = fed([(0, record(HANDSHAKE, client_hello(version=version), 0x0301)),
                     (1, record(HANDSHAKE, message(2, u16(version) + bytes(32) + u16(0x1301)), 0x0301))])
    assert logged(trial)["version"] == text


def test_resumption():
    accepted = fed([(0, record(HANDSHAKE, client_hello(session=b"12345678"))), (1, record(HANDSHAKE, server_hello(session=b"12345678"))),
                    (1, record(CHANGE, b"\1") + record(DATA, b"x" * 30))])
    assert logged(accepted)["session_resumed"] is True
    refused = fed([(0, record(HANDSHAKE, client_hello(session=b"12345678"))), (1, record(HANDSHAKE, server_hello(session=b"87654321")))])
    assert logged(refused) is None
    ticket = fed([(0, record(HANDSHAKE, client_hello(extension(35))))])
    assert logged(ticket)["version"] == "UNDETERMINED"


def test_early_data_is_no_end_of_the_handshake():
    hello = client_hello(extension(43, b"\2\3\4"), extension(42))
    trial = fed([(0, record(HANDSHAKE, hello) + record(DATA, b"early" * 9))])
    assert trial.transactions()[0]["progress"] == (IN_PROGRESS, IN_PROGRESS)
    trial.feed(1, record(HANDSHAKE, server_hello(extension(43, b"\3\4"))) + record(DATA, b"x" * 40))
    assert trial.transactions()[0]["progress"] == (HANDSHAKE_DONE, HANDSHAKE_DONE)


# ---- fingerprints ----

def test_ja3_leaves_grease_out():
    trial = to_server(client_hello(extension(0x0A0A), groups(0x1A1A, 29), extension(11, b"\2\0\1"), ciphers=(0x2A2A, 5)))
    assert trial.buffer(0, 0, "ja3.string")[0] == b"771,5,10-11,29,0-1"


def test_ja3_of_a_bare_hello():
    assert to_server(client_hello()).buffer(0, 0, "ja3.string")[0] == b"771,49199-4865,,,"


def test_fingerprints_can_be_switched_off():
    trial = fed(session(), **{"tls.ja3": 0, "tls.ja4": 0, "tls.log-ja4": 1})
    assert "ja3" not in logged(trial) and "ja3s" not in logged(trial) and "ja4" not in logged(trial)
    assert trial.buffer(0, 0, "ja3.hash") is None and trial.buffer(0, 0, "ja4.hash") is None


def ja4_of(version, named, ciphers, extensions, first, listed) -> bytes:
    """As its description says, step by step."""
    def cut(text):
        return hashlib.sha256(text.encode()).hexdigest()[:12]
    kinds = ",".join(f"{kind:04x}" for kind in sorted(extensions) if kind not in (0, 16))
    return (f"t{version}{'d' if named else 'i'}{min(len(ciphers), 99):02}{min(len(extensions), 99):02}{first}"
            f"_{cut(','.join(f'{one:04x}' for one in sorted(ciphers)))}_{cut(kinds + '_' + ','.join(f'{one:04x}' for one in listed))}").encode()


def test_ja4():
    ciphers = [*range(0x1301, 0x1301 + 120), 0x0005]
    hello = client_hello(server_name(b"a.example"), alpn(b"h2", b"http/1.1"), algorithms(0x0804, 0x0403), extension(43, b"\4\3\4\3\3"),
                         extension(0x2A2A), ciphers=[*ciphers, 0x3A3A])
    expected = ja4_of("13", True, ciphers, [0, 16, 13, 43], "h2", [0x0804, 0x0403])
    trial = to_server(hello)
    assert trial.buffer(0, 0, "ja4.hash")[0] == expected
    assert trial.log(0, ALERTED)["tls"]["ja4"] == expected


@pytest.mark.parametrize(("offered", "first"), [([], "00"), ([b"x"], "xx"), ([b"http/1.1"], "h1"), ([b"\xabx1"], "a1"), ([b"\x0a\x0a"], "00"), ([b"", b"h2"], "00")])
def test_ja4_writes_the_ends_of_the_first_protocol(offered, first):
    trial = to_server(client_hello(alpn(*offered)))
    assert trial.buffer(0, 0, "ja4.hash")[0][8:10] == first.encode()


def test_ja4_of_two_hellos_is_of_both():
    versions = extension(43, b"\2\3\4")
    trial = to_server(client_hello(versions), client_hello(versions, ciphers=(0x1302,)))
    assert trial.buffer(0, 0, "ja4.hash")[0] == ja4_of("13", False, [0xC02F, 0x1301, 0x1302], [43, 43], "00", [])


# ---- records ----

def test_handshake_messages_go_on_over_records():
    whole = seen(fed(session()[:2]))
    messages = [server_hello(extension(65281, b"\0")), chain(certificate()), message(14)]
    for size in (4, 5, 40, 100, 300):
        pieces = [one[i:i + size] for one in messages for i in range(0, len(one), size)]
        while short := next((i for i, piece in enumerate(pieces) if len(piece) < 4), 0):       # no record may be that short
            pieces[short - 1:short + 1] = [pieces[short - 1] + pieces[short]]
        assert seen(fed([session()[0], (1, b"".join(record(HANDSHAKE, piece) for piece in pieces))])) == whole


def test_no_message_begins_with_less_than_its_header():
    pieces = record(HANDSHAKE, server_hello()) + record(HANDSHAKE, b"\x0b\0\0")
    assert events(fed([session()[0], (1, pieces)])) == ["invalid_ssl_record"]
    pieces = record(HANDSHAKE, server_hello() + b"\x0b\0\0")
    assert events(fed([session()[0], (1, pieces)])) == ["invalid_ssl_record", "invalid_handshake_message"]


@pytest.mark.parametrize(("data", "event"), [
    (b"\x1a\3\3\0\1a", "invalid_record_type"), (record(HANDSHAKE, b""), "invalid_record_length"), (record(HANDSHAKE, b"abcd", 0x0305), "invalid_record_version"),
    (b"\x16\3\3\xff\xff", "invalid_record_length"), (record(HANDSHAKE, b"ab"), "invalid_ssl_record"),
])
def test_broken_records_end_the_session(data, event):
    trial = fed([(0, data)])
    assert event in events(trial)
    assert trial.stopped == (True, True)


def test_unknown_records_of_old_versions_are_passed():
    trial = fed([(0, record(HANDSHAKE, client_hello(version=0x0301), 0x0301) + b"\x1a\3\1\0\1abcdef"), (0, record(HANDSHAKE, message(16, b"ab"), 0x0301))])
    assert events(trial) == ["invalid_record_type"]
    assert trial.stopped == (False, False)


def test_unknown_messages():
    assert events(to_server(client_hello(), message(99, b"abc"))) == ["invalid_handshake_message"]
    assert events(fed([(0, record(HANDSHAKE, client_hello()) + record(CHANGE, b"\1") + record(HANDSHAKE, message(99, b"abc")))])) == []


def test_a_gap_ends_the_session():
    trial = fed(session()[:1])
    assert trial.feed(1, gap=100) == 100
    assert trial.stopped == (True, True)
    assert logged(trial) is None


def test_application_data_passes_as_it_comes():
    trial = fed(session())
    head = b"\x17\3\3\x40\0"
    assert trial.feed(0, head + b"a" * 10) == 15
    assert trial.feed(0, b"a" * (0x4000 - 10)) == 0x4000 - 10
    assert trial.feed(0, record(ALERT, b"\1\0")) == 7
    assert events(trial) == []


# ---- SSL 2.0 ----

def test_ssl2_hello():
    trial = fed([(0, older_hello()), (1, u16(0x8009) + b"\4" + bytes(8))])
    assert trial.buffer(0, 0, "ssl.state") == 2
    assert trial.buffer(0, 1, "ssl.version") == 0x0200
    assert events(trial) == []


def test_a_newer_server_may_answer_an_ssl2_hello():
    trial = fed([(0, older_hello(0x0301)), session()[1]])
    assert logged(trial)["version"] == "TLS 1.2"


@pytest.mark.parametrize(("data", "found"), [(b"\x80\3\0\0\1", ["error_message_encountered"]), (b"\x80\3\1\0\2", ["invalid_ssl_record"]),
                                             (b"\x80\0\0\0", ["invalid_sslv2_header", "invalid_ssl_record"])])
def test_ssl2_events(data, found):
    assert events(fed([(0, data)])) == found


# ---- extensions ----

@pytest.mark.parametrize(("extensions", "found"), [
    ([server_name(b"a", kind=1)], ["invalid_sni_type"]), ([server_name(b"")], ["invalid_sni_length"]), ([server_name(b"a" * 256)], ["invalid_sni_length"]),
    ([server_name(b"a"), server_name(b"b")], ["multiple_sni_extensions"]), ([extension(0, b"\0")], ["handshake_invalid_length"]),
    ([extension(13, b"\0\1\0")], ["handshake_invalid_length"]), ([extension(43, b"\1\3")], ["handshake_invalid_length"]),
    ([extension(10, b"\0\4\0\1")], ["handshake_invalid_length"]), ([extension(11, b"\2\0")], ["handshake_invalid_length"]),
    ([extension(16, b"\0\5\2h2")], ["handshake_invalid_length"]), ([u16(9, 50) + b"abc"], ["handshake_invalid_length"]), ([extension(0)], []),
])
def test_broken_extensions(extensions, found):
    assert events(to_server(client_hello(*extensions))) == found


def test_a_name_ends_at_its_nul():
    trial = to_server(client_hello(server_name(b"a\0b")))
    assert trial.buffer(0, 0, "tls.sni")[0] == b"a"


def test_the_first_name_stays():
    assert to_server(client_hello(server_name(b"first"), server_name(b"second"))).buffer(0, 0, "tls.sni")[0] == b"first"


def test_every_cut_of_a_hello():
    body = session()[0][1][9:]
    for size in range(1, len(body)):
        trial = to_server(message(1, body[:size]))
        assert trial.stopped == (False, False)
        # extensions need not be there: up to half of their length it is a whole hello
        assert events(trial) == ([] if size in (43, 44) else ["handshake_invalid_length"])
        assert trial.close() == {"flow": 0, "applayer": 0}


# ---- heartbeats ----

def heartbeat(kind: int, length: int, body: bytes) -> bytes:
    return record(HEARTBEAT, bytes([kind]) + u16(length) + body)


@pytest.mark.parametrize(("moves", "found"), [
    ([(0, heartbeat(1, 5, bytes(21))), (1, heartbeat(2, 5, bytes(21))), (0, heartbeat(1, 5, bytes(21)))], []),
    ([(0, heartbeat(1, 500, bytes(21)))], ["overflow_heartbeat_message"]), ([(0, heartbeat(1, 10, bytes(21)))], ["invalid_heartbeat_message"]),
    ([(0, heartbeat(3, 5, bytes(21)))], ["invalid_heartbeat_message"]), ([(1, heartbeat(1, 5, bytes(21)))] * 2, ["invalid_heartbeat_message"]),
    ([(0, record(CHANGE, b"\1") + record(HEARTBEAT, bytes(40))), (1, record(HEARTBEAT, bytes(4000)))], ["dataleak_heartbeat_mismatch"]),
    ([(0, record(CHANGE, b"\1") + record(HEARTBEAT, bytes(40))), (1, record(HEARTBEAT, bytes(40)))], []),
])
def test_heartbeats(moves, found):
    assert events(fed(session()[:2] + moves)) == found


# ---- certificates ----

@pytest.mark.parametrize(("attributes", "text"), [
    ([attribute("2.5.4.15", b"Private")], b"businessCategory=Private"), ([attribute("1.2.840.113549.1.9.1", b"a@b", 0x16)], b"Email=a@b"),
    ([attribute("0.9.2342.19200300.100.1.25", b"org", 0x16)], b"DC=org"), ([attribute("1.3.6.1.4.1.311.60.2.1.3", b"US", 0x13)], b"msJurisdictionCountry=US"),
    ([attribute("2.5.4.18", b"v")], b"OID(2.5.4.18)=v"), ([attribute("1.3.6.1.4.1.99999.1", b"v")], b"OID(1.3.6.1.4.1.99999.1)=v"),
    ([attribute(COMMON_NAME, b"\1\2", 4)], b"CN=0102"), ([attribute(COMMON_NAME, "aé漢😀".encode("utf-16-be"), 0x1E)], "CN=aé漢😀".encode()),
    ([attribute(COMMON_NAME, b"\xe9", 0x14)], b"<X509Error: Invalid X.509 name>"), ([attribute(COMMON_NAME, b"\xd8\0", 0x1E)], b"<X509Error: Invalid X.509 name>"),
    ([attribute(COMMON_NAME, b"a") + attribute("2.5.4.10", b"b"), attribute("2.5.4.6", b"c")], b"CN=a + O=b, C=c"), ([], b""),
])
def test_names(attributes, text):
    trial = with_certificates(certificate(subject=name(*attributes)))
    assert trial.buffer(0, 1, "tls.cert_subject")[0] == text
    assert logged(trial)["subject"] == text


@pytest.mark.parametrize(("time", "text"), [
    (der(UTC_TIME, b"490101000000Z"), b"2049-01-01T00:00:00"), (der(UTC_TIME, b"500101000000Z"), b"1950-01-01T00:00:00"), (der(UTC_TIME, b"2001010000Z"), b"2020-01-01T00:00:00"),
    (der(UTC_TIME, b"200101000000+0130"), b"2019-12-31T22:30:00"), (der(GENERALIZED_TIME, b"99991231235959Z"), b"9999-12-31T23:59:59"),
    (der(GENERALIZED_TIME, b"20240229120000Z"), b"2024-02-29T12:00:00"), (der(GENERALIZED_TIME, b"00010101000000Z"), b"0001-01-01T00:00:00"),
])
def test_dates(time, text):
    assert logged(with_certificates(certificate(end=time)))["notafter"] == text


@pytest.mark.parametrize(("changes", "event"), [
    ({"begin": der(UTC_TIME, b"200230000000Z")}, "certificate_invalid_date"), ({"begin": der(UTF8, b"200101000000Z")}, "certificate_invalid_date"),
    ({"end": der(UTC_TIME, b"200101000000Z1")}, "certificate_invalid_date"), ({"version": der(0xA0, der(2, b"\1\2\3\4\5"))}, "certificate_invalid_version"),
    ({"algorithm": der(0x30)}, "certificate_invalid_length"), ({"algorithm": der(0x31, oid("1.2.3"))}, "certificate_invalid_der"),
    ({"extensions": der(0xA4)}, "certificate_invalid_extensions"), ({"extensions": der(0xA3, der(0x31))}, "certificate_invalid_der"),
    ({"key": der(0x30, der(0x30, oid("1.2.3")))}, "invalid_certificate"), ({"signature": b""}, "invalid_certificate"),
    ({"subject": name(attribute(COMMON_NAME, b"a\0b"))}, "certificate_invalid_subject"), ({"issuer": name(attribute(COMMON_NAME, b"a\0b"))}, "certificate_invalid_issuer"),
])
def test_bad_certificates(changes, event):
    trial = with_certificates(certificate(**changes))
    assert events(trial) == [event]
    assert logged(trial) is None
    assert trial.stopped == (False, False)


def test_serial_of_another_kind():
    trial = with_certificates(certificate().replace(b"\2\2\x0a\x1b", b"\4\2\x0a\x1b"))
    assert events(trial) == ["certificate_invalid_serial"]


def test_an_unreadable_certificate_is_passed_over():
    trial = with_certificates(b"\x30\3abc", certificate(), certificate(serial=b"\5"))
    assert events(trial) == ["invalid_certificate"]
    assert logged(trial)["serial"] == b"0A:1B"
    assert trial.buffer(0, 1, "tls.cert_chain_len") == 2
    assert trial.buffer(0, 1, "tls.certs", 0)[0] == certificate()
    assert trial.buffer(0, 1, "tls.certs", 1)[0] == certificate(serial=b"\5")


def test_chains_that_do_not_fit():
    broken = message(11, u24(6) + u24(255) + b"abc")
    assert events(fed([session()[0], (1, record(HANDSHAKE, server_hello() + broken))])) == ["invalid_certificate"]
    for body in (b"", b"\0\0\x09abc"):
        assert events(fed([session()[0], (1, record(HANDSHAKE, server_hello() + message(11, body)))])) == []


def test_the_first_chain_stays():
    later = chain(certificate(serial=b"\x99"))
    trial = fed([*session()[:2], (1, record(HANDSHAKE, later))])
    assert logged(trial)["serial"] == b"0A:1B"


def test_hostile_certificates():
    rng = random.Random(7)
    good = certificate()
    readable = 0
    for _ in range(2000):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(len(bad))] = rng.choice((0, 1, 2, 0x30, 0x31, 0x80, 0x84, 0xFF, rng.randrange(256)))
        trial = with_certificates(bytes(bad[:rng.choice((len(bad), rng.randrange(len(bad) + 1)))]))
        readable += logged(trial) is not None
        assert (logged(trial) is None) == bool(events(trial))
        assert trial.close() == {"flow": 0, "applayer": 0}
    assert 100 < readable < 1900


def test_every_cut_of_a_certificate():
    good = certificate()
    for size in range(len(good)):
        assert len(events(with_certificates(good[:size]))) == 1


# ---- however the bytes come ----

SESSIONS = [session(), newer_session(), [(0, older_hello(0x0301)), *session()[1:]], session(b"junk", certificate(), certificate(serial=b"\3"))]


@pytest.mark.parametrize("moves", SESSIONS)
def test_any_split_is_the_same(moves):
    whole = seen(fed(moves))
    for size in (1, 2, 3, 7):
        assert seen(fed([(direction, data[i:i + size]) for direction, data in moves for i in range(0, len(data), size)])) == whole
    for number, (direction, data) in enumerate(moves):
        for at in range(len(data)):
            split = [*moves[:number], (direction, data[:at]), (direction, data[at:]), *moves[number + 1:]]
            assert seen(fed(split)) == whole


@pytest.mark.parametrize("moves", SESSIONS)
def test_any_end_gives_everything_back(moves):
    for number, (direction, data) in enumerate(moves):
        for at in range(0, len(data), 3):
            trial = fed([*moves[:number], (direction, data[:at])])
            trial.feed(direction, eof=True)
            assert trial.transactions()[0]["progress"] == (FINISHED, FINISHED)
            logged(trial)
            assert trial.close() == {"flow": 0, "applayer": 0}


@pytest.mark.parametrize("memory", [0, 300, 700, 1200, 1600, 2000, 2600, 3200, 4000])
def test_refused_memory_is_survived(memory):
    try:
        trial = fed(session(), memory=memory)
    except MemoryError:
        return
    if trial.transactions():
        logged(trial)
        for which in BUFFERS:
            trial.buffer(0, 1, which)
    assert trial.close()["applayer"] == 0


def test_memory_of_a_hostile_session_is_bounded():
    trial = fed([(0, record(HANDSHAKE, client_hello(ciphers=range(8000)) + client_hello(*[groups(*range(500))] * 14)))])
    for _ in range(200):
        trial.feed(0, record(HANDSHAKE, client_hello(ciphers=range(8000))))
    assert trial.memory < 200_000


def test_a_freed_transaction_ends_nothing():
    trial = fed(session())
    trial.feed(0, eof=True)
    trial.free_done()
    assert trial.transactions() == []
    assert trial.feed(1, record(DATA, b"more" * 9) + b"\x63\3\3\0\1a") > 0
    assert trial.close() == {"flow": 0, "applayer": 0}


# ---- recognition ----

@pytest.mark.parametrize(("direction", "data", "proto"), [
    (0, session()[0][1], "tls"), (1, session()[1][1], "tls"), (1, record(ALERT, b"\2\x28", 0x0301), "tls"), (0, older_hello(), "tls"),
    (0, record(HANDSHAKE, b"abcd", 0x0305), "unknown"), (0, record(DATA, b"abcd"), "unknown"), (0, b"GET / HTTP/1.1\r\n", "http"), (0, older_hello(0x0301), "unknown"),
])
def test_recognition(direction, data, proto):
    trial = RoomTrial()
    if direction:       # what the client has said is nothing known: the server's side decides
        trial.feed(0, b"\0" * 40)
    trial.feed(direction, data)
    assert trial.proto == proto


def test_a_port_helps_to_recognise_ssl2():
    trial = RoomTrial(ports=(40000, 443), tcp_ports={"tls": [443]})
    trial.feed(0, older_hello(0x0301))
    assert trial.proto == "tls"


