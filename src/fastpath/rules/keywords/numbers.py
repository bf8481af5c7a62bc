"""Keywords that ask an application protocol for a number, and older ones that are short for a content over a buffer.

What the numbers are: a version as it stands on the wire (0x0303), a time in seconds since 1970, states of TLS as bits, a command of
FTP as in FTP_COMMANDS. User guide, "SSL/TLS Keywords", "DNS Keywords", "SSH Keywords", "DCERPC Keywords", "FTP Keywords".
"""
from __future__ import annotations

import re
from datetime import UTC, datetime

from ..draft import Draft, Pattern, number, words
from ..lexer import BLANK, RuleError, pattern_bytes
from ..plan import Clock, Interface, NumberIs, Pcre, Step
from .header import Ranges, unsigned
from .table import keyword

_U16, _U32, _FOREVER = 2**16 - 1, 2**32 - 1, 2**64 - 1

_TLS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}
_SSL = {"sslv2": 0x0200, "sslv3": 0x0300, **{f"tls{name}": value for name, value in _TLS.items()}}
_DRAFTS_OF_13 = (0x7f00, 0x7fff)

#: state of a TLS session -> its bit in ssl.state
SSL_STATES = {"client_hello": 1, "server_hello": 2, "client_keyx": 4, "server_keyx": 8, "unknown": 16}
#: commands that open an FTP data connection, by their numbers in ftpdata.command
FTP_COMMANDS = {"stor": 1, "retr": 2}

_INTERFACE = re.compile(r"(?P<uuid>[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12})"
                        r"(?:,(?P<version>[^,]*?))?(?P<any>,any_frag)?")
