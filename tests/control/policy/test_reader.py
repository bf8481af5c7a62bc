"""Policy files: what is read, and what is said, at its place, of what cannot be."""
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastpath as fp
from fastpath.control.policy import PolicyError, schema

WHOLE = """version: 1
name: a whole policy
pending: {packets: 10, bytes: 2000}
carriers: pass
tenants:
  blue: {vlan: [100, 200-210], vni: 5001}
workloads:
  jump: {addresses: 10.9.0.1}
  old: 10.9.0.2
segments:
  web: [10.1.0.0/24, "2001:db8:1::/64", 10.1.9.1-10.1.9.7]
  db: {addresses: 10.2.0.0/16, except: [10.2.9.0/24], teid: 1-1000}
  blue: {tenant: blue}
  admins: {workloads: [jump, old]}
exceptions:
- {name: migration, from: web, to: any, protocol: tcp, ports: 9000-9010, until: 2026-01-31, why: until the move is done}
lines:
- {name: sql, from: [web, admins], to: db, protocol: tcp, ports: [5432, 5433]}
- {from: web, to: any, server_name: ["*.example.com", Shop.Example.org]}
- {from: blue, to: blue, application: [http, tls]}
- {from: admins, to: any, protocol: [tcp, udp], action: deny}
- {from: any, to: web, protocol: icmp, icmp_types: [8]}
residency:
- {data: pii, from: web, to: [db, web]}
"""


def test_a_whole_policy():
    policy = fp.Policy.parse(WHOLE, "p.yaml")
    assert [one.name for one in policy.segments] == ["any", "jump", "old", "web", "db", "blue", "admins"]
    assert [line.kind for line in policy.lines] == ["exception", *["line"] * 5, "residency"]
    described = [policy.describe_line(number) for number in range(len(policy))]
    assert described[0] == {"name": "migration", "place": "p.yaml:16:3", "kind": "exception", "action": "allow", "from": ["web"], "to": ["any"],
                            "services": ["tcp 9000-9010"], "until": "2026-01-31T00:00:00Z", "why": "until the move is done"}
    assert described[2]["server_name"] == ["*.example.com", "shop.example.org"] and described[2]["application"] == ["tls"]
    assert described[4]["services"] == ["tcp", "udp"] and described[5]["services"] == ["icmp 8"]
    assert policy.settings.pending_packets == 10 and not policy.settings.judges_carriers
    assert policy.warnings == []
    assert policy.describe()["kinds"] == {"exception": 1, "line": 5, "residency": 1}


def test_identity_is_what_it_says():
    assert fp.Policy.parse(WHOLE).identity == fp.Policy.parse("# a word\n" + WHOLE, "other").identity
    assert fp.Policy.parse(WHOLE).identity != fp.Policy.parse(WHOLE.replace("5433", "5434")).identity


HEAD = "version: 1\nsegments: {a: 10.0.0.0/8, b: 10.1.0.0/16, c: 11.0.0.0/8}\n"


