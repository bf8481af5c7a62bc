"""Data leaks of packs/ai_factory: what each rule catches, what it leaves alone, and the checksums behind `validate`."""
from __future__ import annotations

import random
import string

import pytest
from captures import conversation, write_pcap
from hypothesis import given, settings
from hypothesis import strategies as st
from leak_samples import IDS, A, harmless, near_misses, secrets

import fastpath as fp
from fastpath.dataplane.match.secrets import Finder
from fastpath.packs.ai_factory.leaks import entries


@pytest.fixture(scope="module")
def engine():
    with fp.Engine(fp.RuleSet.pack("ai_factory")) as made:
        yield made


def sids(engine, path, body: str, *, uri: str = "/x", answer: str = "") -> set[int]:
    request = f"POST {uri} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}"
    result = engine.replay(write_pcap(path, conversation([(request.encode(), said.encode())], dst="203.0.113.9")))
    return set(result.alerts["sid"].tolist())


def test_every_entry_has_a_case_and_its_checksum_is_told():
    assert sorted(leak["id"] for leak in entries()) == sorted(IDS)
    assert all(leak.get("checksum") is False for leak in entries() if "validate" not in leak and "of" not in leak)


@pytest.mark.parametrize("number", sorted(IDS))
def test_what_must_not_leave(engine, tmp_path, number):
    [secret] = secrets(number, 1)
    assert 9_300_000 + 10 * number in sids(engine, tmp_path / "a.pcap", f'{{"prompt": "see {secret} "}}')
    assert 9_300_000 + 10 * number not in sids(engine, tmp_path / "b.pcap", f'{{"prompt": "see {harmless(number)} "}}')


def test_a_flow_is_told_of_once_by_rule(engine, tmp_path):
    body = f"see {secrets(50, 1)[0]} "
    request = f"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    capture = write_pcap(tmp_path / "a.pcap", [*conversation([(request, answer)] * 5, dst="203.0.113.9"),
                                               *conversation([(request, answer)] * 3, dst="203.0.113.9", sport=41000)])
    assert engine.replay(capture).alerts["sid"].tolist() == [9_300_500, 9_300_500]


def test_ten_are_a_list_and_nine_are_not(engine, tmp_path):
    numbers = secrets(50, 10)
    assert 9_301_500 in sids(engine, tmp_path / "a.pcap", " and ".join(numbers))
    assert 9_301_500 not in sids(engine, tmp_path / "b.pcap", " and ".join(numbers[:9]))
    assert 9_301_500 not in sids(engine, tmp_path / "c.pcap", " and ".join([*numbers[:9], near_misses(50, 1)[0]]))


@pytest.mark.parametrize("text", ("validate:card,0", "validate:card,1001", "validate:card,x", "validate:card,"))
def test_a_count_is_a_number(text):
    [refusal] = fp.RuleSet.parse(f'alert udp any any -> any any (pcre:"/x/"; {text}; sid:1;)').refusals
    assert refusal.malformed and refusal.keyword == "validate"


def test_several_are_counted_behind_an_expression():
    for step in ('content:"x";', 'content:"x"; pcre:"/y/R";'):
        [refusal] = fp.RuleSet.parse(f"alert udp any any -> any any ({step} validate:card,2; sid:1;)").refusals
        assert refusal.malformed and refusal.keyword == "validate"


def test_places(engine, tmp_path):
    """In a URI, and in what a server of ours answers to somebody outside; not in what somebody outside says."""
    assert 9_300_031 in sids(engine, tmp_path / "a.pcap", "", uri=f"/x?t=hf_{A[:34]}")
    assert sids(engine, tmp_path / "b.pcap", "", answer=f"hf_{A[:34]}") == set()
    ours = conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", f"HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\nhf_{A[:34]}".encode())],
                        src="203.0.113.9", dst="10.0.0.2")
    assert 9_300_032 in set(engine.replay(write_pcap(tmp_path / "c.pcap", ours)).alerts["sid"].tolist())


HEADERS = {leak["id"]: leak for leak in entries() if leak.get("class") == "credential" and "literal" in leak}


def headers_of(engine, path, header: str, host: str) -> set[int]:
    request = f"POST /v1/x HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: 0\r\n\r\n"
    result = engine.replay(write_pcap(path, conversation([(request.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], dst="203.0.113.9")))
    return {sid for sid in result.alerts["sid"].tolist() if 9_300_000 <= sid < 9_400_000}


@pytest.mark.parametrize("number", sorted(HEADERS))
def test_a_credential_in_a_header(engine, tmp_path, number):
    """Told of where it goes to somebody else, not where it goes to the service that it is of; nor what is none."""
    [secret] = secrets(number, 1)
    secret = " ".join(secret.split())       # what has several lines stands in one
    sid = 9_300_000 + 10 * number + 5
    assert sid in headers_of(engine, tmp_path / "a.pcap", f"Authorization: Bearer {secret}", "llm.test")
    assert sid in headers_of(engine, tmp_path / "b.pcap", f"X-Api-Key: {secret}", "openai.com.evil.test")
    assert sid not in headers_of(engine, tmp_path / "c.pcap", f"X-Api-Key: {harmless(number)}", "llm.test")
    for at, service in enumerate(HEADERS[number].get("services", ())):
        for host in (service, f"api.{service}", f"API.{service}".upper()):
            assert sid not in headers_of(engine, tmp_path / f"{at}.pcap", f"Authorization: Bearer {secret}", host)


def test_numbers_and_what_stands_behind_names_are_looked_for_in_no_header(engine, tmp_path):
    for number in sorted({*IDS} - {*HEADERS}):
        assert not any(sid % 10 == 5 for sid in headers_of(engine, tmp_path / "a.pcap", f"X-Note: {secrets(number, 1)[0]}"[:2000], "llm.test"))


def test_a_header_of_an_answer_is_none(engine, tmp_path):
    answer = f"HTTP/1.1 200 OK\r\nX-Key: hf_{A[:34]}\r\nContent-Length: 0\r\n\r\n".encode()
    capture = write_pcap(tmp_path / "a.pcap", conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer)], dst="203.0.113.9"))
    assert not engine.replay(capture).alerts["sid"].tolist()


