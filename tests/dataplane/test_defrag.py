"""defrag: fragments become whole packets: in every order, overlapping, in and around tunnels, hostile, too many."""
from __future__ import annotations

import csv
import itertools
import random
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
from captures import checksum, ethernet, fragment, fragments, ipv4, ipv6, tcp, udp, write_pcap
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import replay
from scapy.all import IP, UDP, Ether, IPv6, IPv6ExtHdrFragment, Raw, fragment6
from scapy.all import fragment as scapy_fragment

import fastpath as fp
from fastpath.dataplane.dissect import Defragmenter
from fastpath.dataplane.hosts import OS_NAMES, host_ranges

FRAGMENT, L3_WRONG, L4_WRONG, REASSEMBLED = 1 << 2, 1 << 3, 1 << 4, 1 << 14
OVERLAPS = Path(__file__).with_name("overlaps.tsv")
BYTES = bytes(range(97, 123)) * 4
WORLD = ["0.0.0.0/0", "::/0"]


def wholes(frames, defragmenter=None, now=0.0):
    """The entries that defrag made of these frames, with the number of the frame that completed each."""
    defragmenter = defragmenter or Defragmenter()
    return [(number, entry) for number, frame in enumerate(frames) for entry in defragmenter.take(frame, now) if entry["flags"] & REASSEMBLED]


def events_of(frames, defragmenter=None):
    """(number, name of the event without its family)"""
    defragmenter = defragmenter or Defragmenter()
    return [(number, name.rpartition(".")[2]) for number, frame in enumerate(frames) for name in defragmenter.take(frame)[0]["events"]]


# ---- whole packets ----

@pytest.mark.parametrize("net", [4, 6])
def test_every_order(net):
    for order in itertools.permutations(fragments(253, BYTES, [8, 32, 64], net=net)):
        (number, entry), = wholes(order)
        assert number == 3 and entry["frame"][entry["l3"] + (20 if net == 4 else 40):] == BYTES
        assert entry["proto"] == 253 and not entry["flags"] & (FRAGMENT | L3_WRONG)


def test_scapy_agrees_on_the_whole_packet():
    whole = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="1.2.3.4", dst="5.6.7.8", id=9) / UDP(sport=1, dport=2) / Raw(BYTES * 20)
    frames = [bytes(one) for one in scapy_fragment(whole, 552)]
    (_, entry), = wholes(random.Random(1).sample(frames, len(frames)))
    assert entry["frame"] == bytes(whole) and entry["payload"] == BYTES * 20 and not entry["flags"] & (L3_WRONG | L4_WRONG)
    whole = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IPv6(src="2::1", dst="2::2") / IPv6ExtHdrFragment(id=5) / UDP(sport=1, dport=2) / Raw(BYTES * 20)
    (_, entry), = wholes([bytes(one) for one in fragment6(whole, 600)])
    assert entry["payload"] == BYTES * 20 and not entry["flags"] & L4_WRONG and entry["key"] is not None
    assert entry["frame"][14:54] == bytes(IPv6(bytes(entry["frame"][14:])))[:40] and entry["frame"][20] == 17


def test_what_the_whole_packet_inherits():
    tag = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x81\0\0\x05"
    frames = [tag + one[12:] for one in fragments(17, udp(b"payload")[34:], [8])]
    defragmenter = Defragmenter()
    fragment_, = defragmenter.take(frames[0])
    last, whole = defragmenter.take(frames[1])
    assert fragment_["key"] is None and last["key"] is None and last["flags"] & FRAGMENT and not last["payload"]
    assert whole["vlan"] == [5, 0, 0] and whole["depth"] == 0 and whole["parent"] == 0 and whole["linktype"] == 1
    assert whole["frame"].startswith(tag) and whole["payload"] == b"payload" and whole["l3"] == 18
    assert whole["caplen"] == whole["wirelen"] == len(whole["frame"])


def test_options_of_the_first_fragment_stay():
    header = bytearray(ipv4(253, BYTES[:32], ident=7, fragment=0x2000)[:20] + b"\1\1\1\1")
    header[0], header[2:4], header[10:12] = 0x46, struct.pack(">H", 56), b"\0\0"
    header[10:12] = struct.pack(">H", checksum(bytes(header)))
    (_, entry), = wholes([ethernet(bytes(header) + BYTES[:32]), fragment(253, 32, BYTES[32:], False)])
    assert entry["frame"][34:38] == b"\1\1\1\1" and entry["frame"][38:] == BYTES and not entry["flags"] & L3_WRONG
    assert entry["frame"][16:18] == struct.pack(">H", 24 + len(BYTES)) and entry["frame"][20:22] == b"\0\0"


