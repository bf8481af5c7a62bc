"""Verdicts in batches through a ring: all of them and in order, lost and counted, or waited for."""
from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from captures import tcp, udp, write_pcap
from runs import assert_ledger, rules_of

import fastpath as fp
from fastpath.dataplane import rows
from fastpath.dataplane.ring import Ring

RULES = """
alert udp any any -> any 53 (msg:"question"; dsize:>0; sid:1;)
drop udp any any -> any 54 (msg:"no"; dsize:>0; sid:2;)
"""


def read_all(subscription, batches: list) -> threading.Thread:
    def read() -> None:
        batches.extend(subscription)
    thread = threading.Thread(target=read)
    thread.start()
    return thread


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ring", [2, 64, 65536])
def test_every_verdict_of_a_replay_in_order(tmp_path, ring, workers):
    packets = [udp(b"x", sport=1024 + i % 31, dport=53 + i % 3) for i in range(5000)]
    path = write_pcap(tmp_path / "a.pcap", packets)
    batches: list = []
    with fp.Engine(rules_of(RULES), mode="ips", workers=workers) as engine:
        subscription = engine.subscribe(ring=ring, batch=700)
        thread = read_all(subscription, batches)
        result = engine.replay(path, keep=("packets",))
        subscription.close()
        thread.join()
    array = np.concatenate([batch.array for batch in batches])
    wanted = result.packets.rows
    assert max(map(len, batches)) <= 700 and subscription.lost == 0
    for name in ("ordinal", "flow", "rule", "action", "reason", "ledger", "alerts"):
        assert (array[name] == wanted[name]).all(), name
    assert np.concatenate([batch.sid for batch in batches])[:3].tolist() == [-1, 2, -1]
    assert_ledger(result.stats)


def test_inspect_and_several_runs_and_rule_sets(tmp_path):
    """Rules are named by the set that was in force, and each run counts its packets from 1."""
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x", dport=54)] * 3)
    other = rules_of('drop udp any any -> any 54 (msg:"other"; dsize:>0; sid:7;)')
    batches: list = []
    with fp.Engine(rules_of(RULES), mode="ips") as engine:
        subscription = engine.subscribe()
        thread = read_all(subscription, batches)
        engine.inspect([udp(b"x", dport=54)] * 2)
        engine.replay(path, reload_at={2: other})
        engine.inspect([udp(b"x", dport=54)])
    thread.join()           # the engine's end is that of the subscription
    assert np.concatenate([batch.sid for batch in batches]).tolist() == [2, 2, 2, 7, 7, 7]
    assert np.concatenate([batch["ordinal"] for batch in batches]).tolist() == [1, 2, 1, 2, 3, 3]


def test_a_full_ring_loses_and_counts(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x")] * 1000)
    with fp.Engine(rules_of(RULES)) as engine:
        subscription = engine.subscribe(ring=256, on_full="lose")
        result = engine.replay(path)
        subscription.close()
        kept = np.concatenate([batch["ordinal"] for batch in subscription])
        assert kept.tolist() == list(range(1, 257)) and subscription.lost == 744
        assert engine.snapshot()["subscription"]["lost"] == 744
    assert_ledger(result.stats)


def test_a_full_ring_is_waited_for_and_a_reader_that_leaves_lets_go(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x")] * 5000)
    seen: list[int] = []
    with fp.Engine(rules_of(RULES)) as engine:
        subscription = engine.subscribe(ring=64, batch=16)

        def read() -> None:
            for batch in subscription:
                time.sleep(0.001)
                seen.extend(batch["ordinal"].tolist())
                if len(seen) >= 1000:
                    break

        thread = threading.Thread(target=read)
        thread.start()
        result = engine.replay(path)
        thread.join()
        assert seen == list(range(1, len(seen) + 1)) and len(seen) >= 1000
        assert subscription.waited > 0 and subscription.lost == 0
        engine.subscribe().close()      # another may follow
    assert result.stats["packets"] == 5000


def test_a_subscription_while_packets_run(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [udp(b"x")] * 100_000)
    batches: list = []
    threads: list = []
    subscriptions: list = []
    with fp.Engine(rules_of(RULES)) as engine:
        def progress(at: fp.Progress) -> None:
            if not subscriptions:
                subscriptions.append(engine.subscribe())
                threads.append(read_all(subscriptions[0], batches))
        engine.replay(path, progress=progress)
        subscriptions[0].close()
        threads[0].join()
    ordinals = np.concatenate([batch["ordinal"] for batch in batches])
    assert 1 < ordinals[0] and ordinals.tolist() == list(range(ordinals[0], 100_001))


@pytest.mark.parametrize("what, error, message", [
    ({"on_full": "drop"}, ValueError, "on_full must be 'wait' or 'lose'"), ({"ring": 100}, ValueError, "a power of two"),
    ({"ring": "many"}, TypeError, "ring must be an int"), ({"batch": 0}, ValueError, "batch must be at least 1"),
])
def test_faults(what, error, message):
    with fp.Engine() as engine:
        with pytest.raises(error, match=message):
            engine.subscribe(**what)
        engine.subscribe()
        with pytest.raises(RuntimeError, match="there is a subscription already"):
            engine.subscribe()


def test_an_empty_ring():
    ring = Ring(4, True)
    assert len(ring.take(10)) == 0 and (ring.head, ring.tail, ring.lost, ring.closed) == (0, 0, 0, False)
    assert ring.take(1).dtype == rows.RING
    ring.close()
    ring.wait(10**12)       # closed: at once
    assert ring.closed


def test_packets_without_ip_and_flows_have_verdicts_too():
    with fp.Engine(mode="ips") as engine:
        subscription = engine.subscribe()
        engine.inspect([b"", b"\x00" * 14, tcp()])
        subscription.close()
        [batch] = list(subscription)
        assert batch["ordinal"].tolist() == [1, 2, 3] and batch["flow"][2] != 0
