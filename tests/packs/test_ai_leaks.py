"""Data leaks of packs/ai_factory: what each rule catches, what it leaves alone, and the checksums behind `validate`."""
from __future__ import annotations

import random
import string
import tomllib
from importlib.resources import files

import pytest
from captures import conversation, write_pcap
from hypothesis import given
from hypothesis import strategies as st

import fastpath as fp

#: By id of leaks.toml: something that must not leave (made up, its checksum right), and something alike that may.
A = string.ascii_letters + string.digits
CASES = {
    1: ("sk-proj-" + A[:20] + "T3BlbkFJ" + A[:20], "sk-proj-" + A[:10]),
    2: ("sk-ant-api03-" + (A * 2)[:95], "sk-ant-api03-short"),
    3: ("hf_" + A[:34], "hf_" + A[:20]),
    4: ("AIza" + A[:35], "AIza" + A[:36]),
    5: ("AKIA" + "A2B3C4D5E6F7G2H3", "AKIA" + "1111111111111111"),
    6: ("ASIA" + "A2B3C4D5E6F7G2H3", "ASIAN countries"),
    7: ("ghp_" + A[:36], "ghp_" + A[:30]),
    8: ("github_pat_" + (A * 2)[:82], "github_pat_" + A[:40]),
    9: ("glpat-" + A[:20], "glpat-" + A[:10]),
    10: ("xoxb-123456789012-" + A[:24], "xoxb-12"),
    11: ("sk_live_" + A[:24], "sk_test_" + A[:24]),
    12: ("nvapi-" + (A * 2)[:64], "nvapi-" + A[:12]),
    13: ("gsk_" + A[:52], "gsk_" + A[:20]),
    14: ("xai-" + (A * 2)[:80], "xai-" + A[:20]),
    15: ("pplx-" + A[:48], "pplx-" + A[:8]),
    16: ("r8_" + A[:37], "r8_" + A[:8]),
    17: ("dapi" + "0123456789abcdef" * 2, "dapi" + "0123456789abcdef"),
    18: ("lsv2_pt_" + "0123456789abcdef" * 2 + "_0123456789", "lsv2_pt_0123"),
    19: ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\n", "-----BEGIN PUBLIC KEY-----\nMIIEowIBAAKCAQEA7\n"),
    20: ("AccountKey=" + (A * 2)[:86] + "==", "AccountKey=none"),
    50: ("4111 1111 1111 1111", "4111 1111 1111 1112"),
    51: ("DE89 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
    52: ("123-45-6789", "666-45-6789"),
    53: ("AB 12 34 56 C", "BG 12 34 56 C"),
    54: ("Steuer-ID: 86 095 742 719", "Steuer-ID: 86 095 742 718"),
    55: ("1 85 05 78 006 084 91", "1 85 05 78 006 084 36"),
    56: ("12345678Z", "12345678A"),
    57: ("RSSMRA85T10A562S", "RSSMRA85T10A562A"),
    58: (" ".join(f"user{i}@corp.test" for i in range(20)) + " ", "one@corp.test, two@corp.test"),
}


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
    leaks = tomllib.loads(files("fastpath.packs.ai_factory").joinpath("leaks.toml").read_text())["leak"]
    assert [leak["id"] for leak in leaks] == sorted(CASES)
    assert all(leak.get("checksum") is False for leak in leaks if "validate" not in leak)


@pytest.mark.parametrize("number", sorted(CASES))
def test_what_must_not_leave(engine, tmp_path, number):
    secret, harmless = CASES[number]
    assert 9_300_000 + 10 * number in sids(engine, tmp_path / "a.pcap", f'{{"prompt": "see {secret} "}}')
    assert sids(engine, tmp_path / "b.pcap", f'{{"prompt": "see {harmless} "}}') == set()


def test_places(engine, tmp_path):
    """In a URI, and in what a server of ours answers to somebody outside; not in what somebody outside says."""
    assert 9_300_031 in sids(engine, tmp_path / "a.pcap", "", uri=f"/x?t=hf_{A[:34]}")
    assert sids(engine, tmp_path / "b.pcap", "", answer=f"hf_{A[:34]}") == set()
    ours = conversation([(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", f"HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\nhf_{A[:34]}".encode())],
                        src="203.0.113.9", dst="10.0.0.2")
    assert 9_300_032 in set(engine.replay(write_pcap(tmp_path / "c.pcap", ours)).alerts["sid"].tolist())


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