@pytest.mark.parametrize("text, place, message", [
    ("", "1:1", "found nothing"),
    ("version: 1", "1:1", "needs 'segments'"),
    ("version: 2\nsegments: {}\nlines: []", "1:10", "expected version 1"),
    ("- 1", "1:1", "expected a policy, found a list"),
    ("a: [", "1:5", "not YAML"),
    ("a: \x01", "1:4", "not YAML"),
    ("version: 1\n---\nversion: 1", "3:1", "one document"),
    ("version: 1\nversion: 1", "2:1", "said twice (p.yaml:1:1)"),
    (HEAD + "lines: []\nrules: []", "4:1", "no 'rules'"),
    (HEAD + "lines:\n- {from: a, to: d}", "4:17", "no segment or workload is named 'd'"),
    (HEAD + "lines:\n- {from: a, to: bb}", "4:17", "did you mean 'b'?"),
    (HEAD + "lines:\n- {from: a}", "4:3", "needs 'to'"),
    (HEAD + "lines:\n- {from: [], to: a}", "4:10", "the name of a segment"),
    (HEAD + "lines:\n- {from: a, to: c, ports: 80}", "4:27", "ports need a protocol"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: icmp, ports: 80}", "4:43", "ports need a protocol"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: tcp, icmp_types: 8}", "4:47", "need protocol icmp"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: tpc}", "4:30", "no protocol is named 'tpc'"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: 256}", "4:30", "no protocol is named"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: tcp, ports: 80-79}", "4:42", "the lower first"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: tcp, ports: 65536}", "4:42", "from 0 to 65535"),
    (HEAD + "lines:\n- {from: a, to: c, protocol: tcp, ports: http}", "4:42", "a range such as"),
    (HEAD + "lines:\n- {from: a, to: c, application: htp}", "4:33", "no application is named 'htp'"),
    (HEAD + "lines:\n- {from: a, to: c, application: http, protocol: icmp}", "4:49", "over tcp and udp"),
    (HEAD + "lines:\n- {from: a, to: c, application: http, server_name: x.org}", "4:52", "a server name is TLS's"),
    (HEAD + "lines:\n- {from: a, to: c, server_name: '*'}", "4:33", "expected a server name"),
    (HEAD + "lines:\n- {from: a, to: c, server_name: 'a*.org'}", "4:33", "expected a server name"),
    (HEAD + "lines:\n- {from: a, to: c, action: alow}", "4:28", "allow or deny"),
    (HEAD + "lines:\n- {from: a, to: c, until: soon}", "4:27", "expected a time"),
    (HEAD + "lines: []\nexceptions:\n- {from: a, to: c}", "5:3", "needs 'until'"),
    (HEAD + "lines: []\npending: {packets: 0}", "4:20", "packets from 1"),
    (HEAD + "lines: []\ncarriers: maybe", "4:11", "judge or pass"),
    (HEAD + "lines: []\nresidency:\n- {data: 'p i', from: a, to: c}", "5:10", "a class of data"),
    (HEAD + "lines: []\nworkloads: {a: 1.2.3.4}", "2:12", "'a' is defined twice (p.yaml:4:13)"),
    ("version: 1\nsegments: {any: 1.2.3.4}\nlines: []", "2:12", "'any' is everything"),
    ("version: 1\nsegments: {a: 10.0.0.1/8}\nlines: []", "2:15", "bits behind its prefix: write 10.0.0.0/8"),
    ("version: 1\nsegments: {a: 10.0.0.256}\nlines: []", "2:15", "expected an address"),
    ("version: 1\nsegments: {a: 10.0.0.9-10.0.0.1}\nlines: []", "2:15", "expected an address"),
    ("version: 1\nsegments: {a: {}}\nlines: []", "2:15", "expected addresses, vlan"),
    ("version: 1\nsegments: {a: {vlan: 4095}}\nlines: []", "2:22", "from 0 to 4094"),
    ("version: 1\nsegments: {a: {tenant: x}}\nlines: []", "2:24", "no tenant is labelled 'x'"),
    ("version: 1\nsegments: {a: {workloads: x}}\nlines: []", "2:27", "no workload is named 'x'"),
    ("version: 1\nsegments: {a: {addresses: 10.0.0.0/8, except: 0.0.0.0/0}}\nlines: []", "2:47", "leaves no address"),
])
def test_errors_name_their_place(text, place, message):
    with pytest.raises(PolicyError) as raised:
        fp.Policy.parse(text, "p.yaml")
    assert str(raised.value).startswith(f"p.yaml:{place}: ") and message in str(raised.value), str(raised.value)


# ---- shadows and contradictions ----

def warnings(lines: str) -> list[str]:
    return [str(one) for one in fp.Policy.parse(HEAD + lines, "p.yaml").warnings if "shadowed" in one.message]


def test_a_line_that_never_applies():
    assert warnings("lines:\n- {from: a, to: c}\n- {from: b, to: c, protocol: tcp}") == [
        "p.yaml:5:3: the line (allow) is shadowed by the line (allow) (p.yaml:4:3)"]       # b lies in a
    assert warnings("lines:\n- {from: b, to: c}\n- {from: a, to: c}") == []
    assert warnings("lines:\n- {from: any, to: any, protocol: tcp, ports: 1-100}\n- {from: any, to: c, protocol: tcp, ports: 101-200}\n"
                    "- {name: x, from: b, to: c, protocol: tcp, ports: 50-150}") == [
        "p.yaml:6:3: the line 'x' is shadowed by the line (allow) (p.yaml:4:3)"]            # by both together
    assert warnings("lines:\n- {from: a, to: c, until: 2030-01-01}\n- {from: a, to: c}") == []
    assert len(warnings("lines:\n- {from: a, to: c, application: [http, tls]}\n- {from: a, to: c, server_name: x.org}")) == 1
    assert warnings("lines:\n- {from: a, to: c, server_name: x.org}\n- {from: a, to: c, application: tls}") == []
    assert len(warnings("lines:\n- {from: a, to: c, server_name: '*.org'}\n- {from: a, to: c, server_name: x.org}")) == 1


