"""What does one look at a process tree cost?

Measured against psutil that reads CPU time and memory of the same tree, in turn with us. In a busy
tree every process runs a little between two looks; in an idle one none does. The looks follow each
other without a pause, so that the caches are warm: `idle.py` has the cost of one a second.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil
from timing import in_turn, introduce, judge, show

from eco2ai_cli.processes.linux import LinuxTree

ROUNDS = 40  # one look in sixteen reads the processes that have not run, too
AT_MOST_S = 600
"""When the processes of a tree end by themselves, should nobody be left to end them."""


STRANGERS = """
import os, signal, sys
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        signal.alarm(int(sys.argv[2]))
        signal.pause()
"""


class Case(NamedTuple):
    """A tree of `size` processes, `others` alive that are not of it; targets in milliseconds."""

    size: int
    others: int
    at_most_ms: float | None


CASES = (
    Case(11, 0, 0.5),
    Case(11, 1000, 2),
    Case(101, 0, None),
    Case(101, 1000, None),
    Case(500, 0, 10),
    Case(500, 1000, 10),
)


class Group(NamedTuple):
    """A process group of `size` processes; each writes a byte to `awake` whenever it has run."""

    root: int
    size: int
    awake: int

    def wake(self) -> None:
        """Let every process run once."""
        os.killpg(self.root, signal.SIGUSR1)
        self.wait()

    def wait(self) -> None:
        """Return when every process has run."""
        left = self.size
        while left:
            left -= len(os.read(self.awake, left))


@contextmanager
def group(size: int, attend: Callable[[int], None]) -> Iterator[Group]:
    """Fork a process that has `size - 1` children; `attend` gets its pid before it has any."""
    awake, wakes = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    root = os.fork()
    if root == 0:
        try:
            live_as_group(size, wakes)
        finally:
            os._exit(1)
    try:
        os.setpgid(root, root)
        os.close(wakes)
        attend(root)
        os.kill(root, signal.SIGUSR1)
        members = Group(root, size, awake)
        members.wait()
        yield members
    finally:
        os.killpg(root, signal.SIGKILL)
        os.waitpid(root, 0)
        os.close(awake)


def live_as_group(size: int, wakes: int) -> None:
    signal.sigwait({signal.SIGUSR1})
    for _ in range(size - 1):
        if os.fork() == 0:
            break
    signal.alarm(AT_MOST_S)
    while True:
        os.write(wakes, b".")
        signal.sigwait({signal.SIGUSR1})


@contextmanager
def strangers(count: int) -> Iterator[None]:
    """Have `count` processes alive that sleep and are no descendants of ours."""
    command = [sys.executable, "-c", STRANGERS, str(count), str(AT_MOST_S)]
    parent = subprocess.Popen(command, start_new_session=True)
    parent.wait()  # then they are children of init, and known by their group
    try:
        yield
    finally:
        if count:
            os.killpg(parent.pid, signal.SIGKILL)


def ask_psutil(root: int) -> None:
    process = psutil.Process(root)
    for member in (process, *process.children(recursive=True)):
        member.cpu_times()
        member.memory_info()


def cpu_s(work: Callable[[], object], busy: Group | None) -> float:
    """Return the CPU seconds that `work` takes, after all processes of `busy` have run."""
    if busy is not None:
        busy.wake()
    before_s = time.thread_time()
    work()
    return time.thread_time() - before_s


def measure(case: Case, busy: bool) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of each look of ours and of each by psutil."""
    tree = LinuxTree()
    with strangers(case.others), group(case.size, tree.attach) as members:
        woken = members if busy else None
        ours, theirs = in_turn(
            ROUNDS,
            lambda: cpu_s(lambda: tree.usage(time.monotonic()), woken),
            lambda: cpu_s(lambda: ask_psutil(members.root), woken),
        )
        assert len(tree.usage(time.monotonic()).pids) == case.size
        tree.close()
    return ours, theirs


def main() -> None:
    introduce("CPU time of one look, against psutil's children(recursive=True), CPU and memory")
    for case in CASES:
        for busy in (False, True):
            others = f", {case.others} others alive" if case.others else ""
            print(f"{'busy' if busy else 'idle'} tree of {case.size}{others}")
            ours, theirs = measure(case, busy)
            show("psutil", theirs, "ms", 1e3)
            show("a look of ours", ours, "ms", 1e3)
            mean_s = statistics.mean(ours)
            if case.at_most_ms is not None:
                judge("mean of ours", mean_s * 1e3, "ms", at_most=case.at_most_ms)
            judge("psutil / ours, ratio of means", statistics.mean(theirs) / mean_s, at_least=10)


if __name__ == "__main__":
    main()
