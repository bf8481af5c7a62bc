"""The report and the terminal: hostile text stays text, nothing is loaded, every part renders."""
from __future__ import annotations

import html.parser
import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from fastpath.control.result import Damage
from fastpath.outputs import terminal
from fastpath.outputs.visible import scaled, visible

HOSTILE = "<script>alert(1)</script>\x1b[31m[bold]\u202e{{7*7}}\x00&amp;\n"


def result(**changes):
    stats = {
        "packets": 1000, "bytes": 64000, "entries": 1100, "seconds": 0.5, "load_seconds": 0.1, "partial": False,
        "rates": {"packets_per_second": 2000.0, "bits_per_second": 1_024_000.0},
        "ledger": {name: {"packets": 250, "bytes": 16000} for name in ("inspected", "offloaded", "dropped", "errored")},
        "alerts": 3, "flows": {"rows": 10, "created": 10, "ended": {"timeout": 4, "shutdown": 6}},
        "verdicts": {"pass": 750, "drop": 250}, "reasons": {"none": 750, "rule": 250},
        "stages": {"rx": 1000, "decode": 2000, "decap": 0, "steer": 1, "flow": 5000, "match": 9000, "telemetry": 100}, "roce": [],
        "decryption": {"sessions": 0, "bytes": 0, "failed": 0, "capture_bad_lines": 0},
        "uninspected": {"of": 0, "bytes": 0, "share": 0.0, "flows": 0, "by_service": [], "by_segment": []},
        "rules": [{"gid": 1, "sid": 7, "rev": 2, "msg": HOSTILE, "alerts": 3, "severity": 1, "category": HOSTILE, "action": "alert"}],
        "events": {"decoder.ipv4.trunc_pkt": 5}, "exceptions": {"forced": 2},
        "decryption": {"sessions": 2, "records": 8, "bytes": 4000, "failed": 1, "ciphers_refused": 0, "capture_secrets": 0, "capture_bad_lines": 3},
        "uninspected": {"flows": 3, "bytes": 6400, "of": 10_000, "share": 0.1,
                        "by_service": [{"service": HOSTILE, "protocol": "tls", "hosted": HOSTILE, "flows": 3, "bytes": 6400, "of": 10_000, "share": 0.64}],
                        "by_segment": [{"from": HOSTILE, "to": "db", "flows": 3, "bytes": 6400, "of": 10_000, "share": 0.64}]},
        "device": {"sessions": 1, "added": 2, "full": 0, "packets": 3, "bytes": 180, "asked": {"rule": 2, "drop": 0},
                   "share": {"packets": 0.003, "bytes": 0.01}, "lag": {"mean": 0.5, "most": 0.75}},
        "throughput": [{"second": 1_700_000_000 + n, "width": 1, "packets": 10, "bytes": n * 100, "dropped": n % 3} for n in range(400)],
    }
    return SimpleNamespace(stats=stats | changes, partial=False, damages=[Damage(HOSTILE, 5, "cut")], captures=[HOSTILE], models=[],
                           digest="v1:" + "0" * 32)


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs


def rendered(**changes) -> str:
    pytest.importorskip("jinja2")
    from fastpath.outputs.report import render
    return render(result(**changes), captures=[HOSTILE], mode="ips")


def test_hostile_text_stays_text():
    page = rendered()
    assert "script" not in Tags(page).names
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m[bold]\\u202e{{7*7}}\\x00&amp;amp;\\x0a" in page
    assert not set(page) & {"\x1b", "\x00", "\u202e"}


def test_nothing_is_loaded_and_nothing_runs():
    tags = Tags(rendered())
    assert not {"script", "link", "img", "iframe", "object"} & set(tags.names)
    assert not [name for name, value in tags.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in rendered() and "@import" not in rendered()


def test_what_it_shows():
    page = rendered()
    for part in ("Ledger", "Throughput", "Rules that fired", "Verdicts", "Reasons", "Time by stage", "Events", "Device", "1:7:2",
                 "decoder.ipv4.trunc_pkt", "flows ended early at the flow memcap", "Damaged capture", "v1:" + "0" * 32):
        assert part in page
    assert len(re.findall("<rect class=\"col\"", page)) == 134      # 400 seconds in columns of three


def test_an_empty_run():
    page = rendered(packets=0, bytes=0, entries=0, alerts=0, rules=[], events={}, exceptions={}, throughput=[], verdicts={}, reasons={},
                    ledger={name: {"packets": 0, "bytes": 0} for name in ("inspected", "offloaded", "dropped", "errored")},
                    stages={}, flows={"rows": 0}, device={}, rates={"packets_per_second": 0.0, "bits_per_second": 0.0})
    assert "Not looked into" in page
    page = rendered(uninspected={"flows": 0, "bytes": 0, "of": 0, "share": 0.0, "by_service": [], "by_segment": []}, rules=[], throughput=[], device={})
    assert "Not looked into" not in page
    assert "no rule fired" in page and "Throughput" not in page and "Device" not in page


@pytest.mark.parametrize("seconds", [1, 2, 7, 8, 500])
def test_charts_of_any_length(seconds):
    bins = [{"second": 5, "width": 1, "packets": 1, "bytes": 0, "dropped": 0}] * seconds
    assert rendered(throughput=bins).count('class="col"') == -(-seconds // -(-seconds // 170))


def test_the_terminal_escapes():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, color_system=None)
    terminal.print_alerts(console, result())
    terminal.print_summary(console, result())
    text = out.getvalue()
    assert "\\x1b[31m[bold]\\u202e" in text
    assert not set(text) & {"\x1b", "\x00", "\u202e"}
    assert text.rstrip().endswith("digest: v1:" + "0" * 32)
    assert "1,000 packets = 250 inspected + 250 offloaded + 250 dropped + 250 errored" in text


def test_visible():
    assert visible("plain ü 漢字 🦊") == "plain ü 漢字 🦊"
    assert visible("a\x9b\ud800\u2028") == "a\\x9b\\ud800\\u2028"
    assert visible("x" * 10, 5) == "xxxx…"


@pytest.mark.parametrize("value, shown", [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234567, "1.23 MB"), (5e12, "5 TB"),
                                          (999_600, "1 MB"), (5e15, "5000 TB"), (123_456, "123 kB")])
def test_scaled(value, shown):
    assert scaled(value, "B") == shown
