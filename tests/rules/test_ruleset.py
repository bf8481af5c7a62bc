"""RuleSet: where rules come from, what becomes of each, and that every rule of the corpus is read."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fastpath.rules import RuleSet, support
from fastpath.rules.classification import parse_classifications, parse_references
from fastpath.rules.stock import STOCK_CLASSIFICATIONS, STOCK_REFERENCES

ROOT = Path(__file__).parents[2]


def rule(sid: int, options: str = "", action: str = "alert") -> str:
    return f"{action} tcp any any -> any any ({options} sid:{sid};)\n"


# ---- loading ----

def test_files_folders_and_globs(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, sid in (("b.rules", 2), ("a.rules", 1), ("deep/c.rules", 3), ("d.txt", 4)):
        (tmp_path / name).write_text(rule(sid))

    def sids(paths):
        return [plan.sid for plan in RuleSet.load(paths).plans]
    assert sids(tmp_path) == [1, 2, 3]
    assert sids(str(tmp_path / "b.rules")) == [2]
    assert sids([tmp_path / "d.txt", tmp_path / "a.rules"]) == [4, 1]
    assert sids(str(tmp_path / "*.r*s")) == [1, 2]
    assert RuleSet.load(tmp_path / "b.rules").plans[0].place.file == str(tmp_path / "b.rules")
    with pytest.raises(FileNotFoundError):
        RuleSet.load(tmp_path / "no.rules")


def test_order_of_loading():
    rules = RuleSet.parse(rule(5) + rule(3) + rule(4))
    assert [(plan.sid, plan.order) for plan in rules.plans] == [(5, 0), (3, 1), (4, 2)]


def test_variables_are_laid_over_the_stock_ones():
    text = "alert tcp $HOME_NET any -> $EXTERNAL_NET $WEB (sid:1;)"
    plan, = RuleSet.parse(text, variables={"HOME_NET": "10.1.0.0/16", "$WEB": "[80,8080]"}).plans
    assert plan.src.v4 == ((0x0A010000, 0x0A01FFFF),) and plan.src.v6 == ()
    assert plan.dst.v4 == ((0, 0x0A00FFFF), (0x0A020000, 0xFFFFFFFF))
    assert plan.dport.ranges == ((80, 80), (8080, 8080))


# ---- two rules of one sid ----

def test_the_higher_revision_stays():
    for first, second in ((1, 2), (2, 1)):
        rules = RuleSet.parse(rule(9, f"rev:{first};") + rule(9, f"rev:{second};"))
        assert [plan.rev for plan in rules.plans] == [2] and rules.plans[0].order == 0
        refusal, = rules.refusals
        assert refusal.place.line == (1 if first == 1 else 2) and "same gid and sid" in refusal.reason


def test_the_same_revision_is_a_duplicate():
    refusal, = RuleSet.parse(rule(9, "rev:1;") + rule(9, "rev:1;")).refusals
    assert refusal.malformed and refusal.place.line == 2


def test_another_gid_is_another_rule():
    assert RuleSet.parse(rule(9) + rule(9, "gid:2;")).exact == 2


# ---- what is told of it ----

def test_check():
    rules = RuleSet.parse(rule(1) + "alert sip any any -> any any (sid:2;)\n" + rule(3, 'content:"|4|";'), file="a.rules")
    assert rules.check() == {"rules": 3, "exact": 1, "refused": 2, "refusals": [
        {"file": "a.rules", "line": 2, "column": 7, "sid": 2, "keyword": "", "reason": "needs the sip room"},
        {"file": "a.rules", "line": 3, "column": 42, "sid": 3, "keyword": "content",
        "reason": "found '|' where a second hex digit was expected"}]}
    assert rules.counts == {"rules": 3, "exact": 1, "refused": 2, "malformed": 1, "disabled": 0}
    assert len(rules) == 1


def test_priorities():
    rules = RuleSet.parse(rule(1, "classtype:attempted-user;") + rule(2, "classtype:attempted-user; priority:4;") + rule(3,
        "classtype:of-ones-own;")
                          + rule(4))
    assert [rules.priority(plan) for plan in rules.plans] == [1, 4, 3, 3]
    rules = RuleSet.parse(rule(1, "classtype:mine;"), classifications={"mine": ("My own", 7)})
    assert rules.priority(rules.plans[0]) == 7


def test_classifications_and_references():
    assert parse_classifications("# x\nconfig classification: a-b,Some text, with a comma, 2\n\n") == {"a-b": ("Some text, with a comma", 2)}
    assert parse_references("config reference: CVE  http://x/?name=\nconfig reference: cve http://y/\n") == {"cve": "http://x/?name="}
    with pytest.raises(ValueError, match="x.config:2: .*config classification"):
        parse_classifications("\nconfig classification: a\n", "x.config")
    with pytest.raises(ValueError, match="config reference"):
        parse_references("config reference: a\n")
    assert STOCK_CLASSIFICATIONS["trojan-activity"] == ("A Network Trojan was detected",
        1) and STOCK_REFERENCES["url"] == "http://"


def test_support_lists_every_keyword():
    rows = support.keyword_support()
    names = {row.name for row in rows}
    assert len(rows) == len(names) == 292
    assert {"content", "flow", "tcp.flags", "http.uri", "icmpv6.mtu", "ja4.hash", "xbits"} <= names
    assert all(row.note for row in rows if not row.exact)
    assert "flags" in next(row for row in rows if row.name == "tcp.flags").aliases


def test_the_document_of_the_rule_language_is_current():
    """docs/rules.md is what `fastpath rules keywords --markdown` prints."""
    assert (ROOT / "docs" / "rules.md").read_text("utf-8") == support.markdown()


# ---- the corpus ----

def test_every_rule_of_et_open_is_read(corpus):
    """34,850 rules, 24,827 of them active. Suricata 7.0.10 refuses one of the disabled ones (a bitmask without 0x)."""
    rules = RuleSet.load(corpus / "rules" / "et-open-2024-04" / "rules", include_disabled=True)
    assert rules.rules == 34_850
    assert [(refusal.sid, refusal.keyword) for refusal in rules.refusals if refusal.malformed] == [(2046878, "byte_test")]
    active = RuleSet.load(corpus / "rules" / "et-open-2024-04" / "rules")
    assert (active.rules, active.disabled, active.malformed) == (24_827, 10_023, 0)
    assert active.exact >= 24_823


def test_every_rules_file_of_the_corpus_is_read(corpus):
    for folder in ("rules/quickdraw-suricata", "rules/quickdraw-snort", "rules/daffainfo", "rules/suricata-events",
        "suricata-verify"):
        files = [path for path in (corpus / folder).rglob("*") if path.is_file() and path.name.endswith("rules")]
        assert files
        for path in files:
            rules = RuleSet.load(path, include_disabled=True)
            lines = path.read_bytes().count(b"\n") + 1
            assert all(1 <= refusal.place.line <= lines for refusal in rules.refusals)


def test_rules_that_suricata_loads_are_not_malformed(corpus, tmp_path):
    """Every rule of its own conformance tests, held against `suricata -T`."""
    if not shutil.which("suricata"):
        pytest.skip("suricata is not installed")
    rules, seen = [], set()
    for path in sorted((corpus / "suricata-verify").rglob("*.rules")):
        for line in path.read_text("latin-1").splitlines():
            if line.startswith(("alert", "drop", "pass",
                "reject")) and not line.rstrip().endswith("\\") and line not in seen and len(line) < 1500:
                seen.add(line)
                rules.append(re.sub(r"([;(\s]sid\s*:\s*)\d+", rf"\g<1>{len(rules) + 1}", line, count=1))
    assert len(rules) > 1500
    file = tmp_path / "all.rules"
    file.write_bytes("\n".join(rules).encode("latin-1") + b"\n")
    run = subprocess.run(["suricata", "-T", "-S", file, "-l", tmp_path], capture_output=True, check=False)
    rejected = {int(number) for number in re.findall(rb"error parsing signature .* at line (\d+)", run.stdout + run.stderr)}
    assert len(rejected) < len(rules) / 2
    wrong = [str(refusal) for refusal in RuleSet.load(file).refusals if refusal.malformed and refusal.place.line not in rejected]
    assert wrong == []


def test_an_expression_that_pcre2_does_not_take_costs_its_rule_alone():
    rules = RuleSet.parse(rule(1, 'pcre:"/a(b/";') + rule(2, 'pcre:"/a(b)/";'))
    assert [plan.sid for plan in rules.plans] == [2]
    refusal, = rules.refusals
    assert refusal.malformed and refusal.sid == 1 and "missing closing parenthesis" in refusal.reason
    assert refusal.place.column == rule(1, 'pcre:"/a(b/";').index("/a(b/") + 1 + len("/a(b")
    rules.compile({})


def test_rules_run_by_the_priority_of_their_classtype(tmp_path):
    """Where a packet has more alerts than it may raise, the urgent ones are those that stay."""
    from captures import udp, write_pcap
    from runs import replay
    text = "".join(f'alert udp any any -> any any (content:"x"; classtype:misc-activity; sid:{sid};)\n' for sid in range(1, 21))
    text += 'alert udp any any -> any any (content:"x"; classtype:trojan-activity; sid:21;)'
    alerts = replay(write_pcap(tmp_path / "a.pcap", [udp(b"x")]), text).alerts
    assert alerts["sid"].tolist() == [21, *range(1, 15)]


def test_a_rule_with_more_variables_than_fit_is_refused_alone():
    extracts = "".join(f"byte_extract:1,{at},v{at}; " for at in range(33))
    rules = RuleSet.parse(rule(1, f'{extracts} content:"a"; depth:v32;') + rule(2, 'content:"a";'))
    assert [plan.sid for plan in rules.plans] == [2]
    assert [(refusal.sid, refusal.malformed) for refusal in rules.refusals] == [(1, False)]
    rules.compile({})


@pytest.mark.parametrize("call, argument", [
    (lambda: RuleSet.parse(5), "text"), (lambda: RuleSet.parse("", variables=5), "variables"), (lambda: RuleSet.load(5), "paths"),
    (lambda: RuleSet.load(b"a.rules"), "paths"), (lambda: RuleSet.load((), variables="HOME_NET"), "variables"),
])
def test_a_wrong_type_names_the_argument(call, argument):
    with pytest.raises(TypeError, match=f"{argument} must"):
        call()
