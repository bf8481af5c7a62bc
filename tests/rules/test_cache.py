"""The rule cache: what comes from it equals what is read and compiled, and nothing comes from it that was not written here."""
from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from fastpath.rules import RuleSet, cache
from fastpath.rules.cache import Cache, CacheWarning, default_folder, key_of, open_cache

RULES = r"""
alert tcp $HOME_NET any -> any 80 (msg:"one |3b| \; two"; flow:to_server; content:"GET "; depth:4; flowbits:set,seen; classtype:attempted-admin; reference:url,example.com/a; metadata:a b, c d; sid:1; rev:3;)
drop udp any any -> any 53 (msg:"caf\xe9"; content:"|01 00|"; priority:2; target:dest_ip; sid:2;)
alert tcp any any -> any any (flowbits:isset,seen; pcre:"/x[0-9]+/i"; sid:3; gid:4;)
alert tcp any any -> any any (msg:"refused"; content:"a"; luajit:x.lua; sid:9;)
# alert tcp any any -> any any (msg:"disabled"; sid:10;)
"""
CODES = {"decoder.ipv4.pkt_too_small": 1}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "my.rules"
    path.write_text(RULES, "latin-1")
    return path


def never(*_):
    raise AssertionError("rules were read")


@pytest.fixture
def unread(monkeypatch):
    """From here on no rule is read."""
    def forbid():
        monkeypatch.setattr("fastpath.rules.planner.Planner.plan", never)
    return forbid


def told(rules: RuleSet):
    """All that outputs ask of a rule set."""
    texts = [rules.text(i) for i in range(len(rules))]
    return (rules.numbers.tolist(), rules.refusals, rules.counts, rules.files,
            [(t.gid, t.sid, t.rev, t.msg, t.action, t.classtype, t.priority, list(t.references), list(t.metadata), t.target) for t in texts])


