"""Find the runs that died and save their rows: each once, whoever else looks at the same moment.

The lock on a journal is held until its row is in the ledger and the file is gone. Who is killed
in between leaves a journal whose row is there already: the next to look finds it by the run's id.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from eco2ai_cli import ledger
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.journal import SUFFIX, Note, discard, layout
from eco2ai_cli.journal.keeper import NEW_SUFFIX
from eco2ai_cli.journal.owner import ABANDONED_S, Owner, is_near, judge, this_process
from eco2ai_cli.journal.row import Left, after, left_in
from eco2ai_cli.journal.sums import ROWS
from eco2ai_cli.ledger.key import load as load_key
from eco2ai_cli.ledger.search import find, has_ended
from eco2ai_cli.ledger.unsaved import place

CLAIMED_SUFFIX = ".claimed"
DAMAGED_SUFFIX = ".damaged"
UNFINISHED_S = 3600.0
"""What its maker has left half done for so long, it will not finish."""
LOCK_TIMEOUT_S = 1.0
"""Who finds a dead run is not to wait long for its ledger."""
LONGEST_S = 2.0
"""After that the rest is left to the next command: a machine that went down may leave many."""

Lock = Callable[[int, int], None]


def recover(
    where: str,
    names: Sequence[str],
    *,
    environ: Mapping[str, str] = os.environ,
    everywhere: bool = True,
    proc: str = "/proc",
    lock: Lock = fcntl.flock,
    now_s: Callable[[], float] = time.time,
) -> list[Note]:
    """Save the rows of the dead among the files `names` in the folder `where`; prune old files."""
    notes: list[Note] = []
    try:
        here = this_process(proc)
    except OSError:
        return notes
    until_s = time.monotonic() + LONGEST_S
    for name in names:
        if time.monotonic() > until_s:
            break
        near = is_near(name, here)
        if not (near or everywhere):
            continue
        # Whatever cannot even be opened or removed was another's to deal with, or will be.
        with suppress(OSError):
            path = _candidate(os.path.join(where, name), now_s(), near=near)
            if path is not None:
                notes += _look_at(path, here, environ, proc, lock, now_s())
    return notes


def _candidate(path: str, now_s: float, *, near: bool) -> str | None:
    """Return the path of a journal to look into, if `path` is or becomes one; prune what is not.

    Raises OSError.
    """
    stem, suffix = os.path.splitext(path)
    if suffix == SUFFIX and near:
        return path
    idle_s = now_s - os.stat(path).st_mtime
    if suffix == SUFFIX:
        return path if idle_s > ABANDONED_S else None
    if (suffix == NEW_SUFFIX and idle_s > UNFINISHED_S) or (
        suffix == DAMAGED_SUFFIX and idle_s > ABANDONED_S
    ):
        os.unlink(path)
    elif suffix == CLAIMED_SUFFIX and idle_s > UNFINISHED_S:
        os.rename(path, stem)
        return stem
    return None


def _look_at(
    path: str, here: Owner, environ: Mapping[str, str], proc: str, lock: Lock, now_s: float
) -> list[Note]:
    """Deal with one journal, with its lock held; raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
            return []  # root makes no rows in the ledgers of others
        has_lock = _take(lock, fd)
        if has_lock is None or not os.path.samestat(status, os.stat(path)):
            return []
        idle_s = now_s - status.st_mtime
        try:
            left = left_in(_content(fd, status.st_size))
        except layout.Damaged as error:
            return [_set_aside(path, error)]
        except layout.Newer:
            return []
        if judge(left.owner, here, locked=left.locked, idle_s=idle_s, proc=proc) != "dead":
            return []
        if has_lock:
            return _save(path, left, environ)
        return _save_claimed(path, left, environ)
    finally:
        os.close(fd)


def _take(lock: Lock, fd: int) -> bool | None:
    """Take the lock; None where another process has it, False where there are no locks."""
    try:
        lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in (errno.EAGAIN, errno.EACCES, errno.EINTR) else False
    return True


def _content(fd: int, size: int) -> bytes:
    if size > layout.LONGEST_BYTES:
        raise layout.Damaged(f"it has {size} bytes")
    return os.pread(fd, size, 0)


def _set_aside(path: str, error: layout.Damaged) -> Note:
    os.rename(path, path + DAMAGED_SUFFIX)
    return Note(
        f"a journal is damaged: {error}; the run it was of is lost, if no row was saved; "
        f"it was set aside as `{path}{DAMAGED_SUFFIX}`",
        is_trouble=True,
    )


def _save_claimed(path: str, left: Left, environ: Mapping[str, str]) -> list[Note]:
    """Save where there are no locks: of those who rename the journal at once, one succeeds."""
    claimed = path + CLAIMED_SUFFIX
    written = os.stat(path)
    os.utime(path)  # a claim is as old as that
    os.rename(path, claimed)
    notes = _save(claimed, left, environ)
    with suppress(FileNotFoundError):  # it is gone, if it could be saved
        os.utime(claimed, ns=(written.st_atime_ns, written.st_mtime_ns))
        os.rename(claimed, path)
    return notes


def _save(path: str, left: Left, environ: Mapping[str, str]) -> list[Note]:
    """Put the row where it belongs or, if that cannot be, where those of living runs go then."""
    key, cells = None, left.cells
    if left.saved:  # in case they cannot be found again, as in a file that was moved
        cells = after([left.saved], cells)
    notes: list[Note] = []
    try:
        if not _is_saved(left, environ):
            found = find(left.ledger, left.run_id)
            if len(found) >= int(left.saved.get(ROWS) or 0):
                cells = after(found, left.cells)
            if left.key_file is not None:
                key = load_key(left.key_file)
            saved_to, sentences = ledger.append(
                left.ledger, [cells], key=key, lock_timeout_s=LOCK_TIMEOUT_S
            )
            notes = [Note(f"recovered {left.name}: its row is in `{saved_to}`")]
            notes += [Note(sentence, is_trouble=True) for sentence in sentences]
    except (Eco2aiError, OSError) as error:
        try:
            saved_to = ledger.rescue([cells], key=key, lasting=True, environ=environ)
        except (Eco2aiError, OSError) as worse:
            return [_not_yet(path, left, worse)]
        said = f"recovered {left.name}: its row is in `{saved_to}`, for {error}"
        notes = [Note(f"{said}; `eco2ai report` reads it there", is_trouble=True)]
    if left.mark_path is not None:
        from eco2ai_cli.marks import afterlife

        afterlife.discard(left.mark_path)
    discard(path)
    return notes


def _is_saved(left: Left, environ: Mapping[str, str]) -> bool:
    """Tell whether the row is there: the run was killed after saving it, or who recovered it.

    A file in `unsaved` may be of one who was killed before he had written its row; it is removed.
    """
    unsaved = place(left.run_id, environ)
    if unsaved is not None and os.path.lexists(unsaved):
        if has_ended(unsaved, left.run_id):
            return True
        discard(unsaved)
    return has_ended(left.ledger, left.run_id)


def _not_yet(path: str, left: Left, error: Eco2aiError | OSError) -> Note:
    return Note(
        f"the row of {left.name}, which died, cannot be saved yet: {error}; "
        f"remove `{path}` if you do not want it",
        is_trouble=True,
    )
