"""Community ID against the vectors that its specification publishes (github.com/corelight/community-id-spec, baseline)."""
from __future__ import annotations

import pytest

from fastpath.control.community_id import community_id

PUBLISHED = [
    (("128.232.110.120", "66.35.250.204", 6, 34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    (("192.168.1.52", "8.8.8.8", 17, 54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    (("192.168.170.8", "192.168.170.56", 132, 7, 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    (("192.168.0.89", "192.168.0.1", 1, 8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    (("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 58, 135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    (("1.2.3.4", "5.6.7.8", 6, 1122, 3344), "1:wCb3OG7yAFWelaUydu0D+125CLM="),
    (("1.2.3.4", "5.6.7.8", 17, 1122, 3344), "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg="),
]


@pytest.mark.parametrize("flow, expected", PUBLISHED)
def test_published(flow, expected):
    assert community_id(*flow) == expected


@pytest.mark.parametrize("flow, expected", [one for one in PUBLISHED if one[0][2] not in (1, 58)])
def test_both_directions_have_one(flow, expected):
    src, dst, proto, sport, dport = flow
    assert community_id(dst, src, proto, dport, sport) == expected


def test_icmp_answers_share_the_id_of_their_question():
    assert community_id("192.168.0.1", "192.168.0.89", 1, 0, 0) == "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="


def test_the_seed_and_the_direction_of_one_way_icmp_count():
    flow = ("10.0.0.1", "10.0.0.2", 6, 1, 2)
    assert community_id(*flow, seed=1) != community_id(*flow)
    assert community_id("10.0.0.1", "10.0.0.2", 1, 3, 1) != community_id("10.0.0.2", "10.0.0.1", 1, 3, 1)
    with pytest.raises(ValueError, match="not appear to be an IPv4 or IPv6 address"):
        community_id("here", "10.0.0.2", 6, 1, 2)