def files(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


def test_from_cache_equals_from_text(rules, folder, unread):
    plain = RuleSet.load(rules)
    first = RuleSet.load(rules, cache=folder)
    database = first.compile(CODES)
    unread()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = RuleSet.load(rules, cache=folder)
        again = second.compile(CODES)
    assert told(second) == told(first) == told(plain)
    assert len(plain) == 3 and len(plain.refusals) == 1 and plain.disabled == 1
    assert (again.names, again.size, again.rule_count) == (database.names, database.size, database.rule_count) and again.names == ("seen",)
    assert len(files(folder, "rules")) == len(files(folder, "blob")) == 1


def test_plans_are_read_when_asked_for(rules, folder):
    RuleSet.load(rules, cache=folder)
    cached = RuleSet.load(rules, cache=folder)
    assert cached.plans == RuleSet.load(rules).plans
    assert told(cached) == told(RuleSet.load(rules))


def test_alerts_are_the_same(folder, tmp_path):
    import fastpath as fp
    from fastpath.demo import rule_files, story
    capture = str(Path(story.__file__).parent / "attack.pcap")
    digests = set()
    for _ in range(2):
        with fp.Engine(RuleSet.load(list(rule_files()), cache=folder)) as engine:
            digests.add(engine.replay(capture).digest)
    with fp.Engine(RuleSet.load(list(rule_files()))) as engine:
        digests.add(engine.replay(capture).digest)
    assert len(digests) == 1


def made(rules, folder, **options):
    """The names of the files that a load and a compilation leave."""
    compile_options = options.pop("compile", {})
    loaded = RuleSet.load(rules, cache=folder, **options)
    if "limit" in compile_options:
        loaded.limit(compile_options.pop("limit"))
    loaded.compile(compile_options.pop("codes", CODES), **compile_options)
    return {path.name for path in folder.iterdir()} - {"key"}


@pytest.mark.parametrize("change", [
    {"variables": {"HOME_NET": "10.0.0.0/8"}}, {"classifications": {"attempted-admin": ("other", 1)}}, {"references": {"url": "ftp://"}},
    {"event_names": ["decoder.ipv4.pkt_too_small"]}, {"include_disabled": True}, {"compile": {"step_limit": 7}},
    {"compile": {"codes": {"decoder.ipv4.pkt_too_small": 2}}}, {"compile": {"flowbits": ("other",)}},
])
def test_what_makes_a_difference_is_another_file(rules, folder, change):
    before = made(rules, folder)
    assert made(rules, folder) == before
    after = made(rules, folder, **change)
    assert after > before
    assert made(rules, folder, **change) == after


def test_texts_thresholds_and_names_make_a_difference(rules, folder, tmp_path):
    before = made(rules, folder)
    config = tmp_path / "threshold.config"
    config.write_text("suppress gen_id 1, sig_id 1\n")
    limited = made(rules, folder, compile={"limit": config})
    assert len(limited) == len(before) + 1                      # the rules are as they were, their compiled form is not
    assert made(rules, folder, compile={"limit": config}) == limited
    rules.write_text(RULES.replace("GET ", "PUT "), "latin-1")
    changed = made(rules, folder)
    assert len(changed) == len(limited) + 2
    rules.rename(tmp_path / "other.rules")
    assert len(made(tmp_path / "other.rules", folder)) == len(changed) + 2


def test_limits_hold_for_rules_from_the_cache(rules, folder, tmp_path):
    config = tmp_path / "threshold.config"
    config.write_text("suppress gen_id 1, sig_id 1\n")
    RuleSet.load(rules, cache=folder)
    cached = RuleSet.load(rules, cache=folder)
    cached.limit(config)
    plain = RuleSet.load(rules)
    plain.limit(config)
    assert cached.plans == plain.plans and plain.plans[0].noalert


def test_a_list_that_changed(tmp_path, folder):
    path = tmp_path / "sets.rules"
    path.write_text('alert http any any -> any any (http.host; dataset:isset,bad,type string,load bad.lst; sid:1;)\n')
    (tmp_path / "bad.lst").write_text("ZXZpbA==\n")
    before = made(path, folder)
    assert made(path, folder) == before
    (tmp_path / "bad.lst").write_text("Z29vZA==\n")
    assert made(path, folder) > before
    plan, = RuleSet.load(path, cache=folder).plans
    assert plan.blocks[0].steps[0].dataset.entries == ((b"good", 0),)


@pytest.mark.parametrize("kind", ["rules", "blob"])
def test_damaged_at_any_byte(rules, folder, kind):
    first = RuleSet.load(rules, cache=folder)
    size = first.compile(CODES).size
    path, = files(folder, kind)
    whole = path.read_bytes()
    for at in [*range(0, min(len(whole), 200)), *range(200, len(whole), len(whole) // 23), len(whole) - 1]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        with pytest.warns(CacheWarning, match="made anew"):
            again = RuleSet.load(rules, cache=folder)
            assert again.compile(CODES).size == size and told(again) == told(first)
        assert path.read_bytes() == whole                       # written anew, the same
    for length in (0, 1, 71, 72, 80, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.warns(CacheWarning, match="made anew"):
            assert RuleSet.load(rules, cache=folder).compile(CODES).size == size


def test_foreign_files(rules, folder, tmp_path):
    """One that another key sealed, one under another's name, one of another kind, a link, a folder."""
    first = RuleSet.load(rules, cache=folder)
    first.compile(CODES)
    other = tmp_path / "other"
    RuleSet.load(rules, cache=other).compile(CODES)
    mine, = files(folder, "blob")
    text, = files(folder, "rules")
    foreign, = files(other, "blob")
    whole = mine.read_bytes()
    assert foreign.name == mine.name and foreign.read_bytes() != whole
    mine.write_bytes(foreign.read_bytes())
    with pytest.warns(CacheWarning, match="damaged, or was not written here"):
        RuleSet.load(rules, cache=folder).compile(CODES)
    assert mine.read_bytes() == whole
    mine.write_bytes(text.read_bytes())
    with pytest.warns(CacheWarning, match="not written here"):
        RuleSet.load(rules, cache=folder).compile(CODES)
    at = Cache(folder)
    at.put("blob", b"k" * 32, [b"x"])
    os.replace(folder / f"{(b'k' * 32).hex()}.blob", mine)
    with pytest.warns(CacheWarning, match="under this name"):
        RuleSet.load(rules, cache=folder).compile(CODES)
    mine.unlink()
    mine.symlink_to(foreign)
    with pytest.warns(CacheWarning, match="made anew"):
        RuleSet.load(rules, cache=folder).compile(CODES)
    assert mine.read_bytes() == whole and not mine.is_symlink()


def test_sealed_but_not_a_blob(rules, folder):
    """What this key sealed and is no compiled form all the same: Database says so, and it is compiled anew."""
    RuleSet.load(rules, cache=folder).compile(CODES)
    path, = files(folder, "blob")
    whole = path.read_bytes()
    Cache(folder).put("blob", bytes.fromhex(path.stem), [b"\x90", b"no blob" * 100])
    with pytest.warns(CacheWarning, match="made anew"):
        RuleSet.load(rules, cache=folder).compile(CODES)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o720])
def test_a_folder_that_others_may_enter(rules, folder, mode):
    RuleSet.load(rules, cache=folder)
    before = set(folder.iterdir())
    folder.chmod(mode)
    with pytest.warns(CacheWarning, match="others may enter"):
        loaded = RuleSet.load(rules, cache=folder)
    assert len(loaded) == 3 and loaded.compile(CODES).rule_count == 3 and set(folder.iterdir()) == before


def test_a_folder_of_another_user(rules, folder, monkeypatch):
    RuleSet.load(rules, cache=folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(CacheWarning, match="another user"):
        assert len(RuleSet.load(rules, cache=folder)) == 3


def test_a_folder_that_is_a_file(rules, tmp_path):
    with pytest.warns(CacheWarning, match="is not used"):
        assert len(RuleSet.load(rules, cache=rules)) == 3


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda key: key.chmod(0o640), "this user alone"), (lambda key: key.write_bytes(b"short"), "has 5 bytes"),
    (lambda key: (key.unlink(), key.symlink_to("/dev/null")), "is not used"),
])
def test_a_key_that_is_not_one(rules, folder, spoil, reason):
    RuleSet.load(rules, cache=folder)
    spoil(folder / "key")
    with pytest.warns(CacheWarning, match=reason):
        assert len(RuleSet.load(rules, cache=folder)) == 3


