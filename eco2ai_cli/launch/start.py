"""Start the command under a process tree's eyes, with a sentinel beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.launch import descriptors, libc
from eco2ai_cli.launch.sentinel import Sentinel
from eco2ai_cli.launch.spawn import Inherited, release, spawn


class Accountant(Protocol):
    """What a start needs of a process tree."""

    def attach(self, pid: int) -> None:
        """Take `pid`, which waits to exec, as the root."""
        ...

    def ignore(self, pid: int) -> None:
        """Leave out `pid`, a child of ours that is not of the tree."""
        ...

    def started(self, before_exec_s: float) -> None:
        """Note that the root has exec'd, and the CPU seconds it used as ours until then."""
        ...


class Started(NamedTuple):
    """A command that runs, since the moment `began`."""

    pid: int
    began: Moment
    sentinel: Sentinel


def start(
    argv: Sequence[bytes],
    environ: Mapping[bytes, bytes],
    tree: Accountant,
    *,
    die_with_us: bool,
    clock: Clock,
) -> Started:
    """Start `argv`; from here on every signal to us is blocked and waits to be taken.

    Raises CommandNotFound or CommandNotExecutable, and Eco2aiError where no process can be made.
    """
    try:
        descriptors.fill_standard_gaps()
        inherited = Inherited.take()
        libc.become_subreaper()
        child = spawn(argv, environ, inherited, die_with_us=die_with_us)
        tree.attach(child.pid)
        sentinel = Sentinel()
    except OSError as error:
        raise Eco2aiError(
            f"no process can be started: {(error.strerror or str(error)).lower()}",
            hint="`ulimit -a` shows the limits on processes and open files",
        ) from error
    tree.ignore(sentinel.pid)
    began = clock.now()
    try:
        tree.started(release(child))
    except BaseException:
        sentinel.dismiss()
        raise
    return Started(child.pid, began, sentinel)


def child_environment(
    run_id: str, mark_path: str | None = None, given: str = "/proc/self/environ"
) -> dict[bytes, bytes]:
    """Return our environment as we were given it, with the run's id for whoever runs inside it.

    `mark_path`: where its marks are to be written; None: nowhere. `given`: the file with what we
    were started with.
    """
    environ = dict(os.environb)
    environ.pop(b"", None)  # `=value` can be inherited, but execve(2) of Python refuses it
    # In the C locale Python sets LC_CTYPE for itself before any of our code runs (PEP 538); the
    # kernel still shows what we were started with.
    if environ.get(b"LC_CTYPE") in (b"C.UTF-8", b"C.utf8", b"UTF-8"):
        del environ[b"LC_CTYPE"]
        with contextlib.suppress(OSError), open(given, "rb") as file:
            for item in file.read().split(b"\0"):
                if item.startswith(b"LC_CTYPE="):
                    environ[b"LC_CTYPE"] = item[9:]
    environ[b"ECO2AI_RUN_ID"] = run_id.encode()
    environ.pop(b"ECO2AI_MARK", None)  # of the run inside which we are
    if mark_path is not None:
        environ[b"ECO2AI_MARK"] = os.fsencode(mark_path)
    return environ
