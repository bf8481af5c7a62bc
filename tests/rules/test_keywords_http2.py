"""Keywords of HTTP/2 and of gRPC over it; which version of HTTP a rule is about."""
from __future__ import annotations

import pytest
from rules.reading import malformed, plan

from fastpath.rules import RuleSet
from fastpath.rules.plan import Block, NumberIs

U32 = 2**32 - 1


@pytest.mark.parametrize("options, buffer, ranges", [
    ("http2.frametype:GOAWAY;", "http2.frametype", ((7, 7),)), ("http2.frametype:windowupdate;", "http2.frametype", ((8, 8),)),
    ("http2.frametype:77;", "http2.frametype", ((77, 77),)),
    ("http2.errorcode:NO_ERROR;", "http2.errorcode", ((0, 0),)), ("http2.errorcode:HTTP_1_1_REQUIRED;", "http2.errorcode", ((13, 13),)),
    ("http2.errorcode:100;", "http2.errorcode", ((100, 100),)),
    ("http2.priority:>250;", "http2.priority", ((251, 255),)), ("http2.priority:10-20;", "http2.priority", ((11, 19),)),
    ("http2.window:!5;", "http2.window", ((0, 4), (6, U32))), ("http2.size_update:1234;", "http2.size_update", ((1234, 1234),)),
    ("http2.settings:SETTINGS_ENABLE_PUSH;", "http2.settings", ((2 << 32, 2 << 32 | U32),)),
    ("http2.settings:settings_enable_push=0;", "http2.settings", ((2 << 32, 2 << 32),)),
    ("http2.settings: SETTINGS_HEADER_TABLE_SIZE >1000;", "http2.settings", ((1 << 32 | 1001, 1 << 32 | U32),)),
    ("http2.settings:SETTINGS_MAX_FRAME_SIZE 1-5;", "http2.settings", ((5 << 32 | 2, 5 << 32 | 4),)),
])
def test_numbers_of_frames(options, buffer, ranges):
    made = plan(options)
    assert made.blocks == [Block(buffer, [NumberIs(ranges)])] and made.app_proto == "http2"


@pytest.mark.parametrize("options", [
    "http2.frametype:FOO;", "http2.frametype:256;", "http2.frametype:!1;", "http2.errorcode:ERROR;", "http2.errorcode:4294967296;",
    "http2.priority:300;", "http2.window:4294967296;", "http2.window:a;", "http2.size_update:;", "http2.settings:SETTINGS_FOO;", "http2.settings:2;",
    "http2.settings:ENABLE_PUSH;", "http2.settings:SETTINGS_ENABLE_PUSH!=1;", "http2.settings:SETTINGS_ENABLE_PUSH 5-1;",
])
def test_what_is_malformed(options):
    malformed(options)


def reason(text: str) -> str:
    refusals = RuleSet.parse(text).refusals
    return refusals[0].reason if refusals else ""


@pytest.mark.parametrize("text, fits", [
    ('alert http2 any any -> any any (http.uri; content:"a"; sid:1;)', True), ('alert http any any -> any any (http2.frametype:1; sid:1;)', True),
    ('alert tcp any any -> any any (http2.frametype:1; http.uri; content:"a"; sid:1;)', True),
    ('alert http2 any any -> any any (grpc.service; content:"a"; grpc.method; content:"b"; sid:1;)', True),
    ('alert http1 any any -> any any (http2.frametype:1; sid:1;)', False), ('alert http2 any any -> any any (content:"a"; http_uri; sid:1;)', False),
    ('alert http2 any any -> any any (http.start; content:"a"; sid:1;)', False), ('alert http any any -> any any (http.start; content:"a"; sid:1;)', True),
    ('alert http1 any any -> any any (grpc.service; content:"a"; sid:1;)', False),
])
def test_versions_of_http(text, fits):
    assert (reason(text) == "") == fits
