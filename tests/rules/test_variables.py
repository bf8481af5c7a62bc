"""Address and port groups. What they hold was verified with Suricata 7.0.10 packet by packet."""
from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.rules.lexer import RuleError
from fastpath.rules.stock import STOCK_VARIABLES
from fastpath.rules.variables import Groups, subtracted, united

STOCK = Groups(STOCK_VARIABLES)
ADDRESSES = ["10.0.0.1", "10.1.0.1", "10.1.1.1", "8.8.8.8", "192.168.1.1", "255.255.255.255", "0.0.0.0", "2001:db8::1",
    "fe80::1", "::1"]
PORTS = [0, 1, 79, 80, 81, 90, 100, 150, 1023, 1024, 65535]
V4, V6 = ADDRESSES[:7], ADDRESSES[7:]


def holds(group, address: str) -> bool:
    value = ip_address(address)
    return any(low <= int(value) <= high for low, high in (group.v4 if value.version == 4 else group.v6))


@pytest.mark.parametrize("text, expected", [
    ("any", ADDRESSES), ("ANY", ADDRESSES),
    ("$HOME_NET", ["10.0.0.1", "10.1.0.1", "10.1.1.1", "192.168.1.1"]),
    ("$EXTERNAL_NET", ["8.8.8.8", "255.255.255.255", "0.0.0.0"]),
    ("!$EXTERNAL_NET", ["10.0.0.1", "10.1.0.1", "10.1.1.1", "192.168.1.1"]),
    ("!10.0.0.0/8", ["8.8.8.8", "192.168.1.1", "255.255.255.255", "0.0.0.0"]),
    ("!!10.0.0.0/8", ["8.8.8.8", "192.168.1.1", "255.255.255.255", "0.0.0.0"]),
    ("!fe80::/16", ["2001:db8::1", "::1"]),
    ("[10.0.0.0/8,![10.1.0.0/16,!10.1.1.0/24]]", ["10.0.0.1", "10.1.1.1"]),
    ("[10.0.0.0/8,!10.1.0.0/16,10.1.1.0/24]", ["10.0.0.1"]),
    ("[10.0.0.0/8,[8.8.8.8,!10.1.1.1]]", ["10.0.0.1", "10.1.0.1", "8.8.8.8"]),
    ("[10.0.0.0/8,![any,!10.0.0.1]]", ["10.0.0.1"]),
    ("[!$HOME_NET,8.8.8.8]", ["8.8.8.8"]),
    ("[any,!8.8.8.8]", [each for each in ADDRESSES if each != "8.8.8.8"]),
    ("10.0.0.0-10.0.0.255", ["10.0.0.1"]),
    ("10.0.0.1/8", ["10.0.0.1", "10.1.0.1", "10.1.1.1"]), ("10.0.0.0/255.0.0.0", ["10.0.0.1", "10.1.0.1", "10.1.1.1"]),
    ("10.0.0.1/0", V4), ("2001:db8::1/0", V6), ("::/0", V6), ("[0.0.0.0/0,::/0]", ADDRESSES),
    ("2001:db8::1-2001:db8::9", ["2001:db8::1"]), ("::ffff:10.0.0.1", []),
    ("[10.0.0.0/8, 8.8.8.8]", ["10.0.0.1", "10.1.0.1", "10.1.1.1", "8.8.8.8"]), ("10.0.0.0/16,8.8.8.8,", ["10.0.0.1", "8.8.8.8"]),
    ("[8.8.8.8,!::/0]", ["8.8.8.8"]),
    ("[fe80::1,!$EXTERNAL_NET]", ["10.0.0.1", "10.1.0.1", "10.1.1.1", "192.168.1.1", "fe80::1"]),
    ("[2001:db8::/16,!8.8.8.8]", [each for each in V4 if each != "8.8.8.8"] + ["2001:db8::1"]),
])
def test_addresses(text, expected):
    group = STOCK.addresses(text)
    assert [each for each in ADDRESSES if holds(group, each)] == expected


@pytest.mark.parametrize("text, reason", [
    ("!any", "negates"), ("![any]", "negates"), ("!0.0.0.0/0", "negates"), ("!::/0", "holds no"), ("[]", "nothing"),
    ("[10.0.0.0/8,,8.8.8.8]", "nothing"), ("[,10.0.0.0/8]", "nothing"), ("10.0.0.9-10.0.0.1", "backwards"), ("10.0.0.0/33",
    "prefix"),
    ("10.0.0", "10.0.0"), ("10.0.0.01", "10.0.0.01"), ("10.0.0.0/255.0.255.0", "holes"), ("$NOPE", "not defined"), ("localhost",
    "localhost"),
    ("[$EXTERNAL_NET,10.1.1.1]", "holds no"), ("[2001:db8::/32,!0.0.0.0/0]", "negates"), ("[10.0.0.0/8,![!10.0.0.0/8,10.0.0.1]]",
    "holds no"),
    ("[ 10.0.0.0/8 , 8.8.8.8 ]", "10.0.0.0/8 "), ("fe80::1%eth0", "zone"), ("[8.8.8.8]]", "']'"), ("$HTTP_PORTS", "80"),
])
def test_addresses_that_are_none(text, reason):
    with pytest.raises(RuleError) as caught:
        STOCK.addresses(text)
    assert reason in caught.value.reason and caught.value.malformed


