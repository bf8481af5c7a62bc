"""Logs as an inspection pass would write them, from a seed."""
from __future__ import annotations

import numpy as np

from fastpath.dataplane import rows

STEPS = (0, 1_000_000, 40_000_000, 300_000_000, 1_000_000_000, 5_000_000_000)
SYN, FIN, RST, ACK = 2, 1, 4, 16


def random_log(seed: int, count: int, flows: int, pace: int = 3) -> np.ndarray:
    """`count` rows over `flows` places of the flow table: flows begin, speak TCP or UDP, ask, close and end, captures follow each
    other. pace: how many of STEPS time takes."""
    rng = np.random.default_rng(seed)
    log = np.zeros(count, rows.LOG)
    alive: dict[int, list[int]] = {}        # packets, bytes, stream; TCP; encrypted
    ending = False
    now = 1_700_000_000_000_000_000
    for row in log:
        now += STEPS[rng.integers(pace)] if rng.random() < 0.7 else 0
        number = int(rng.integers(flows))
        what = rng.random()
        if ending and not alive:
            row["flags"], ending = rows.LOG_EMPTY, False
            now -= 10_000_000_000
            continue
        ending = len(alive) > 0 and (ending or what < 0.002)
        number = next(iter(alive)) if ending and alive else number
        row["now"], row["flow"], row["alerts"] = now, number, rng.choice((0, 0, 0, 1, 3))
        row["stateful"], row["ns"] = rng.integers(8), rng.integers(1, 5000)
        if what < 0.05 and not ending:
            row["flags"], row["size"] = rows.LOG_LAST, 60
            continue
        if (ending or what < 0.08) and number in alive:
            row["flags"], row["stateful"] = rows.LOG_FLOW | rows.LOG_END, 0xFFFF
            del alive[number]
            continue
        flags = rows.LOG_FLOW
        if number not in alive:
            alive[number] = [0, 0, 0, int(rng.random() < 0.7), int(rng.random() < 0.3)]
            flags |= rows.LOG_BEGIN
        state = alive[number]
        size = int(rng.integers(60, 1500))
        state[0] += 1
        state[1] += size
        state[2] += size
        row["size"], row["flow_pkts"], row["flow_bytes"], row["stream"] = size, state[0], state[1], state[2]
        flags |= rows.LOG_LAST * (rng.random() < 0.9) | rows.LOG_DATA * (rng.random() < 0.6) | rows.LOG_TO_CLIENT * (rng.random() < 0.5)
        flags |= rows.LOG_ENCRYPTED * (state[4] and state[0] > 3) | rows.LOG_DROP * (rng.random() < 0.02) | rows.LOG_PASS * (rng.random() < 0.02)
        flags |= rows.LOG_BYPASS * (rng.random() < 0.02) | rows.LOG_QUOTED * (rng.random() < 0.02) | rows.LOG_INVALID * (rng.random() < 0.02)
        flags |= rows.LOG_CUT * (rng.random() < 0.02)
        if state[3] and not flags & rows.LOG_QUOTED:
            flags |= rows.LOG_TCP | rows.LOG_DEPTH * (state[2] > 4000) | rows.LOG_REJECTED * (rng.random() < 0.05)
            row["tcp_flags"] = rng.choice((ACK, ACK, ACK, ACK, ACK, ACK, SYN, FIN | ACK, FIN | ACK, RST))
            flags |= rows.LOG_CLOSED * (rng.random() < 0.02) | rows.LOG_LAST_ACK * (rng.random() < 0.5) | rows.LOG_OVER * (rng.random() < 0.01)
        row["flags"] = flags
    return log
