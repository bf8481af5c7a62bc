"""How settings are written, and that what is out of range is refused with the range."""
from __future__ import annotations

import pytest

from fastpath.offload import settings
from fastpath.offload.settings import Requests, Setting


@pytest.mark.parametrize(("text", "read"), [
    ("bypass+verdict", Requests()), ("encrypted", Requests(None, None, None, 0)), ("encrypted=8+elephant=10mb", Requests(None, None, None, 8, None, 10 << 20)),
    ("drop=3+pass", Requests(None, 3, 0)), ("bypass+verdict=2+depth=64kb", Requests(0, 2, 2, None, 65536)),
])
def test_policies(text, read):
    assert Requests.parse(text) == read
    assert Requests.parse(str(read)) == read


@pytest.mark.parametrize("text", ["", "elephant", "mouse", "bypass=x", "passed", "depth=1mm", "bypass++drop"])
def test_what_is_no_policy(text):
    with pytest.raises(ValueError, match="expected|a policy is made of"):
        Requests.parse(text)


@pytest.mark.parametrize(("fields", "said"), [
    ({"sessions": 0}, "from 1 to 268,435,456"), ({"sessions": 1 << 29}, "268,435,456"), ({"sessions": 1, "insert_rate": 0.5}, "insert_rate must lie between 1 and 1,000,000,000"),
    ({"sessions": 1, "insert_latency": -1}, "insert_latency must lie between 0 and 3,600 seconds"), ({"sessions": 1, "idle_timeout": 0}, "idle_timeout must lie between 0.001"),
])
def test_out_of_range(fields, said):
    with pytest.raises(ValueError, match=said):
        Setting(**fields)


def test_requests_out_of_range():
    with pytest.raises(ValueError, match="offload.elephant must lie between 1 and"):
        Requests(elephant=0)


def test_units():
    assert [settings.count(one) for one in ("64", "4k", "1.5m")] == [64, 4000, 1_500_000]
    assert [settings.size(one) for one in ("64", "4kb", "1mb")] == [64, 4096, 1 << 20]
    assert [settings.seconds(one) for one in ("2", "5ms", "2min", "10s")] == [2, 0.005, 120, 10]
    assert settings.rate("unlimited") is None and settings.rate("10k") == 10_000


def test_a_setting_is_a_device():
    device = Setting(64, 1000, 0.5, 3.0, Requests(bypass=1, drop=2, passed=3, encrypted=4, depth=5, elephant=6)).device()
    assert (device.sessions, device.insert_rate, device.insert_latency, device.idle_timeout) == (64, 1000, 0.5, 3.0)
    assert dict(device.offload) == {"rule": 1, "drop": 2, "pass": 3, "encrypted": 4, "encrypted_bytes": None, "depth": 5, "elephant": 6}


def test_grid():
    assert len(settings.read_grid("1k,2k", "unlimited,10", "0,1s", "10", "bypass,drop,pass")) == 24
    with pytest.raises(ValueError, match="at most 20,000"):
        settings.read_grid(",".join(map(str, range(1, 20_002))), "unlimited", "0", "10", "bypass")


def test_spread_reaches_from_full_to_never_full():
    for peak in (0, 1, 5, 64, 1000, 1 << 20):
        sizes = settings.spread(peak)
        assert sizes == sorted(sizes) and sizes[-1] >= peak and sizes[0] <= max(1, peak // 8)
