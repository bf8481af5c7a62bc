"""Rules on what is said to language models, and to them by tools, made from prompts.toml: one for each buffer that an entry names.

Each carries its `confidence`: high or medium. What that is worth is measured: docs/packs/ai_factory.md.
"""
from __future__ import annotations

import tomllib
from importlib.resources import files

FIRST_SID = 9_403_000       # + 2 for each id, + 1 for the response

BUFFERS = {"prompt": ("to_server", "llm.prompt", "a prompt"), "response": ("to_client", "llm.response", "what a model is told by a tool")}


def rules() -> str:
    """The text of all of them, a line each."""
    told = tomllib.loads(files(__package__).joinpath("prompts.toml").read_text("utf-8"))
    return "\n".join(_rule(entry, told["word"], buffer) for entry in told["entry"] for buffer in entry.get("in", ["prompt"])) + "\n"


def _rule(entry: dict[str, object], words: dict[str, str], buffer: str) -> str:
    direction, sticky, where = BUFFERS[buffer]
    literals, expressions = _list(entry.get("literal", [])), _list(entry.get("expression", []))
    steps = "".join(f'content:"{literal}"; nocase; ' for literal in literals)
    steps += "".join(f'pcre:"/{_quoted(expression, words)}/i"; ' for expression in expressions)
    return (f'alert http any any -> any any (msg:"AI factory prompt: {entry["name"]} in {where}"; flow:established,{direction}; {sticky}; {steps}'
            f"classtype:web-application-attack; metadata:confidence {entry['confidence']}, mitre_atlas {entry['atlas']}, owasp_llm {entry['owasp']}; "
            f"sid:{FIRST_SID + 2 * int(str(entry['id'])) + (buffer == 'response')}; rev:1;)")


def _list(value: object) -> list[str]:
    return value if isinstance(value, list) else [str(value)]


def _quoted(expression: str, words: dict[str, str]) -> str:
    """As an argument of pcre: the names in angle brackets stand for the lists of words; what would end it is escaped."""
    for name, alternatives in words.items():
        expression = expression.replace(f"<{name}>", f"(?:{alternatives})")
    return expression.replace("/", r"\/").replace(";", r"\x3b").replace('"', r"\x22")
