"""ai_factory: what AI is spoken here, by whom, what leaves, and what must not. docs/packs/ai_factory.md tells it."""
from __future__ import annotations

from importlib.resources import files


def texts() -> list[tuple[bytes, str]]:
    """The rules, each text with the file that places name."""
    from . import grpc, hosted, leaks, prompts, supply, versions, weights
    folder = files(__package__)
    made = [(each.read_bytes(), f"packs/ai_factory/{each.name}")
            for each in sorted(folder.iterdir(), key=lambda each: each.name) if each.name.endswith(".rules")]
    return [*made, (hosted.rules().encode(), "packs/ai_factory/services.toml"),
            (versions.rules().encode(), "packs/ai_factory/versions.toml"), (leaks.rules().encode(), "packs/ai_factory/leaks.toml"), (prompts.rules().encode(), "packs/ai_factory/prompts.toml"),
            (weights.rules().encode(), "packs/ai_factory/weights.py"),
            (supply.rules().encode(), "packs/ai_factory/registries.toml"),
            (grpc.rules().encode(), "packs/ai_factory/grpc.toml")]
