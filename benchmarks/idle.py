"""What does `eco2ai run` take while its command does nothing, at the default of one sample a second?

Measured against a Python that reads CPU time and memory of the same command by psutil once a
second. Three of each run side by side, so that a second of the machine is a second of all.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from typing import NamedTuple

import psutil
from timing import cpu_clock_s, eco2ai_run, empty_folder, introduce, judge, show, start

COPIES = 3
STARTING_S = 4  # by then the samples are a second apart
WATCHED_S = 32  # one sample in eight looks at what has not run, too: four times those eight
POLLER = """
import subprocess, time, psutil
root = psutil.Process(subprocess.Popen(["sleep", "600"]).pid)
while True:
    for process in (root, *root.children(recursive=True)):
        process.cpu_times()
        process.memory_info()
    time.sleep(1)
"""


class Use(NamedTuple):
    """What a process used, or had used when it was asked."""

    seconds: float
    cpu_s: float
    wake_ups: int

    def since(self, before: Use) -> Use:
        return Use(*(now - then for now, then in zip(self, before, strict=True)))


def use_so_far(pid: int) -> Use:
    switches = psutil.Process(pid).num_ctx_switches()
    return Use(time.monotonic(), cpu_clock_s(pid), switches.voluntary)


def sentinel_of(pid: int) -> int:
    """Return the process in which the wrapper `pid` listens for signals to its group."""
    children = psutil.Process(pid).children()
    return next(child.pid for child in children if child.name() == "eco2ai-sentinel")


def watch() -> dict[str, list[Use]]:
    """Return what each copy used in the time watched, by name."""
    wrappers = [start(eco2ai_run("--", "sleep", "600"), own_group=True) for _ in range(COPIES)]
    pollers = [start([sys.executable, "-c", POLLER], own_group=True) for _ in range(COPIES)]
    try:
        time.sleep(STARTING_S)
        sentinels = [sentinel_of(pid) for pid in wrappers]
        watched = {"psutil": pollers, "eco2ai run": wrappers, "its sentinel": sentinels}
        before = {pid: use_so_far(pid) for pids in watched.values() for pid in pids}
        time.sleep(WATCHED_S)
        return {
            name: [use_so_far(pid).since(before[pid]) for pid in pids]
            for name, pids in watched.items()
        }
    finally:
        for pid in (*wrappers, *pollers):
            os.killpg(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def main() -> None:
    introduce("`eco2ai run` beside an idle command, against psutil once a second")
    with empty_folder():
        watched = watch()
    cpu_ms = {n: [60e3 * u.cpu_s / u.seconds for u in uses] for n, uses in watched.items()}
    wakes = {n: [u.wake_ups / u.seconds for u in uses] for n, uses in watched.items()}
    for name in watched:
        show(f"{name}, CPU a minute", cpu_ms[name], "ms")
        show(f"{name}, wake-ups a second", wakes[name], "")
    median = statistics.median
    print()
    judge("CPU a minute", median(cpu_ms["eco2ai run"]), "ms", at_most=15)
    judge("wake-ups a second", median(wakes["eco2ai run"]), at_most=1.2)
    judge("wake-ups a second of the sentinel", max(wakes["its sentinel"]), at_most=0)
    judge("psutil / ours, CPU", median(cpu_ms["psutil"]) / median(cpu_ms["eco2ai run"]), at_least=1)


if __name__ == "__main__":
    main()
