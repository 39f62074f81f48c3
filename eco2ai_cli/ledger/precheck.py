"""Find out, before a command starts, whether its row can be kept."""

from __future__ import annotations

import os
import stat

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.header import missing_columns, read_header

OPEN_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Neither a FIFO without a reader nor a terminal may hold us up or take us over."""

_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_ELSEWHERE = "choose another file with `--output`"


def check(path: str) -> None:
    """Raise LedgerError if rows could not be appended to `path`; create and change nothing.

    A missing or an empty file is fine where one may be made.
    """
    if not os.path.basename(path):
        raise LedgerError(
            f"`{path}` names a directory, not a ledger",
            hint=f"name a file in it: `{os.path.join(path, 'emission.csv')}`",
        )
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        check_folder(path)
        return
    except (OSError, ValueError) as error:
        raise cannot(path, error) from error
    check_kind(path, mode)
    _check_file(path)


def check_kind(path: str, mode: int) -> None:
    """Raise LedgerError unless `mode`, a file's `st_mode`, is that of a regular file."""
    if stat.S_ISDIR(mode):
        raise LedgerError(
            f"`{path}` is a directory, not a ledger",
            hint=f"name a file in it: `{os.path.join(path, 'emission.csv')}`",
        )
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            raise LedgerError(f"`{path}` is {kind}, not a ledger", hint=_ELSEWHERE)


def cannot(path: str, error: OSError | ValueError) -> LedgerError:
    """Return the error that says what the system said about `path`."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return LedgerError(f"cannot write the ledger `{path}`: {reason}", hint=_ELSEWHERE)


def _check_file(path: str) -> None:
    # Opened for real: access(2) knows nothing of immutable files and mandatory policies.
    try:
        fd = os.open(path, OPEN_FLAGS)
    except OSError as error:
        raise cannot(path, error) from error
    try:
        names = read_header(fd, path)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            from eco2ai_cli.ledger.tail import last_boundary

            last_boundary(fd, path, size)  # raises if the line is too long for a row
    except OSError as error:
        raise cannot(path, error) from error
    finally:
        os.close(fd)
    if names and missing_columns(names):
        check_folder(path)  # columns are added by putting a new file in its place


def check_folder(path: str) -> None:
    """Raise LedgerError unless a file can be made beside `path`, where links lead."""
    real = os.path.realpath(path) if os.path.islink(path) else path
    folder = os.path.dirname(real) or "."
    if not os.path.isdir(folder):
        raise LedgerError(
            f"cannot write the ledger `{path}`: there is no folder `{folder}`",
            hint=f"make it with `mkdir -p {folder}`, or {_ELSEWHERE}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise LedgerError(
            f"cannot write the ledger `{path}`: the folder `{folder}` is not writable",
            hint=_ELSEWHERE,
        )
