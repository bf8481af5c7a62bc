"""Protocols, directions and buffers of the application layers; app-layer-protocol, app-layer-event."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan, read, refused

from fastpath.rules.plan import AppEvent, AppProtocol, Block, Content, FlowState, Pcre, Size, Transform

A = Content(b"a")


@pytest.mark.parametrize("options, proto, expected", [
    ('http.uri; content:"a";', "tcp", "http"), ('http.uri; content:"a";', "http1", "http1"), ('content:"a"; http_uri;', "tcp", "http1"),
    ('content:"a"; http_uri;', "http", "http1"), ('dns.query; content:"a";', "udp", "dns"), ('tls.sni; content:"a";', "ip", "tls"),
    ('file.data; content:"a";', "tcp", ""), ('ja3.hash; content:"0123456789abcdef0123456789abcdef";', "tcp", ""),
    ("dce_opnum:5;", "tcp", "dcerpc"), ("dce_opnum:5;", "smb", "smb"), ('smb.share; content:"a"; dce_opnum:5;', "tcp", "smb"),
])
def test_a_buffer_says_the_protocol(options, proto, expected):
    assert plan(options, proto).app_proto == expected


@pytest.mark.parametrize("options, proto", [
    ('http.uri; content:"a";', "smtp"), ('http.uri; content:"a"; dns.query; content:"b";', "tcp"), ('dce_opnum:5; smb.share; content:"a";', "tcp"),
    ('smb.share; content:"a";', "dcerpc"), ('ja3.hash; content:"0123456789abcdef0123456789abcdef";', "http"), ('file.data; content:"a";', "dns"),
    ('file.data; content:"a";', "udp"), ("tls.version:1.2;", "http"), ("urilen:5;", "dns"),
])
def test_protocols_that_contradict_each_other(options, proto):
    malformed(options, proto)


@pytest.mark.parametrize("options, direction", [
    ('http.uri; content:"a";', "to_server"), ('http.stat_code; content:"a";', "to_client"), ('http.header; content:"a";', ""),
    ('flow:to_client; http.header; content:"a";', "to_client"), ('http.response_body; content:"a";', "to_client"), ("urilen:5;", "to_server"),
    ('http.uri; content:"a"; file.data; content:"b";', "to_server"), ('dns.query; content:"a";', "to_server"),
])
def test_a_buffer_says_the_direction(options, direction):
    found = [condition for condition in plan(options, "tcp").conditions if isinstance(condition, FlowState)]
    assert [state.direction for state in found] == ([direction] if direction else [])


@pytest.mark.parametrize("options", ['http.uri; content:"a"; http.stat_code; content:"b";', 'flow:to_client; http.uri; content:"a";',
                                     'flow:to_server; http.stat_msg; content:"a";', 'http.header.raw; content:"a";'])
def test_directions_that_contradict_each_other(options):
    malformed(options, "http")


@pytest.mark.parametrize("condition", ["flags:S;", "dsize:5;", "ttl:4;", "flow:no_stream;", "flow.age:>5;", "sameip;"])
def test_packets_and_transactions_do_not_mix(condition):
    assert "application layer" in malformed(f'{condition} http.uri; content:"a";', "http")
    plan(condition, "http")


def test_what_a_rule_turns_to_twice_is_looked_at_once():
    assert plan('http.uri; content:"a"; http.method; content:"b"; http.uri; content:"c"; distance:0;', "http").blocks == [
        Block("http.uri", [A, Content(b"c", distance=0)]), Block("http.method", [Content(b"b")])]
    assert [block.buffer for block in plan('file.data; content:"a"; file.data; content:"b";').blocks] == ["file.data", "file.data"]
    assert plan('content:"a"; http_server_body; content:"b"; http_server_body;').blocks == [Block("file.data", [A, Content(b"b")])]


# ---- transforms ----

def test_transforms():
    dotted = (Transform("dotprefix"),)
    assert plan('http.host; dotprefix; content:".a";', "http").blocks == [Block("http.host", [Content(b".a")], dotted)]
    assert plan('http.host; content:"a"; dotprefix; content:".a";', "http").blocks == [
        Block("http.host", [A]), Block("http.host", [Content(b".a")], dotted)]
    assert plan('http.uri; url_decode; to_md5; xor:"0d0A"; pcrexform:"[a-z]+(.*)"; content:"a";', "http").blocks[0].transforms == (
        Transform("url_decode"), Transform("to_md5"), Transform("xor", b"\x0d\x0a"), Transform("pcrexform", b"[a-z]+(.*)"))


@pytest.mark.parametrize("options", [
    'dotprefix; content:"a";', 'pkt_data; to_md5; content:"a";', "http.host; dotprefix;", 'http.host; dotprefix:1; content:"a";',
    'http.uri; xor:0d0a; content:"a";', 'http.uri; xor:"0d0"; content:"a";', 'http.uri; xor:"zz"; content:"a";', 'http.uri; xor; content:"a";',
    'http.uri; pcrexform:"a+"; content:"a";', 'http.uri; pcrexform:"(a)(b)"; content:"a";', 'http.uri; pcrexform:"(a"; content:"a";',
    'http.uri; strip_whitespace; content:"a b";', 'http.uri; compress_whitespace; content:"a  b";', 'http.uri; to_lowercase; content:"A";',
    'http.uri; to_uppercase; content:"a";', "http.uri; " + "to_md5; " * 17 + 'content:"a";',
])
def test_transforms_that_are_malformed(options):
    malformed(options, "http")


# ---- what a buffer can hold ----

@pytest.mark.parametrize("options, proto", [
    ('http.host; content:"A";', "http"), ('http.host; content:"a"; nocase;', "http"), ('http.method; content:"GET ";', "http"),
    ('ja3.hash; content:"abc";', "tls"), ('ssh.hassh; content:"zz";', "ssh"), ('tls.cert_serial; content:"5C19B7";', "tls"),
    ('tls.cert_fingerprint; content:"4a:a3";', "tls"), ('urilen:3; http.uri; content:"abcdef";', "http"), ('pcre:"/A/W";', "http"),
])
def test_contents_that_their_buffer_never_holds(options, proto):
    malformed(options, proto)


def test_contents_are_written_in_the_case_of_their_buffer():
    digest = "0123456789ABCDEF0123456789ABCDEF"
    assert plan(f'ja3.hash; content:"{digest}";', "tls").blocks[0].steps == [Content(digest.lower().encode())]
    assert plan('tls.cert_serial; content:"5c:19";', "tls").blocks[0].steps == [Content(b"5C:19")]


@pytest.mark.parametrize("text, ranges", [("5", ((5, 5),)), (">5", ((6, 2**64 - 1),)), ("<=5", ((0, 5),)), ("5<>9", ((6, 8),)),
                                          ("!5", ((0, 4), (6, 2**64 - 1))), (" 5 <> 9 ", ((6, 8),))])
def test_bsize(text, ranges):
    assert plan(f"http.uri; bsize:{text};", "http").blocks == [Block("http.uri", [Size(ranges)])]


@pytest.mark.parametrize("options", ["bsize:5;", "http.uri; bsize:5<>6;", "http.uri; bsize:a;", "http.uri; bsize:<0;",
                                     'http.uri; bsize:3; content:"abcdef";', 'http.uri; content:"abc"; content:"d"; distance:1; bsize:4;',
                                     'http.uri; bsize:1<>5; content:"abcdef";', 'content:"a"; bsize:5;'])
def test_bsize_that_is_malformed(options):
    malformed(options, "http")


def test_urilen():
    assert plan("urilen:5;", "http").blocks == [Block("http.uri", [Size(((5, 5),))])]
    assert plan("urilen:5<>9,raw;", "http").blocks == [Block("http.uri.raw", [Size(((6, 8),))])]
    assert plan('http.uri; content:"a"; urilen:>60,norm;', "tcp").blocks == [Block("http.uri", [A, Size(((61, 65535),))])]
    malformed("urilen:70000;", "http")
    malformed("urilen:a;", "http")
    refused("urilen:5<>6;", "http")
    refused("urilen:5,foo;", "http")


def test_letters_of_pcre_name_buffers():
    assert plan('content:"a"; http_uri; pcre:"/b/RU";').blocks == [Block("http.uri", [A, Pcre(b"b", "R")])]
    assert plan('pcre:"/b/Q";').blocks == [Block("file.data", [Pcre(b"b", "")])]
    for options in ('http.uri; pcre:"/a/P";', 'pcre:"/a/UP";', 'pcre:"/a/RU";', 'pcre:"/a/UB";', 'pcre:"/a/D";'):
        malformed(options, "http")


# ---- what the flow was recognised as, events ----

def test_app_layer_protocol():
    assert plan("app-layer-protocol:http;").conditions == [AppProtocol("http")]
    assert plan("app-layer-protocol:! failed; app-layer-protocol:!dns;").conditions == [AppProtocol("failed", True), AppProtocol("dns", True)]
    for text in ("foo", "HTTP", "http,final", "unknown", "http; app-layer-protocol:dns", "!http; app-layer-protocol:!http"):
        malformed(f"app-layer-protocol:{text};")
    malformed("app-layer-protocol:http;", "http")
    malformed('http.uri; content:"a"; app-layer-protocol:http;')
    refused("app-layer-protocol:krb5;")


def test_app_layer_event():
    assert plan("app-layer-event:applayer_wrong_direction_first_data;").conditions == [AppEvent("applayer", "wrong_direction_first_data")]
    for text in ("foo", "foo.bar", "http."):
        malformed(f"app-layer-event:{text};")
    malformed("app-layer-event:http.no_such_event;", "dns")
    assert "no event" in refused("app-layer-event:http.no_such_event;")


def test_places_of_what_is_wrong():
    assert read('flow:to_client; http.uri; content:"a";', "http").place.column == 48
    assert read('http.host; content:"A";', "http").place.column == 52
    assert read("http.uri; bsize:5<>6;", "http").place.column == 48


@pytest.mark.parametrize("options, proto", [("frame:pdu;", "tls"), ("frame:tls.hdr;", "tcp"), ("frame:smb2.data;", "smb"), ("frame:http1.request;", "http"),
                                            ("frame:request;", "http1"), ("frame:stream;", "smtp"), ("frame:dns.pdu;", "udp")])
def test_frames_are_known_and_not_kept(options, proto):
    assert "not kept" in refused(f'{options} content:"a";', proto)


@pytest.mark.parametrize("options, proto", [("frame:record;", "tls"), ("frame:smb2.pdu;", "tcp"), ("frame:pdu;", "ssh"), ("frame:http.request;", "tcp"),
                                            ("frame:request;", "http"), ("frame:data;", "dns"), ("frame:pdu;", "tcp")])
def test_frames_that_there_are_not(options, proto):
    malformed(f'{options} content:"a";', proto)
