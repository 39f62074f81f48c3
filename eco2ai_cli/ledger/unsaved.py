"""Keep the rows of a run whose ledger could not be written after all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import COLUMNS, Cells, line
from eco2ai_cli.ledger.writer import write_whole


def rescue(
    rows: Sequence[Cells],
    *,
    key: bytes | None = None,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """Write `rows` to a ledger of their own and return its path.

    The place is `$XDG_STATE_HOME/eco2ai/unsaved/<id>.csv` (`~/.local/state` by default), or
    else `eco2ai-unsaved-<id>.csv` in `$TMPDIR` or `/tmp`. Raises LedgerError if none of them
    takes the rows.
    """
    from eco2ai_cli.ledger import chain  # loads hashlib: not before the command has ended

    data = line(COLUMNS) + chain.chained_lines(rows, COLUMNS, "", key)
    for path in _places(str(rows[0]["id"]), environ):
        try:
            _write_new(path, data)
        except OSError as error:
            failure = error
        else:
            return path
    raise LedgerError(f"the row could not be kept anywhere: {failure.strerror}")


def _places(run_id: str, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state) and (home := environ.get("HOME")):
        state = os.path.join(home, ".local", "state")
    if os.path.isabs(state):
        yield os.path.join(state, "eco2ai", "unsaved", f"{run_id}.csv")
    for folder in (environ.get("TMPDIR"), "/tmp"):
        if folder:
            yield os.path.join(folder, f"eco2ai-unsaved-{run_id}.csv")


def _write_new(path: str, data: bytes) -> None:
    folder = os.path.dirname(path)
    for private in (os.path.dirname(folder), folder):  # makedirs gives its mode to the last
        os.makedirs(private, mode=0o700, exist_ok=True)
    # Never through a name that another user of `/tmp` has laid out for us.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_whole(fd, data, 0, os.write)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
