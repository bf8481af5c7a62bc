"""Outputs without persons in them: every address, name and hardware address gives way to a keyed pseudonym.

Addresses are mapped in the rows, as they leave the data plane and before anything is made of them: identifiers of flows, community IDs
and the digest follow from pseudonyms. IP addresses by Crypto-PAn (dataplane/cryptopan.pyx), which keeps common prefixes: a network stays a
network. Everything else that an output says has a treatment in treatment.toml; what has none there is dropped. Rules and policy see the
packets as they were.
"""
from __future__ import annotations

import hmac
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np

from fastpath.dataplane import rows
from fastpath.dataplane.cryptopan import KEY_BYTES, CryptoPan

#: `env` instead of a file: the key is in this variable.
VARIABLE = "FASTPATH_ANONYMISE_KEY"
FLOW_BITS, TUNNEL_BITS = (1 << 53) - 1, (1 << 32) - 1      # of the numbers that name flows and tunnels
TREATMENTS = ("keep", "digits", "version", "text", "mapped", "map", "drop")

_ADDRESS = re.compile(r"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)"
                      r"(?![\w:])|(?<![\w])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w])")
_VERSION = re.compile(r"v?[0-9]{1,8}(\.[0-9]{1,8}){0,2}([.+_-]?(a|b|rc|dev|post|pre|alpha|beta)?[.-]?[0-9]{1,3}){0,2}")
_DOTTED = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")


