"""What the benchmarks share: commands started as a user starts them, their cost as the kernel
tells it, and the printing of figures beside their targets.
"""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Cost(NamedTuple):
    """What a command took from its start to its end, with the children that it waited for."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def eco2ai_run(*words: str) -> list[str]:
    """Return the command line `eco2ai run -q WORDS`, by the console script if it is installed."""
    script = os.path.join(os.path.dirname(sys.executable), "eco2ai")
    eco2ai = [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "eco2ai_cli"]
    return [*eco2ai, "run", "-q", *words]


def start(command: Sequence[str], *, stdout: int | None = None, own_group: bool = False) -> int:
    """Start `command` and return its pid; its output goes to the file `stdout`, or nowhere."""
    output = (
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
        if stdout is None
        else (os.POSIX_SPAWN_DUP2, stdout, 1)
    )
    # 0 makes a group of its own; our own group is as good as none.
    group = 0 if own_group else os.getpgrp()
    return os.posix_spawnp(
        command[0], list(command), _environment(), file_actions=[output], setpgroup=group
    )


def run(command: Sequence[str]) -> Cost:
    """Run `command` to its end; raises SystemExit where it fails."""
    began_s = time.perf_counter()
    pid = start(command)
    _, status, usage = os.wait4(pid, 0)
    ended_s = time.perf_counter()
    _insist(command, status)
    return Cost(ended_s - began_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def output_of(command: Sequence[str]) -> tuple[str, float]:
    """Run `command`; return its output, and the seconds from the start to the first byte of it."""
    read, write = os.pipe()
    began_s = time.perf_counter()
    pid = start(command, stdout=write)
    os.close(write)
    output = os.read(read, 1)
    first_byte_s = time.perf_counter() - began_s
    with open(read, "rb") as rest:
        output += rest.read()
    _insist(command, os.waitpid(pid, 0)[1])
    return output.decode(), first_byte_s


def in_turn(rounds: int, *measures: Callable[[], T]) -> list[list[T]]:
    """Return what each of `measures` gave in `rounds` calls; the noise of the machine hits all.

    They are called A B C, B C A, C A B …, after a first round that does not count: it leaves the
    files in the cache, and the modules compiled.
    """
    for measure in measures:
        measure()
    results: list[list[T]] = [[] for _ in measures]
    for first in range(rounds):
        for step in range(len(measures)):
            turn = (first + step) % len(measures)
            results[turn].append(measures[turn]())
    return results


@contextmanager
def empty_folder() -> Iterator[None]:
    """Work in an empty folder: no configuration of a project, and a ledger that is thrown away.

    Raises SystemExit if a row in it tells of a fault of ours: then the figures mean nothing.
    """
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
        ledger = os.path.join(folder, "emission.csv")
        if os.path.exists(ledger):
            with open(ledger, encoding="utf-8") as file:
                if "internal-error" in file.read():
                    raise SystemExit("eco2ai had an internal error: the figures mean nothing")


def introduce(question: str) -> None:
    """Print what is asked, and of which machine."""
    print(question)
    print(
        f"{_processor_name()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}, "
        f"load {os.getloadavg()[0]:.1f}, {sum(map(str.isdigit, os.listdir('/proc')))} processes\n"
    )


def show(name: str, values: Sequence[float], unit: str, scale: float = 1.0) -> None:
    """Print a measured quantity: its median, and of several values the least and the mean."""
    line = f"  {name:<50} {statistics.median(values) * scale:9.3f} {unit:<6}"
    if len(values) > 1:
        line += f" (min {min(values) * scale:.3f}, mean {statistics.mean(values) * scale:.3f})"
    print(line, flush=True)


def judge(
    name: str,
    value: float,
    unit: str = "",
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> None:
    """Print a figure beside its target, of which one is given."""
    if at_most is not None:
        met, target = value <= at_most, f"≤ {at_most:g}"
    else:
        met, target = at_least is not None and value >= at_least, f"≥ {at_least:g}"
    verdict = "met" if met else "MISSED"
    print(f"  {name:<50} {value:9.3f} {unit:<6} target {target}: {verdict}", flush=True)


def _environment() -> dict[str, str]:
    """Return our environment without what would make the start of a Python other than a user's."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("ECO2AI_")
    }


def _insist(command: Sequence[str], status: int) -> None:
    if status:
        raise SystemExit(f"`{shlex.join(command)}` ended with wait status {status}")


def _processor_name() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
