"""Look at the processes of a run: who they are, and how much of a CPU each has now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from eco2ai_cli.processes.finder import Finder
from eco2ai_cli.processes.procfs import (
    PAGE_BYTES,
    children_of,
    cpu_clock,
    parse_stat,
    read_file,
    shows_us,
)
from eco2ai_cli.redaction import command_line


class Seen(NamedTuple):
    """One process at one moment; with the pid, `start_ticks` names it for ever."""

    start_ticks: int
    cpu_s: float
    resident_bytes: int


class Look(NamedTuple):
    """The processes of a run by pid, at one moment of the monotonic clock."""

    at_s: float
    seen: Mapping[int, Seen]


class Member(NamedTuple):
    """A process of a run. `cpu_percent`: of one hardware thread; None before a second look."""

    pid: int
    cpu_percent: float | None
    resident_bytes: int
    command: str


def look(wrapper: int, proc: str = "/proc", *, now_s: Callable[[], float] = time.monotonic) -> Look:
    """Return the processes that descend from `wrapper`, the pid of `eco2ai run`.

    Forked copies of the wrapper are helpers of ours and left out.
    """
    seen: dict[int, Seen] = {}
    at_s = now_s()
    if not shows_us(proc):
        return Look(at_s, seen)
    try:
        image = parse_stat(read_file(f"{proc}/{wrapper}/stat")).image
    except OSError:
        return Look(at_s, seen)
    finder = Finder(wrapper, proc, lambda pid, threads: children_of(pid, threads, proc))
    for pid, _ in finder.newborns((), {}):
        with suppress(OSError):
            stat = parse_stat(read_file(f"{proc}/{pid}/stat"))
            if stat.image != image or not any(map(int, image)):
                seen[pid] = Seen(
                    stat.start_ticks,
                    time.clock_gettime(cpu_clock(pid)),
                    stat.resident_pages * PAGE_BYTES,
                )
    return Look(at_s, seen)


def busiest(before: Look | None, now: Look, most: int, proc: str = "/proc") -> tuple[Member, ...]:
    """Return the `most` processes that had most of a CPU between two looks, the busiest first."""
    shares = {pid: _cpu_percent(before, now, pid) for pid in now.seen}
    order = sorted(shares, key=lambda pid: (-(shares[pid] or 0.0), -now.seen[pid].cpu_s))
    return tuple(
        Member(pid, shares[pid], now.seen[pid].resident_bytes, _command(pid, proc))
        for pid in order[:most]
    )


def _cpu_percent(before: Look | None, now: Look, pid: int) -> float | None:
    """Return what a process has used since; one that was born since began with nothing."""
    if before is None or now.at_s <= before.at_s:
        return None
    seen, old = now.seen[pid], before.seen.get(pid)
    known = old is not None and old.start_ticks == seen.start_ticks
    used_s = seen.cpu_s - (old.cpu_s if old is not None and known else 0.0)
    return 100 * max(0.0, used_s) / (now.at_s - before.at_s)


def _command(pid: int, proc: str) -> str:
    """Return its command line without what is known to be secret, or its name in brackets."""
    with suppress(OSError):
        program, *words = read_file(f"{proc}/{pid}/cmdline").removesuffix(b"\0").split(b"\0")
        if program:
            return command_line([os.path.basename(program), *words], "full") or ""
        name = read_file(f"{proc}/{pid}/comm").decode("utf-8", "replace").strip()
        return f"[{name}]"
    return "?"
