"""Take a ledger's bytes block by block, or line by line where a block will not do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import BinaryIO

from eco2ai_cli.ledger.header import BOM, HEAD_BYTES, not_a_ledger, not_text, rest_of_header
from eco2ai_cli.ledger.tail import LONGEST_ROW_BYTES

_BLOCK_BYTES = 1 << 16
_CUTS_TRIED = 64
_TOO_LONG = b"(a line too long for a row)\n"


class Lines:
    """The lines of the first `size_bytes` of an open file, each taken once.

    `number` is that of the line taken last, from 1; `taken_bytes` is how much was taken.
    """

    def __init__(
        self,
        file: BinaryIO,
        size_bytes: int | None,
        tick: Callable[[int], object] = bool,
    ) -> None:
        self.number = 0
        self.taken_bytes = 0
        self._file = file
        self._left_bytes = sys.maxsize if size_bytes is None else size_bytes
        self._tick = tick
        self._buffer = b""
        self._at = 0

    def check(self, path: str) -> bool:
        """Tell whether there is a header, before anything is taken.

        Raises LedgerError if the file is not text.
        """
        head = self._read(HEAD_BYTES)
        if reason := not_text(head):
            raise not_a_ledger(path, reason)
        self._buffer = head.removeprefix(BOM)
        return not rest_of_header(head)

    def ahead_bytes(self) -> int:
        """Return how many bytes can be taken without reading on; 0 at the end of the file."""
        if len(self._buffer) - self._at < _BLOCK_BYTES:
            self._buffer = self._buffer[self._at :] + self._read(_BLOCK_BYTES)
            self._at = 0
            self._tick(self.taken_bytes)
        return len(self._buffer) - self._at

    def block(self) -> bytes:
        """Return, without taking them, the lines that are ahead; the last may end within a row."""
        return self._buffer[self._at : self._buffer.rfind(b"\n", self._at) + 1]

    def block_of_rows(self) -> bytes:
        """Return, without taking them, lines that end together with a row, as many as are ahead.

        Nothing if there is no such place. Quotes are taken for those of RFC 4180.
        """
        end = len(self._buffer)
        for _ in range(_CUTS_TRIED):
            end = self._buffer.rfind(b"\n", self._at, end)
            if end < 0:
                break
            if self._buffer.count(b'"', self._at, end) % 2 == 0:
                return self._buffer[self._at : end + 1]
        return b""

    def take(self, block: bytes) -> None:
        """Take a block that `block` has returned."""
        self._at += len(block)
        self.taken_bytes += len(block)
        self.number += block.count(b"\n")

    def line(self) -> bytes:
        """Take one line, with its line end; nothing at the end of the file.

        A line too long for a row is read through and replaced.
        """
        end = self._buffer.find(b"\n", self._at) + 1
        if not end:
            return self._long_line()
        line = self._buffer[self._at : end]
        self._at = end
        self.taken_bytes += len(line)
        self.number += 1
        return line

    def _long_line(self) -> bytes:
        """Take a line that ends beyond the buffer, if it ends at all."""
        parts, self._buffer, self._at = [self._buffer[self._at :]], b"", 0
        length = len(parts[0])
        while part := self._read(_BLOCK_BYTES):
            begin, end, rest = part.partition(b"\n")
            length += len(begin) + len(end)
            if length < LONGEST_ROW_BYTES:
                parts.append(begin + end)
            if end:
                self._buffer = rest
                break
        self.taken_bytes += length
        self.number += bool(length)
        return b"".join(parts) if length < LONGEST_ROW_BYTES else _TOO_LONG

    def _read(self, size_bytes: int) -> bytes:
        data = self._file.read(min(self._left_bytes, size_bytes))
        self._left_bytes -= len(data)
        return data
