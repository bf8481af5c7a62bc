"""Texts of rule files: each rule becomes a plan or a refusal with its place, and nothing is raised."""
from __future__ import annotations

import sys
from pathlib import Path

from fuzz import harness

from fastpath.rules import RuleSet

HEAD = b"alert tcp any any -> any any "
SEEDS = [
    rb'alert tcp any any -> $HOME_NET 80 (msg:"a\;b"; content:"|41 42|c"; nocase; offset:2; depth:9; content:!"x"; within:5; sid:1; rev:2;)',
    rb'drop udp [10.0.0.0/8,!10.1.0.0/16] [1:1024,!53] <> !$EXTERNAL_NET any (pcre:"/^a[^\x00]+b/Ris"; dsize:4<>90; sid:2;)',
    b'alert ip any any -> any any (byte_extract:2,0,n,relative,little; byte_test:n,!=,0x10,1,string,hex; isdataat:!n,relative; sid:3;)',
    HEAD + b'(flags:+SA,12; flow:to_server,established; flowbits:isset,a|b; byte_jump:4,-2,align,from_end; sid:4;)',
    b'alert pkthdr any any -> any any (decode-event:ipv4.pkt_too_small; threshold:type limit, track by_src, count 1, seconds 60; sid:5;)',
    b'alert icmp fe80::/16 any -> [::1,2001:db8::1-2001:db8::f] any (itype:>3; icode:!1; ttl:<9; fragbits:+D; ip_proto:!6; sid:6;)',
    HEAD + b'(base64_decode:bytes 8,offset 1,relative; base64_data; content:"q"; tcp.hdr; content:"|00|"; sid:7;)',
    HEAD + b'(byte_math:bytes 2,offset 0,oper <<,rvalue 3,result r; content:"a"; distance:r; tag:session; sid:8;)',
    b'alert http any any -> any any (http.uri; content:"/a"; fast_pattern:0,1; bsize:<9; requires:version >= 7.0.3 < 8 | > 9; sid:9;)',
    b'#' + HEAD + b'(sid:10;)\n alert tcp \\\r\n any any -> any any (reference:url,a.b/c; metadata:k v, w x; \\\n sid:11;)\r\n',
]


def seeds() -> list[bytes]:
    return [*SEEDS, b"\n".join(SEEDS)]


def target(data: bytes) -> None:
    rules = RuleSet.parse(data, include_disabled=True)
    lines = data.count(b"\n") + 1
    for refusal in rules.refusals:
        assert refusal.reason and 1 <= refusal.place.line <= lines and refusal.place.column >= 1, refusal
    for plan in rules.plans:
        assert plan.sid > 0 and 1 <= plan.place.line <= lines, plan
        assert all(block.steps for block in plan.blocks), plan


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), Path(__file__).read_text().split('"""')[1]))