def test_a_wrong_header_checksum_stays_wrong():
    frames = [bytearray(one) for one in fragments(253, BYTES, [8])]
    frames[0][24] ^= 1
    (_, entry), = wholes(map(bytes, frames))
    assert entry["flags"] & L3_WRONG


def test_extension_headers_before_the_fragment_header_stay():
    hop = b"\x2c\0\1\4\0\0\0\0"
    frames = [ethernet(ipv6(0, hop + struct.pack(">BBHI", 253, 0, offset | more, 3) + data), 0x86DD)
              for offset, more, data in ((0, 1, BYTES[:16]), (16, 0, BYTES[16:]))]
    (_, entry), = wholes(frames)
    assert entry["frame"][14 + 6] == 0 and entry["frame"][54:62] == b"\xfd" + hop[1:] and entry["frame"][62:] == BYTES
    assert entry["proto"] == 253 and entry["frame"][18:20] == struct.pack(">H", 8 + len(BYTES))


def test_the_next_header_is_that_of_the_first_fragment():
    one, two = fragment(17, 0, udp(b"abc")[34:42], True, net=6), fragment(6, 8, b"abc", False, net=6)
    (_, entry), = wholes([two, one])
    assert entry["proto"] == 17


@pytest.mark.parametrize("change", [{"ident": 8}, {"src": "10.0.0.9"}, {"proto": 17}, {"net": 6}], ids=str)
def test_other_datagrams_stay_apart(change):
    kept = {"proto": 253, "offset": 8, "data": BYTES, "more": False}
    assert wholes([fragment(253, 0, BYTES[:8], True), fragment(**(kept | change))]) == []
    assert len(wholes([fragment(253, 0, BYTES[:8], True), fragment(**kept)])) == 1


def test_either_direction_is_the_same_datagram():
    """As in Suricata: addresses are the first fragment's."""
    (_, entry), = wholes([fragment(253, 0, BYTES[:8], True), fragment(253, 8, BYTES, False, src="10.0.0.2", dst="10.0.0.1")])
    assert entry["frame"][26:34] == socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")


def test_vlans_keep_datagrams_apart():
    one, two = fragments(253, BYTES, [8])
    assert wholes([one[:12] + b"\x81\0\0\5" + one[12:], two[:12] + b"\x81\0\0\6" + two[12:]]) == []


def test_a_datagram_is_forgotten_once_whole():
    one, two = fragments(253, BYTES, [8])
    defragmenter = Defragmenter()
    assert [number for number, _ in wholes([one, two, two, one, one], defragmenter)] == [1, 3]
    assert defragmenter.stats["datagrams"] == 1
    defragmenter.clear()
    assert defragmenter.stats["memory"] == 0 and wholes([two], defragmenter) == []


# ---- tunnels ----

def gre(packet: bytes, **ends) -> bytes:
    return ipv4(47, b"\0\0\x08\0" + packet, **ends)


def test_fragments_inside_a_tunnel():
    frames = [ethernet(gre(one[14:])) for one in fragments(17, udp(b"payload")[34:], [8])]
    defragmenter = Defragmenter()
    assert [entry["depth"] for entry in defragmenter.take(frames[0])] == [0, 1]
    outer, last, whole = defragmenter.take(frames[1])
    assert (whole["depth"], whole["parent"], whole["payload"]) == (1, 1, b"payload") and last["flags"] & FRAGMENT
    assert whole["key"][6] == last["tunnel"] << 4 | 1


def test_a_fragmented_tunnel():
    frames = fragments(47, b"\0\0\x08\0" + udp(b"payload" * 9)[14:], [8, 40])
    *_, last = [Defragmenter().take(frame) for frame in frames[:2]]
    defragmenter = Defragmenter()
    *_, (last, whole, inner) = [defragmenter.take(frame) for frame in frames]
    assert whole["flags"] & REASSEMBLED and inner["depth"] == 1 and inner["payload"] == b"payload" * 9 and inner["parent"] == 1


