"""flow, flowbits, threshold, detection_filter, tag, and keywords about the rule itself."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan, refused

from fastpath.rules.plan import Flowbits, FlowState, Tag, Threshold


@pytest.mark.parametrize("text, expected", [
    ("established", FlowState(state="established")), (" to_server , established ", FlowState("to_server", "established")),
    ("from_client", FlowState("to_server")), ("from_server,stateless", FlowState("to_client", "stateless")),
    ("ESTABLISHED", FlowState(state="established")), ("not_established", FlowState(state="not_established")),
    ("to_client,only_stream,no_frag", FlowState("to_client", stream="only_stream", frag="no_frag")),
])
def test_flow(text, expected):
    assert plan(f"flow:{text};").conditions == [expected]


def test_flow_in_two_steps():
    assert plan("flow:to_server; flow:established;").conditions == [FlowState("to_server", "established")]
    malformed("flow:established; flow:to_server;")
    refused("flow:to_server; flow:to_client;")


@pytest.mark.parametrize("text", ["to_server,to_client", "to_server,from_client", "established,not_established",
    "established,stateless",
                                  "only_stream,no_stream", "only_frag,no_frag", "to_server,established,only_stream,no_frag", "",
                                  "to_server,", "foo"])
def test_flow_that_is_malformed(text):
    malformed(f"flow:{text};")


@pytest.mark.parametrize("options, proto", [("flags:S; flow:only_stream;", "tcp"), ("dsize:4;", "tcp-stream"),
    ("flow:only_stream;", "tcp-pkt"),
                                            ("flow:no_stream;", "tcp-stream"), ("ttl:4;", "tcp-stream")])
def test_packet_and_stream_do_not_mix(options, proto):
    malformed(options, proto)


def test_flowbits():
    rule = plan("flowbits:isset,a|b; flowbits:isnotset, c ; flowbits:set,d|e; flowbits:unset,f; flowbits:toggle,g; flowbits:noalert;")
    assert rule.conditions == [Flowbits("isset", ("a", "b")), Flowbits("isnotset", ("c",))]
    assert rule.after == [Flowbits("set", ("d|e",)), Flowbits("unset", ("f",)), Flowbits("toggle", ("g",))]
    assert rule.noalert


@pytest.mark.parametrize("text", ["set", "foo,a", "set,a b", "noalert,a", "isset,|", "reset,a"])
def test_flowbits_that_are_malformed(text):
    malformed(f"flowbits:{text};")


def test_groups_of_flowbits_are_refused():
    refused("flowbits:set,a,group;")


def test_threshold():
    assert plan("threshold: type limit, track by_src, count 1, seconds 60;").threshold == Threshold("limit", "by_src", 1, 60)
    assert plan("threshold: type limit, track by_flow, count 1, seconds 60;").threshold == Threshold("limit", "by_flow", 1, 60)
    assert plan("threshold:count 5,seconds 9,track by_rule,type both;").threshold == Threshold("both", "by_rule", 5, 9)
    assert plan("detection_filter:track by_dst, count 3, seconds 4;").detection_filter == Threshold("detection_filter", "by_dst",
        3, 4)


@pytest.mark.parametrize("options", [
    "threshold:type limit, track by_src, count 1;", "threshold:type foo, track by_src, count 1, seconds 1;",
    "threshold:type limit, track by_all, count 1, seconds 1;", "detection_filter:track by_rule, count 1, seconds 1;",
    "detection_filter:track by_src, count 0, seconds 1;",
    "threshold:type limit,track by_src,count 1,seconds 1; detection_filter:track by_src,count 1,seconds 1;",
    "threshold:type limit,track by_src,count 1,seconds 1; threshold:type limit,track by_src,count 1,seconds 1;",
])
def test_thresholds_that_are_malformed(options):
    malformed(options)


def test_thresholds_that_are_refused():
    refused("threshold:type backoff, track by_flow, count 1, multiplier 10;")
    refused("threshold:type limit, track by_dst, seconds 1, count 1, multiplier 2;")


def test_tag():
    assert plan("tag:session;").tag == Tag("session", 0, "packets")
    assert plan("tag:host, 100, seconds, src;").tag == Tag("host", 100, "seconds", "src")
    assert plan("tag:session; tag:host,100,packets,src;").tag == Tag("session", 0, "packets")
    malformed("tag:foo;")
    malformed("tag:session,10;")
    refused("tag:session,10,packets,src;")


def test_meta():
    rule = plan(r'msg:"a\"b\;c\\d\x"; rev:3; gid:5; gid:7; classtype:trojan-activity; priority:2; reference:CVE, 2020-1; reference:url,a,b; '
                "metadata:k v w, x; target:dest_ip; bypass; noalert; prefilter;")
    assert (rule.msg, rule.rev, rule.gid, rule.classtype, rule.priority) == (r'a"b;c\d\x', 3, 7, "trojan-activity", 2)
    assert rule.references == [("cve", "2020-1"), ("url", "a,b")] and rule.metadata == [("k", "v w"), ("x", "")]
    assert rule.target == "dest_ip" and rule.bypass and rule.noalert
    assert not plan("noalert; alert;").noalert


@pytest.mark.parametrize("options", ["sid:2;", "rev:1; rev:1;", "rev:0;", "rev:x;", "rev:4294967295;", 'gid:"3";', "gid:x;",
    "msg:a;", 'msg:"";',
                                     'msg:"a"; msg:"b";', "priority:-1;", 'classtype:"x";', "classtype:a b;", "reference:cve;",
                                     "reference:url,;",
                                     "metadata:;", "target:dst_ip;", "target:src_ip; target:dest_ip;", "bypass:1;",
                                     "requires:version 7;",
                                     "requires:version == 7.0.10;"])
def test_meta_that_is_malformed(options):
    malformed(options)


@pytest.mark.parametrize("text", ["version >= 7.0.0", "version >= 7.0.3 < 8", "version >= 8 | < 8",
    "version > 7.0.9, keyword content"])
def test_requires_that_is_met(text):
    plan(f"requires:{text};")


@pytest.mark.parametrize("text", ["version >= 8.0.0", "version >= 7.0.3 < 7.0.5 | >= 8", "feature foo", "keyword foo", "foo"])
def test_requires_that_is_not_met(text):
    refused(f"a_keyword_of_later; requires:{text};")
