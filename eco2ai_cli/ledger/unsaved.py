"""Keep the rows of a run whose ledger could not be written after all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from eco2ai_cli import state
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import COLUMNS, Cells, line
from eco2ai_cli.ledger.writer import write_whole


def rescue(
    rows: Sequence[Cells],
    *,
    key: bytes | None = None,
    lasting: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Write `rows` to a ledger of their own and return its path.

    It is at `place` or else, unless it has to be `lasting`, `eco2ai-unsaved-<id>.csv` in `$TMPDIR`
    or `/tmp`. Raises LedgerError if none of them takes the rows.
    """
    from eco2ai_cli.ledger import chain  # loads hashlib: not before the command has ended

    data = line(COLUMNS) + chain.chained_lines(rows, COLUMNS, "", key)
    reason: object = "there is no home"
    for path in _places(str(rows[0]["id"]), environ, lasting=lasting):
        try:
            _write_new(path, data)
        except OSError as error:
            reason = error.strerror
        else:
            return path
    raise LedgerError(f"the row could not be kept anywhere: {reason}")


def place(run_id: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where the rows of a run are kept for good, `$XDG_STATE_HOME/eco2ai/unsaved/<id>.csv`.

    None without a home.
    """
    ours = state.folder(environ)
    return None if ours is None else os.path.join(ours, "unsaved", f"{run_id}.csv")


def _places(run_id: str, environ: Mapping[str, str], *, lasting: bool) -> Iterator[str]:
    """Yield where the rows of a run may be kept; the folders in between are made as needed."""
    if path := place(run_id, environ):
        with suppress(OSError):  # what stands in the way does so again when the file is made
            state.make(os.path.dirname(path))
        yield path
    for folder in () if lasting else (environ.get("TMPDIR"), "/tmp"):
        if folder:
            yield os.path.join(folder, f"eco2ai-unsaved-{run_id}.csv")


def _write_new(path: str, data: bytes) -> None:
    # Never through a name that another user of `/tmp` has laid out for us.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_whole(fd, data, 0, os.write)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
