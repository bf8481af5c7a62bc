"""Devices from files and by name."""
from __future__ import annotations

import re

import pytest

import fastpath as fp
from fastpath.control.device import OFFLOAD, RANGES, SESSIONS_MAX, DeviceError, profiles


def written(tmp_path, text):
    path = tmp_path / "device.yaml"
    path.write_text(text)
    return path


def test_a_device_file(tmp_path):
    assert fp.Device.load(written(tmp_path, "sessions: 4000\nidle_timeout: 2.5\n")) == fp.Device(4000, idle_timeout=2.5)
    assert fp.Device.load(str(written(tmp_path, "idle_timeout: 30"))) == fp.Device(idle_timeout=30)
    made = fp.Device.load(written(tmp_path, "profile: bf2\ninsert_rate: off\noffload:\n  elephant: 1_000_000\n  drop: never\n  encrypted_bytes: 4096\n"))
    assert (made.sessions, made.insert_rate) == (4_000_000, None)
    assert made.offload == OFFLOAD | {"elephant": 1_000_000, "drop": None, "encrypted": None, "encrypted_bytes": 4096}


def test_settings_in_ns():
    assert fp.Device(5, insert_latency=0.001, counter_lag=1, idle_timeout=1.5).settings() == {
        "sessions": 5, "insert_rate": None, "snoop": 4096, "offload": OFFLOAD, "insert_latency": 1_000_000, "counter_lag": 1_000_000_000,
        "idle_timeout": 1_500_000_000}


def test_every_number_of_a_profile_says_where_it_is_from():
    assert list(profiles()) == ["bf2", "bf3", "unlimited"]
    for name, said in profiles().items():
        fp.Device.load(name)
        for setting, one in said.items():
            assert setting == "about" or (setting in RANGES and ("source" in one) != ("guess" in one)), (name, setting)
    assert fp.Device.load("unlimited").sessions == SESSIONS_MAX


@pytest.mark.parametrize("text, place, message", [
    ("sessions: many", "1:11", "sessions must be a number from 0 to 268,435,456 sessions, not 'many'"),
    ("idle_timeout: 3\nsessions: -1", "2:11", "sessions must be a whole number from 0 to 268,435,456 sessions, not -1"),
    ("sessions: 1.5", "1:11", "a whole number"), ("sessions: off", "1:11", "must be a number"), ("sessions:", "1:9", "must be a number"),
    ("idle_timeout: 0", "1:15", "idle_timeout must be a number from 0.001 to 1,000,000,000 seconds, not 0"),
    ("insert_rate: .nan", "1:14", "insert_rate must be"), ("insert_latency: 3601", "1:17", "from 0 to 3,600 seconds"),
    ("speed: 3", "1:8", "no setting 'speed'"), ("offload:\n  luck: 1", "2:9", "no setting 'offload.luck'"),
    ("offload: 3", "1:10", "no setting 'offload'"), ("offload:\n  elephant: 0", "2:13", "offload.elephant must be a whole number from 1"),
    ("offload: {encrypted: 3, encrypted_bytes: 5}", "1:42", "packets or bytes, not both"),
    ("- sessions", "1:1", "a device is a mapping"), ("", "1:1", "the file is empty"), ("sessions: [", "1:12", "not YAML"),
    ("sessions: [1]", "1:11", "sessions is one value"), ("sessions: 1\nsessions: 2", "2:1", "said twice"),
    ("profile: bf9", "1:10", "no profile 'bf9'; there are bf2, bf3, unlimited"), ("a: {b: 1}", "1:1", "no setting 'a'")])
def test_what_is_no_device(tmp_path, text, place, message):
    with pytest.raises(DeviceError, match=re.escape(message)) as raised:
        fp.Device.load(written(tmp_path, text))
    assert f"device.yaml:{place}: " in str(raised.value)


@pytest.mark.parametrize("settings, message", [
    ({"sessions": SESSIONS_MAX + 1}, "sessions must be a whole number from 0 to"), ({"sessions": True}, "sessions must be"),
    ({"insert_rate": 0}, "insert_rate must be a number from 1 to 1,000,000,000 sessions a second, or none, not 0"),
    ({"counter_lag": float("inf")}, "counter_lag must be"), ({"snoop": -1}, "snoop must be"), ({"idle_timeout": None}, "idle_timeout must be"),
    ({"offload": {"rules": 1}}, "nothing is offloaded by 'rules'"), ({"offload": {"depth": 1.5}}, "offload.depth must be a whole number")])
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fp.Device(**settings)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        fp.Device.load(tmp_path / "none.yaml")
