"""Devices from files and by name."""
from __future__ import annotations

import pytest

import fastpath as fp
from fastpath.control.device import SESSIONS_MAX, DeviceError


def written(tmp_path, text):
    path = tmp_path / "device.yaml"
    path.write_text(text)
    return path


def test_a_device_file(tmp_path):
    assert fp.Device.load(written(tmp_path, "capacity: 4000\ntimeout: 2.5\n")) == fp.Device(4000, 2.5)
    assert fp.Device.load(str(written(tmp_path, "timeout: 30"))) == fp.Device(idle_timeout=30)


def test_unlimited():
    assert fp.Device.load("unlimited").sessions == SESSIONS_MAX


@pytest.mark.parametrize("text, message", [
    ("capacity: many", "capacity must be a number"), ("capacity: -1", "capacity must be a number"), ("timeout: 0", "timeout must be above 0"),
    ("timeout: yes", "timeout must be above 0"), ("speed: 3", "no setting 'speed'"), ("- capacity", "a mapping of capacity and timeout"),
    ("", "a mapping"), ("capacity: [", "while parsing"), ("capacity: &a [*a]", "capacity must be a number")])
def test_what_is_no_device(tmp_path, text, message):
    with pytest.raises(DeviceError, match=message) as raised:
        fp.Device.load(written(tmp_path, text))
    assert "device.yaml" in str(raised.value)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        fp.Device.load(tmp_path / "none.yaml")
