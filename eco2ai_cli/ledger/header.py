"""Read the first line of a ledger, and tell a ledger from somebody else's file."""

from __future__ import annotations

import os
from collections.abc import Iterable

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import COLUMNS, PAPER_COLUMNS

HEAD_BYTES = 65536
"""As much of a file as its header may take; ours takes 700 bytes."""
BOM = b"\xef\xbb\xbf"


def read_header(fd: int, path: str) -> tuple[str, ...]:
    """Return the names of the columns; an empty file has none.

    Raises LedgerError for a file that is not a ledger: one that lacks any of the eco2AI
    paper's columns, or is not text at all.
    """
    head = os.pread(fd, HEAD_BYTES, 0)
    if head in (b"", BOM):
        return ()
    first = head.removeprefix(BOM).partition(b"\n")[0].removesuffix(b"\r")
    if b"\0" in first:
        raise not_a_ledger(path, "it is not a text file")
    try:
        names = _split(first.decode())
    except UnicodeDecodeError:
        raise not_a_ledger(path, "it is not UTF-8 text") from None
    if not set(PAPER_COLUMNS) <= set(names):
        raise not_a_ledger(path, f"its first line is {shortened(names)}")
    return names


def missing_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return our columns that a header lacks."""
    return tuple(name for name in COLUMNS if name not in names)


def not_a_ledger(path: str, why: str) -> LedgerError:
    """Return the error that says why `path` is not a ledger."""
    return LedgerError(f"`{path}` is not a ledger of eco2ai: {why}", hint="name another file")


def shortened(names: Iterable[str]) -> str:
    """Return a header as an error message can show it."""
    shown = "".join(c if c.isprintable() else "?" for c in ",".join(names))
    return f"`{shown[:59]}…`" if len(shown) > 60 else f"`{shown}`"


def _split(first_line: str) -> tuple[str, ...]:
    if '"' not in first_line:
        return tuple(first_line.split(","))
    import csv

    try:
        return tuple(next(csv.reader([first_line])))
    except csv.Error:  # a bare carriage return, say
        return (first_line,)