def test_fragments_in_a_fragmented_tunnel():
    inner = fragments(17, udp(b"payload" * 9)[34:], [24])
    frames = [frame for ident, one in enumerate(inner) for frame in fragments(47, b"\0\0\x08\0" + one[14:], [16], ident=ident)]
    defragmenter = Defragmenter()
    *_, last = [defragmenter.take(frame) for frame in frames]
    assert [(entry["depth"], bool(entry["flags"] & FRAGMENT), bool(entry["flags"] & REASSEMBLED)) for entry in last] == [
        (0, True, False), (0, False, True), (1, True, False), (1, False, True)]
    assert last[3]["payload"] == b"payload" * 9


# ---- overlaps ----

def trains():
    with OVERLAPS.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def parts_of(text: str) -> list[tuple[int, int, bool]]:
    found = []
    for part in text.split():
        offset, length = part.rstrip("m").split("+")
        found.append((int(offset), int(length), part.endswith("m")))
    return found


def frames_of(parts, net: int = 4) -> list[bytes]:
    return [fragment(253, offset, bytes([65 + at % 190]) * length, more, net=net) for at, (offset, length, more) in enumerate(parts)]


def answer(frames, system: str, net: int = 4):
    defragmenter = Defragmenter(policies={system: WORLD} if system else {})
    overlaps, found = [], []
    for number, frame in enumerate(frames):
        entry, *made = defragmenter.take(frame)
        overlaps += [number] * sum("frag_overlap" in name for name in entry["events"])
        found += [(number, one["frame"][34 if net == 4 else 54:]) for one in made]
    return overlaps, found


@pytest.mark.parametrize("system", sorted({row["system"] for row in trains()}), ids=lambda name: name or "none")
def test_overlaps_as_suricata_reads_them(system):
    rows = [row for row in trains() if row["system"] == system]
    assert len(rows) > 50
    for row in rows:
        for net in (4, 6):
            overlaps, found = answer(frames_of(parts_of(row["fragments"]), net), system, net)
            assert (" ".join(map(str, overlaps)), " ".join(f"{number}:{whole.decode()}" for number, whole in found)) == (
                row["overlaps"], row["wholes"]), row["fragments"]


class Held:
    """A fragment of the naive model: its bytes by offset, and where what holds of it begins."""
    def __init__(self, offset, data, more):
        self.offset, self.data, self.more, self.front = offset, data, more, offset

    @property
    def end(self):
        return self.offset + len(self.data)


def model(parts, policy: str):
    """The policies over a plain sorted list, without any of the shortcuts of the real thing: (overlaps, wholes)."""
    held, ends, overlaps, found = [], False, [], []
    for number, (offset, length, more) in enumerate(parts):
        if offset == 0 and not more:
            continue            # no fragment
        new = Held(offset, bytes([65 + number % 190]) * length, more)
        behind = [at for at, one in enumerate(held) if one.offset >= offset]
        at = max(behind[0] - 1, 0) if behind and offset else 0
        refused = False
        while at < len(held):
            one, gone, over = held[at], False, True
            if offset < one.end and one.offset < new.end:
                overlaps += [number] * (number not in overlaps)
            if policy == "bsd" and offset < one.end:
                following = held[at + 1] if at + 1 < len(held) else None
                if one.offset <= offset and one.end > new.end:
                    refused = True
                else:
                    if one.offset <= offset:
                        new.front = one.end
                    elif new.end > one.front:
                        one.front = new.end
                    if following and new.end > following.offset:
                        following.front = new.end
            elif policy == "linux":
                if one.front < new.front < one.end:
                    new.front = new.front - offset + one.end
                if new.front < one.front < new.end:
                    one.front = new.end
                elif new.front <= one.front and new.end >= one.end:
                    gone = True
                else:
                    over = False
            elif policy == "windows":
                if offset >= one.offset and new.end <= one.end:
                    refused = True
                elif offset < one.offset and new.end > one.end:
                    gone = True
                elif one.front < offset < one.end or offset == one.offset and new.end > one.end:
                    new.front = one.end
                else:
                    over = False
            elif policy == "solaris" and offset < one.end:
                if offset >= one.offset:
                    new.front = one.end
                else:
                    gone = new.end >= one.end
            elif policy == "first" and (offset < one.end or new.end <= one.end):
                if offset >= one.offset and new.end <= one.end:
                    refused = True
                elif offset >= one.offset:
                    new.front = one.end
            elif policy == "last" and offset <= one.offset:
                if new.end > one.offset:
                    one.front = new.end
            else:
                over = False
            if over:
                if not refused and (gone or one.front >= one.end):
                    del held[at]
                break
            at += 1
        if refused or new.front >= new.end:
            continue
        new.data, new.offset = new.data[new.front - offset:], new.front
        held.insert(sum(one.offset <= new.offset for one in held), new)
        ends |= not more
        reach = 0
        for one in held:
            if one.offset > reach:
                break
            reach = max(reach, one.end)
        else:
            if ends:
                found.append((number, assemble(held)))
                held, ends = [], False
    return overlaps, found


