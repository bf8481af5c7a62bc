"""content, pcre, isdataat, dsize and the buffers. What is malformed is what Suricata 7.0.10 does not load."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan, read, refused, steps

from fastpath.rules.plan import Block, Content, IsDataAt, Number, Pcre


def test_content_and_its_modifiers():
    assert steps('content:"ab"; nocase; offset:2; depth:9; content:!"c"; distance:-1; within:5; rawbytes; content:"de"; fast_pattern:0,1;') == [
        Content(b"ab", nocase=True, offset=2, depth=9), Content(b"c", negated=True, distance=-1, within=5),
        Content(b"de", fast_pattern=True, fast_pattern_chop=(0, 1))]


@pytest.mark.parametrize("options, expected", [
    ('content: ! "a" ;', Content(b"a", negated=True)), ('CONTENT:"a";', Content(b"a")), ('content:"a"; startswith; endswith;',
                                                                                         Content(b"a", startswith=True,
                                                                                         endswith=True)),
    ('content:"a"; fast_pattern:only;', Content(b"a", fast_pattern=True)), ('content:"abc"; offset:0x4;', Content(b"abc",
    offset=4)),
    ('content:!"a"; fast_pattern;', Content(b"a", negated=True, fast_pattern=True)), ('content:"a"; distance:1;', Content(b"a",
    distance=1)),
    ('content:"a"; endswith; endswith;', Content(b"a", endswith=True)), ('content:"abc"; endswith; depth:3;', Content(b"abc",
    depth=3, endswith=True)),
])
def test_one_content(options, expected):
    assert steps(options) == [expected]


@pytest.mark.parametrize("options", [
    'content:"abc"; depth:2;', 'content:"abc"; within:2;', 'content:"abc"; depth:4; depth:4;', 'content:"abc"; nocase; nocase;',
    'content:"abc"; startswith; depth:10;', 'content:"abc"; depth:10; startswith;', 'content:"abc"; startswith; offset:1;',
    'content:"abc"; offset:0; startswith;', 'content:"abc"; startswith; within:3;', 'content:"abc"; distance:1; startswith;',
    'content:"abc"; offset:1; within:5;', 'content:"abc"; within:5; depth:5;', 'content:"abc"; offset:-1;',
    'content:"abc"; offset:65536;',
    'content:"abc"; depth:x;', 'content:"abc"; distance:1048577;', 'content:"";', "content:abc;", 'content:"a;b";',
    'content:"abc"; nocase:1;',
    "nocase;", "depth:3;", "within:3;", "fast_pattern;", "startswith;", 'content:"a"; rawbytes; rawbytes;',
    'content:"a"; fast_pattern; content:"b"; fast_pattern;', 'content:"a"; fast_pattern:only; depth:4;',
    'content:"ab"; fast_pattern:1,2;',
    'content:"a"; content:"b"; distance:1; fast_pattern:only;', 'content:"a"; fast_pattern:only; content:"b"; distance:1;',
    'content:!"a"; offset:3; fast_pattern;', 'content:!"a"; fast_pattern; within:4;', 'content:!"a"; fast_pattern:only;',
    'content:"abc"; fast_pattern:foo;', 'content:"abc"; fast_pattern:1;',
])
def test_contents_that_are_malformed(options):
    malformed(options)


def test_an_error_names_keyword_and_column():
    refusal = read('content:"abc"; depth:2;')
    assert (refusal.keyword, refusal.place.column) == ("depth", 52)


@pytest.mark.parametrize("options, expected", [
    ('pcre:"/a.b/";', Pcre(b"a.b", "")), ('pcre:!"/a/i";', Pcre(b"a", "i", negated=True)), ('content:"x"; pcre:"/a/RiG";',
    Pcre(b"a", "RiG")),
    (r'pcre:"/a\/b/s";', Pcre(rb"a\/b", "s")), ('pcre:"/a/b/m";', Pcre(b"a/b", "m")), (r'pcre:"/a\\/";', Pcre(rb"a\\", "")),
    (r'pcre:"/a\;\x3b\"/AxE";', Pcre(rb'a\;\x3b\"', "AxE")), ('pcre:"/a/BO";', Pcre(b"a", "")), ("pcre:/a/i;", Pcre(b"a", "i")),
])
def test_pcre(options, expected):
    assert steps(options)[-1] == expected


@pytest.mark.parametrize("options", ['pcre:"/a";', 'pcre:"a";', 'pcre:"/a/k";', 'pcre:"/a/R";', 'isdataat:4; pcre:"/a/R";',
    'pcre:"/a/UI";',
                                     'http.uri; pcre:"/a/H";', 'pcre:"/a/i ";', r'pcre:"/a\/";'])
def test_pcre_that_is_malformed(options):
    malformed(options)


@pytest.mark.parametrize("options", ['pcre:"^/a/";'])
def test_pcre_that_is_refused(options):
    refused(options)


@pytest.mark.parametrize("options, expected", [
    ("isdataat:10;", IsDataAt(10)), ("isdataat:!1,relative;", IsDataAt(1, negated=True, relative=True)),
    ("isdataat:1 , relative , rawbytes;", IsDataAt(1, relative=True)), ("byte_extract:1,0,n; isdataat:!n;", IsDataAt("n",
    negated=True)),
])
def test_isdataat(options, expected):
    assert steps(options)[-1] == expected


@pytest.mark.parametrize("options", ["isdataat:65536;", "isdataat:-1;", "isdataat:n;", "isdataat:1,foo;", "isdataat:1,;",
    "isdataat:1,RELATIVE;",
                                     "isdataat:1,relative,relative;"])
def test_isdataat_that_is_malformed(options):
    malformed(options)


@pytest.mark.parametrize("text, ranges", [
    ("5", ((5, 5),)), ("=5", ((5, 5),)), ("<5", ((0, 4),)), ("<=5", ((0, 5),)), (">5", ((6, 65535),)), (">=5", ((5, 65535),)),
    ("5<>9", ((6, 8),)), ("5-9", ((6, 8),)), ("!5", ((1, 4), (6, 65535))), ("!0", ((1, 65535),)), ("5kb", ((5120, 5120),)),
])
def test_dsize(text, ranges):
    assert plan(f"dsize:{text};").conditions == [Number("dsize", ranges)]


@pytest.mark.parametrize("options", [
    "dsize:x;", "dsize:5<>6;", "dsize:9<>5;", "dsize:<0;", "dsize:>65535;", "dsize:65536;", "dsize:5; dsize:5;",
    'dsize:3; content:"abcd";',
    'dsize:8; content:"abcd"; offset:5;', 'dsize:8; content:"abcd"; content:"efgh"; distance:1;',
    'dsize:2<>5; content:"abcd"; offset:2;',
    'dsize:16; content:"abcdef"; startswith; content:!"a"; distance:0; content:"789"; distance:0; content:!"c"; distance:1; within:10;',
])
def test_dsize_that_is_malformed(options):
    malformed(options)


@pytest.mark.parametrize("options", ['dsize:8; content:"abcd"; content:"efgh"; distance:0;', 'dsize:>3; content:"ab";',
                                     'dsize:3; content:"abcde"; content:"cd"; distance:-4; within:4;'])
def test_contents_that_fit(options):
    plan(options)


# ---- buffers ----

def test_a_buffer_is_one_block_wherever_it_is_named():
    assert plan('content:"p"; udp.hdr; content:"a"; ipv4.hdr; content:"b"; udp.hdr; content:"c"; distance:0; pkt_data; content:"q"; within:4;',
                "udp").blocks == [
        Block("udp.hdr", [Content(b"a"), Content(b"c", distance=0)]), Block("ipv4.hdr", [Content(b"b")]),
        Block("payload", [Content(b"p"), Content(b"q", within=4)])]


@pytest.mark.parametrize("options, proto", [("tcp.hdr;", "tcp"), ('tcp.hdr; pkt_data; content:"a";', "tcp"),
    ('tcp.hdr; content:"a";', "udp"),
                                            ('udp.hdr; content:"a";', "tcp"), ('icmpv4.hdr; content:"a";', "icmpv6"),
                                            ('tcp.hdr; content:"a";', "tcp-stream"), ('tcp.hdr; content:"a"; rawbytes;', "tcp"),
                                            ('tcp.hdr:x; content:"a";', "tcp")])
def test_buffers_that_are_malformed(options, proto):
    malformed(options, proto)


@pytest.mark.parametrize("options, room", [
    ('sip.method; content:"a";', "sip"), ('snmp.usm; content:"a";', "snmp"),
])
def test_keywords_that_wait_for_their_room(options, room):
    assert room in refused(options)


@pytest.mark.parametrize("options, buffer", [
    ('http.uri; content:"a";', "http.uri"), ('content:"a"; http_uri;', "http.uri"), ('uricontent:"a";', "http.uri"),
    ('file_data; content:"a";', "file.data"), ('tls_sni; content:"a";', "tls.sni"), ('dns_query; content:"a";', "dns.query"),
    ('pcre:"/a/U";', "http.uri"),
])
def test_buffers_of_the_application_layers(options, buffer):
    block, = plan(options).blocks
    assert block.buffer == buffer and len(block.steps) == 1


def test_a_buffer_of_several_instances_is_a_block_each_time():
    assert plan('dns.query; content:"a"; dns.query; content:"b";').blocks == [
        Block("dns.query", [Content(b"a")]), Block("dns.query", [Content(b"b")])]


@pytest.mark.parametrize("options", ['http.uri;', 'http.uri; http.method; content:"a";', 'http_uri; content:"a";',
    'content:"a"; http_uri; http_uri;',
                                     'content:"a"; rawbytes; http_uri;', 'http.uri:x; content:"a";'])
def test_the_form_of_waiting_keywords_is_checked(options):
    malformed(options)
