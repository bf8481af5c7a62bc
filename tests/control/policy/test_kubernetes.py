"""Kubernetes NetworkPolicies: what they allow, and what refuses them."""
from __future__ import annotations

import ipaddress

import pytest

from fastpath.control.policy import Policy, PolicyError

PODS = """
namespaces:
  shop: {team: web}
  data: {team: store}
  test: {}
pods:
- {name: web-0, namespace: shop, labels: {app: web, tier: front}, addresses: [10.1.0.5, "fd00::5"], ports: {http: 8080}}
- {name: web-1, namespace: shop, labels: {app: web, tier: front}, addresses: 10.1.0.6, ports: {http: 8081}}
- {name: job, namespace: shop, labels: {app: job}, addresses: 10.1.0.7}
- {name: db, namespace: data, labels: {app: db}, addresses: 10.2.0.5, ports: {sql: 5432, dns: {port: 53, protocol: UDP}}}
- {name: probe, namespace: test, labels: {app: web}, addresses: 10.3.0.5}
"""
IPS = {"web-0": "10.1.0.5", "web-1": "10.1.0.6", "job": "10.1.0.7", "db": "10.2.0.5", "probe": "10.3.0.5", "out": "192.0.2.1", "lan": "172.16.5.5",
       "web-6": "fd00::5", "out-6": "2001:db8::1"}


def loaded(tmp_path, *specs: str, raw: str = "") -> Policy:
    """Each spec is "namespace\\nbody of spec"."""
    text = raw
    for number, spec in enumerate(specs):
        namespace, _, body = spec.strip().partition("\n")
        text += (f"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}, namespace: {namespace}, labels: {{a: b}}}}\n"
                 f"spec:\n" + "".join(f"  {line}\n" for line in body.splitlines()))
    (tmp_path / "np.yaml").write_text(text)
    (tmp_path / "pods.yaml").write_text(PODS)
    return Policy.load_kubernetes(tmp_path / "np.yaml", tmp_path / "pods.yaml")


def allows(policy: Policy, source: str, target: str, port: int = 80, protocol: int = 6) -> bool:
    ends = [ipaddress.ip_address(IPS[one]).packed for one in (source, target)]
    return policy.compile(lambda _: 1).decide(*ends, protocol, port)[0] == "allowed"


def test_without_a_policy_pods_are_free(tmp_path):
    policy = loaded(tmp_path)
    for source, target in (("web-0", "db"), ("out", "db"), ("db", "out"), ("web-6", "out-6")):
        assert allows(policy, source, target)
    assert not allows(policy, "out", "lan")         # about no pod


def test_default_deny_of_a_namespace(tmp_path):
    policy = loaded(tmp_path, "data\npodSelector: {}\npolicyTypes: [Ingress]")
    assert not allows(policy, "web-0", "db") and not allows(policy, "out", "db")
    assert allows(policy, "db", "out") and allows(policy, "db", "web-0") and allows(policy, "web-0", "job")


def test_default_deny_of_egress(tmp_path):
    policy = loaded(tmp_path, "shop\npodSelector: {matchLabels: {app: job}}\npolicyTypes: [Egress]")
    assert not allows(policy, "job", "out") and not allows(policy, "job", "db")
    assert allows(policy, "out", "job") and allows(policy, "web-0", "job")


def test_types_follow_from_the_sections(tmp_path):
    both = loaded(tmp_path, "data\npodSelector: {}\negress:\n- {}")
    assert not allows(both, "web-0", "db") and allows(both, "db", "out")        # Ingress is always among them
    assert not allows(loaded(tmp_path, "data\npodSelector: {}"), "web-0", "db")


INGRESS = """data
podSelector: {matchLabels: {app: db}}
ingress:
- from:
  - namespaceSelector: {matchLabels: {team: web}}
    podSelector: {matchExpressions: [{key: tier, operator: In, values: [front, middle]}]}
  ports: [{port: 5432}]
"""


def test_pods_of_other_namespaces(tmp_path):
    policy = loaded(tmp_path, INGRESS)
    assert allows(policy, "web-0", "db", 5432) and allows(policy, "web-1", "db", 5432)
    assert not allows(policy, "web-0", "db", 5433) and not allows(policy, "web-0", "db", 5432, 17)
    assert not allows(policy, "job", "db", 5432) and not allows(policy, "probe", "db", 5432) and not allows(policy, "out", "db", 5432)


def test_both_directions_must_allow(tmp_path):
    egress = "shop\npodSelector: {matchLabels: {app: web}}\npolicyTypes: [Egress]\negress:\n- to: [{namespaceSelector: {}}]\n  ports: [{port: 5000, endPort: 5432}]"
    policy = loaded(tmp_path, INGRESS, egress)
    assert allows(policy, "web-0", "db", 5432)
    assert not allows(policy, "web-0", "db", 5431)      # egress does, ingress does not
    assert not allows(policy, "web-0", "out", 5432)     # egress names pods
    narrow = egress.replace("5000, endPort: 5432", "5000, endPort: 5400")
    assert not allows(loaded(tmp_path, INGRESS, narrow), "web-0", "db", 5432)


def test_a_pod_selector_alone_stays_in_its_namespace(tmp_path):
    policy = loaded(tmp_path, "shop\npodSelector: {matchLabels: {app: job}}\ningress:\n- from: [{podSelector: {matchLabels: {app: web}}}]")
    assert allows(policy, "web-0", "job") and not allows(policy, "probe", "job")


