"""Take a ledger's bytes block by block, or line by line where a block will not do.

A line ends with a line feed, with both, or with a carriage return alone: RFC 4180 knows none such,
but the csv module, pandas and `eco2ai verify` begin a new line there, and so does this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from eco2ai_cli.ledger.header import BOM, HEAD_BYTES, not_a_ledger, not_text, rest_of_header
from eco2ai_cli.ledger.tail import LONGEST_ROW_BYTES

BLOCK_BYTES = 1 << 17
_CUTS_TRIED = 64
_TOO_LONG = b"(a line too long for a row)\n"


class Lines:
    """The lines of the first `size_bytes` of a file, each taken once, from the place `begin` on.

    `read` returns the next bytes of the file, as many as it is told or less. `number` is that of
    the line taken last, from 1; `at_bytes` is the place in the file up to which lines were taken;
    `is_ended` tells whether the line taken last has a line end. No block reaches over `stop`.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        size_bytes: int | None,
        tick: Callable[[int], object] = bool,
        *,
        begin: int = 0,
        stop: int = sys.maxsize,
    ) -> None:
        self.number = 0
        self.at_bytes = begin
        self.stop = stop
        self.is_ended = True
        self._read_on = read
        self._left_bytes = sys.maxsize if size_bytes is None else size_bytes - begin
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
        self.at_bytes = len(head) - len(self._buffer)
        return not rest_of_header(head)

    def ahead_bytes(self) -> int:
        """Return how many bytes can be taken without reading on; 0 at the end of the file."""
        ahead = len(self._buffer) - self._at
        if ahead < BLOCK_BYTES // 2:
            self._read_more(BLOCK_BYTES - ahead)
            self._tick(self.at_bytes)
        return len(self._buffer) - self._at

    def block(self, limit_bytes: int) -> bytes:
        """Return, without taking them, the lines that are ahead; the last may end within a row."""
        return self._buffer[
            self._at : self._buffer.rfind(b"\n", self._at, self._end(limit_bytes)) + 1
        ]

    def block_of_rows(self, limit_bytes: int) -> bytes:
        """Return, without taking them, lines that end together with a row, as many as are ahead.

        Nothing if there is no such place. Quotes are taken for those of RFC 4180.
        """
        end = self._end(limit_bytes)
        quotes = self._buffer.count(b'"', self._at, end)
        for _ in range(_CUTS_TRIED):
            cut = self._buffer.rfind(b"\n", self._at, end)
            if cut < 0:
                break
            quotes -= self._buffer.count(b'"', cut, end)
            end = cut
            if quotes % 2 == 0:
                return self._buffer[self._at : end + 1]
        return b""

    def take(self, block: bytes) -> None:
        """Take a block that `block` has returned."""
        self._at += len(block)
        self.at_bytes += len(block)
        self.number += line_ends(block)

    def line(self) -> bytes:
        """Take one line, with its line end; nothing at the end of the file.

        A line too long for a row is read through and replaced.
        """
        begun, length = [], 0
        while not (end := self._line_end()):
            rest = self._buffer[self._at :]
            # A carriage return stays: whether it is a line end alone is not known yet.
            kept = rest[:-1] if rest.endswith(b"\r") else rest
            self._at += len(kept)
            length += len(kept)
            if length < LONGEST_ROW_BYTES:
                begun.append(kept)
            if not self._read_more(BLOCK_BYTES):
                end = len(self._buffer)
                break
        line = self._buffer[self._at : end]
        self.at_bytes += length + len(line)
        self._at = end
        self.number += bool(length or line)
        self.is_ended = line.endswith((b"\n", b"\r"))
        if length + len(line) >= LONGEST_ROW_BYTES:
            return _TOO_LONG
        return b"".join([*begun, line]) if begun else line

    def _line_end(self) -> int:
        """Return where the next line ends in the buffer; 0 if that is not known."""
        end = self._buffer.find(b"\n", self._at) + 1
        alone = self._buffer.find(b"\r", self._at, (end or len(self._buffer)) - 1) + 1
        return end if not alone or alone == end - 1 else alone

    def _end(self, limit_bytes: int) -> int:
        return self._at + min(limit_bytes, self.stop - self.at_bytes)

    def _read_more(self, size_bytes: int) -> bool:
        more = self._read(size_bytes)
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return bool(more)

    def _read(self, size_bytes: int) -> bytes:
        data = self._read_on(min(self._left_bytes, size_bytes))
        self._left_bytes -= len(data)
        return data


def line_ends(block: bytes) -> int:
    """Return how many lines end in a block; where one ends by a carriage return, none follows."""
    count = block.count(b"\n")
    if b"\r" in block:
        count += block.count(b"\r") - block.count(b"\r\n")
    return count


def reader_from(fd: int, place: int) -> Callable[[int], bytes]:
    """Return what reads a regular file from a place on, whoever else reads from `fd` meanwhile."""

    def read(size_bytes: int) -> bytes:
        nonlocal place
        data = os.pread(fd, size_bytes, place)
        place += len(data)
        return data

    return read
