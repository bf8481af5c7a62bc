"""Rules on transactions, over a room that says what it is told."""
from __future__ import annotations

import pytest
from captures import tcp, udp

from fastpath.dataplane.match.transaction_trial import TransactionTrial
from fastpath.rules.ruleset import RuleSet

TO_SERVER, TO_CLIENT = 0, 1
LINE, HEADERS, BODY, TRAILER, COMPLETE = range(1, 6)
PACKET = tcp(b"some payload")


def trial(*rules: str, proto: str = "http") -> TransactionTrial:
    """Rules numbered from 1 (and by index from 0)."""
    text = "".join(f"{rule[:-1]} sid:{i};)\n" for i, rule in enumerate(rules, 1))
    loaded = RuleSet.parse(text)
    assert not loaded.refusals, loaded.refusals
    return TransactionTrial(loaded.compile(), proto)


def fired(found: list[tuple[int, int | None, set[str]]]) -> list[tuple[int, int | None]]:
    return [(rule, tx) for rule, tx, _ in found]


def test_a_buffer_is_looked_at_when_it_is_there():
    made = trial('alert http any any -> any any (http.uri; content:"evil";)')
    tx = made.transaction()
    assert made.inspect(PACKET) == []
    made.tell(tx, TO_SERVER, "http.uri", b"/evil.php")
    assert made.inspect(PACKET) == []           # the room has it, but the transaction has not come so far
    made.progress(tx, TO_SERVER, LINE)
    assert made.inspect(PACKET) == [(0, tx, {"alert", "flow", "state"})]


def test_a_rule_fires_once_a_transaction():
    made = trial('alert http any any -> any any (http.uri; content:"evil";)')
    for tx in range(3):
        assert made.transaction() == tx
        made.tell(tx, TO_SERVER, "http.uri", b"/evil")
        made.progress(tx, TO_SERVER, LINE)
        assert fired(made.inspect(PACKET)) == [(0, tx)]
        for progress in range(LINE, COMPLETE + 1):
            made.progress(tx, TO_SERVER, progress)
            assert made.inspect(PACKET) == []
    assert made.remembered == 0