def test_blocks_with_exceptions(tmp_path):
    policy = loaded(tmp_path, "shop\npodSelector: {}\npolicyTypes: [Egress]\negress:\n- to: [{ipBlock: {cidr: 0.0.0.0/0, except: [172.16.0.0/12, 10.2.0.0/16]}}]")
    assert allows(policy, "web-0", "out") and not allows(policy, "web-0", "lan") and not allows(policy, "web-0", "db")
    assert not allows(policy, "web-6", "out-6")
    assert allows(policy, "web-0", "web-1")


def test_named_ports_are_those_of_each_target(tmp_path):
    policy = loaded(tmp_path, "shop\npodSelector: {matchLabels: {app: web}}\ningress:\n- ports: [{port: http}]")
    assert allows(policy, "out", "web-0", 8080) and allows(policy, "out", "web-1", 8081)
    assert not allows(policy, "out", "web-0", 8081) and not allows(policy, "out", "web-1", 8080)
    udp = loaded(tmp_path, "test\npodSelector: {}\npolicyTypes: [Egress]\negress:\n- to: [{namespaceSelector: {}}]\n  ports: [{port: dns, protocol: UDP}]")
    assert allows(udp, "probe", "db", 53, 17) and not allows(udp, "probe", "db", 53, 6)


def test_policies_add_up(tmp_path):
    policy = loaded(tmp_path, INGRESS, "data\npodSelector: {}\ningress:\n- from: [{ipBlock: {cidr: 192.0.2.0/24}}]")
    assert allows(policy, "web-0", "db", 5432) and allows(policy, "out", "db", 9) and not allows(policy, "lan", "db", 9)


@pytest.mark.parametrize("operator, values, fitting", [
    ("In", "[web, db]", {"web-0", "web-1"}), ("NotIn", "[web]", {"job"}), ("Exists", None, {"web-0", "web-1", "job"}), ("DoesNotExist", None, set())])
def test_expressions(tmp_path, operator, values, fitting):
    listed = f", values: {values}" if values else ""
    policy = loaded(tmp_path, f"shop\npodSelector: {{matchExpressions: [{{key: app, operator: {operator}{listed}}}]}}\npolicyTypes: [Ingress]")
    assert {name for name in ("web-0", "web-1", "job") if not allows(policy, "out", name)} == fitting


@pytest.mark.parametrize("spec, place, message", [
    ("shop\npodSelector: {}\nserviceAccounts: []", "7:3", "no 'serviceAccounts'"),
    ("shop\npodSelector: {}\ningress:\n- from: [{fqdn: x.org}]", "8:13", "no 'fqdn'"),
    ("shop\npodSelector: {}\ningress:\n- ports: [{port: 80, appProtocol: h2}]", "8:24", "no 'appProtocol'"),
    ("shop\npodSelector: {}\ningress:\n- ports: [{port: 80, endPort: 79}]", "8:33", "endPort from 80"),
    ("shop\npodSelector: {}\ningress:\n- ports: [{endPort: 79}]", "8:23", "needs a port"),
    ("shop\npodSelector: {}\ningress:\n- ports: [{port: nosuch}]", "8:20", "no pod that is meant has a port named 'nosuch'"),
    ("shop\npodSelector: {}\ningress:\n- ports: [{port: 80, protocol: ICMP}]", "8:34", "TCP, UDP, SCTP"),
    ("shop\npodSelector: {}\npolicyTypes: [Egress]\negress:\n- ports: [{port: http}]", "9:20", "cannot be known"),
    ("shop\npodSelector: {}\ningress:\n- from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]", "8:50", "within its cidr"),
    ("shop\npodSelector: {}\ningress:\n- from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]", "8:22", "stands alone"),
    ("shop\npodSelector: {}\ningress:\n- from: [{}]", "8:12", "a peer needs"),
    ("shop\npodSelector: {}\npolicyTypes: [Ingress]\negress:\n- {}", "9:3", "does not name Egress"),
    ("shop\npodSelector: {matchExpressions: [{key: a, operator: Like}]}", "6:55", "expected In"),
    ("shop\npodSelector: {matchExpressions: [{key: a, operator: In}]}", "6:36", "needs values"),
    ("shop\npolicyTypes: [Ingress]", "6:3", "needs 'podSelector'"),
    ("shop\npodSelector: {}\npolicyTypes: [All]", "7:17", "Ingress or Egress"),
])
def test_what_is_not_honoured_refuses(tmp_path, spec, place, message):
    with pytest.raises(PolicyError, match=message) as raised:
        loaded(tmp_path, spec)
    assert str(raised.value).startswith(f"{tmp_path / 'np.yaml'}:{place}: ")


def test_other_documents_are_refused(tmp_path):
    with pytest.raises(PolicyError, match="'Pod' of 'v1'"):
        loaded(tmp_path, raw="apiVersion: v1\nkind: Pod\n")
    with pytest.raises(PolicyError, match="is there twice") as raised:
        loaded(tmp_path, raw="".join("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}}\n" for _ in range(2)))
    assert raised.value.other is not None
    listed = loaded(tmp_path, raw="apiVersion: v1\nkind: List\nitems:\n- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: data}, "
                                  "spec: {podSelector: {}}}\n")
    assert not allows(listed, "out", "db")


def test_a_line_bears_both_places(tmp_path):
    policy = loaded(tmp_path, INGRESS, "shop\npodSelector: {}\npolicyTypes: [Egress]\negress:\n- to: [{namespaceSelector: {}}]")
    both = [line for line in policy.lines if line.other is not None]
    assert both and all(line.place.file.endswith("np.yaml") and line.other.file.endswith("np.yaml") and line.place != line.other for line in both)
    assert {line.name for line in both} == {"shop/p1 and data/p0"}
