#!/usr/bin/env python3
"""A firewall in one file: forwards Ethernet frames between two interfaces and inspects every one of them on the way.

    sudo examples/firewall.py LEFT RIGHT RULES...

It needs Linux and CAP_NET_RAW. Offloads must be off on the hosts behind both interfaces (ethtool -K DEV tx off gro off), so that
frames are as the wire carries them. It fails closed: when it ends, for whatever reason, nothing is forwarded any more.
"""
import selectors
import signal
import socket
import struct
import sys
from types import SimpleNamespace

import numpy as np

import fastpath as fp

ETH_P_ALL, SOL_PACKET, ADD_MEMBERSHIP, MR_PROMISC, IGNORE_OUTGOING = 3, 263, 1, 1, 23      # linux/if_packet.h
BATCH, SLOT = 64, 65_600        # frames taken in one go; room for each


def open_side(name):
    """A raw socket that hears everything that arrives at the interface, whomever it is for, and nothing that leaves it."""
    side = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    side.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
    side.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, struct.pack("iHH8x", socket.if_nametoindex(name), MR_PROMISC, 0))
    side.bind((name, ETH_P_ALL))
    side.setblocking(False)
    return side


def receive(side, buffer):
    """The lengths of the frames that wait, each read into its slot of the buffer."""
    lengths = []
    while len(lengths) < BATCH:
        try:
            lengths.append(side.recv_into(buffer[len(lengths) * SLOT:], SLOT))
        except BlockingIOError:
            break
    return lengths


def forward(engine, left, right, run):
    """Moves frames while run.on; what inspect does not pass goes no further. Returns how many frames a full queue refused."""
    buffer = memoryview(bytearray(BATCH * SLOT))
    offsets = np.arange(BATCH, dtype=np.uint64) * SLOT
    lost = 0
    with selectors.DefaultSelector() as selector:
        selector.register(left, selectors.EVENT_READ, right)
        selector.register(right, selectors.EVENT_READ, left)
        while run.on:
            for key, _ in selector.select(timeout=1.0):
                here, there = key.fileobj, key.data
                lengths = receive(here, buffer)
                verdicts = engine.inspect(fp.PacketBatch(buffer, offsets[:len(lengths)], np.array(lengths, np.uint32)))
                out = [(there, buffer[i * SLOT:i * SLOT + lengths[i]]) for i in np.flatnonzero(verdicts.action == fp.Action.PASS)]
                out += [(here if reply.to == "src" else there, reply.frame) for reply in verdicts.replies]
                for side, frame in out:
                    try:
                        side.send(frame)
                    except OSError:
                        lost += 1
            engine.tick()
    return lost


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    run = SimpleNamespace(on=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(run, "on", False))
    with fp.Engine(fp.RuleSet.load(sys.argv[3:]), mode="ips") as engine, open_side(sys.argv[1]) as left, open_side(sys.argv[2]) as right:
        print("forwarding", flush=True)
        lost = forward(engine, left, right, run)
        print(engine.stats["ledger"], f"lost: {lost}", flush=True)
