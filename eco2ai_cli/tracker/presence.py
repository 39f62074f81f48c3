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

    def pause(self) -> None:
        """Have no thread until `resume`, for a fork. Never raises."""
        ...

    def resume(self) -> None:
        """Go on after a fork. Never raises."""
        ...

    def let_go(self) -> None:
        """Close what a forked copy must not hold; the original goes on. Never raises."""
        ...


_under_way: list[Stay] = []
_around: str | None = None  # of a forked copy: what was under way when it was forked
_pid: int | None = None
_error_at_start: object = None
_AFTER_CHILDREN = -10
"""A priority of finalizers that multiprocessing calls when it has waited for its children."""


def enter(stay: Stay) -> str | None:
    """Note that something begins; return the id of what it begins in, None if in nothing."""
    global _pid, _error_at_start
    if _pid is None:
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
        )
    if _pid != os.getpid():
        _pid = os.getpid()
        _end_with_the_process()
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


def status_of(error: object) -> int:
    """Return the status, as of wait(2), with which a program ends that does not catch `error`."""
    if error is None or isinstance(error, GeneratorExit):
        return 0
    if isinstance(error, KeyboardInterrupt):
        return 2  # SIGINT, by which the interpreter ends itself
    if isinstance(error, SystemExit):
        code = error.code
        return ((code & 0xFF) << 8) if isinstance(code, int) else (1 << 8 if code else 0)
    return 1 << 8


def _before_fork() -> None:
    for stay in [*_under_way]:
        stay.pause()


def _after_fork() -> None:
    for stay in [*_under_way]:
        stay.resume()


def _after_fork_in_child() -> None:
    global _around
    for stay in _under_way:
        stay.let_go()
    if _under_way:
        _around = _under_way[-1].id
    _under_way.clear()


def _end_with_the_process() -> None:
    """Have `_end` called at the end, after multiprocessing has waited for its children.

    It calls finalizers of its own then, and so do its workers, which end by os._exit. What is
    registered with atexit is called before it waits, unless it is imported later.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        atexit.register(_end)
    else:
        util.Finalize(None, _end, exitpriority=_AFTER_CHILDREN)


def _end() -> None:
    """Save what nobody has stopped before the interpreter ends."""
    if _pid != os.getpid():
        return
    error = getattr(sys, "last_value", None)
    status = 0 if error is _error_at_start else status_of(error)
    while _under_way:
        _under_way.pop().stop(status)
