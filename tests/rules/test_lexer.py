"""Lines, options and bytes of rule text, each with its place."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.rules import RuleSet
from fastpath.rules.lexer import RuleError, pattern_bytes, rule_texts, split_options, unquote

RULE = 'alert tcp any any -> any any (sid:1;)'


def texts(text: str):
    return list(rule_texts(text, "x.rules"))


def error(text: str):
    """The one refusal of a text."""
    refusal, = RuleSet.parse(text, file="x.rules").refusals
    return refusal


# ---- lines ----

def test_comments_and_empty_lines_are_no_rules():
    assert texts("\n# a comment\n   \n\t# another -> (not a rule\n") == []


def test_places_count_from_one():
    first, second = texts(f"# x\n{RULE}\n  {RULE}\n")
    assert str(first.place(0)) == "x.rules:2:1"
    assert str(second.place(6)) == "x.rules:3:9"


def test_crlf_ends_a_line_like_lf():
    assert [each.text for each in texts(f"{RULE}\r\n{RULE}\r\n")] == [RULE, RULE]


def test_a_backslash_continues_a_rule_and_places_stay_true():
    rule, after = texts('alert tcp any any -> \\\n    any any (msg:"x"; \\  \r\nsid:7;)\n' + RULE)
    assert rule.text == 'alert tcp any any ->     any any (msg:"x"; sid:7;)'
    assert str(rule.place(rule.text.index("(msg"))) == "x.rules:2:13"
    assert str(rule.place(rule.text.index("sid"))) == "x.rules:3:1"
    assert str(rule.place(0)) == "x.rules:1:1"
    assert after.line == 4


def test_a_comment_is_not_continued():
    rule, = texts(f"# a comment \\\n{RULE}\n")
    assert rule.line == 2


def test_a_continuation_at_the_end_of_the_file_is_malformed():
    refusal = error("alert tcp any any -> any any (sid:1;) \\")
    assert refusal.malformed and "continuation" in refusal.reason


@pytest.mark.parametrize("line", [f"#{RULE}", f"# {RULE}", f"##  # {RULE}", f"  #{RULE}"])
def test_rules_behind_a_hash_are_disabled(line):
    rule, = texts(line)
    assert rule.disabled and rule.text == RULE
    assert rule.place(0).column == line.index("alert") + 1
    assert texts(line.replace("alert", "alerts")) == []


def test_disabled_rules_are_counted_and_loaded_on_request():
    text = f"#{RULE}\n# alert is a word\n"
    assert RuleSet.parse(text).counts == {"rules": 0, "exact": 0, "refused": 0, "malformed": 0, "disabled": 1}
    assert [plan.sid for plan in RuleSet.parse(text, include_disabled=True).plans] == [1]


def test_bytes_that_are_no_utf8_are_kept():
    rules = RuleSet.parse(b'alert tcp any any -> any any (msg:"\xff\xfe"; content:"\xe9\xff"; sid:1;)')
    assert rules.plans[0].blocks[0].steps[0].pattern == b"\xe9\xff"
    assert rules.plans[0].msg == "\xff\xfe"


def test_text_for_people_is_utf8_where_it_can_be():
    plan, = RuleSet.parse('alert tcp any any -> any any (msg:"grüße à"; metadata:à la; content:"ü"; sid:1;)').plans
    assert plan.msg == "grüße à" and plan.metadata == [("à", "la")]
    assert plan.blocks[0].steps[0].pattern == "ü".encode()


# ---- options ----

def names(text: str):
    return [(option.name, option.value) for option in split_options(text, 0)]


def test_options():
    assert names('msg : "a\\;b:c" ; nocase;sid:1;)') == [("msg", '"a\\;b:c"'), ("nocase", None), ("sid", "1")]


def test_option_places():
    one, = split_options('  content :  "x" ;', 0)
    assert (one.at, one.value_at) == (2, 13)


def test_an_option_that_is_not_ended():
    with pytest.raises(RuleError) as caught:
        split_options("sid:1; rev:2", 0)
    assert caught.value.at == 7 and "';'" in caught.value.reason


def test_unquote():
    one, = split_options('content:"x";', 0)
    assert unquote(one) == ("x", 9)
    one, = split_options("content:x;", 0)
    with pytest.raises(RuleError):
        unquote(one)
    assert unquote(one, mandatory=False) == ("x", 8)


# ---- bytes ----

@pytest.mark.parametrize("text, expected", [
    ("abc", b"abc"), ("a|41|b", b"aAb"), ("|41 42|", b"AB"), ("|4142|", b"AB"), ("|4 1|", b"A"), ("|  41|", b"A"), ("||", b""),
    (r"\;\:\"\\", b';:"\\'), (r"|41|\;|42|", b"A;B"), ("|ff 00|", b"\xff\0"),
])
def test_pattern_bytes(text, expected):
    assert pattern_bytes(text, 0, "content") == expected


@pytest.mark.parametrize("text, at", [("a|4", 1), ("a|4|", 3), ("|4g|", 2), (r"a\x", 1), ("ab\\", 2), ('a"b', 1), (r"a\|41|", 1),
    ("|41||", 4)])
def test_pattern_errors_stand_where_the_fault_is(text, at):
    with pytest.raises(RuleError) as caught:
        pattern_bytes(text, 100, "content")
    assert caught.value.at == 100 + at and caught.value.malformed


def written(pattern: bytes, draw) -> str:
    """The pattern as a rule may write it: bytes in hex or, where they can be, as they are."""
    out, inside = "", False
    for byte in pattern:
        plain = 32 <= byte and chr(byte) not in '|:;\\"' and draw(st.booleans())
        if plain == inside:
            out, inside = out + "|", not inside
        out += chr(byte) if plain else f"{byte:02X}" + draw(st.sampled_from(["", " "]))
    return out + ("|" if inside else "")


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_bytes_can_be_written(pattern, data):
    text = written(pattern, data.draw)
    assert pattern_bytes(text, 0, "content") == pattern
    rules = RuleSet.parse(f'alert tcp any any -> any any (content:"{text}"; sid:1;)'.encode("latin-1"))
    assert rules.plans[0].blocks[0].steps[0].pattern == pattern
