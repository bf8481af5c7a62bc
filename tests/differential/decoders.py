"""What the tests that hold decode against other decoders share: which captures, their packets, our entries."""
from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

from captures import captures_in, read_packets

from fastpath.dataplane.dissect import dissect

EXHAUSTIVE = os.environ.get("FASTPATH_EXHAUSTIVE") == "1"
CAPTURES, PACKETS = 300, 60         # of a sampled run
KEYED, FRAGMENT, CUT, INVALID, QUOTED = 1 << 0, 1 << 2, 1 << 5, 1 << 6, 1 << 7
NO_INDEX = 0xFFFF


def sample(folder: Path, linktypes: tuple[int, ...]) -> Iterator[tuple[Path, int, bytes, dict]]:
    """Capture, link type, packet and its outermost entry. Sampled with a fixed seed, or with FASTPATH_EXHAUSTIVE=1 all of them."""
    paths = captures_in(folder)
    if not EXHAUSTIVE:
        paths = random.Random(11).sample(paths, CAPTURES)
    for path in paths:
        for linktype, packets in read_packets(path, None if EXHAUSTIVE else PACKETS).items():
            if linktype not in linktypes:
                continue
            for packet, entries in zip(packets, dissect(packets, linktype, checksums=False), strict=True):
                yield path, linktype, packet, entries[0]