def assemble(held) -> bytes:
    data, end, last, more = bytearray(max(one.end for one in held)), 0, 0, True
    for one in held:
        if not more and one.offset > last:
            break
        if one.front < one.end:
            data[one.front if one.offset else 0:one.end] = one.data[one.front - one.offset if one.offset else 0:]
            end = max(end, one.end) if one.offset else one.end
            last, more = one.offset, one.more
    return bytes(data[:end])


POLICIES = {"bsd": "bsd", "bsd-right": "bsd-right", "linux": "linux", "windows": "windows", "solaris": "solaris", "macos": "first", "last": "last"}
parts_ = st.lists(st.tuples(st.integers(0, 12).map(lambda eights: eights * 8), st.integers(0, 50), st.integers(0, 5).map(bool)), min_size=1, max_size=20)


@settings(max_examples=400, deadline=None)
@given(parts=parts_, system=st.sampled_from(sorted(POLICIES)), closed=st.booleans())
def test_overlaps_against_the_naive_model(parts, system, closed):
    if closed:
        parts = [(offset, length, True) for offset, length, _ in parts] + [(104, 8, False), (0, 8, True), (8, 96, True)]
    overlaps, found = answer(frames_of(parts), system)
    wanted_overlaps, wanted = model(parts, POLICIES[system])
    assert (overlaps, found) == (wanted_overlaps, wanted)


@pytest.mark.parametrize("system", sorted(POLICIES))
def test_many_fragments_against_the_naive_model(system):
    """Long lists: what the search remembers of the last one must not show."""
    rng = random.Random(3)
    for _ in range(20):
        parts = [(8 * rng.randrange(200), rng.randrange(1, 40), True) for _ in range(300)] + [(1600, 8, False), (0, 1600, True)]
        overlaps, found = answer(frames_of(parts), system)
        wanted_overlaps, wanted = model(parts, POLICIES[system])
        assert overlaps == wanted_overlaps and len(found) == len(wanted)
        for (number, whole), (wanted_number, wanted_whole) in zip(found, wanted, strict=True):
            assert number == wanted_number and whole == wanted_whole


def test_the_policy_is_that_of_the_host_it_goes_to():
    parts = [(0, 8, True), (8, 8, True), (8, 8, True), (16, 8, False)]
    policies = {"windows": ["0.0.0.0/0"], "last": ["10.0.0.0/24"], "bsd": ["10.0.0.2"]}

    def second(dst):
        defragmenter = Defragmenter(policies=policies)
        (_, entry), = wholes([fragment(253, offset, bytes([65 + at % 190]) * length, more, dst=dst) for at, (offset, length, more) in enumerate(parts)], defragmenter)
        return entry["frame"][34 + 8:34 + 16]
    assert second("10.0.0.2") == second("9.9.9.9") == b"B" * 8
    assert second("10.0.0.3") == b"C" * 8


def test_host_ranges():
    v4, v6 = host_ranges({"windows": ["0.0.0.0/0"], "linux": ["10.0.0.0/8", "2001:db8::/32"], "bsd": ["10.1.0.0/16", "255.255.255.255"]})
    names = [(str(address), OS_NAMES[os]) for address, os in v4]
    assert names == [(str(0), "windows"), (str(10 << 24), "linux"), (str((10 << 24) + (1 << 16)), "bsd"), (str((10 << 24) + (2 << 16)), "linux"),
                     (str(11 << 24), "windows"), (str((1 << 32) - 1), "bsd")]
    assert [OS_NAMES[os] for _, os in v6] == ["linux", ""]
    with pytest.raises(ValueError, match="plan9"):
        host_ranges({"plan9": []})
    with pytest.raises(ValueError, match="does not appear"):
        host_ranges({"bsd": ["here"]})


