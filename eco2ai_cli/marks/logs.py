"""Follow a log that the command writes anyway, and read from it when an epoch has ended."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator

from eco2ai_cli.errors import WrongUsage
from eco2ai_cli.marks.channel import MOST_MARKS
from eco2ai_cli.marks.line import Mark
from eco2ai_cli.marks.shapes import Auto, Pattern, Shape

_LOOK_BYTES = 1 << 20  # that many a look, which takes a tenth of a second of processor time
_BACKLOG_BYTES = 8 << 20
_LONGEST_LINE = 1 << 13
_FINGERPRINT_BYTES = 64
_ENDS_OF_LINES = re.compile(rb"[\r\n\x08]+")  # Keras goes back by \b, tqdm by \r
_WHOLE_BAR = re.compile(rb"\[[\d:]+[<,][^\]]*it[^\]]*\]\s*\Z")  # its `\r` comes with the next one
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def follow(path: str, pattern: str = "auto") -> Follower:
    """Begin to follow the log at `path`, which may not be there yet; what is in it is not read.

    `pattern`: `auto` or a regular expression, whose group `epoch` is the name of the epoch, `total`
    how many there will be, and any other named group a value. Raises WrongUsage.
    """
    shape: Shape = Auto() if pattern == "auto" else Pattern(pattern)
    follower = Follower(os.path.abspath(path), shape)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise WrongUsage(f"`{path}` is no regular file", hint="name the log of the command")
        follower.skip_to_end()
    return follower


class Follower:
    """Reads what a growing file grew by, also when it is truncated or replaced.

    `skipped_bytes`: what was passed over because it came faster than it is read; `dropped`: marks
    beyond MOST_MARKS.
    """

    def __init__(self, path: str, shape: Shape) -> None:
        self._path = path
        self._shape = shape
        self._fd = -1
        self._at = 0
        self._before = b""  # the bytes that end at `_at`: another content has others
        self._unfinished = b""
        self._taken = 0
        self.skipped_bytes = self.dropped = 0

    def read(self, *, last: bool = False) -> list[Mark]:
        """Return the epochs that have ended since the last call, without waiting.

        `last`: nothing will be written any more, so the last line and the last epoch are over.
        """
        marks: list[Mark] = []
        for _ in range(_BACKLOG_BYTES // _LOOK_BYTES if last else 1):
            data = b""
            with contextlib.suppress(OSError):
                data = self._grown()
            for line in self._lines(data):
                marks += self._shape.feed(line)
            if not data:
                break
        if last:
            for line in self._lines(b"\n"):
                marks += self._shape.feed(line)
            marks += self._shape.end()
        kept = marks[: max(0, MOST_MARKS - self._taken)]
        self._taken += len(kept)
        self.dropped += len(marks) - len(kept)
        return kept

    @property
    def complaints(self) -> tuple[str, ...]:
        """A sentence for each kind of thing that was not read."""
        said: tuple[str, ...] = ()
        if self.skipped_bytes:
            said += (f"{self.skipped_bytes / 1e6:,.0f} MB of `{self._path}` were passed over",)
        if self.dropped:
            said += (f"`{self._path}` has more than {MOST_MARKS:,} epochs",)
        return said

    def skip_to_end(self) -> None:
        """Pass over what is there already: it was written by an earlier run."""
        if self._open():
            self._at = os.fstat(self._fd).st_size
            self._remember()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _lines(self, data: bytes) -> Iterator[str]:
        """Yield the lines that `data` ends, as they look on a terminal."""
        first, *others = _ENDS_OF_LINES.split(data)
        pieces = [self._unfinished + first, *others]
        rest = pieces[-1][-_LONGEST_LINE:]
        self._unfinished = b"" if _WHOLE_BAR.search(rest) else rest
        if self._unfinished:
            pieces.pop()
        for piece in pieces:
            if piece:
                yield _ESCAPES.sub("", piece[:_LONGEST_LINE].decode("utf-8", "replace"))

    def _grown(self) -> bytes:
        """Return what is new in the file, or in the one that took its place; raises OSError."""
        if self._fd < 0 and not self._open():
            return b""
        data = self._read_on()
        if not data and self._was_replaced():
            self.close()
            if self._open():
                self._start_anew()
                data = b"\n" + self._read_on()
        return data

    def _read_on(self) -> bytes:
        size = os.fstat(self._fd).st_size
        start = self._at - len(self._before)
        if size < self._at or os.pread(self._fd, len(self._before), start) != self._before:
            self._start_anew()
        if size - self._at > _BACKLOG_BYTES:
            self.skipped_bytes += size - _LOOK_BYTES - self._at
            self._at = size - _LOOK_BYTES
            self._unfinished = b""
        if size == self._at:
            return b""
        data = os.pread(self._fd, min(size - self._at, _LOOK_BYTES), self._at)
        self._at += len(data)
        self._remember()
        return data

    def _remember(self) -> None:
        length = min(self._at, _FINGERPRINT_BYTES)
        self._before = os.pread(self._fd, length, self._at - length)

    def _start_anew(self) -> None:
        self._at, self._before, self._unfinished = 0, b"", b""

    def _was_replaced(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False  # moved away, and there is no other yet

    def _open(self) -> bool:
        try:
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                return False  # to read from a pipe would be to take from it
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return False
        return True
