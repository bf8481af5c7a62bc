"""Bytes that are about to be written, which may hold secrets in any encoding: whatever they are, nothing raises, what comes out is as long as what
went in, and no secret of the seeds that is still whole in it stays there."""
from __future__ import annotations

import base64
import sys
from functools import cache

from fuzz import harness

import fastpath as fp
from fastpath.control.mask import Masker

SECRETS = (b"AKIA" + b"IOSFODNN7EXAMPLE", b"4111 1111 1111 1111", b"DE89 3704 0044 0532 0130 00", b"hf_" + b"abcdefghijklmnopqrstuvwxyzABCDEFGH")
RULES = "".join(f'alert http any any -> any any (msg:"x"; http.request_body; pcre:"/{expression}/"; {more}metadata:data_class x; sid:{sid};)\n' for sid, (expression, more) in enumerate((
    (r"\bAKIA[A-Z2-7]{16}\b", ""), (r"\b[0-9](?:[ -]?[0-9]){12,18}\b", "validate:card; "), (r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b", "validate:iban; "),
    (r"hf_[A-Za-z]{34}", "")), 1))


@cache
def rules() -> fp.RuleSet:
    made = fp.RuleSet.parse(RULES)
    assert not made.refusals
    return made


def masker() -> Masker:
    made = Masker.of([rules()])         # a new one: it knows nothing yet
    assert made is not None
    return made


def seeds() -> list[bytes]:
    made = []
    for secret in SECRETS:
        made += [b"key=" + secret + b"&x", base64.b64encode(b"ab" + secret + b"c"), secret.hex().encode(), b"".join(b"%%%02x" % one for one in secret),
                 secret.replace(b" ", b"\\u0020"), secret[:9] + b"\r\n1a\r\n" + secret[9:], b"".join(b"=%02X" % one for one in secret), secret[:12]]
    return made


def target(data: bytes) -> None:
    mask = masker()
    found = mask.bytes(data)
    assert len(found) == len(data)
    assert all(one in (0x2A, was) for one, was in zip(found, data, strict=True))
    assert len(mask.payload(data, "http")) == len(data)
    assert not any(b" " + secret + b" " in masker().bytes(data + b" " + secret + b" ") for secret in SECRETS)


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), __doc__))
