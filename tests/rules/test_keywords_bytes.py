"""byte_test, byte_jump, byte_extract, byte_math and base64."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan, refused, steps

from fastpath.rules.plan import Base64Decode, Block, ByteExtract, ByteJump, ByteMath, ByteTest, Content, IsDataAt


@pytest.mark.parametrize("options, expected", [
    ("byte_test:4,>,1,0;", ByteTest(4, ">", 1, 0)), ("byte_test:4,!,0x10,-2;", ByteTest(4, "=", 16, -2, negated=True)),
    ("byte_test:2 , !<= , 7 , 1 , relative , little;", ByteTest(2, "<=", 7, 1, negated=True, relative=True, endian="little")),
    ("byte_test:10,&,1,0,string,hex;", ByteTest(10, "&", 1, 0, base=16)), ("byte_test:3,^,1,0,string;", ByteTest(3, "^", 1, 0,
    base=10)),
    ("byte_test:1,>,1,0,bitmask 0xf0;", ByteTest(1, ">", 1, 0, bitmask=0xF0)), ("byte_test:1,=,-1,0;", ByteTest(1, "=",
    2**64 - 1, 0)),
    ("byte_extract:1,0,n; byte_test:n,=,n,n;", ByteTest("n", "=", "n", "n")),
])
def test_byte_test(options, expected):
    assert steps(options)[-1] == expected


@pytest.mark.parametrize("options, expected", [
    ("byte_test:4,>,1,0,dce;", ByteTest(4, ">", 1, 0, endian="dce")),
    ("byte_jump:4,0,dce,relative;", ByteJump(4, 0, relative=True, endian="dce")),
    ("byte_extract:4,0,n,dce;", ByteExtract(4, 0, "n", endian="dce")),
    ("byte_math:bytes 4, offset 0, oper +, rvalue 1, result n, dce;", ByteMath(4, 0, "+", 1, "n", endian="dce")),
])
def test_dce(options, expected):
    assert steps(options)[-1] == expected
    assert plan(options).app_proto == "dcerpc"


@pytest.mark.parametrize("step, expected", [
    ("isdataat:1,relative;", IsDataAt(1, False, True)), ("byte_test:1,=,1,0,relative;", ByteTest(1, "=", 1, 0, relative=True)),
    ("byte_jump:1,0,relative;", ByteJump(1, 0, relative=True)), ("byte_extract:1,0,n,relative;", ByteExtract(1, 0, "n", relative=True)),
    ("base64_decode:relative; base64_data; content:\"b\";", Base64Decode(0, 0, True)),
])
def test_what_is_relative_follows_the_step_before(step, expected):
    """Behind a content that a modifier has moved to another buffer it belongs there; what counts from the start, to the payload."""
    made = plan(f'content:"c"; content:"a"; http_uri; {step}', "http")
    assert [block.steps[-1] for block in made.blocks if block.buffer == "http.uri"] == [expected]


@pytest.mark.parametrize("options, expected", [
    ("byte_jump:4,0;", ByteJump(4, 0)), ("byte_jump:0,0,relative,post_offset -7;", ByteJump(0, 0, relative=True, post_offset=-7)),
    ("byte_jump:2,-3,little,multiplier 4,align,from_beginning;",
     ByteJump(2, -3, endian="little", multiplier=4, align=True, from_beginning=True)),
    ("byte_jump:2,0,string,dec,from_end;", ByteJump(2, 0, base=10, from_end=True)),
    ("byte_extract:1,0,n; byte_jump:n,n,relative;", ByteJump("n", "n", relative=True)),
])
def test_byte_jump(options, expected):
    assert steps(options)[-1] == expected


@pytest.mark.parametrize("options, expected", [
    ("byte_extract:4,0,n;", ByteExtract(4, 0, "n")),
    ("byte_extract:2,-1,n,relative,multiplier 3,little,align 4;", ByteExtract(2, -1, "n", True, 3, "little", align=4)),
    ("byte_extract:20,0,n,string,dec;", ByteExtract(20, 0, "n", base=10)),
    ("byte_math:bytes 4, offset 1, oper <<, rvalue 3, result n;", ByteMath(4, 1, "<<", 3, "n")),
    ("byte_math:oper -,bytes 2,offset -1,rvalue 3,result n,endian little,bitmask ff;", ByteMath(2, -1, "-", 3, "n",
    endian="little", bitmask=255)),
    ("byte_extract:1,0,m; byte_math:bytes m,offset 0,oper /,rvalue m,result n,relative,string hex;",
     ByteMath("m", 0, "/", "m", "n", relative=True, base=16)),
])
def test_byte_extract_and_math(options, expected):
    assert steps(options)[-1] == expected


@pytest.mark.parametrize("options", [
    "byte_test:9,>,1,0;", "byte_test:24,>,1,0,string,oct;", "byte_test:4,>,1,0,hex;", "byte_test:4,>,1;", "byte_test:4,==,1,0;",
    "byte_test:4,=,n,0;", "byte_test:0x1,>,1,0;", "byte_test:1,>,18446744073709551616,0;", "byte_test:1,>,1,0,Relative;",
    "byte_test:1,>,1,0,;",
    "byte_test:1,>,1,0,bitmask ff;", "byte_jump:9,0;", "byte_jump:4;", "byte_jump:4,65536;", "byte_jump:4,0,multiplier 0;",
    "byte_jump:4,0,post_offset 65536;", "byte_jump:4,0,from_end,from_beginning;", "byte_jump:4,0,bitmask 0x3;",
    "byte_jump:4,0,foo;",
    "byte_extract:9,0,n;", "byte_extract:15,0,n,string,hex;", "byte_extract:1,0;", "byte_extract:1,0,n,align 3;",
    "byte_extract:1,65536,n;", "byte_test:4,>,1,0,dce,little;", "byte_jump:4,0,dce,string,dec;",
    "byte_extract:1,0,n,relative,relative;", "byte_extract:1,0,n,string,little;", "byte_extract:1,0,n; byte_extract:n,0,m;",
    "byte_math:bytes 4,offset 0,oper **,rvalue 1,result n;", "byte_math:bytes 11,offset 0,oper +,rvalue 1,result n;",
    "byte_math:bytes 4,offset 0,oper +,rvalue 4294967296,result n;", "byte_math:bytes 4,offset 0,oper +,rvalue 1;",
    "byte_math:bytes 4,offset 0,oper +,rvalue 1,result n,endian foo;", "byte_math:bytes 4,offset 0,oper +,rvalue m,result n;",
    "tcp.hdr; byte_math:bytes 4,offset 0,oper +,rvalue 1,result n,relative;", 'content:"a"; depth:n; byte_extract:1,0,n;',
    'byte_extract:1,0,1n; content:"a"; depth:1n;',
])
def test_what_is_malformed(options):
    malformed(options)


@pytest.mark.parametrize("options, why", [
    ("byte_math:bytes 4,offset 0,oper /,rvalue 0,result n;", "zero"), ("byte_extract:1,0,n; byte_extract:1,1,n;", "second"),
    ("byte_extract:1,0,n; tcp.hdr; byte_test:1,=,n,0;", "not set yet"), ("byte_extract:0,0,n;", "0 bytes"),
    ("tcp.hdr; byte_test:1,>,0,0; udp.hdr; byte_extract:1,0,n; tcp.hdr; byte_test:1,=,n,0;", "not set yet"),
])
def test_what_is_refused(options, why):
    assert why in refused(options, "ip" if "udp.hdr" in options else "tcp")


def test_variables_go_from_headers_to_payload():
    blocks = plan('content:"a"; ipv4.hdr; byte_extract:1,8,n; pkt_data; byte_test:1,<,n,0;').blocks
    assert [block.buffer for block in blocks] == ["ipv4.hdr", "payload"]


def test_base64():
    assert plan('base64_decode:bytes 10, offset 3, relative; base64_data; content:"a"; content:"b"; within:4; pkt_data; content:"c";').blocks == [
        Block("payload", [Base64Decode(10, 3, True), Content(b"c")]), Block("base64_data", [Content(b"a"), Content(b"b",
        within=4)])]
    assert steps("base64_decode;") == [Base64Decode()]


@pytest.mark.parametrize("options", ["base64_data; content:\"a\";", "base64_decode:foo;", "base64_decode:bytes -1;",
    "base64_decode:bytes 1 offset 2;",
                                     'base64_decode; base64_data; content:"a"; tcp.hdr; content:"b";',
                                     'base64_decode; base64_data; content:"a"; base64_data; content:"b";'])
def test_base64_that_is_malformed(options):
    malformed(options)


def test_what_was_decoded_is_not_decoded_again():
    refused('base64_decode; base64_data; content:"a"; base64_decode; base64_data; content:"b";')
