"""Take the quotes out of many lines of CSV at once, where they are those of RFC 4180."""

from __future__ import annotations

_BEFORE_QUOTES = frozenset((b"", b",", b"\n"))
_HIDDEN = bytes.maketrans(b",\n", b"\x1f\x1e")
_SHOWN = bytes.maketrans(b"\x1f\x1e", b",\n")
_TO_LOOK_AT = b"\xff"
"""Stands for a cell that is not plain; it is neither text in UTF-8 nor a figure."""


def without_quoted(data: bytes) -> bytes | None:
    """Return lines with `"` in place of each quoted cell; None if their quotes are not plain.

    Plain: each quote that opens a cell stands where one begins. Line ends within quoted cells go
    with them.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b'"' not in data:
        return data
    pieces = data.split(b'"')
    outside = pieces[::2]
    # Nothing stands between two quotes where one is doubled. What follows on a closing quote
    # stays in its cell, which is then no plain one if it is wanted.
    if len(pieces) % 2 and {piece[-1:] for piece in outside[:-1]} <= _BEFORE_QUOTES:
        return b'"'.join(outside)
    return None


def with_quoted(data: bytes) -> bytes | None:
    """Return lines of plain quotes, the commas and line ends in quoted cells hidden.

    None if what hides them, ASCII's separators of units and records, is in use.
    """
    if b"\x1f" in data or b"\x1e" in data:
        return None
    pieces = data.split(b'"')
    if b"\r" in data:
        pieces[::2] = [piece.replace(b"\r\n", b"\n") for piece in pieces[::2]]
    pieces[1::2] = [piece.translate(_HIDDEN) for piece in pieces[1::2]]
    return b'"'.join(pieces)


def unquoted(cell: bytes) -> bytes:
    """Return what a cell of lines by `with_quoted` says."""
    if b'"' not in cell:
        return cell
    text = cell[1:-1]
    if len(cell) < 2 or cell[:1] + cell[-1:] != b'""' or b'"' in text.replace(b'""', b""):
        return _TO_LOOK_AT
    return text.replace(b'""', b'"').translate(_SHOWN)
