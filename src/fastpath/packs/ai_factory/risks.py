"""What each kind of service is a risk of, in the ids of MITRE ATLAS and of OWASP's Top 10 for LLM applications (2025): rules that find a
service carry it. Files of rules that are written by hand say the same."""
from __future__ import annotations

RISKS = {
    "hosted": "mitre_atlas AML.T0047, owasp_llm LLM02",             # an AI-enabled product: what is said to it leaves
    "model_server": "mitre_atlas AML.T0040, owasp_llm LLM10",       # access to inference; unbounded consumption
    "gateway": "mitre_atlas AML.T0040, owasp_llm LLM10",
    "agent": "mitre_atlas AML.T0053, owasp_llm LLM06",              # tools that an agent calls; excessive agency
    "training": "mitre_atlas AML.T0035, owasp_llm LLM03",           # where artifacts are collected; supply chain
    "vector_database": "mitre_atlas AML.T0070, owasp_llm LLM08",    # poisoned retrieval; weaknesses of embeddings
    "orchestrator": "mitre_atlas AML.T0049, owasp_llm LLM03",       # an application that faces others
    "cluster": "mitre_atlas AML.T0049, owasp_llm LLM03",
}
#: Of what a program is: that it is what the supply chain has made of it.
SOFTWARE = "mitre_atlas AML.T0010.001, owasp_llm LLM03"
