from typing import Any

import numpy as np

def run_queues(arrivals: np.ndarray, services: np.ndarray, queues: np.ndarray, cores: int, depth: int) -> dict[str, Any]: ...