@given(networks=st.lists(st.tuples(st.sampled_from(OS_NAMES[1:]), st.integers(0, 255), st.integers(24, 32)), max_size=8))
def test_host_ranges_against_a_search(networks):
    policies = {}
    for os, address, prefix in networks:
        policies.setdefault(os, []).append(f"10.0.0.{address & (0xff << (32 - prefix)) & 0xff}/{prefix}")
    ranges, _ = host_ranges(policies)
    named = [(text, os) for os, texts in policies.items() for text in texts]
    for address in range(256):
        best = max(((int(text.partition("/")[2]), at, os) for at, (text, os) in enumerate(named)
                    if int(text.rpartition(".")[2].partition("/")[0]) == address & (0xff << (32 - int(text.partition("/")[2]))) & 0xff), default=(0, 0, ""))
        found = [os for first, os in ranges if first <= (10 << 24) + address]
        assert OS_NAMES[found[-1] if found else 0] == best[2]


# ---- limits ----

def test_timeout_is_engine_time():
    one, two = fragments(253, BYTES, [8])
    for wait, whole in ((60.0, 1), (60.1, 0)):
        defragmenter = Defragmenter(timeout=60)
        defragmenter.take(one, 1000.0)
        assert len(wholes([two], defragmenter, 1000.0 + wait)) == whole
        assert defragmenter.stats["timed_out"] == 1 - whole


def test_a_fragment_keeps_its_datagram_waiting():
    one, two, three = fragments(253, BYTES, [8, 16])
    defragmenter = Defragmenter(timeout=60)
    defragmenter.take(one, 0.0)
    defragmenter.take(two, 50.0)
    assert len(wholes([three], defragmenter, 100.0)) == 1


def test_memcap_gives_up_those_that_have_waited_longest():
    defragmenter = Defragmenter(memcap=64 << 10)
    first = [fragment(253, 0, b"x" * 1000, True, ident=ident) for ident in range(100)]
    for one in first:
        assert defragmenter.take(one)[0]["events"] == []
        assert defragmenter.stats["memory"] <= 64 << 10
    given_up = defragmenter.stats["given_up"]
    assert given_up and defragmenter.stats["datagrams"] == 100 - given_up
    last = [fragment(253, 1000, b"y", False, ident=ident) for ident in range(99, given_up, -1)]
    assert len(wholes(last, defragmenter)) == 99 - given_up
    assert defragmenter.stats["datagrams"] <= 1


def test_a_datagram_alone_can_meet_the_memcap():
    defragmenter = Defragmenter(memcap=8 << 10)
    frames = [fragment(253, 1000 * n, b"x" * 1000, True) for n in range(10)]
    found = events_of(frames, defragmenter)
    assert found and {name for _, name in found} == {"frag_ignored"} and found[0][0] > 2
    assert defragmenter.stats["left_out"] == len(found) and defragmenter.stats["datagrams"] == 1 and defragmenter.stats["memory"] <= 8 << 10


def test_trackers_and_max_frags():
    defragmenter = Defragmenter(trackers=3)
    for ident in range(5):
        defragmenter.take(fragment(253, 0, BYTES[:8], True, ident=ident))
    assert defragmenter.stats["datagrams"] == 3 and defragmenter.stats["given_up"] == 2
    defragmenter = Defragmenter(max_frags=3)
    found = events_of([fragment(253, 8, BYTES[:8], True, ident=ident) for ident in range(5)], defragmenter)
    assert found == [(3, "frag_ignored"), (4, "frag_ignored")] and defragmenter.stats["left_out"] == 2


# ---- hostile ----

def test_ping_of_death():
    assert events_of([fragment(1, 65528, b"x" * 8, False)]) == [(0, "frag_pkt_too_large")]
    assert events_of([fragment(1, 65512, b"x" * 3, False), fragment(1, 65512, b"x" * 4, False)]) == [(1, "frag_pkt_too_large")]
    assert events_of([fragment(58, 65528, b"x" * 7, False, net=6), fragment(58, 65528, b"x" * 8, False, net=6)]) == [(1, "frag_pkt_too_large")]


@pytest.mark.parametrize("net", [4, 6])
def test_the_longest_packet(net):
    length = 65515 if net == 4 else 65535
    payload = bytes(random.Random(1).randbytes(length))
    frames = fragments(253, payload, range(1480, length, 1480), net=net)
    random.Random(2).shuffle(frames)
    (_, entry), = wholes(frames)
    assert entry["frame"][34 if net == 4 else 54:] == payload and entry["caplen"] == length + (34 if net == 4 else 54)


