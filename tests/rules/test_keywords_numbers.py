"""Numeric keywords of the protocols, files, stream_size, flow.age, asn1, flowint, xbits, hostbits."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan, refused

from fastpath.rules import RuleSet
from fastpath.rules.plan import Asn1, Block, Clock, Content, FileIs, FlowAge, Flowint, Interface, NumberIs, StreamSize, Xbits

U32, U64 = 2**32 - 1, 2**64 - 1
UUID = "367abb81-9844-35f1-ad32-98f038001003"


@pytest.mark.parametrize("options, buffer, step", [
    ("tls.version:1.2;", "tls.version", NumberIs(((0x303, 0x303),))), ("tls.version:0x7f01;", "tls.version", NumberIs(((0x7f01, 0x7f01),))),
    ("tls.version:1.3;", "tls.version", NumberIs(((0x304, 0x304), (0x7f00, 0x7fff)))),
    ("ssl_version:sslv3;", "ssl.version", NumberIs(((0x300, 0x300),))),
    ("ssl_version:!sslv3, !TLS1.0;", "ssl.version", NumberIs(((0x300, 0x300), (0x301, 0x301)), negated=True)),
    ("ssl_state:client_hello;", "ssl.state", NumberIs(tuple((n, n) for n in range(1, 32, 2)))),
    ("ssl_state:server_hello|unknown;", "ssl.state", NumberIs(((2, 3), (6, 7), (10, 11), (14, 31)))),
    ("tls.cert_chain_len:>3;", "tls.cert_chain_len", NumberIs(((4, U32),))),
    ("tls_cert_notbefore:1998-05-01;", "tls.cert_notbefore", NumberIs(((893980800, 893980800),))),
    ("tls_cert_notafter:>2015-10-22T23:59:59;", "tls.cert_notafter", NumberIs(((1445558400, U64),))),
    ("tls_cert_expired;", "tls.cert_notafter", Clock(True)),
    ("dns.opcode:4;", "dns.opcode", NumberIs(((4, 4),))), ("dns.opcode:!4;", "dns.opcode", NumberIs(((4, 4),), negated=True)),
    ("dce_opnum:15,17-20;", "dcerpc.opnum", NumberIs(((15, 15), (17, 20)))),
    (f"dce_iface:{UUID};", "dcerpc.iface", Interface(bytes.fromhex(UUID.replace("-", "")))),
    (f"dce_iface:{UUID},<10,any_frag;", "dcerpc.iface", Interface(bytes.fromhex(UUID.replace("-", "")), ((0, 9),), True)),
    ("ftpbounce;", "ftp.bounce", NumberIs(((1, U64),))), ("ftpdata_command:stor;", "ftpdata.command", NumberIs(((1, 1),))),
    ('tls.subject:!"CN=a";', "tls.cert_subject", Content(b"CN=a", negated=True)), ('tls.issuerdn:"a";', "tls.cert_issuer", Content(b"a")),
    ('ssh.softwareversion:PuTTY;', "ssh.software", Content(b"PuTTY")),
    ('filename:"a";', "file.name", Content(b"a", nocase=True)), ('fileext:!"exe";', "file.name", Content(b".exe", True, True, endswith=True)),
    ("filesize:>100;", "file.facts", FileIs("size", ranges=((101, U64),))), ("filestore;", "file.facts", FileIs("store")),
])
def test_a_step_over_a_buffer(options, buffer, step):
    assert plan(options).blocks == [Block(buffer, [step])]


@pytest.mark.parametrize("options", [
    'tls.version:"1.2";', "tls.version:2.0;", "tls.version:!1.2;", "ssl_version:sslv3,!tls1.0;", "ssl_version:tls1.2,tls1.2;",
    "ssl_version:tls1.4;", "ssl_state:foo;", "ssl_state:CLIENT_HELLO;", "tls.subject:CN=a;", 'tls.subject:"";', 'tls.fingerprint:"abc";',
    "tls_cert_notafter:2010-01-01<>2005-12-31;", "tls_cert_notafter:>=2015;", "tls_cert_notafter:foo;", "tls_cert_notafter:2015-13-01;",
    "tls_cert_expired:x;", "dns.opcode:256;", "dns.opcode:1-4;", "dns.opcode:a;", "ssh.protoversion:foo;", 'ssh.softwareversion:!"a";',
    f"dce_iface:{UUID[:-2]};", f"dce_iface:{UUID},any_frag,<10;", f"dce_iface:{UUID},<70000;", "dce_opnum:20-17;",
    "dce_opnum:!15;", "dce_opnum:15,;", "ftpbounce:1;", "ftpdata_command:list;", "ftpdata_command:STOR;", "filesize:a;", "filesize:>1kb;",
    'filename:"";',
])
def test_numbers_that_are_malformed(options):
    malformed(options)


def test_digests_of_files(tmp_path):
    (tmp_path / "list").write_text("# known\n" + "AA" * 16 + "\n" + "0b" * 16 + "  name\n\n")
    rules = RuleSet.parse("alert http any any -> any any (filemd5:!list; sid:1;)", file=str(tmp_path / "a.rules"))
    assert rules.plans[0].blocks == [Block("file.facts", [FileIs("md5", texts=(b"\x0b" * 16, b"\xaa" * 16), negated=True)])]
    (tmp_path / "list").write_text("AA\n")
    assert "list:1" in RuleSet.parse("alert http any any -> any any (filemd5:list; sid:1;)", file=str(tmp_path / "a.rules")).refusals[0].reason
    assert "No such file" in malformed("filesha1:none;")


@pytest.mark.parametrize("options, condition", [
    ("stream_size:server,<,5;", StreamSize("server", "<", 5)), ("stream_size: both , != , 5 ;", StreamSize("both", "!=", 5)),
    ("flow.age:>5;", FlowAge(((6, U32),))), ("asn1:oversize_length 1024,relative_offset -1;", Asn1(oversize=1024, offset=-1, relative=True)),
    ("asn1:bitstring_overflow, double_overflow, absolute_offset 3;", Asn1(True, True, offset=3)),
    ("flowint:a.b,>=,5;", Flowint(">=", "a.b", 5)), ("flowint: ab , == , cd ;", Flowint("==", "ab", "cd")), ("flowint:ab,notset;", Flowint("notset", "ab")),
    ("xbits:isset,a,track ip_pair;", Xbits("isset", "a", "ip_pair", 30)), ("hostbits:isnotset,a,dst;", Xbits("isnotset", "a", "ip_dst", 300, by_host=True)),
])
def test_conditions(options, condition):
    assert plan(options).conditions == [condition]


@pytest.mark.parametrize("options, action", [
    ("flowint:ab,+,1;", Flowint("+", "ab", 1)), ("flowint:ab,=,cd;", Flowint("=", "ab", "cd")),
    ("xbits:set, a , track ip_src , expire 10 ;", None), ("xbits:set,a,track ip_src,expire 10;", Xbits("set", "a", "ip_src", 10)),
    ("xbits:toggle,a,track ip_dst;", Xbits("toggle", "a", "ip_dst", 30)), ("hostbits:unset,a;", Xbits("unset", "a", "ip_src", 300, by_host=True)),
])
def test_actions(options, action):
    if action is None:
        malformed(options)
    else:
        assert plan(options).after == [action]


@pytest.mark.parametrize("options", [
    "stream_size:server,<>,5;", "stream_size:serve,>,5;", "stream_size:server,>,99999999999;", "stream_size:server,5;", "flow.age:a;",
    "flow.age:>5; flow:only_stream;", "asn1:foo;", "asn1:oversize_length;", "asn1:oversize_length -1;", "asn1:bitstring_overflow,,double_overflow;",
    "flowint:a,+,1;", "flowint:ab,>;", "flowint:ab;", "flowint:1b,>,1;", "flowint:ab,>=,4294967296;", "flowint:ab,+,-1;", "flowint:ab,==,c;",
    "xbits:set,a;", "xbits:set,a,track tx;", "xbits:foo,a,track ip_src;", "xbits:set,a,track ip_src,expire 0;", "xbits:noalert,track ip_src;",
    "hostbits:set;", "hostbits:set,a,both;", "hostbits:foo,a;",
])
def test_variables_that_are_malformed(options):
    malformed(options)


def test_what_waits():
    for options in ("tls.store;", "lua:a.lua;", "replace:\"a\";"):
        refused(options)
