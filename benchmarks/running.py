"""What a process uses while it runs, told by the kernel: for the benchmarks that watch one."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psutil
from timing import start

POLLER = """
import subprocess, sys, time, psutil
root = psutil.Process(subprocess.Popen(sys.argv[1:]).pid)
while True:
    for process in (root, *root.children(recursive=True)):
        try:
            process.cpu_times()
            process.memory_info()
        except psutil.NoSuchProcess:
            pass
    time.sleep(1)
"""


class Use(NamedTuple):
    """What a process used in so many seconds; at one moment: had used since it started."""

    seconds: float
    cpu_s: float
    wake_ups: int

    def since(self, before: Use) -> Use:
        return Use(
            self.seconds - before.seconds,
            self.cpu_s - before.cpu_s,
            self.wake_ups - before.wake_ups,
        )


def psutil_poll(command: Sequence[str]) -> list[str]:
    """Return a command that starts `command` and reads its tree by psutil once a second."""
    return [sys.executable, "-c", POLLER, *command]


def watch(
    commands: Mapping[str, Sequence[str]], *, copies: int, starting_s: float, watched_s: float
) -> dict[str, list[Use]]:
    """Run copies of all `commands` side by side, and return what each used, by name.

    `starting_s` are left out. A wrapper's sentinel comes under `sentinel`.
    """
    pids = {name: [start(c, own_group=True) for _ in range(copies)] for name, c in commands.items()}
    groups = [pid for copies_of_one in pids.values() for pid in copies_of_one]
    try:
        time.sleep(starting_s)
        pids["sentinel"] = [child for pid in groups for child in _sentinels_of(pid)]
        before = {pid: _use_so_far(pid) for ours in pids.values() for pid in ours}
        time.sleep(watched_s)
        return {
            name: [_use_so_far(p).since(before[p]) for p in ours] for name, ours in pids.items()
        }
    finally:
        for group in groups:
            os.killpg(group, signal.SIGTERM)
            os.waitpid(group, 0)


def _use_so_far(pid: int) -> Use:
    # clock_getcpuclockid(3): a process's CPU clock counts nanoseconds, where /proc has 10 ms ticks.
    cpu_s = time.clock_gettime((~pid << 3) | 2)
    return Use(time.monotonic(), cpu_s, psutil.Process(pid).num_ctx_switches().voluntary)


def _sentinels_of(pid: int) -> list[int]:
    """Return the process, if any, in which `pid` listens for signals to its group."""
    return [c.pid for c in psutil.Process(pid).children() if c.name() == "eco2ai-sentinel"]