@pytest.mark.parametrize("text, expected", [
    ("any", PORTS), ("80", [80]), ("!80", [each for each in PORTS if each != 80]), ("[80,!81]", [80]), ("80:100", [80, 81, 90,
    100]),
    (":100", [0, 1, 79, 80, 81, 90, 100]), ("1024:", [1024, 65535]), (":", PORTS), ("[1:100,!80]", [1, 79, 81, 90, 100]),
    ("[!80,!81]", [each for each in PORTS if each not in (80, 81)]), ("[!80,81]", [81]), ("[1:100,[!80,150]]", [1, 79, 81, 90,
    100, 150]),
    ("$SHELLCODE_PORTS", [each for each in PORTS if each != 80]), ("!$SHELLCODE_PORTS", [80]), ("[$SHELLCODE_PORTS,150]", [150]),
    ("[1:100,!$SHELLCODE_PORTS]", [1, 79, 80, 81, 90, 100]), ("![80,81]", [each for each in PORTS if each not in (80, 81)]),
    ("!:1023", [1024, 65535]), ("080", [80]), ("+80", [80]), ("80,81", [80, 81]), ("[1:65535,!1024:65535]", [1, 79, 80, 81, 90,
    100, 150, 1023]),
    ("!!80", [each for each in PORTS if each != 80]), ("0", [0]),
])
def test_ports(text, expected):
    group = STOCK.ports(text)
    assert [each for each in PORTS if any(low <= each <= high for low, high in group.ranges)] == expected


@pytest.mark.parametrize("text", ["!any", "![any]", "!0:65535", "[]", "[80,,81]", "100:80", "65536", "80:70000", "-1", "a",
    "80-90", "0x50", "[80 , 81]",
                                  "[!80,80]", "[$SHELLCODE_PORTS,80]", "$NOPE", "$HOME_NET", "[80", "80]"])
def test_ports_that_are_none(text):
    with pytest.raises(RuleError):
        STOCK.ports(text)


def test_the_error_stands_at_the_item():
    with pytest.raises(RuleError) as caught:
        STOCK.addresses("[10.0.0.0/8,1.2.3.400]", at=10)
    assert caught.value.at == 22


@pytest.mark.parametrize("variables, reason", [
    ({"A": "$A"}, "$A -> $A"), ({"A": "[$B]", "B": "!$A"}, "$A -> $B -> $A"), ({"A": ""}, "empty"), ({"A": "$B"}, "not defined"),
])
def test_variables_that_lead_nowhere(variables, reason):
    with pytest.raises(RuleError) as caught:
        Groups(variables).addresses("$A")
    assert reason in caught.value.reason


def test_lists_nest_only_so_deep():
    with pytest.raises(RuleError):
        STOCK.addresses("[" * 100 + "10.0.0.1" + "]" * 100)


# ---- against sets ----

SMALL = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], min(pair[0] + pair[1], 63)))
RANGES = st.lists(SMALL, max_size=6)


def members(ranges) -> set[int]:
    return {value for low, high in ranges for value in range(low, high + 1)}


@given(RANGES, RANGES)
def test_ranges_are_sets(some, others):
    assert members(united(some)) == members(some)
    left = subtracted(united(some), united(others))
    assert members(left) == members(some) - members(others)
    assert all(first[1] + 1 < second[0] for first, second in pairwise(left))


NETWORK = st.tuples(st.integers(0, 255), st.integers(24, 32)).map(lambda pair: f"10.0.0.{pair[0]}/{pair[1]}")


@given(st.lists(st.tuples(st.booleans(), NETWORK), min_size=1, max_size=6), st.lists(st.integers(0, 511), max_size=8))
def test_lists_against_ipaddress(items, probes):
    text = "[" + ",".join(("!" if negated else "") + network for negated, network in items) + "]"
    named = [ip_network(network, strict=False) for negated, network in items if not negated]
    taken = [ip_network(network, strict=False) for negated, network in items if negated]

    def naive(value: int) -> bool:
        address = ip_address(0x0A000000 + value)
        return (not named or any(address in each for each in named)) and not any(address in each for each in taken)

    try:
        group = STOCK.addresses(text)
    except RuleError:
        assert not any(naive(value) for value in range(512))
        return
    for value in probes:
        assert any(low <= 0x0A000000 + value <= high for low, high in group.v4) == naive(value)