def test_a_header_that_makes_it_too_long():
    """A first header with options and data up to the end: no length field can say so."""
    header = bytearray(ipv4(253, b"x" * 8, ident=7, fragment=0x2000)[:20] + b"\1" * 40)
    header[0], header[2:4] = 0x4F, struct.pack(">H", 68)
    defragmenter = Defragmenter()
    frames = [ethernet(bytes(header) + b"x" * 8), *(fragment(253, at, b"x" * min(1480, 65515 - at), at + 1480 < 65515) for at in range(8, 65515, 1480))]
    assert wholes(frames, defragmenter) == [] and defragmenter.stats["given_up"] == 1 and defragmenter.stats["memory"] == 0


@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled", "odd first"])
def test_8189_fragments(order):
    frames = fragments(253, bytes(65512), range(8, 65512, 8))
    assert len(frames) == 8189
    if order == "backwards":
        frames.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(frames)
    elif order == "odd first":
        frames = frames[1::2] + frames[::2]
    (number, entry), = wholes(frames)
    assert number == 8188 and entry["caplen"] == 34 + 65512


def test_a_datagram_has_at_most_8192_fragments():
    """Where the later one holds, a long fragment can be overlaid without end."""
    defragmenter = Defragmenter(policies={"last": WORLD})
    found = events_of([fragment(253, 8, b"x" * 1000, True)] + [fragment(253, 8, b"y" * 8, True)] * 9000, defragmenter)
    assert [number for number, name in found if name == "frag_ignored"][0] == 8192 and defragmenter.stats["fragments"] == 8192


def test_teardrop():
    """The second fragment ends inside the first."""
    assert events_of([fragment(17, 0, BYTES[:36], True), fragment(17, 24, BYTES[:4], False)]) == [(1, "frag_overlap")]


def test_fragments_without_data():
    one, two = fragments(253, BYTES, [8])
    defragmenter = Defragmenter()
    empty = [fragment(253, 8, b"", True), fragment(253, 8, b"", False), fragment(253, 0, b"", True)]
    (number, entry), = wholes([*empty, one, *empty, two], defragmenter)
    assert number == 7 and entry["frame"][34:] == BYTES
    assert wholes(empty, defragmenter) == []


def test_lengths_that_are_no_multiple_of_8():
    assert events_of([fragment(253, 0, BYTES[:9], True, net=6)]) == [(0, "frag_invalid_length")]
    assert events_of([fragment(253, 0, BYTES[:9], True)]) == []
    assert events_of([fragment(253, 8, BYTES[:9], False, net=6)]) == []


def test_a_fragment_that_the_capture_cut_is_left_out():
    one, two = fragments(253, BYTES, [8])
    defragmenter = Defragmenter()
    entry, = defragmenter.take(one[:-1], wirelen=len(one))
    assert entry["events"] == ["decoder.ipv4.frag_ignored"] and defragmenter.stats["left_out"] == 1
    assert wholes([two], defragmenter) == []


