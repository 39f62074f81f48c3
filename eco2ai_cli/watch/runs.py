"""Find the runs that are under way on this machine, by their journals."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from eco2ai_cli import journal
from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.dashboard import Budget
from eco2ai_cli.journal import layout
from eco2ai_cli.journal.owner import Owner, is_near, judge, this_process
from eco2ai_cli.journal.row import left_in
from eco2ai_cli.ledger import Cells

_TRIES = 3
"""How often a journal is read that does not hold: both its samples may be being written."""


class LiveRun(NamedTuple):
    """A run that is under way, as its journal tells.

    `pid` is that of `eco2ai run`; None where our `/proc` does not show it. `cells` are those that
    its row would have if it were killed now. `samples`: the last two, or the first one alone.
    """

    path: str
    pid: int | None
    began: Moment
    ledger: str
    cells: Cells
    samples: tuple[layout.Figures, ...]

    @property
    def id(self) -> str:
        """The id of the run."""
        return str(self.cells["id"])

    @property
    def project(self) -> str:
        """The name of its project."""
        return str(self.cells.get("project_name") or "")

    @property
    def command(self) -> str:
        """Its command line; empty where that is not kept."""
        return str(self.cells.get("command") or "")

    @property
    def caveats(self) -> tuple[str, ...]:
        """The doubts about its figures so far."""
        words = str(self.cells.get("caveats") or "").split(";")
        return tuple(word for word in words if word not in ("", "end-unseen"))

    @property
    def outlook(self) -> tuple[Budget | None, str | None, str | None]:
        """How full its budget is, its forecast in words, its epochs; None where there is none."""
        words = json.loads(self.samples[-1].words)
        budget = words.get("budget")
        budget = None if budget is None else Budget(*budget)
        return budget, words.get("forecast"), words.get("epochs")

    def elapsed_s(self, clock: Clock) -> float:
        """Return how long it has been running by now, suspend included."""
        return clock.elapsed_s() - self.began.elapsed_s

    def idle_s(self, clock: Clock) -> float:
        """Return how long ago its last sample is."""
        return clock.awake_s() - self.began.awake_s - self.samples[-1].awake_s


def live_runs(environ: Mapping[str, str] = os.environ, proc: str = "/proc") -> list[LiveRun]:
    """Return the runs of this user that are under way on this machine, the latest first.

    What is no journal, or damaged, or another machine's, is passed over.
    """
    where = journal.folder(environ)
    try:
        here = this_process(proc)
        names = os.listdir(where) if where is not None else []
    except OSError:
        return []
    runs = []
    for name in names:
        if name.endswith(journal.SUFFIX) and is_near(name, here):
            with suppress(OSError, layout.Damaged, layout.Newer):
                run = _read(os.path.join(where or "", name), here, proc)
                runs += [] if run is None else [run]
    return sorted(runs, key=lambda run: run.began.elapsed_s, reverse=True)


def matching(runs: Sequence[LiveRun], wanted: str) -> list[LiveRun]:
    """Return the runs of the project of that name, or else those whose id begins so."""
    of_project = [run for run in runs if run.project == wanted]
    return of_project or [run for run in runs if run.id.startswith(wanted.lower())]


def _read(path: str, here: Owner, proc: str) -> LiveRun | None:
    """Return the run of a journal, if it lives; raises OSError, Damaged or Newer."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > layout.LONGEST_BYTES:
            return None
        for _ in range(_TRIES):
            data = os.pread(fd, status.st_size, 0)
            with suppress(layout.Damaged):
                return _run(path, fd, data, here, proc)
        return _run(path, fd, data, here, proc)
    finally:
        os.close(fd)


def _run(path: str, fd: int, data: bytes, here: Owner, proc: str) -> LiveRun | None:
    left = left_in(data)
    if not _lives(left.owner, here, fd, locked=left.locked, proc=proc):
        return None
    facts, _ = layout.parse(data)
    return LiveRun(
        path=path,
        pid=left.owner.pid if left.owner.pid_namespace == here.pid_namespace else None,
        began=Moment(*facts["began"]),
        ledger=left.ledger,
        cells=left.cells,
        samples=tuple(layout.samples(data)),
    )


def _lives(owner: Owner, here: Owner, fd: int, *, locked: bool, proc: str) -> bool:
    """Tell whether the process that keeps a journal lives; its pid tells, where we can see it."""
    if owner.boot != here.boot or owner.machine != here.machine:
        return False
    if owner.pid_namespace == here.pid_namespace:
        return judge(owner, here, locked=locked, idle_s=0.0, proc=proc) == "lives"
    return locked and _is_locked(fd)


def _is_locked(fd: int) -> bool:
    """Tell whether somebody has the file locked.

    The lock that we get for a moment is one of a run that is dead already. Who would recover it
    at that very moment leaves it to the next who looks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False