@pytest.mark.parametrize("lines", [
    "lines:\n- {from: a, to: c}\n- {from: b, to: c, protocol: tcp, action: deny}",
    "lines:\n- {from: a, to: c, action: deny}\n- {from: a, to: c}",
    "lines:\n- {from: any, to: any, action: deny, protocol: tcp}\n- {from: a, to: c, application: tls, protocol: tcp}",
])
def test_a_contradiction_is_an_error_with_both_places(lines):
    with pytest.raises(PolicyError, match="contradicts") as raised:
        fp.Policy.parse(HEAD + lines, "p.yaml")
    assert (raised.value.place.line, raised.value.other.line) == (5, 4)
    assert "(p.yaml:4:3)" in str(raised.value)


def test_a_partial_overlap_is_an_order():
    fp.Policy.parse(HEAD + "lines:\n- {from: b, to: c, action: deny}\n- {from: a, to: c}")
    fp.Policy.parse(HEAD + "lines:\n- {from: a, to: c, action: deny, application: ssh}\n- {from: a, to: c}")


def test_a_segment_that_no_line_names():
    policy = fp.Policy.parse(HEAD + "lines:\n- {from: a, to: b}", "p.yaml")
    assert [str(one) for one in policy.warnings] == ["p.yaml:2:43: no line names 'c'"]


# ---- limits, schema, bytes ----

def test_an_endpoint_in_too_many_segments():
    segments = ", ".join(f"s{number}: 10.0.0.0/{8 + number % 17}" for number in range(40))
    lines = "\n".join(f"- {{from: s{number}, to: any}}" for number in range(40))
    with pytest.raises(PolicyError, match="32 are allowed"):
        fp.Policy.parse(f"version: 1\nsegments: {{{segments}}}\nlines:\n{lines}")


def test_more_classes_of_data_than_fit():
    zones = "\n".join(f"- {{data: d{number}, from: a, to: b}}" for number in range(17))
    policy = fp.Policy.parse(HEAD + "lines: []\nresidency:\n" + zones)
    with pytest.raises(PolicyError, match="more than 16 classes of data"):
        fp.Engine(None, policy=policy)


def test_the_schema_knows_what_the_reader_knows():
    from jsonschema import Draft202012Validator, ValidationError
    from ruamel.yaml import YAML

    from fastpath.control.policy import alprotos, reader
    read = json.loads(schema())
    Draft202012Validator.check_schema(read)
    validator = Draft202012Validator(read)

    def plain(text):
        loaded = YAML(typ="safe", pure=True).load(text)
        return json.loads(json.dumps(loaded, default=str))
    validator.validate(plain(WHOLE))
    for bad in ("version: 2", HEAD + "lines: []\nrules: []", HEAD + "lines:\n- {from: a}", HEAD + "lines:\n- {from: a, to: c, action: maybe}",
                "version: 1\nsegments: {a: {vlan: 4095}}\nlines: []", HEAD + "lines: []\nexceptions:\n- {from: a, to: c}"):
        with pytest.raises(ValidationError):
            validator.validate(plain(bad))
    assert set(read["properties"]) == set(reader.TOP)
    assert set(read["$defs"]["line"]["properties"]) == set(reader.LINE)
    assert set(read["$defs"]["applications"]["oneOf"][0]["enum"]) == set(alprotos())


def test_the_schema_in_docs_is_the_one_of_the_package(pytestconfig):
    assert (pytestconfig.rootpath / "docs" / "policy.schema.json").read_text(encoding="utf-8") == schema()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)), st.binary(max_size=6))
def test_nothing_but_policy_errors(start, end, noise):
    """A policy cut anywhere, with anything in the gap."""
    start, end = sorted((start, end))
    text = WHOLE.encode()
    try:
        fp.Policy.parse(text[:start] + noise + text[end:])
    except PolicyError as error:
        assert error.place.line >= 1


@pytest.mark.parametrize("text", ["[" * 5000, "a: &x [*x]", "&a [*a]: 1", "version: 1\nsegments: &s {a: *s}\nlines: []", "? [a]\n: b", "!!python/object:os.system {}",
                                  "version: !!binary aGk=\n", "%TAG ! x", "\ufeff", "a: 0x" + "f" * 10000])
def test_strange_yaml(text):
    with pytest.raises(PolicyError):
        fp.Policy.parse(text)
