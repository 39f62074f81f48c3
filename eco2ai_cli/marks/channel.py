"""The way by which marks come in: a FIFO that any program may write a line to.

A writer never waits for us: we hold both ends open from before the command starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import signal
import struct
import time
from _thread import get_native_id
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from eco2ai_cli.marks.send import LIMIT

if TYPE_CHECKING:
    from eco2ai_cli.marks.afterlife import Ends
    from eco2ai_cli.marks.line import Mark

FOLDER_PREFIX = "eco2ai-mark-"
FIFO = "mark"
MOST_MARKS = 100_000
"""Lines of a run that are read; each may become a row. `yes > "$ECO2AI_MARK"` writes as many in an
instant."""
_F_SETOWN_EX, _F_OWNER_TID = 15, 0  # fcntl(2), since Linux 2.6.32; not in Python's `fcntl`
_OWNER = struct.Struct("@ii")
_PIPE_BYTES = 1 << 18  # room for what comes while we are busy
_LOOK_BYTES = 1 << 19  # more than fits in: what comes during the look raises another signal
_PIECE_BYTES = 1 << 16
_UNFINISHED_S = 0.3  # who writes a line by two writes does so at once; who ends none has ended it


class Channel:
    """The reading side of a run's FIFO at `path`.

    `rejected`: lines that were no marks; `cut`: marks that were longer than LIMIT; `dropped`:
    lines beyond MOST_MARKS; `keeper`: the process that is there in case we are killed, or -1.
    """

    def __init__(
        self, path: str, folder_fd: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open the FIFO; raises OSError. `folder_fd`: its folder, locked; it becomes ours."""
        self.path = path
        self.rejected = self.cut = self.dropped = 0
        self.keeper = -1
        self._taken = 0
        self._clock = clock
        self._folder_fd = folder_fd
        self._early = self._unfinished = b""
        self._unfinished_since_s = math.inf
        flags = os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        self._read_fd = os.open(path, os.O_RDONLY | flags)
        # Apart from the reading one, which then has no signal for what we take out ourselves.
        self._write_fd = os.open(path, os.O_WRONLY | flags)

    @property
    def ends(self) -> Ends:
        """The descriptors."""
        from eco2ai_cli.marks.afterlife import Ends

        return Ends(self.path, self._read_fd, self._write_fd, self._folder_fd)

    @property
    def due_s(self) -> float:
        """When a line without an end will be taken as it is (monotonic seconds)."""
        return self._unfinished_since_s + _UNFINISHED_S

    @property
    def complaints(self) -> tuple[str, ...]:
        """A sentence for each kind of line that is not in the marks as it was written."""
        counted = (
            (
                self.rejected,
                "no mark for `ECO2AI_MARK`: that is `NAME KEY=VALUE ...` or a JSON object",
            ),
            (self.cut, f"cut: a mark has {LIMIT} bytes at most"),
            (self.dropped, f"left out: a run has {MOST_MARKS:,} at most"),
        )
        return tuple(
            f"{count:,} line{'s were' if count > 1 else ' was'} {why}"
            for count, why in counted
            if count
        )

    def listen(self) -> None:
        """Have every write raise SIGIO in us, with an `si_code` above 0, unlike one that is sent.

        Its default action is to end us: this thread has to block it before anyone can write.
        """
        # This thread and no other, in which it may not be blocked.
        owner = _OWNER.pack(_F_OWNER_TID, get_native_id())
        fcntl.fcntl(self._read_fd, _F_SETOWN_EX, owner)
        fcntl.fcntl(self._read_fd, fcntl.F_SETSIG, signal.SIGIO)
        fcntl.fcntl(self._read_fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        with contextlib.suppress(OSError):  # the user has many pipes
            fcntl.fcntl(self._write_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def has_data(self) -> bool:
        """Tell whether anything has come that was not read."""
        with contextlib.suppress(OSError):
            self._early += os.read(self._read_fd, _PIECE_BYTES)
        return bool(self._early)

    def read(self, *, last: bool = False) -> list[Mark]:
        """Return the marks that have come since the last call, without waiting.

        To be called at each signal and at each beat: a line without an end counts after a moment,
        and with `last` at once.
        """
        lines = list(self._lines(last))
        return list(self._marks(lines)) if lines else []

    def keep(self, command: int) -> int:
        """Fork a keeper for the FIFO, for when we are killed and the process `command` lives on.

        Return its pid, -1 where no process can be made. It is a child of ours and no part of the
        command; it is ended with the channel.
        """
        from eco2ai_cli.marks import afterlife

        self.keeper = afterlife.keep(self.ends, command)
        return self.keeper

    def close(self, *, left_running: bool = False) -> None:
        """Remove the FIFO; whoever still has it open for writing does not die of it.

        With `left_running` its folder stays, empty: the shells that are left make a plain file
        there instead of failing.
        """
        if self._read_fd < 0:
            return
        from eco2ai_cli.marks import afterlife

        if self.keeper > 0:
            afterlife.dismiss(self.keeper)
        ends = self.ends
        self._read_fd = self._write_fd = self._folder_fd = self.keeper = -1
        afterlife.retire(ends, leave_folder=left_running)

    def _lines(self, last: bool) -> Iterator[bytes]:
        if self._unfinished and self._clock() >= self.due_s:
            yield self._finish()
        for piece in self._pieces():
            first, *others = piece.split(b"\n")
            self._unfinished = (self._unfinished + first)[: LIMIT + 1]
            for line in others:
                yield self._finish()
                self._unfinished = line[: LIMIT + 1]
            if self._unfinished:
                self._unfinished_since_s = self._clock()
        if self._unfinished and last:
            yield self._finish()

    def _pieces(self) -> Iterator[bytes]:
        if self._early:
            early, self._early = self._early, b""
            yield early
        for _ in range(_LOOK_BYTES // _PIECE_BYTES):
            try:
                piece = os.read(self._read_fd, _PIECE_BYTES)
            except OSError:
                return
            if not piece:
                return
            yield piece

    def _finish(self) -> bytes:
        line, self._unfinished = self._unfinished, b""
        self._unfinished_since_s = math.inf
        return line

    def _marks(self, lines: list[bytes]) -> Iterator[Mark]:
        from eco2ai_cli.marks.line import NotAMark, parse  # 4 ms, which many a run does not need

        for line in lines:
            if self._taken + self.rejected >= MOST_MARKS:
                self.dropped += 1
                continue
            try:
                mark = parse(line)
            except NotAMark:
                self.rejected += 1
                continue
            self._taken += 1
            self.cut += mark.is_cut
            yield mark


def open_channel(run_id: str, environ: Mapping[str, str]) -> Channel | None:
    """Make the FIFO of a run in a folder that nobody else can enter; None where none can be made.

    In `$XDG_RUNTIME_DIR`, if that is ours, else in `$TMPDIR` or `/tmp`.
    """
    for base in _bases(environ):
        folder = os.path.join(base, FOLDER_PREFIX + run_id)
        path = os.path.join(folder, FIFO)
        folder_fd = -1
        try:
            os.mkdir(folder, 0o700)
        except OSError:
            continue
        try:
            folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            # Tells whether we live; and systemd-tmpfiles(8) leaves alone what is locked.
            fcntl.flock(folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.mkfifo(path)
            os.chmod(path, 0o666)  # for any user of a container that it is mounted in
            channel = Channel(path, folder_fd)
            with contextlib.suppress(OSError):  # where there are no such signals, beats will do
                channel.listen()
            return channel
        except OSError:
            _clean(folder, path, folder_fd)
    return None


def _bases(environ: Mapping[str, str]) -> Iterator[str]:
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    with contextlib.suppress(OSError, ValueError):
        if os.path.isabs(runtime) and os.stat(runtime).st_uid == os.geteuid():
            yield runtime
    temporary = environ.get("TMPDIR", "")
    if os.path.isabs(temporary):
        yield temporary
    yield "/tmp"


def _clean(folder: str, path: str, folder_fd: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    if folder_fd >= 0:
        os.close(folder_fd)
