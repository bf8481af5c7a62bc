from typing import Any

import numpy as np

from fastpath.offload.settings import Setting

RAISED: int
MISSED: int
LATE: int

def simulate(log: np.ndarray, flows: int, alerts: int, depth: int, setting: Setting, packets: np.ndarray | None = None,
             cap: int = 0xFFFFFFFF) -> tuple[dict[str, Any], np.ndarray]: ...