def test_a_later_block_is_waited_for():
    made = trial('alert http any any -> any any (http.uri; content:"evil"; http.user_agent; content:"curl";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/evil")
    made.progress(tx, TO_SERVER, LINE)
    assert made.inspect(PACKET) == [] and made.remembered > 0
    made.tell(tx, TO_SERVER, "http.uri", b"/gone")      # what has held is not asked again
    made.tell(tx, TO_SERVER, "http.user_agent", b"curl/8")
    made.progress(tx, TO_SERVER, HEADERS)
    assert fired(made.inspect(PACKET)) == [(0, tx)]
    made.progress(tx, TO_SERVER, COMPLETE)
    assert made.inspect(PACKET) == [] and made.remembered == 0


def test_what_does_not_hold_in_time_never_does():
    made = trial('alert http any any -> any any (http.uri; content:"evil"; http.user_agent; content:"curl";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/good")
    made.progress(tx, TO_SERVER, HEADERS)
    assert made.inspect(PACKET) == []
    made.tell(tx, TO_SERVER, "http.uri", b"/evil")
    made.tell(tx, TO_SERVER, "http.user_agent", b"curl")
    made.progress(tx, TO_SERVER, BODY)
    assert made.inspect(PACKET) == []


def test_directions_are_apart():
    made = trial('alert http any any -> any any (http.protocol; content:"HTTP";)')
    tx = made.transaction()
    for direction in (TO_SERVER, TO_CLIENT):
        made.tell(tx, direction, "http.protocol", b"HTTP/1.1")
        made.progress(tx, direction, LINE)
    assert fired(made.inspect(PACKET, TO_SERVER)) == [(0, tx)]
    assert fired(made.inspect(PACKET, TO_CLIENT)) == [(0, tx)]
    assert made.inspect(PACKET, TO_SERVER) == made.inspect(PACKET, TO_CLIENT) == []


def test_a_body_is_looked_at_window_by_window():
    made = trial('alert http any any -> any any (http.request_body; content:"needle";)',
                 'alert http any any -> any any (http.method; content:"POST"; http.request_body; content:"needle";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.method", b"POST")
    made.progress(tx, TO_SERVER, BODY)
    made.tell(tx, TO_SERVER, "http.request_body", b"hay hay hay")
    assert made.inspect(PACKET) == []
    made.tell(tx, TO_SERVER, "http.request_body", b"hay needle", offset=11)
    assert fired(made.inspect(PACKET)) == [(0, tx), (1, tx)]
    made.tell(tx, TO_SERVER, "http.request_body", b"needle", offset=30)
    assert made.inspect(PACKET) == []


def test_one_of_several_instances_is_enough():
    made = trial('alert dns any any -> any any (dns.query; content:"b.example"; dns.query; content:"a.example";)',
                 'alert dns any any -> any any (dns.query; content:"c.example";)', proto="dns")
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "dns.query", b"a.example")
    made.tell(tx, TO_SERVER, "dns.query", b"b.example", index=1)
    made.progress(tx, TO_SERVER, 1)
    assert fired(made.inspect(udp(b"?"))) == [(0, tx)]


def test_rules_without_a_pattern():
    made = trial("alert http any any -> any any (urilen:2;)") if "urilen" in exact_keywords() else trial(
        'alert http any any -> any any (http.method; pcre:"/^P/";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.method", b"POST")
    made.tell(tx, TO_SERVER, "http.uri", b"/a")
    made.progress(tx, TO_SERVER, LINE)
    assert fired(made.inspect(PACKET)) == [(0, tx)]
    made.progress(tx, TO_SERVER, HEADERS)
    assert made.inspect(PACKET) == []


def test_what_must_not_be_there_is_told_with_each_packet():
    """As Suricata 7.0.10: a rule whose contents are all negated is not remembered once its buffer is passed."""
    made = trial('alert http any any -> any any (http.method; content:!"GET";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.method", b"POST")
    for progress in (HEADERS, BODY, BODY, COMPLETE):
        made.progress(tx, TO_SERVER, progress)
        assert fired(made.inspect(PACKET)) == [(0, tx)]
    assert made.inspect(PACKET) == []


def test_payload_beside_buffers_is_looked_at_in_the_raw_stream():
    made = trial('alert http any any -> any any (content:"raw"; http.method; content:"GET";)',
                 'alert http any any -> any any (content:"raw"; http.uri; content:"/a";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.method", b"GET")
    made.tell(tx, TO_SERVER, "http.uri", b"/a")
    made.progress(tx, TO_SERVER, LINE)
    assert made.inspect(PACKET) == []
    assert fired(made.inspect(PACKET, windows=[(0, b"no"), (40, b"is raw")])) == [(0, tx), (1, tx)]


def test_a_datagram_is_its_own_stream():
    made = trial('alert dns any any -> any any (content:"|01 02|"; dns.query; content:"a";)', proto="dns")
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "dns.query", b"a")
    made.progress(tx, TO_SERVER, 1)
    assert fired(made.inspect(udp(b"\x01\x02"))) == [(0, tx)]


def test_stream_rules():
    made = trial('alert tcp any any -> any any (content:"split";)', 'alert tcp any any -> any any (content:"some"; depth:4;)',
                 'alert tcp any any -> any any (content:"payload";)', 'alert http any any -> any any (content:"split";)')
    both = {"alert", "flow", "stream"}
    assert made.inspect(PACKET) == [(1, None, {"alert"})]
    assert made.inspect(PACKET, in_stream=False) == [(1, None, {"alert"}), (2, None, {"alert"})]
    assert made.inspect(PACKET, windows=[(0, b"some split")]) == [(0, None, both), (1, None, both), (3, None, both)]


def test_alerts_stand_in_the_order_of_rules_then_the_latest_transaction_first():
    made = trial('alert tcp any any -> any any (content:"some"; depth:4;)', 'alert http any any -> any any (http.uri; content:"a";)',
                 'alert http any any -> any any (http.uri; content:"/";)')
    for tx in range(2):
        made.transaction()
        made.tell(tx, TO_SERVER, "http.uri", b"/a")
        made.progress(tx, TO_SERVER, LINE)
    assert fired(made.inspect(PACKET)) == [(0, None), (1, 1), (1, 0), (2, 1), (2, 0)]


def test_pass_ends_the_list():
    made = trial('alert http any any -> any any (http.uri; content:"/";)', 'pass http any any -> any any (http.uri; content:"/a";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/a")
    made.progress(tx, TO_SERVER, LINE)
    assert made.inspect(PACKET) == [(1, tx, {"flow", "state", "pass"})]


def test_flowbits_reach_over_transactions():
    made = trial('alert http any any -> any any (http.uri; content:"set"; flowbits:set,a; flowbits:noalert;)',
                 'alert http any any -> any any (flowbits:isset,a; http.uri; content:"read";)')
    first, second = made.transaction(), made.transaction()
    made.tell(first, TO_SERVER, "http.uri", b"/set")
    made.tell(second, TO_SERVER, "http.uri", b"/read")
    made.progress(second, TO_SERVER, LINE)
    assert made.inspect(PACKET) == []
    made.progress(first, TO_SERVER, LINE)
    assert fired(made.inspect(PACKET)) == [(0, first), (1, second)]


def test_the_header_is_obeyed():
    made = trial('alert http any any -> any 8080 (http.uri; content:"a";)', 'alert http any any -> any 80 (http.uri; content:"a";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"a")
    made.progress(tx, TO_SERVER, LINE)
    assert fired(made.inspect(tcp(b"", dport=8080))) == [(0, tx)]


def test_another_protocol_is_none_of_its_business():
    made = trial('alert smb any any -> any any (file.data; content:"a";)', 'alert tcp any any -> any any (file.data; content:"a";)')
    tx = made.transaction()
    made.tell(tx, TO_CLIENT, "file.data", b"a")
    made.progress(tx, TO_CLIENT, BODY)
    assert fired(made.inspect(PACKET, TO_CLIENT)) == [(1, tx)]


def test_a_new_file_is_a_new_chance():
    made = trial('alert smtp any any -> any any (file.data; content:"bad";)', proto="smtp")
    tx = made.transaction()
    made.new_file(tx, TO_SERVER)
    made.tell(tx, TO_SERVER, "file.data", b"bad")
    assert [flags for _, _, flags in made.inspect(PACKET)] == [{"alert", "flow", "state", "file"}]
    assert made.inspect(PACKET) == []
    made.new_file(tx, TO_SERVER)
    assert fired(made.inspect(PACKET)) == [(0, tx)]
    assert made.inspect(PACKET) == []


def test_the_room_is_told_what_was_seen():
    made = trial('alert http any any -> any any (http.uri; content:"a";)')
    tx = made.transaction()
    made.inspect(PACKET)
    made.progress(tx, TO_SERVER, COMPLETE)
    made.inspect(PACKET)
    assert made.inspected(tx) == 2
    made.inspect(PACKET)                        # this direction is over
    assert made.inspected(tx) == 2
    made.inspect(PACKET, transactions=False)
    made.inspect(PACKET, TO_CLIENT)
    assert made.inspected(tx) == 3


def test_what_cannot_be_remembered_begins_anew():
    loaded = RuleSet.parse('alert http any any -> any any (http.uri; content:"evil"; http.user_agent; content:"curl"; sid:1;)')
    made = TransactionTrial(loaded.compile(), memory=0)
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/evil")
    made.progress(tx, TO_SERVER, LINE)
    assert made.inspect(PACKET) == []
    made.tell(tx, TO_SERVER, "http.user_agent", b"curl")
    made.progress(tx, TO_SERVER, HEADERS)
    assert fired(made.inspect(PACKET)) == [(0, tx)] and made.remembered == 0


@pytest.mark.parametrize("found", [True, False])
def test_a_protocol_alone_is_told_once(found):
    made = trial("alert tcp any any -> any any (app-layer-protocol:http;)") if "app-layer-protocol" in exact_keywords() else None
    if made is None:
        pytest.skip("app-layer-protocol is read by no keyword yet")
    assert fired(made.inspect(PACKET, found=found)) == ([(0, None)] if found else [])


def exact_keywords() -> set[str]:
    from fastpath.rules.keywords import TABLE
    return {name for name, row in TABLE.items() if row.exact}


# ---- what is looked at again, and what is not ----

def test_nothing_is_looked_at_twice_in_vain():
    made = trial('alert http any any -> any any (http.uri; content:"evil";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/good")
    made.progress(tx, TO_SERVER, LINE)
    for _ in range(3):
        assert made.inspect(PACKET) == []
        assert made.inspected(tx) == 1
    assert made.inspect(PACKET, TO_CLIENT) == []        # each direction for itself
    assert made.inspected(tx) == 2
    made.tell(tx, TO_SERVER, "http.uri", b"/good/evil")
    assert fired(made.inspect(PACKET)) == [(0, tx)]


def test_what_one_packet_does_not_have_another_may():
    """A candidate that is refused for a flowbit is asked again with the next entry, though nothing more was parsed."""
    made = trial('alert http any any -> any any (http.uri; content:"evil"; flowbits:isset,open;)',
                 'alert tcp any any -> any any (content:"open"; flowbits:set,open; noalert;)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/evil")
    made.progress(tx, TO_SERVER, LINE)
    assert made.inspect(PACKET) == []
    assert (0, tx) in fired(made.inspect(PACKET, windows=[(0, b"open")]))


def test_payload_brings_candidates_to_a_transaction_that_was_seen():
    made = trial('alert http any any -> any any (content:"knock"; fast_pattern; http.uri; content:"door";)')
    tx = made.transaction()
    made.tell(tx, TO_SERVER, "http.uri", b"/door")
    made.progress(tx, TO_SERVER, LINE)
    for _ in range(2):
        assert made.inspect(PACKET) == []
    assert fired(made.inspect(PACKET, windows=[(0, b"knock knock")])) == [(0, tx)]


def test_what_lies_on_files_is_asked_where_there_are_some():
    made = trial('alert smb any any -> any any (file.model; content:"gguf";)', proto="smb")
    tx = made.transaction()
    made.progress(tx, TO_SERVER, LINE)
    for times in (1, 1):
        assert made.inspect(PACKET) == []
        assert made.inspected(tx) == times
    made.new_file(tx, TO_SERVER)
    assert made.inspect(PACKET) == []
    assert made.inspected(tx) == 2