class Anonymiser:
    """key: 32 bytes; whoever has it can map an address, and so find out whose pseudonym is whose. ValueError for another length."""

    def __init__(self, key: bytes):
        self._pan = CryptoPan(key)
        self._numbers = CryptoPan(self._derived(key, b"numbers"))
        self._names = self._derived(key, b"names")
        self._macs = self._derived(key, b"macs")

    @staticmethod
    def _derived(key: bytes, use: bytes) -> bytes:
        return hmac.digest(key, b"fastpath " + use, sha256)

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """The key from a file, or with "env" from $FASTPATH_ANONYMISE_KEY: 32 bytes, or 64 hexadecimal digits. ValueError with what was
        found instead, OSError for a file that cannot be read."""
        if str(source) == "env":
            raw, place = os.environ.get(VARIABLE, "").encode("utf-8", "surrogateescape"), f"${VARIABLE}"
            if not raw:
                raise ValueError(f"{place} is not set: a key of {2 * KEY_BYTES} hexadecimal digits was expected")
        else:
            raw, place = Path(source).read_bytes(), str(source)
        digits = raw.strip()
        if re.fullmatch(rb"[0-9A-Fa-f]+", digits) and len(raw) != KEY_BYTES:
            if len(digits) != 2 * KEY_BYTES:
                raise ValueError(f"{place}: a key of {KEY_BYTES} bytes, as {2 * KEY_BYTES} hexadecimal digits, was expected, not of {len(digits)}")
            return cls(bytes.fromhex(digits.decode()))
        if len(raw) != KEY_BYTES:
            raise ValueError(f"{place}: a key of {KEY_BYTES} bytes (or {2 * KEY_BYTES} hexadecimal digits) was expected, not of {len(raw)} "
                             f"bytes; `openssl rand -hex {KEY_BYTES}` makes one")
        return cls(raw)

    # ---- rows ----

    def rows(self, taken: Mapping[str, np.ndarray]) -> None:
        """Maps addresses, flows and tunnels of rows (dataplane/rows.py) in place."""
        for array in taken.values():
            names = array.dtype.names if isinstance(array, np.ndarray) and len(array) else None
            for name in names or ():
                if name in ("key", "outer"):
                    self._map_keys(array[name])
                elif name == "flow" and array.dtype[name] == np.dtype("u8"):
                    array[name] = self.flows(array[name])
                elif name == "tunnel_id":
                    array[name] = self._mapped_numbers(array[name], TUNNEL_BITS)
        if len(taken.get("bindings", ())):
            self._map_bindings(taken["bindings"])

    def _map_bindings(self, taken: np.ndarray) -> None:
        """Rows of what belongs together: the addresses of endpoints and users, tunnels, and no digit of a subscriber's number. Hardware
        addresses are mapped where they are told (treatment.toml): a manifest names them as they are."""
        for name, net in (("address", taken["net"]), ("user", taken["user_net"]), ("prefix", np.where(taken["has_prefix"], 6, 0).astype("u1"))):
            addresses = np.ascontiguousarray(taken[name])
            self._pan.map_rows(addresses, np.ascontiguousarray(net))
            taken[name] = addresses
        taken["prefix"][:, 8:] = 0
        of_tunnels = np.isin(taken["kind"], [rows.BINDINGS.index(kind) for kind in ("tunnel", "foreign")])
        taken["id"][of_tunnels] = self._mapped_numbers(taken["id"][of_tunnels], TUNNEL_BITS)
        taken["subscriber"] = 0xFFFF

    def _map_keys(self, keys: np.ndarray) -> None:
        packed = np.empty((2 * len(keys), 17), "u1")
        packed[:, 0] = np.repeat(keys["net"], 2)
        packed[:, 1:] = keys["addr"].reshape(-1, 16)
        unique, inverse = np.unique(packed.view("V17").ravel(), return_inverse=True)
        flat = unique.view("u1").reshape(-1, 17)
        addresses = np.ascontiguousarray(flat[:, 1:])
        self._pan.map_rows(addresses, np.ascontiguousarray(flat[:, 0]))
        keys["addr"] = addresses[inverse].reshape(-1, 2, 16)

    def pairs(self, seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Queue pairs, as DataPlane.queue_pairs_seen gives them, with their addresses mapped."""
        sizes = {rows.NET_IPV4: 4, rows.NET_IPV6: 16}
        return [one | {"address": self._pan.map(one["address"][:sizes[one["net"]]]) + one["address"][sizes[one["net"]]:]}
                if one["net"] in sizes else one for one in seen]

    def flows(self, numbers: np.ndarray) -> np.ndarray:
        """The pseudonyms of flows; 0, of none, stays."""
        return self._mapped_numbers(numbers, FLOW_BITS)

    def _mapped_numbers(self, numbers: np.ndarray, mask: int) -> np.ndarray:
        unique, inverse = np.unique(numbers, return_inverse=True)
        made = unique.astype("u8")
        self._numbers.map_numbers(made, mask)
        return made[inverse].astype(numbers.dtype)

    # ---- texts ----

    def address(self, text: str) -> str:
        """The pseudonym of an IP address, IPv6 written in full where it was. ValueError for what is none."""
        address = ipaddress.ip_address(text)
        made = ipaddress.ip_address(self._pan.map(address.packed))
        return made.exploded if made.version == 6 and text == address.exploded else str(made)

    def network(self, text: str) -> str:
        """The pseudonym of a network, of the same length. ValueError for what is none."""
        network = ipaddress.ip_network(text)
        return str(ipaddress.ip_network((self._pan.map(network.network_address.packed), network.prefixlen), strict=False))

    def mac(self, text: str) -> str:
        """The pseudonym of a hardware address: locally administered, its maker not kept; of a group it stays one."""
        raw = bytes.fromhex(text.replace(":", "").replace("-", ""))
        made = bytearray(hmac.digest(self._macs, raw, sha256)[:6])
        made[0] = made[0] & 0xFC | 0x02 | raw[0] & 1
        return made.hex(":")

    def name(self, text: str) -> str:
        """The pseudonym of any other name; upper and lower case are one."""
        return "n-" + hmac.digest(self._names, text.lower().encode("utf-8", "surrogatepass"), sha256)[:10].hex()

    def mapped(self, text: str) -> str:
        """The pseudonym of whatever this is. An empty text stays."""
        if not text:
            return text
        if _MAC.fullmatch(text):
            return self.mac(text)
        try:
            return self.network(text) if "/" in text else self.address(text)
        except ValueError:
            return self.name(text)

    def text(self, text: str) -> str:
        """A text of the operator's, such as a rule's message, with the addresses in it mapped."""
        return _ADDRESS.sub(lambda found: self._literal(found[0]), text)

    def _literal(self, text: str) -> str:
        try:
            return self.mac(text) if _MAC.fullmatch(text) else self.address(text)
        except ValueError:
            return text

    def version(self, text: str) -> str:
        """A program's version as it is; what could be an address or a name is mapped."""
        return text if _VERSION.fullmatch(text) and not _DOTTED.search(text) else self.mapped(text)

    # ---- events ----

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event with every field treated as treatment.toml says, and without what is not declared there."""
        made = self._treated(event, "", treatments())
        return made if isinstance(made, dict) else {}

    def told(self, text: str, path: str) -> str:
        """A text of the statistics, treated as treatment.toml says; where it is not declared there it is mapped."""
        treatment = statistics().of(path)
        made = {"keep": str, "mapped": str, "text": self.text, "version": self.version}
        return made.get(treatment if isinstance(treatment, str) else "", self.mapped)(text)

    def _treated(self, value: Any, path: str, table: Treatments) -> Any:
        """None for what is dropped."""
        if isinstance(value, dict):
            made = {}
            for key, one in value.items():
                treated = self._treated(one, f"{path}.{key}" if path else key, table)
                if treated is not None:
                    made[key] = treated
            return made if made or not value else None
        if isinstance(value, list):
            treated_all = [self._treated(one, path, table) for one in value]
            kept = [one for one in treated_all if one is not None]
            return kept if kept or not value else None
        treatment = table.of(path)
        if isinstance(treatment, list):
            return value if value in treatment or not isinstance(value, str) else self.mapped(value)
        if treatment in ("keep", "mapped"):
            return value
        if treatment == "text":
            return self.text(value) if isinstance(value, str) else value
        if treatment == "version":
            return self.version(value) if isinstance(value, str) else None
        if treatment == "digits":
            return value if not isinstance(value, str) or re.fullmatch("[0-9]{1,12}", value) else self.mapped(value)
        if treatment == "map":
            return self.mapped(value) if isinstance(value, str) else None
        return None


#: One of TREATMENTS, or the words that are kept, all others being mapped.
Treatment = str | list[str]


class Treatments:
    """What is declared: paths, with `*` for any one name and `**` for all that is below."""

    def __init__(self, declared: Mapping[str, Treatment]):
        unknown = {path: what for path, what in declared.items() if isinstance(what, str) and what not in TREATMENTS}
        if unknown:
            raise ValueError(f"treatment.toml: {unknown}: one of {', '.join(TREATMENTS)} was expected")
        self._exact = {path: what for path, what in declared.items() if "*" not in path}
        self._patterns = [(re.compile(re.escape(path).replace(r"\*\*", ".+").replace(r"\*", r"[^.]+")), what)
                          for path, what in declared.items() if "*" in path]
        self.of = lru_cache(4096)(self._of)

    def _of(self, path: str) -> Treatment | None:
        """The treatment of a field, None where none is declared."""
        found = self._exact.get(path)
        if found is not None:
            return found
        return next((what for pattern, what in self._patterns if pattern.fullmatch(path)), None)


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("fastpath.control").joinpath("treatment.toml").read_text())


@cache
def treatments() -> Treatments:
    """Of the fields of events."""
    return Treatments(_table()["eve"])


@cache
def statistics() -> Treatments:
    """Of the texts of statistics and of what a Result lists."""
    return Treatments(_table()["statistics"])


def columns(kind: str, names: tuple[str, ...]) -> frozenset[str]:
    """Of these columns those that may be shown: kept, or mapped in the rows."""
    declared = _table()["columns"] | _table().get(f"columns-{kind}", {})
    return frozenset(name for name in names if declared.get(name) in ("keep", "mapped", "text"))
