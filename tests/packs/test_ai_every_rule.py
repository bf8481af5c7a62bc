"""Every rule of the pack has something that it catches, and something like it that it leaves alone.

Rules written by hand have their cases in tables beside them, in the other files; what tables of data become, a rule for every name and every
place, is gone through here, one flow a rule. Rules without alerts raise them here.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count
from urllib.parse import quote

import made_models
import pytest
from captures import conversation, udp, write_pcap
from leak_samples import IDS, harmless, secrets
from made_tls import client_hello, record, server_name
from packs import (
    test_ai_facility,
    test_ai_flooding,
    test_ai_inventory,
    test_ai_leaks,
    test_ai_models,
    test_ai_prompts,
    test_ai_versions,
)

import fastpath as fp
from fastpath.packs.ai_factory import grpc, hosted, leaks, risks, supply, versions, weights

OUTSIDE = "203.0.113.9"


def loud(text: str) -> fp.RuleSet:
    rules = fp.RuleSet.parse(text.replace(" inventory;", "").replace(" noalert;", ""))
    assert not rules.refusals
    return rules


def fired(rules: fp.RuleSet, path, flows: dict[int, list[bytes]]) -> dict[int, set[int]]:
    """By port of the client: the sids that its flow raised."""
    with fp.Engine(rules) as engine:
        result = engine.replay(write_pcap(path, [frame for frames in flows.values() for frame in frames]), keep=("alerts",))
    found: dict[int, set[int]] = {port: set() for port in flows}
    for alert in result.alerts:
        found[alert["src_port"] if alert["src_port"] in flows else alert["dest_port"]].add(alert["sid"])
    return found


# ---- services by name ----

def by_tls(name: str, port: int) -> list[bytes]:
    return conversation([(record(22, client_hello(server_name(name.encode()))), b"")], sport=port, dport=443)


def by_http(name: str, port: int) -> list[bytes]:
    return conversation([(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], sport=port)


def by_dns(name: str, port: int) -> list[bytes]:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return [udp(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1", sport=port)]


def by_quic(name: str, port: int) -> list[bytes]:
    pytest.importorskip("cryptography", reason="seals the packets")
    from quic import crypto, hello, initial
    return [udp(initial(crypto(0, hello(name))), sport=port, dport=443)]


ASKED = {"tls": by_tls, "http": by_http, "dns": by_dns, "quic": by_quic}


@pytest.mark.parametrize("by", ASKED)
def test_services_by_every_name(tmp_path, by):
    """Each name, what is below a domain, and neither what is below a host nor what only ends alike."""
    rules = loud("\n".join(line for line in hosted.rules().splitlines() if line.startswith(f"alert {by} ")))
    good, bad, sids = {}, {}, {}
    for port, plan in enumerate(rules.plans, 2000):
        domain = dict(plan.metadata)["service_domain"]
        name = domain.removeprefix(".")
        good[port] = ASKED[by](name, port)
        bad[port] = ASKED[by](f"x{name}" if domain[0] == "." else f"x.{name}", port)
        good[port + 10_000] = ASKED[by](f"a.{name}" if domain[0] == "." else name, port + 10_000)
        sids[port] = sids[port + 10_000] = plan.sid
    found = fired(rules, tmp_path / "good.pcap", good)
    assert [port for port in good if sids[port] not in found[port]] == []
    found = fired(rules, tmp_path / "bad.pcap", bad)
    assert [port for port in bad if sids[port] in found[port]] == []


# ---- leaks, everywhere ----

def in_body(text: str, port: int) -> list[bytes]:
    request = f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    return conversation([(request.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], sport=port, dst=OUTSIDE)


def in_uri(text: str, port: int) -> list[bytes]:
    request = f"GET /x?t={quote(text, safe='')} HTTP/1.1\r\nHost: a\r\n\r\n"
    return conversation([(request.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], sport=port, dst=OUTSIDE)


def in_answer(text: str, port: int) -> list[bytes]:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    return conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer.encode())], src=OUTSIDE, sport=port)


def in_mail(text: str, port: int) -> list[bytes]:
    mail = ("From: a@b.c\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=BB\r\n\r\n--BB\r\nContent-Type: text/plain\r\n"
            f'Content-Disposition: attachment; filename="n.txt"\r\n\r\n{text.replace(chr(10), chr(13) + chr(10))}\r\n--BB--\r\n.\r\n')
    return conversation([(b"", b"220 hi ESMTP\r\n"), (b"EHLO a\r\n", b"250 hi\r\n"), (b"MAIL FROM:<a@b.c>\r\n", b"250 ok\r\n"),
                         (b"RCPT TO:<d@e.f>\r\n", b"250 ok\r\n"), (b"DATA\r\n", b"354 go\r\n"), (mail.encode(), b"250 ok\r\n"),
                         (b"QUIT\r\n", b"221 bye\r\n")], sport=port, dst=OUTSIDE, dport=25)


def in_transfer(text: str, port: int) -> list[bytes]:
    control = conversation([(b"", b"220 hi\r\n"), (b"USER a\r\n", b"331 who\r\n"), (b"PASS b\r\n", b"230 in\r\n"),
                            (b"PASV\r\n", b"227 Entering Passive Mode (203,0,113,9,%d,%d)\r\n" % divmod(port, 256)),
                            (b"STOR notes.txt\r\n", b"150 ok\r\n")], sport=port + 20_000, dst=OUTSIDE, dport=21)
    return [*control[:-3], *conversation([(text.encode(), b"")], sport=port, dst=OUTSIDE, dport=port), *control[-3:]]


def in_header(text: str, port: int) -> list[bytes]:
    request = f"GET /x HTTP/1.1\r\nHost: llm.test\r\nX-Api-Key: {' '.join(text.split())}\r\n\r\n"
    return conversation([(request.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], sport=port, dst=OUTSIDE)


PLACED = (in_body, in_uri, in_answer, in_mail, in_transfer, in_header)


def numbers_in(place: int) -> list[int]:
    """Of leaks.toml: those that are looked for there."""
    return sorted(test_ai_leaks.HEADERS if place == leaks.HEADER else IDS)


@pytest.mark.parametrize("place", range(len(leaks.PLACES)), ids=[place.__name__ for place in PLACED])
def test_leaks_in_every_place(tmp_path, place):
    rules = loud("\n".join(line for line in leaks.rules().splitlines() if int(line.rpartition("sid:")[2].split(";")[0]) % 10 == place))
    sids = dict(zip(count(2000), sorted(plan.sid for plan in rules.plans), strict=False))
    assert [sid for sid in sids.values()] == [leaks.FIRST_SID + 10 * number + place for number in numbers_in(place)]
    ids = {port: (sid - leaks.FIRST_SID) // 10 for port, sid in sids.items()}
    good = fired(rules, tmp_path / "good.pcap", {port: PLACED[place](f"see {secrets(number, 1)[0]} ", port) for port, number in ids.items()})
    assert {ids[port] for port, found in good.items() if sids[port] not in found} == set()
    bad = fired(rules, tmp_path / "bad.pcap", {port: PLACED[place](f"see {harmless(number)} ", port) for port, number in ids.items()})
    assert {ids[port] for port, found in bad.items() if sids[port] in found} == set()


# ---- silent rules on weights ----

@pytest.mark.parametrize("number", range(len(weights.FORMATS)))
def test_weights_that_move(tmp_path, number):
    """The rules that set the data class, wherever the weights go."""
    rules, sid = loud(weights.rules()), weights.FIRST_SID + 10 * number + 2
    with fp.Engine(rules) as engine:
        for name, body in test_ai_models.WEIGHTS.items():
            found = engine.replay(write_pcap(tmp_path / f"{name}.pcap", made_models.upload(body)), keep=("alerts",)).alerts["sid"].tolist()
            assert (sid in found) is (name == weights.FORMATS[number])


# ---- all of them ----

def with_cases() -> Iterator[Iterable[int]]:
    """The sids that have their cases in a table, or above."""
    yield test_ai_inventory.ANSWERS
    yield test_ai_facility.CASES
    yield test_ai_flooding.RATES
    yield test_ai_flooding.SHAPES
    yield test_ai_models.UNSAFE
    yield (weights.FIRST_SID + 10 * number + which for number in range(len(test_ai_models.WEIGHTS)) for which in range(3))
    yield (supply.FIRST_SID + 10 * number + which for number in test_ai_models.FETCHED for which in range(2))
    yield (9_403_000 + 2 * number + (side == "response") for number in test_ai_prompts.CASES
           for side in test_ai_prompts.ENTRIES[number].get("in", ["prompt"]))
    yield (versions.FIRST_SID + number for number in (*test_ai_versions.SERVERS, *test_ai_versions.CALLS, *test_ai_versions.CLIENTS))
    yield (leaks.FIRST_SID + 10 * number + place for place in range(len(PLACED)) for number in numbers_in(place))
    yield (plan.sid for plan in fp.RuleSet.parse(hosted.rules()).plans)
    yield (plan.sid for plan in fp.RuleSet.parse(grpc.rules()).plans)       # test_ai_grpc.py goes through all of them


def test_no_rule_is_without_a_case():
    """And no sid stands for two: the second would be refused."""
    rules = fp.RuleSet.pack("ai_factory")
    sids = [plan.sid for plan in rules.plans]
    assert not rules.refusals
    cases = [sid for table in with_cases() for sid in table]
    assert len(sids) == len(set(sids)) and len(cases) == len(set(cases))
    assert set(sids) == set(cases)


def test_every_rule_says_what_it_is_a_risk_of():
    """Ids of MITRE ATLAS and of OWASP; those of services by their kind."""
    for plan in fp.RuleSet.pack("ai_factory").plans:
        told = [(key, value) for key, value in plan.metadata if key in ("mitre_atlas", "owasp_llm")]
        assert {key for key, _ in told} == {"mitre_atlas", "owasp_llm"}, plan.sid
        assert all(re.fullmatch(r"AML\.T\d{4}(\.\d{3})?|LLM(0[1-9]|10)", value) for _, value in told), plan.sid
        kind = dict(plan.metadata).get("service_kind")
        assert kind is None or ", ".join(" ".join(one) for one in told) == risks.RISKS[kind], plan.sid
