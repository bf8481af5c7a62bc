"""What nobody asks for is not parsed (app_asked_t), and nobody can tell: rules of one kind alone alert as they do where events of every
protocol are wanted."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
from captures import conversation, udp, write_pcap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import rules_of

import fastpath as fp

RAW = """
alert tcp any any -> any any (msg:"a message"; content:"HTTP/1"; sid:1;)
alert tcp any any -> any any (msg:"its end"; content:"|0d 0a 0d 0a|"; sid:2;)
alert tcp any any -> any any (msg:"stream alone"; flow:only_stream; content:"a"; sid:3;)
alert udp any any -> any any (msg:"name"; content:"com"; sid:4;)
alert ip any any -> any any (msg:"protocol"; app-layer-protocol:smb; sid:5;)
alert tcp any any -> any any (msg:"both sides"; app-layer-event:applayer_mismatch_protocol_both_directions; sid:6;)
"""
KINDS = {
    "raw": "",
    "http": 'alert http any any -> any any (msg:"path"; http.uri; content:"/"; sid:10;)\n'
            'alert http any any -> any any (msg:"body"; http.response_body; content:"a"; sid:11;)',
    "tls": 'alert tls any any -> any any (msg:"name"; tls.sni; content:"."; sid:10;)\n'
           'alert tls any any -> any any (msg:"issuer"; tls.cert_issuer; content:"="; sid:11;)',
    "dns": 'alert dns any any -> any any (msg:"question"; dns.query; content:"."; sid:10;)',
    "mail": 'alert smtp any any -> any any (msg:"any mail"; content:"MAIL"; sid:10;)\n'
            'alert smtp any any -> any any (msg:"content"; file.data; content:"a"; sid:11;)',
    "smb": 'alert smb any any -> any any (msg:"share"; smb.share; content:"|5c|"; sid:10;)\n'
           'alert dcerpc any any -> any any (msg:"call"; dcerpc.opnum:0-15; sid:11;)',
    "files": 'alert http any any -> any any (msg:"named"; file.name; content:"."; sid:10;)\n'
             'alert ftp-data any any -> any any (msg:"fetched"; file.data; content:"a"; sid:11;)',
    "odd": 'alert http any any -> any any (msg:"of any kind"; app-layer-event:http.unable_to_match_response_to_request; sid:10;)\n'
           'alert quic any any -> any any (msg:"any"; sid:11;)',
}
BODY = 'alert http any any -> any any (http.response_body; content:"{}"; sid:{};)\n'
everything = SimpleNamespace(wants=frozenset({"apps"}), write=lambda batch: None, close=lambda stats: None)


def assert_same(kind: str, paths: list) -> int:
    alerts = 0
    with fp.Engine(rules_of(RAW + KINDS[kind]), checksums="none") as engine:
        for path in paths:
            alone, beside = engine.replay(str(path)), engine.replay(str(path), sinks=[everything])
            assert alone.digest == beside.digest, path
            assert alone.alerts["sid"].tolist() == beside.alerts["sid"].tolist(), path
            alerts += len(alone.alerts)
    return alerts


@pytest.mark.parametrize("kind", KINDS)
def test_captures_of_the_demo(kind):
    from importlib.resources import as_file, files
    with as_file(files("fastpath") / "demo") as folder:
        assert assert_same(kind, sorted(folder.rglob("*.pcap")))


@pytest.mark.parametrize("kind", KINDS)
def test_real_captures(corpus, kind):
    found = sorted(path for folder in ("zeek", "ndpi") for path in (corpus / "pcaps" / folder).rglob("*.pcap") if path.stat().st_size < 1 << 20)
    assert found
    assert assert_same(kind, found[::4])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.lists(st.tuples(st.sampled_from([b"", b".", b"..", b"-", b"--b", b"--b--", b"a", b"=41", b"Content-Type: text/html"]),
                                st.sampled_from([0, 0, 3, 60, 76, 996, 1000, 4094, 5000]), st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r"])),
                      max_size=40), cut=st.sampled_from([1, 7, 100, 1400]))
def test_mail_of_any_lines(tmp_path_factory, lines, cut):
    """Lines of a message that nobody asks for are passed over together, but not those that may end it: behind it TLS begins."""
    text = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(first + b"x" * size + end for first, size, end in lines) + b"\r\n.\r\n"
    parts = [(text[at:at + cut], b"") for at in range(0, min(len(text), 300 * cut), cut)]
    mail = [(b"", b"220 a\r\n"), (b"EHLO b\r\n", b"250 c\r\n"), (b"MAIL FROM:<d>\r\n", b"250 e\r\n"), (b"DATA\r\n", b"354 f\r\n"), *parts,
            (b"", b"250 g\r\n"), (b"STARTTLS\r\n", b"220 h\r\n"), (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x16\x03\x01\x00\x01\x02")]
    path = write_pcap(tmp_path_factory.mktemp("mail") / "a.pcap", conversation(mail, dport=25))
    for kind in ("raw", "mail"):
        assert_same(kind, [path])


def query(name: bytes) -> bytes:
    return udp(b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + bytes([len(name)]) + name + b"\x03com\x00\x00\x01\x00\x01")


def test_datagrams_are_parsed_from_the_reload_on_that_asks():
    unasked, asking = rules_of('alert udp any any -> any any (content:"never"; sid:1;)'), rules_of(KINDS["dns"].replace('"."', '"second"'))
    with fp.Engine(unasked) as engine:
        assert not engine.inspect([query(b"second")]).array["alerts"].any()
        engine.reload(asking)
        assert engine.inspect([query(b"second"), query(b"third")]).array["alerts"].tolist() == [1, 0]


def test_of_a_body_what_follows_a_reload_that_asks():
    """What came before was not kept; what follows is looked at for itself. Asked for from the beginning, both parts are."""
    packets = conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nearly "), (b"", b"later ")])
    with fp.Engine(rules_of('alert http any any -> any any (http.uri; content:"never"; sid:1;)')) as engine:
        engine.inspect(packets[:-5])        # up to the first part of the body, and its acknowledgment
        engine.reload(rules_of(BODY.format("later ", 2) + BODY.format("early ", 3)))
        counts = engine.inspect(packets[-5:]).array["alerts"]
    assert counts.sum() == 1
    with fp.Engine(rules_of(BODY.format("later ", 2) + BODY.format("early ", 3))) as engine:
        assert engine.inspect(packets).array["alerts"].sum() == 2
