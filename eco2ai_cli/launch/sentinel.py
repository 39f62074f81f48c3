"""Tell a signal that was sent to us alone from one that the command got as well.

`kill PID` and `kill -- -GROUP` look the same to a process that gets the signal. So a process that
does nothing else sits in our group and notes what it gets: what came to both was meant for all.
Then the command has it already, and passing it on would run its handler twice.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import time
from typing import NoReturn

from eco2ai_cli.launch import descriptors, libc

_NOTE = struct.Struct("id")
_LOOK_AHEAD_S = 0.02  # how long a sender may take from one process of the group to the next
_LOOK_BACK_S = 0.2


class Sentinel:
    """A forked process in our group that notes the signals it gets; it never execs."""

    def __init__(self) -> None:
        read, write = os.pipe()
        parent = os.getpid()
        try:
            self.pid = os.fork()
        except OSError:
            self.pid = -1  # no process left for us: then nothing is known, and all is passed on
        if self.pid == 0:
            _stand_guard(parent, write)
        os.close(write)
        os.set_blocking(read, False)
        self._notes_fd = read
        self._seen: dict[int, float] = {}

    def also_got(self, number: int, since_s: float) -> bool:
        """Tell whether the whole group got the signal `number` that we just got.

        `since_s`: the earliest that it can have been sent (monotonic seconds).
        """
        until_s = time.monotonic() + _LOOK_AHEAD_S
        poll = select.poll()
        poll.register(self._notes_fd, select.POLLIN)
        while True:
            alive = self._take_notes()
            now_s = time.monotonic()
            if self._seen.get(number, -1e9) > since_s - _LOOK_BACK_S:
                return True
            if not alive or now_s >= until_s:
                return False
            poll.poll((until_s - now_s) * 1000)

    def dismiss(self) -> None:
        """End the sentinel, if it is there yet; it is left to be reaped like any child."""
        if self._notes_fd < 0:
            return
        os.close(self._notes_fd)
        self._notes_fd = -1
        if self.pid < 0:
            return
        # If somebody killed it and it was reaped, its pid may be another's by now.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            os.kill(self.pid, signal.SIGKILL)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def _take_notes(self) -> bool:
        """Read what was noted; False when there will be no more."""
        while True:
            try:
                notes = os.read(self._notes_fd, 64 * _NOTE.size)
            except BlockingIOError:
                return True
            if not notes:
                return False
            self._seen.update(_NOTE.iter_unpack(notes))


def _stand_guard(parent: int, notes: int) -> NoReturn:
    """Note every signal with its time until we are killed or nobody reads any more."""
    try:
        libc.die_with_parent(parent)
        libc.set_name(b"eco2ai-sentinel")
        for fd in descriptors.open_numbers():
            if fd != notes:
                with contextlib.suppress(OSError):  # the one that listed the others
                    os.close(fd)
        while True:
            number = signal.sigwait(signal.valid_signals())
            os.write(notes, _NOTE.pack(number, time.monotonic()))
    finally:
        os._exit(0)
