"""What does a run's journal cost: a sample, the beginning, and the look for runs that died?

Measured against the write of as many bytes alone, on the same file system.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import cycle

from timing import introduce, judge, show

from eco2ai_cli import config, journal
from eco2ai_cli.accounting import Watched, record
from eco2ai_cli.clock import Clock
from eco2ai_cli.faults import Faults
from eco2ai_cli.journal.keeper import Journal
from eco2ai_cli.meters.ram import RamMeter
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.model import Component, Reading, Usage
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.session import Request, prepare

CALLS = 20_000
GPUS = 8


class Tree:
    """A tree of one process that is always busy."""

    def usage(self, now_s: float) -> Usage:
        return Usage(now_s, 2**30, 2**30 * now_s, pids=(1,))


class Gpus:
    """As many GPUs as a large node has."""

    component: Component = "gpu"

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        return tuple(
            Reading("gpu", f"GPU-{n}", 700.0 * now_s, "nvml-energy", name="NVIDIA H200")
            for n in range(GPUS)
        )

    def finish(self) -> None: ...

    def close(self) -> None: ...


def main() -> None:
    introduce("The journal of a run: what it costs")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        os.environ["XDG_STATE_HOME"] = os.path.abspath(folder)
        os.environ["XDG_CONFIG_HOME"] = folder
        kept, opening_s = begin(os.path.join(folder, "emission.csv"))
        first = kept.recorder.last
        kept.recorder.sample()
        in_turn = cycle((first, kept.recorder.last))  # one like the last would not be written
        journal_s = each(lambda: kept.journal(next(in_turn)))
        fd = os.open(os.path.join(folder, "plain"), os.O_RDWR | os.O_CREAT)
        plain_s = each(lambda: os.pwrite(fd, b"x" * 300, 4096))
        with_one_alive_s = each(lambda: journal.recover(), CALLS // 20)
        os.environ["XDG_STATE_HOME"] = os.path.join(os.path.abspath(folder), "none")
        with_none_s = each(lambda: journal.recover(), CALLS // 20)
    show("a pwrite(2) of 300 bytes", plain_s, "µs", 1e6)
    show(f"a sample with {GPUS} GPUs", journal_s, "µs", 1e6)
    show("the beginning: file, lock, facts, first sample", [opening_s], "ms", 1e3)
    show("a look for dead runs where there are no journals", with_none_s, "µs", 1e6)
    show("a look for dead runs beside one that lives", with_one_alive_s, "µs", 1e6)
    print()
    judge("a sample, median", statistics.median(journal_s) * 1e6, "µs", at_most=20)


class Kept:
    """A recorder and the journal that observes it."""

    def __init__(self, ledger: str) -> None:
        clock, faults = Clock(), Faults()
        began = clock.now()
        plan = prepare(Request(argv=(b"train",), config=config.load({"run.output": ledger})))
        self.recorder = Recorder(Tree(), 1.0, began_s=began.awake_s, clock=clock, faults=faults)
        self.recorder.meters = (TdpMeter(5.0, "cpu", frozenset()), RamMeter(0.375), Gpus())
        self.recorder.sample()
        watched = Watched(0, began, began, self.recorder, None, lambda: plan.place)
        run = record(plan, watched, faults)
        self.journal = Journal(run, self.recorder, clock, lambda sample: frozenset())


def begin(ledger: str) -> tuple[Kept, float]:
    """Return a run with its journal, and the seconds that this took, imports left out."""
    kept = Kept(ledger)
    began_s = time.perf_counter()
    if not kept.journal.open():
        raise SystemExit("no journal can be kept here")
    return kept, time.perf_counter() - began_s


def each(call: Callable[[], object], count: int = CALLS) -> list[float]:
    """Return the seconds that each of `count` calls took."""
    seconds = []
    for _ in range(count):
        began_s = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began_s)
    return seconds


if __name__ == "__main__":
    main()
