"""What is under way in this process: for its end, for its forks, and for what begins within it."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol

from eco2ai_cli.marks.line import Mark


class Stay(Protocol):
    """Something that is under way in the process that began it; `id`: of its rows."""

    id: str

    def epoch(self, mark: Mark) -> bool:
        """End the epoch that is under way; False where nothing is."""
        ...

    def stop(self, status: int = 0) -> None:
        """End it and save what there is to save; `status` is as of wait(2). Never raises."""
        ...

    def let_go(self) -> None:
        """Close what a forked copy must not hold; the original goes on. Never raises."""
        ...


_under_way: list[Stay] = []
_around: str | None = None  # of a forked copy: what was under way when it was forked
_pid: int | None = None
_error_at_start: object = None


def enter(stay: Stay) -> str | None:
    """Note that something begins; return the id of what it begins in, None if in nothing."""
    global _pid, _error_at_start
    if _pid is None:
        os.register_at_fork(after_in_child=_after_fork)
    if _pid != os.getpid():
        _pid = os.getpid()
        atexit.register(_end)
        _end_with_multiprocessing()
        _error_at_start = getattr(sys, "last_value", None)
    outer = _under_way[-1].id if _under_way else _around
    _under_way.append(stay)
    return outer


def leave(stay: Stay) -> None:
    """Note that something has ended."""
    if stay in _under_way:
        _under_way.remove(stay)


def latest() -> Stay | None:
    """Return what began last and goes on, in this process."""
    return _under_way[-1] if _under_way and _pid == os.getpid() else None


def goes_on(run_id: str | None) -> bool:
    """Tell whether what has this id has not ended yet, as far as this process can know."""
    return run_id == _around or any(stay.id == run_id for stay in _under_way)


def _after_fork() -> None:
    global _around
    for stay in _under_way:
        stay.let_go()
    if _under_way:
        _around = _under_way[-1].id
    _under_way.clear()


def _end_with_multiprocessing() -> None:
    """A worker of multiprocessing ends by os._exit, after finalizers of its own kind."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, _end, exitpriority=0)


def _end() -> None:
    """Save what nobody has stopped before the interpreter ends."""
    if _pid != os.getpid():
        return
    failed = getattr(sys, "last_value", None) is not _error_at_start
    while _under_way:
        _under_way.pop().stop(1 << 8 if failed else 0)
