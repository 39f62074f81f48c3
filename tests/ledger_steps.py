"""Every step of an append, one after the other, gone wrong: killed there, or refused by the system.

Run in a process of its own: `python ledger_steps.py FOLDER SCENARIO kill|ERRNO`. The steps are the
calls of the functions of `os` and `fcntl` that the append makes; a write is cut in the middle too.
Every attempt is a fork that starts from the same folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger_rows import LEDGERS, a_row, first_broken_row, rows_of

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import claim, extension, lock, spool, unsaved, writer
from eco2ai_cli.ledger.reader import Row, read

LOADED = (claim, extension, lock, unsaved)
"""What an append may need, before anything is broken."""

STEPS = """
open close pread write ftruncate fsync stat fstat lstat listdir mkdir rmdir link rename replace
unlink chmod chown fchmod fchown
"""
CUTS = (0.0, 0.5, 1.0)
"""How much of a write is done before it is killed, or fails."""

COMPLETED, REFUSED, AMISS = 0, 10, 11


def empty(path: Path) -> set[str]:
    return set()


def one_row(path: Path) -> set[str]:
    ledger.append(str(path), [a_row(id="old", command='"a\nb"')])
    return {"old"}


def one_row_and_a_spool(path: Path) -> set[str]:
    one_row(path)
    spool.put(str(path), [a_row(id="waits")])
    spool.put(str(path), [a_row(id="waits-too"), a_row(id="waits-too", epoch="2")])
    return {"old", "waits", "waits-too"}


def torn(path: Path) -> set[str]:
    one_row(path)
    kept = path.read_bytes()
    ledger.append(str(path), [a_row(id="torn")])
    path.write_bytes(path.read_bytes()[: len(kept) + 50])
    return {"old"}


def eco2ai(path: Path) -> set[str]:
    shutil.copy(LEDGERS / "eco2ai.csv", path)
    return {row["id"] for row in rows_of(path)}


def torn_header(path: Path) -> set[str]:
    path.write_bytes(b"id,project_na")
    return set()


SCENARIOS = {
    function.__name__: function
    for function in (empty, one_row, one_row_and_a_spool, torn, eco2ai, torn_header)
}
WITHOUT_LOCKS = "-without-locks"


def refuse_locks(fd: int, operation: int) -> None:
    raise OSError(errno.ENOLCK, "no locks")


def main() -> None:
    folder, scenario, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    has_locks = not scenario.endswith(WITHOUT_LOCKS)
    if not has_locks:
        fcntl.flock = refuse_locks  # type: ignore[assignment]
    writer.CLAIM_TIMEOUT_S = 0.05
    done = 0
    for cut in CUTS:
        step = 0
        while True:
            path = folder / f"{done}" / "l.csv"
            path.parent.mkdir()
            old = SCENARIOS[scenario.removesuffix(WITHOUT_LOCKS)](path)
            before = path.read_bytes() if path.exists() else b""
            status = attempt(path, step, kind, cut)
            done += 1
            check(path, old, before, status, kind)
            shutil.rmtree(path.parent)
            if status & STEPS_EXHAUSTED == STEPS_EXHAUSTED:
                break
            step += 1
        if not step:
            raise SystemExit("no step was taken")
    print(done)


STEPS_EXHAUSTED = 64
"""Set in the exit status of an attempt that made fewer steps than were to be spared."""


def attempt(path: Path, step: int, kind: str, cut: float) -> int:
    """Append in a fork in which one step goes wrong; return how that ended, -9 if killed."""
    pid = os.fork()
    if pid:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == -signal.SIGKILL or status & ~STEPS_EXHAUSTED in (COMPLETED, REFUSED), (
            path, step, cut, status,
        )  # fmt: skip
        return status if status >= 0 else signal.SIGKILL << 8
    left = [step]
    break_at(left, kind, cut)
    try:
        ledger.append(
            str(path), [a_row(id="new"), a_row(id="new", epoch="2")], write=os.write,
            lock_timeout_s=0.05,
        )  # fmt: skip
        status = COMPLETED
    except LedgerError:
        status = REFUSED
    except BaseException as error:  # a crash is what must not be
        os.set_blocking(2, True)
        sys.stderr.write(f"{step=} {cut=} {error!r}\n")
        sys.stderr.flush()
        status = AMISS
    os._exit(status | (STEPS_EXHAUSTED if left[0] >= 0 else 0))


def break_at(left: list[int], kind: str, cut: float) -> None:
    for module, name in [(os, name) for name in STEPS.split()] + [(fcntl, "flock")]:
        setattr(module, name, broken(getattr(module, name), name, left, kind, cut))


def broken(
    function: Callable[..., Any], name: str, left: list[int], kind: str, cut: float
) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] != -1:
            return function(*arguments, **options)
        if name == "write":
            fd, data = arguments
            function(fd, data[: int(len(data) * cut)])
        elif cut and kind == "kill":
            function(*arguments, **options)
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "close":
            function(*arguments)
        raise OSError(int(kind), os.strerror(int(kind)))

    return call


def check(path: Path, old: set[str], before: bytes, status: int, kind: str) -> None:
    """What must hold after a step went wrong, and once the next run has written its row."""
    seen = ids(path)
    assert all(seen.count(run) == times(run) for run in old), (path, seen)
    if status & ~STEPS_EXHAUSTED == COMPLETED:
        assert seen.count("new") == 2, (path, seen)
    if status & ~STEPS_EXHAUSTED == REFUSED and seen.count("new") != 2:
        # Both at once only where closing the file failed: then nobody knows what was kept.
        now = path.read_bytes() if path.exists() else b""
        assert now.startswith(before) or (path.parent / "l.csv.torn").exists()
    assert ledger.append(str(path), [a_row(id="next")]).path == str(path)
    assert not spool.files(str(path)), os.listdir(lock.spool_of(str(path)))
    rows = [row["id"] for row in rows_of(path) if "MISSING" not in row.values()]
    assert sorted(rows) == sorted(ids(path)), rows
    assert rows.count("next") == 1, rows
    assert all(rows.count(run) == times(run) for run in old), rows
    assert rows.count("new") == 2 or rows.count("new") <= 1 < status, rows
    assert first_broken_row(path) is None, path
    assert all("surplus" not in row for row in rows_of(path)), path
    assert path.read_bytes().count(b"project_name") == 1, path
    if kind == "kill":
        assert all("MISSING" not in row.values() for row in rows_of(path)), path


def times(run: str) -> int:
    return 2 if run == "waits-too" else 1


def ids(path: Path) -> list[str]:
    if not path.exists() and not spool.files(str(path)):
        return []
    return [row.id or "" for row in read(str(path)) if isinstance(row, Row)]


if __name__ == "__main__":
    main()
