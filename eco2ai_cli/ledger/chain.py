"""The chain of hashes through the rows of a ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from eco2ai_cli.ledger.columns import ROW_HASH, Cells, cells, line


def row_hash(
    previous: str, names: Sequence[str], row: Sequence[str], key: bytes | None = None
) -> str:
    """Return the hash of a row: SHA-256, in hexadecimal, over netstrings in UTF-8.

    They are `previous`, the hash of the row before (empty if it has none), then the column's
    name and the text of each cell that is not empty, in the order of the header, `row_hash`
    itself left out. Empty cells are left out so that a file may gain columns, and names are in
    so that no column can be given another's meaning. With a key it is the HMAC-SHA-256 of the
    same bytes (RFC 2104, 1997).
    """
    texts = [previous]
    for name, cell in zip(names, row, strict=True):
        if cell and name != ROW_HASH:
            texts += (name, cell)
    message = _netstrings(texts)
    if key is None:
        return hashlib.sha256(message).hexdigest()
    import hmac

    return hmac.digest(key, message, "sha256").hex()


def _netstrings(texts: Sequence[str]) -> bytes:
    message = "".join([f"{len(text)}:{text}," for text in texts])
    if message.isascii():  # as nearly every row is; in others lengths are of bytes
        return message.encode()
    return b"".join([b"%d:%b," % (len(data), data) for data in map(str.encode, texts)])


def chained_lines(
    rows: Sequence[Cells], names: Sequence[str], previous: str, key: bytes | None = None
) -> bytes:
    """Return `rows` as lines of CSV under the header `names`, the first chained to `previous`."""
    lines = []
    for row in rows:
        row_cells = cells(row, names)
        previous = row_hash(previous, names, row_cells, key)
        row_cells[names.index(ROW_HASH)] = previous
        lines.append(line(row_cells))
    return b"".join(lines)