@pytest.mark.parametrize("net", [4, 6])
def test_cut_at_every_byte(net):
    for frame in fragments(17, udp(b"payload" * 4)[34:], [16], net=net):
        for length in range(len(frame)):
            for compat in (False, True):
                for wirelen in (length, len(frame)):
                    entries = Defragmenter(compat=compat).take(frame[:length], wirelen=wirelen)
                    assert len(entries) == 1


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_splits_are_undone(data):
    """Whatever the cuts and the order, and however often a part comes, the payload comes back."""
    payload = data.draw(st.binary(min_size=9, max_size=400))
    cuts = sorted(data.draw(st.sets(st.integers(1, (len(payload) - 1) // 8), max_size=8)))
    frames = fragments(253, payload, [8 * cut for cut in cuts] or [8], net=data.draw(st.sampled_from([4, 6])))
    again = data.draw(st.lists(st.sampled_from(frames), max_size=3))
    frames = data.draw(st.permutations(frames))
    (_, entry), = wholes([*frames[:-1], *(one for one in again if one is not frames[-1]), frames[-1]],
                         Defragmenter(policies={data.draw(st.sampled_from(sorted(POLICIES))): WORLD}))
    assert entry["frame"].endswith(payload)


# ---- the engine ----

RULES = """
alert udp any any -> any 53 (msg:"across"; content:"across the cut"; sid:1;)
alert tcp any any -> any any (msg:"syn"; flags:S; sid:2;)
alert ip any any -> any any (msg:"fragment"; fragbits:M; sid:3;)
alert pkthdr any any -> any any (msg:"overlap"; decode-event:ipv4.frag_overlap; sid:4;)
alert pkthdr any any -> any any (msg:"left out"; decode-event:ipv4.frag_ignored; sid:5;)
"""


def traffic() -> list[bytes]:
    rng = random.Random(5)
    frames = []
    for ident in range(120):
        whole = udp(b"it goes across the cut", dport=53)[34:] if ident % 2 else tcp(b"", flags=2, sport=ident + 1)[34:]
        parts = fragments(17 if ident % 2 else 6, whole, [16], ident=ident)
        if ident % 5 == 0:
            parts = [ethernet(gre(part[14:])) for part in parts]
        if ident % 7 == 0:
            parts.insert(1, parts[0])
        if ident % 11 == 0:
            parts = [frame for number, part in enumerate(parts) for frame in fragments(47, gre(part[14:])[20:], [24], ident=1000 + 10 * ident + number)]
        frames.append(parts)
    order = [number for number, parts in enumerate(frames) for _ in parts]
    rng.shuffle(order)
    return [frames[number].pop(0) for number in order]


def test_rules_see_whole_packets(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [*fragments(17, udp(b"it goes across the cut", dport=53)[34:], [16]), udp(b"x")])
    result = replay(path, RULES)
    assert sorted(result.alerts["sid"].tolist()) == [1, 3]
    assert result.alerts["source"].tolist() == ["defrag", "packet"] or set(result.alerts["source"]) == {"defrag", "packet"}
    assert result.stats["defrag"]["ipv4"] == {"fragments": 2, "reassembled": 1}


@pytest.mark.parametrize("sets", [(), ("defrag.memcap=16kb",), ("defrag.trackers=40", "defrag.max-frags=50")], ids=["stock", "memcap", "limits"])
@pytest.mark.parametrize("rate", [0.001, 5.0])
def test_bursts_and_workers_change_nothing(tmp_path, sets, rate):
    """At the caps as well, and across timeouts: fragments are taken in the order of their packets, whatever the burst."""
    path = write_pcap(tmp_path / "a.pcap", traffic(), step=rate)
    runs = [replay(path, RULES, engine={"burst": burst, "workers": workers}, sets=sets) for burst, workers in ((256, 1), (1, 1), (7, 1), (7, 2), (256, 2))]
    assert len({run.digest for run in runs}) == 1
    assert all(run.stats["defrag"] == runs[0].stats["defrag"] for run in runs)
    assert runs[0].stats["defrag"]["ipv4"]["reassembled"] > 10
    if sets:
        assert runs[0].stats["defrag"]["given_up"] + runs[0].stats["defrag"]["left_out"] > 0 or rate > 1


def test_captures_know_nothing_of_one_another(tmp_path):
    one, two = fragments(17, udp(b"across the cut", dport=53)[34:], [16])
    paths = [write_pcap(tmp_path / "one.pcap", [one]), write_pcap(tmp_path / "two.pcap", [two])]
    assert 1 not in replay(paths, RULES).alerts["sid"].tolist()
    assert 1 in replay(paths, RULES, continuous=True).alerts["sid"].tolist()


def test_inspect_gives_the_verdict_to_the_last_fragment():
    rules = fp.RuleSet.parse('drop udp any any -> any 53 (content:"across the cut"; sid:1;)')
    frames = fragments(17, udp(b"it goes across the cut", dport=53)[34:], [16])
    with fp.Engine(rules, mode="ips") as engine:
        assert np.array_equal(engine.inspect(frames).action == fp.Action.DROP, [False, True])


def test_a_chain_of_tunnels_and_fragments_ends(tmp_path):
    """A packet never has more than eight entries, so that the burst cannot overflow."""
    packet = udp(b"payload")[14:]
    for _ in range(7):
        packet = gre(packet)
    frames = fragments(47, packet[20:], [16])
    path = write_pcap(tmp_path / "a.pcap", frames * 256)
    result = replay(path, "", sets=["decoder.max-layers=64"])
    assert result.stats["entries"] == 512 + 256 * 7 and result.stats["events"] == {"decoder.too_many_layers": 256}