_MOMENT = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})(?:[T ](?P<hour>\d{2})(?::(?P<minute>\d{2})"
                     r"(?::(?P<second>\d{2}))?)?)?)?)?\Z", re.ASCII)


def _ask(draft: Draft, at: int, proto: str, buffer: str, step: Step) -> None:
    draft.protocol(proto, at)
    draft.over(buffer, at, step)


# ---- TLS ----

@keyword("tls.version", "tls")
def tls_version(draft: Draft, text: str, at: int) -> None:
    if text in _TLS:
        _ask(draft, at, "tls", "tls.version", NumberIs(_version(_TLS[text])))
    elif text[:2] == "0x":
        value = number(text, at, 0, _U16, 16)
        _ask(draft, at, "tls", "tls.version", NumberIs(((value, value),)))
    else:
        raise RuleError(at, f"found {text!r} where one of {', '.join(_TLS)} or a hex number was expected")


def _version(value: int) -> Ranges:
    return ((value, value), _DRAFTS_OF_13) if value == _TLS["1.3"] else ((value, value),)


@keyword("ssl_version", "tls")
def ssl_version(draft: Draft, text: str, at: int) -> None:
    said: dict[str, bool] = {}
    for word, where in words(text, at):
        negated = word.startswith("!")
        name = word.lstrip("!").strip(BLANK).lower()
        if name not in _SSL:
            raise RuleError(where, f"found {word!r} where one of {', '.join(_SSL)} was expected")
        if name in said:
            raise RuleError(where, f"{name} is said twice")
        if negated not in (*said.values(), negated) or len({*said.values(), negated}) > 1:
            raise RuleError(where, "versions that are meant and versions that are not do not mix")
        said[name] = negated
    ranges = tuple(sorted(each for name in said for each in _version(_SSL[name])))
    _ask(draft, at, "tls", "ssl.version", NumberIs(ranges, negated=any(said.values())))


@keyword("ssl_state", "tls")
def ssl_state(draft: Draft, text: str, at: int) -> None:
    asked = absent = 0
    for part in re.finditer(r"[^,|]+", text):
        word = part[0].strip(BLANK)
        name = word.removeprefix("!").strip(BLANK)
        if name not in SSL_STATES:
            raise RuleError(at + part.start(), f"found {word!r} where one of {', '.join(SSL_STATES)} was expected")
        asked |= SSL_STATES[name]
        absent |= SSL_STATES[name] if word[0] == "!" else 0
    if not asked:
        raise RuleError(at, f"found {text!r} where one of {', '.join(SSL_STATES)} was expected")
    holds = [state for state in range(32) if state & asked ^ absent]
    _ask(draft, at, "tls", "ssl.state", NumberIs(_ranges(holds)))


def _ranges(numbers: list[int]) -> Ranges:
    """Rising numbers as inclusive ranges."""
    out: list[tuple[int, int]] = []
    for value in numbers:
        if out and out[-1][1] + 1 == value:
            out[-1] = out[-1][0], value
        else:
            out.append((value, value))
    return tuple(out)


@keyword("tls.cert_chain_len", "tls")
def cert_chain_len(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "tls", "tls.cert_chain_len", NumberIs(unsigned(text, at, _U32)))


@keyword("tls_cert_notbefore", "tls")
def cert_notbefore(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "tls", "tls.cert_notbefore", NumberIs(_moments(text, at)))


@keyword("tls_cert_notafter", "tls")
def cert_notafter(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "tls", "tls.cert_notafter", NumberIs(_moments(text, at)))


@keyword("tls_cert_expired", "tls", value="none")
def cert_expired(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "tls", "tls.cert_notafter", Clock(passed=True))


@keyword("tls_cert_valid", "tls", value="none")
def cert_valid(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "tls", "tls.cert_notbefore", Clock(passed=True))
    _ask(draft, at, "tls", "tls.cert_notafter", Clock(passed=False))


def _moments(text: str, at: int) -> Ranges:
    """A time, < or > a time, or between two. Neither end of what is compared with counts."""
    first, between, last = text.partition("<>")
    if between:
        low, high = _moment(first.strip(BLANK), at), _moment(last.strip(BLANK), at)
        if low >= high:
            raise RuleError(at, f"{text!r} runs backwards")
        return ((low + 1, high - 1),) if low + 1 < high else ()
    value = _moment(text.lstrip("<>").strip(BLANK) if text[0] in "<>" else text, at)
    if text[0] == "<":
        return ((0, value - 1),) if value else ()
    return ((value + 1, _FOREVER),) if text[0] == ">" else ((value, value),)


def _moment(text: str, at: int) -> int:
    """A date and time, UTC, as far as it is said, in seconds since 1970; or such seconds."""
    form = _MOMENT.match(text)
    if form is None and text.isascii() and text.isdigit():
        return int(text)
    try:
        if form is None:
            raise ValueError
        parts = {name: int(value) for name, value in form.groupdict().items() if value is not None}
        moment = datetime(**{"month": 1, "day": 1, **parts}, tzinfo=UTC)
    except ValueError:
        raise RuleError(at, f"found {text!r} where a date such as 2024-04-01T12:00:00 was expected") from None
    return max(int(moment.timestamp()), 0)


def _holds(proto: str, buffer: str, pattern: Pattern, draft: Draft, at: int) -> None:
    """A content of its own, before all that is relative in this buffer."""
    draft.protocol(proto, at)
    draft.first(buffer, at, pattern)


@keyword("tls.subject", "tls", "tls_subject", quotes="must", negatable=True)
def tls_subject(draft: Draft, text: str, at: int) -> None:
    _holds("tls", "tls.cert_subject", Pattern(_some(text, at), at, draft.negated), draft, at)


@keyword("tls.issuerdn", "tls", "tls_issuerdn", quotes="must", negatable=True)
def tls_issuerdn(draft: Draft, text: str, at: int) -> None:
    _holds("tls", "tls.cert_issuer", Pattern(_some(text, at), at, draft.negated), draft, at)


@keyword("tls.fingerprint", "tls", "tls_fingerprint", quotes="must", negatable=True)
def tls_fingerprint(draft: Draft, text: str, at: int) -> None:
    digest = _some(text, at)
    if len(digest) != 59:
        raise RuleError(at, f"found {text!r} where twenty hex bytes, parted by colons, were expected")
    _holds("tls", "tls.cert_fingerprint", Pattern(digest.lower(), at, draft.negated), draft, at)


def _some(text: str, at: int) -> bytes:
    pattern = pattern_bytes(text, at, "")
    if not pattern:
        raise RuleError(at, "found nothing where a text was expected")
    return pattern


# ---- DNS, SSH ----

@keyword("dns.opcode", "dns")
def dns_opcode(draft: Draft, text: str, at: int) -> None:
    body = text.lstrip("!" + BLANK)
    value = number(body, at + len(text) - len(body), 0, 255)
    _ask(draft, at, "dns", "dns.opcode", NumberIs(((value, value),), negated=text.startswith("!")))


@keyword("ssh.protoversion", "ssh", quotes="optional")
def ssh_protoversion(draft: Draft, text: str, at: int) -> None:
    if text.lower() == "2_compat":
        draft.protocol("ssh", at)
        draft.first("ssh.proto", at, Pcre(rb"^(?:2|1\.99)", "s"))
    elif re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        _holds("ssh", "ssh.proto", Pattern(text.encode("latin-1"), at, startswith=True, endswith=True), draft, at)
    else:
        raise RuleError(at, f"found {text!r} where a version or 2_compat was expected")


@keyword("ssh.softwareversion", "ssh", quotes="optional")
def ssh_softwareversion(draft: Draft, text: str, at: int) -> None:
    if not text or text[0] == "!" or not re.fullmatch(r"\S+", text):
        raise RuleError(at, f"found {text!r} where the name of a software was expected")
    _holds("ssh", "ssh.software", Pattern(text.encode("latin-1"), at), draft, at)


# ---- DCERPC, FTP ----

@keyword("dcerpc.iface", "dcerpc", "dce_iface")
def dcerpc_iface(draft: Draft, text: str, at: int) -> None:
    form = _INTERFACE.fullmatch(text)
    if form is None:
        raise RuleError(at, f"found {text!r} where a UUID, and perhaps a version and any_frag, were expected")
    versions: Ranges = ((0, _U16),)
    version, any_frag = form["version"], bool(form["any"])
    if version == "any_frag" and not any_frag:
        any_frag = True
    elif version is not None:
        versions = unsigned(version.strip(BLANK), at + form.start("version"), _U16)
    _ask(draft, at, "dcerpc", "dcerpc.iface", Interface(bytes.fromhex(form["uuid"].replace("-", "")), versions, any_frag))


@keyword("dcerpc.opnum", "dcerpc", "dce_opnum")
def dcerpc_opnum(draft: Draft, text: str, at: int) -> None:
    ranges = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdigit() or dash and not high.isdigit() or dash and int(low) > int(high):
            raise RuleError(at, f"found {part!r} where an operation or a range low-high was expected")
        ranges.append((int(low), int(high) if dash else int(low)))
    _ask(draft, at, "dcerpc", "dcerpc.opnum", NumberIs(tuple(sorted(ranges))))


@keyword("ftpbounce", "ftp", value="none")
def ftpbounce(draft: Draft, text: str, at: int) -> None:
    _ask(draft, at, "ftp", "ftp.bounce", NumberIs(((1, _FOREVER),)))


@keyword("ftpdata_command", "ftp")
def ftpdata_command(draft: Draft, text: str, at: int) -> None:
    if text not in FTP_COMMANDS:
        raise RuleError(at, f"found {text!r} where one of {', '.join(FTP_COMMANDS)} was expected")
    value = FTP_COMMANDS[text]
    _ask(draft, at, "ftp-data", "ftpdata.command", NumberIs(((value, value),)))
