from collections.abc import Iterable
from typing import Any

def formats() -> list[str]: ...


def examine(chunks: Iterable[bytes], *, whole: bool = True, memory: int = ...) -> dict[str, Any] | None: ...
