"""Read the first line of a ledger, and tell a ledger from somebody else's file."""

from __future__ import annotations

import os
from collections.abc import Iterable

from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.columns import COLUMNS, PAPER_COLUMNS, line

HEAD_BYTES = 65536
"""As much of a file as its header may take; ours takes 700 bytes."""
BOM = b"\xef\xbb\xbf"
_MAGICS = (
    (b"eco2ai-sealed-", "a sealed one, which `eco2ai verify --open` opens"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard"),
    (b"PK\x03\x04", "a ZIP archive, as spreadsheets are"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\xff\xfe", "UTF-16 text, not UTF-8"),
    (b"\xfe\xff", "UTF-16 text, not UTF-8"),
)
"""How files begin that are taken for ledgers by mistake, as their formats document it."""


def read_header(fd: int, path: str) -> tuple[str, ...]:
    """Return the names of the columns; an empty file has none, nor one whose header is torn.

    Raises LedgerError for a file that is not a ledger: one that lacks any of the eco2AI
    paper's columns, or is not text at all.
    """
    head = os.pread(fd, HEAD_BYTES, 0)
    if rest_of_header(head):
        return ()
    if reason := not_text(head):
        raise not_a_ledger(path, reason)
    first = head.removeprefix(BOM).partition(b"\n")[0].removesuffix(b"\r")
    names = _split(first.decode("utf-8", "replace"))
    if not set(PAPER_COLUMNS) <= set(names):
        raise not_a_ledger(path, f"its first line is {shortened(names)}")
    return names


def rest_of_header(head: bytes) -> bytes:
    """Return what completes a file that holds a part of our header and no more, or nothing at all.

    Nothing for all others. What eco2AI's header lacks without its line end is the rest of ours.
    """
    ours, begun = line(COLUMNS), head.removeprefix(BOM)
    return ours[len(begun) :] if ours.startswith(begun) and not begun.endswith(b"\n") else b""


def not_text(head: bytes) -> str:
    """Return why a file that begins with `head` has no header in UTF-8; empty if it has one."""
    first = head.partition(b"\n")[0]
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return f"it is {kind}"
    if b"\0" in first:
        return "it is not a text file"
    if b"\r" in first.removesuffix(b"\r"):
        return "a carriage return stands amid its first line"
    try:
        first.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    return ""


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
        return tuple(next(csv.reader([first_line], strict=True)))
    except csv.Error:  # a quote that is never closed, say
        return (first_line,)