# ---- the checksums, against the slow way ----

def luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    total = sum(sum(divmod(2 * d, 10)) if i % 2 else d for i, d in enumerate(reversed(digits)))
    return 13 <= len(digits) <= 19 and total % 10 == 0 and len(set(digits)) > 1 and digits[0] != 0


def iban(text: str) -> bool:
    text = text.replace(" ", "").upper()
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def de_tax(text: str) -> bool:
    digits, product = [int(c) for c in text if c.isdigit()], 10
    for digit in digits[:10]:
        total = (digit + product) % 10 or 10
        product = 2 * total % 11
    return digits[0] != 0 and (11 - product) % 10 == digits[10]


def fr_nir(text: str) -> bool:
    number = text[:13].replace("2A", "19").replace("2B", "18") if text[5:7] in ("2A", "2B") else text[:13]
    return text[0] in "12345678" and 97 - int(number) % 97 == int(text[13:])


def es_dni(text: str) -> bool:
    number = str("XYZ".index(text[0])) + text[1:8] if text[0] in "XYZ" else text[:8]
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[8]


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


NUMBERS = {
    "card": (luhn, st.integers(13, 19).flatmap(digits)),
    "iban": (iban, st.tuples(st.sampled_from(["DE", "GB", "FR"]), digits(2), st.text(string.ascii_uppercase + string.digits, min_size=11, max_size=30))
             .map("".join)),
    "de_tax": (de_tax, digits(11)),
    "fr_nir": (fr_nir, st.tuples(digits(5), st.sampled_from(["75", "2A", "2B"]), digits(8)).map("".join)),
    "es_dni": (es_dni, st.tuples(st.sampled_from("0123456789XYZ"), digits(7), st.sampled_from("TRWAGMYFPDXBNJZSQVHLCKE")).map("".join)),
}
_engines: dict[str, fp.Engine] = {}


def confirmed(kind: str, text: str) -> bool:
    if kind not in _engines:
        _engines[kind] = fp.Engine(fp.RuleSet.parse(f'alert udp any any -> any any (msg:"x"; pcre:"/<[^>]*>/"; pcre:"/<\\K[^>]*/"; validate:{kind}; sid:1;)'))
    from captures import udp
    return bool(_engines[kind].inspect([udp(f"<{text}>".encode())]).raised[0])


@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_a_checksum_is_what_the_slow_way_says(kind):
    slow, numbers = NUMBERS[kind]

    @settings(deadline=None)
    @given(numbers)
    def check(text: str) -> None:
        assert confirmed(kind, text) == slow(text)

    check()
    rng = random.Random(kind)       # of random numbers few hold: the last symbols are tried out
    held = 0
    for _ in range(40):
        text = "".join(rng.choice("123456789") for _ in range({"card": 16, "de_tax": 11, "fr_nir": 15, "es_dni": 8, "iban": 20}[kind]))
        if kind == "iban":
            text = "DE00" + text
        for last in range(100):
            tried = {"fr_nir": text[:13] + f"{last:02}", "es_dni": text + "TRWAGMYFPDXBNJZSQVHLCKE"[last % 23],
                     "iban": text[:2] + f"{last:02}" + text[4:]}.get(kind, text[:-1] + str(last % 10))
            if slow(tried):
                held += 1
                assert confirmed(kind, tried)
                break
    assert held > 20


def test_validate_stands_behind_what_it_is_about():
    for text in ('validate:card; content:"x";', 'content:!"x"; validate:card;', 'content:"x"; validate:nothing;'):
        [refusal] = fp.RuleSet.parse(f"alert udp any any -> any any ({text} sid:1;)").refusals
        assert refusal.malformed and refusal.keyword == "validate"


def test_the_first_question_about_mail_addresses_refuses_no_list_of_them():
    """`first` is asked of every mail with an @; what the expression finds it must let through. A search that comes to a limit says nothing."""
    entry = next(one for one in entries() if one["id"] == 58)
    first, expression = (Finder([(str(entry[key]).encode(), "", None, b"")]) for key in ("first", "expression"))
    choice = random.Random(58)
    hosts = ["mail.example.org", "a.bc", "x" * 63 + "." + "y" * 63, "a" + ".bc" * 8, "a" + ".bc" * 9, "q.w" + "w" * 70, "e.fg."]
    gaps = ["\r\n", ",", " and ", ";" * 78, ";" * 79, ".", "z" * 78]
    found = 0
    for _ in range(200):
        rare = choice.choice((0, 0, 0.05))
        made = [f"{choice.choice(hosts if choice.random() < rare else hosts[:2])}{choice.choice(gaps if choice.random() < rare else gaps[:3])}u{i}"
                for i in range(choice.randint(20, 23))]
        text = ("u@" + "@".join(made)).encode()
        before = expression.limits
        if expression.find(text) and expression.limits == before:
            found += 1
            assert first.find(text), text
    assert found > 20