def test_modes(rules, folder):
    RuleSet.load(rules, cache=folder).compile(CODES)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert len((folder / "key").read_bytes()) == 32


def test_old_files_go(folder):
    at = Cache(folder)
    keys = [bytes([i]) * 32 for i in range(cache.KEPT + 5)]
    (folder / "left.new").write_bytes(b"")
    os.utime(folder / "left.new", (1, 1))
    for i, key in enumerate(keys):
        at.put("blob", key, [b"x"])
        os.utime(folder / f"{key.hex()}.blob", (1000 + i, 1000 + i))
        if i >= 3:
            assert at.get("blob", keys[0]) is not None          # in use all the time
    assert {path.stem for path in files(folder, "blob")} == {key.hex() for key in [keys[0], *keys[-cache.KEPT + 1:]]}
    assert not (folder / "left.new").exists()


def test_parts_are_aligned_read_only_and_outlive_their_file(folder):
    at = Cache(folder)
    data = np.random.default_rng(1).bytes(100_001)
    at.put("blob", b"k" * 32, [b"first", b"", data])
    parts = at.get("blob", b"k" * 32)
    at.put("blob", b"k" * 32, [b"new"])
    assert [bytes(part) for part in parts] == [b"first", b"", data]
    assert all(part.readonly for part in parts)
    assert np.frombuffer(parts[2], np.uint8).ctypes.data % 64 == 0
    assert at.get("blob", b"q" * 32) is None


def test_no_room(rules, folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")
    Cache(folder)
    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(CacheWarning, match="No space left"):
        assert len(RuleSet.load(rules, cache=folder)) == 3
    assert {path.name for path in folder.iterdir()} == {"key"}


def test_where(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTPATH_CACHE", str(tmp_path / "a"))
    assert default_folder() == tmp_path / "a"
    monkeypatch.delenv("FASTPATH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert default_folder() == tmp_path / "b" / "fastpath"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "fastpath"
    assert open_cache(False) is None
    found = open_cache(True)
    assert found is not None and found.folder == tmp_path / ".cache" / "fastpath"


def test_keys_follow_from_facts_and_code(monkeypatch):
    assert key_of(1, "a") == key_of(1, "a") != key_of(1, "b")
    before = key_of(1)
    monkeypatch.setattr(cache, "identity", lambda: b"other")
    assert key_of(1) != before
