"""Texts of policy files and of NetworkPolicies: a policy, or an error with its place; nothing else is raised."""
from __future__ import annotations

import sys
from pathlib import Path

from fuzz import harness

from fastpath.control.policy import Policy, PolicyError
from fastpath.control.policy.kubernetes import read, read_cluster
from fastpath.control.policy.yaml import documents

ROOT = Path(__file__).resolve().parents[2]
PODS = b"""namespaces: {a: {team: x}}
pods:
- {name: p, namespace: a, labels: {app: w}, addresses: [10.1.0.5, "fd00::5"], ports: {http: 8080, dns: {port: 53, protocol: UDP}}}
- {name: q, addresses: 10.1.0.6}
"""
SEEDS = [
    (ROOT / "examples" / "policy.yaml").read_bytes(),
    b"version: 1\nsegments: {a: 10.0.0.0/8, b: 10.1.0.0/16}\nlines:\n- {from: b, to: a, action: deny, protocol: tcp, ports: 1-5}\n- {from: a, to: any}\n",
    b"""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: n, namespace: a}
spec:
  podSelector: {matchExpressions: [{key: app, operator: In, values: [w]}]}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: w}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
    ports: [{port: http}, {port: 80, endPort: 90, protocol: TCP}]
  egress: [{}]
""",
    PODS,
]


def seeds() -> list[bytes]:
    return SEEDS


def target(data: bytes) -> None:
    attempts = (lambda: Policy.parse(data),
                lambda: Policy(read(documents(data, "np.yaml"), read_cluster(documents(PODS, "pods.yaml")[0]))),
                lambda: [read_cluster(node) for node in documents(data, "pods.yaml")])
    for attempt in attempts:
        try:
            attempt()
        except PolicyError as error:
            assert error.message and error.place.line >= 1 and error.place.column >= 1, error


if __name__ == "__main__":
    sys.exit(harness.main(target, seeds(), Path(__file__).read_text().split('"""')[1]))
