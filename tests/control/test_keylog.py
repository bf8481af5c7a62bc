"""Key logs: which lines count, and where the others go wrong."""
from __future__ import annotations

import os
import pickle
import re
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastpath as fp
from fastpath.control.keylog import WARNINGS_MAX, KeyLogWarning, read_key_logs
from fastpath.dataplane.applayer.keyring import KeyRing

RANDOM, MASTER, SECRET = "ab" * 32, "cd" * 48, "ef" * 32


def read(tmp_path, text: str):
    """(secrets, warnings as (line, column, text))"""
    path = tmp_path / "keys.log"
    path.write_text(text)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        ring = read_key_logs(path)
    found = [re.fullmatch(rf"{re.escape(str(path))}:(\d+):(\d+): (.*)", str(one.message)) for one in heard]
    assert all(issubclass(one.category, KeyLogWarning) for one in heard)
    return len(ring), [(int(one[1]), int(one[2]), one[3]) for one in found]


def test_what_counts(tmp_path):
    text = f"""# a comment

CLIENT_RANDOM {RANDOM} {MASTER}
CLIENT_HANDSHAKE_TRAFFIC_SECRET {RANDOM} {SECRET}
SERVER_HANDSHAKE_TRAFFIC_SECRET {RANDOM.upper()} {SECRET}{SECRET[:32]}\r
CLIENT_TRAFFIC_SECRET_0 {RANDOM} {SECRET}  \t
SERVER_TRAFFIC_SECRET_0 {RANDOM} {SECRET}
EXPORTER_SECRET {RANDOM} {SECRET}
CLIENT_EARLY_TRAFFIC_SECRET {RANDOM} {SECRET}
RSA 0011223344556677 {MASTER}
CLIENT_RANDOM {RANDOM} {MASTER}"""
    assert read(tmp_path, text) == (5, [])
    assert read(tmp_path, "") == (0, [])
    assert read(tmp_path, "\n\n#\n") == (0, [])


@pytest.mark.parametrize(("line", "column", "expected"), [
    ("client_random", 1, "label"), ("CLIENT_RANDOM", 14, "label"), (" CLIENT_RANDOM", 1, "label"), ("CLIENT_RANDOM\tx", 14, "label"),
    (f"CLIENT_RANDOM {RANDOM[:-1]} {MASTER}", 77, "client random"), (f"CLIENT_RANDOM {RANDOM}", 79, "client random"),
    (f"CLIENT_RANDOM {RANDOM}00 {MASTER}", 79, "client random"), (f"CLIENT_RANDOM x{RANDOM[1:]} {MASTER}", 15, "client random"),
    (f"CLIENT_RANDOM {RANDOM} x", 80, "hexadecimal"), (f"CLIENT_RANDOM {RANDOM} {MASTER[:-1]}", 174, "hexadecimal"),
    (f"CLIENT_RANDOM {RANDOM} {MASTER[:-2]}x0", 174, "hexadecimal"), (f"CLIENT_RANDOM {RANDOM} {SECRET}", 80, "48 bytes"),
    (f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} {SECRET}00", 90, "32 or 48"), (f"CLIENT_RANDOM {RANDOM} {MASTER} more", 176, "end of the line"),
])
def test_bad_lines_are_told_and_left_out(tmp_path, line, column, expected):
    count, [(at, where, text)] = read(tmp_path, f"CLIENT_RANDOM {'01' * 32} {MASTER}\n{line}\nCLIENT_RANDOM {'02' * 32} {MASTER}\n")
    assert (count, at, where) == (2, 2, column)
    assert expected in text
    assert RANDOM not in text


def test_a_file_of_nothing_but_noise(tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(b"noise\0\xff\n" * (WARNINGS_MAX + 50))
    with pytest.warns(KeyLogWarning) as heard:
        assert len(read_key_logs(path)) == 0
    assert len(heard) == WARNINGS_MAX + 1
    assert "50 more" in str(heard[-1].message)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        fp.Engine(keylog=tmp_path / "missing")
    with pytest.raises(TypeError, match="keylog"):
        fp.Engine(keylog=b"CLIENT_RANDOM")
    with pytest.raises(TypeError, match="keylog"):
        fp.Engine(keylog=7)


def test_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text(f"CLIENT_RANDOM {RANDOM} {MASTER}\n"))
    writer.start()
    assert len(read_key_logs(path)) == 1
    writer.join()


def test_a_ring_shows_nothing():
    ring = KeyRing()
    assert ring.take(f"CLIENT_RANDOM {RANDOM} {MASTER}\n".encode()) == []
    assert repr(ring) == "<KeyRing of 1 secrets>"
    with pytest.raises(TypeError):
        pickle.dumps(ring)
    assert not [name for name in dir(ring) if not name.startswith("_") and name != "take"]


def test_many_secrets():
    """The table grows; all of its secrets stay."""
    ring = KeyRing()
    lines = "".join(f"CLIENT_RANDOM {i:064x} {MASTER}\nSERVER_TRAFFIC_SECRET_0 {i:064x} {SECRET}\n" for i in range(5000))
    assert ring.take(lines.encode()) == []
    assert len(ring) == 10_000
    assert ring.take(lines.encode()) == []
    assert len(ring) == 10_000


def test_randoms_that_collide_cost_no_more():
    """Words that cancel each other out land in one place: beyond what is looked at there, they are refused."""
    ring = KeyRing()
    lines = "".join(f"CLIENT_RANDOM {f'{i:016x}' * 2}{'0' * 32} {MASTER}\n" for i in range(100))
    bad = ring.take(lines.encode())
    assert 0 < len(ring) <= 100
    assert len(ring) + len(bad) == 100
    assert all("no room" in expected for _, _, expected in bad)


@given(st.lists(st.one_of(st.binary(max_size=90), st.sampled_from([
    f"CLIENT_RANDOM {RANDOM} {MASTER}".encode(), f"SERVER_TRAFFIC_SECRET_0 {RANDOM} {SECRET}".encode(), b"#", b"EXPORTER_SECRET 00 11"])),
    max_size=12))
def test_any_bytes(lines):
    text = b"\n".join(lines)
    bad = KeyRing().take(text)
    whole = text.split(b"\n")
    assert [number for number, _, _ in bad] == sorted({number for number, _, _ in bad})
    assert all(1 <= number <= len(whole) and 1 <= column <= len(whole[number - 1]) + 1 for number, column, _ in bad)
