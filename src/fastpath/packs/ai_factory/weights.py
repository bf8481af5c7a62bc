"""Rules on weights that move: those that leave, and the data class that the policy's residency zones go by."""
from __future__ import annotations

FIRST_SID = 9_402_100       # + 10 for each format, + which rule

#: Formats of models whose files are weights, in an order that is never changed: new ones come last.
FORMATS = ("safetensors", "gguf", "pytorch", "onnx", "savedmodel", "keras_hdf5", "keras", "tensorrt")
#: Bytes from which on what leaves is a model of some size, not a toy.
LARGE = 10 << 20

_ABOUT = "mitre_atlas AML.T0024.002, mitre_atlas AML.T0025, owasp_llm LLM02"


def rules() -> str:
    """The text of all of them, a line each."""
    return "\n".join(rule for number, name in enumerate(FORMATS) for rule in _rules(FIRST_SID + 10 * number, name)) + "\n"


def _rules(sid: int, name: str) -> list[str]:
    found = f'flow:established; file.model; content:"{name}"; startswith; endswith; fast_pattern; '
    return [f'alert tcp $HOME_NET any -> $EXTERNAL_NET any (msg:"AI factory exfiltration: {name} weights leave the network"; {found}'
            f"classtype:policy-violation; metadata:data_class weights, data_kept all, {_ABOUT}; sid:{sid}; rev:1;)",
            f'alert tcp $HOME_NET any -> $EXTERNAL_NET any (msg:"AI factory exfiltration: {name} weights of 10 MiB or more left the network"; '
            f"{found}filesize:>{LARGE}; classtype:policy-violation; metadata:data_class weights, data_kept all, {_ABOUT}; sid:{sid + 1}; rev:1;)",
            f'alert tcp any any -> any any (msg:"AI factory: {name} weights move"; {found}noalert; metadata:data_class weights, data_kept all, {_ABOUT}; '
            f"sid:{sid + 2}; rev:1;)"]
