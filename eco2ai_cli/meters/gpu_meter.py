"""Meter GPUs by what a worker process has left in shared memory."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import socket
import time

from eco2ai_cli.meters.gpu_worker import Driver, Slot, State, readable, serve, serve_in_thread
from eco2ai_cli.model import Component, Reading, Usage

LATE_S = 2.0
"""Seconds that an answer may be overdue."""
OPENING_S = 1.0
"""Seconds in which a driver may open without a doubt: who computes has the same driver to wake
and a context to make besides, so a tree that is over by then has computed on no GPU."""
LAST_LOOK_S = 0.2
"""Seconds that the last sample of a run may wait for fresh values."""
FAREWELL_S = 0.3
"""Seconds that the worker has to let go of the driver before it is killed."""


def _late(reading: Reading) -> Reading:
    """Return the last value of a device; one that has none yet does not stand at zero."""
    late = reading._replace(caveats=reading.caveats | {"gpu-late"})
    return late if late.energy_j else late._replace(energy_j=None, method="none")


class GpuMeter:
    """Meter the GPUs of one driver that a process tree uses; `source` is its word in `--meters`.

    `vital`: whether GPUs have an energy that is not known when the driver says nothing.

    Nothing happens before `start`, and nothing dear before the first `sample` of a living tree,
    which takes what the worker has left. A sample of a tree without processes is a run's last,
    and waits at most 0.2 s for values that reach to the end: `finish` is that wait, for when
    processes live on.
    """

    component: Component = "gpu"

    def __init__(self, driver: Driver, source: str, vital: bool = True) -> None:
        self._driver = driver
        silent = Reading("gpu", source, None, "none", caveats=frozenset({"gpu-unavailable"}))
        self._silent = (silent,) if vital else ()
        self._slot: Slot | None = None
        self._channel: socket.socket | None = None
        self._pid = 0
        self._tree: frozenset[int] = frozenset()
        self._began_s = float("inf")  # until a tree is known
        self._state = State()
        self._ticket = 0
        self._in_time: bool | None = None  # whether the values asked for by `finish` came

    def start(self, *, apart: bool = True) -> int:
        """Start the worker and return its PID; raises OSError.

        It is a child of ours that holds nothing of the command's, and dies with us. If it is not
        to be `apart` it is a thread, and 0 is returned.
        """
        self._slot = Slot()
        parent = os.getpid()
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.setblocking(False)
        if not apart:
            serve_in_thread(self._driver, self._slot, theirs)
            self._channel = channel
            return 0
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(channel)
            self._pid = os.fork()
            if self._pid == 0:
                serve(self._driver, self._slot, theirs, parent)
            undo.pop_all()
        self._channel = channel
        return self._pid

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return one reading a device of the tree; none where the tree has used no GPU."""
        if usage.pids:
            self._tell(frozenset(usage.pids), now_s)
        elif self._in_time is None:
            self.finish()
        in_time, self._in_time = self._in_time is not False, None
        state = self._look()
        if state.failed:
            return tuple(_late(r) for _, r in state.readings or ()) or self._silent
        if state.readings is None:
            return self._silent if now_s - self._began_s > OPENING_S else ()
        stale_s = now_s - LATE_S - 2 * state.cell_s
        if not state.readings and (not in_time or state.polled_s < stale_s):
            return self._silent
        return tuple(
            reading if in_time and seen_s >= stale_s else _late(reading)
            for seen_s, reading in state.readings
        )

    def finish(self) -> None:
        """Wait for fresh values, so that the last sample of a tree that lives on has them."""
        self._in_time = True
        if self._channel is None or self._look().failed or self._state.readings is None:
            return
        self._ticket += 1
        self._send()
        self._in_time = self._wait_for(self._ticket, LAST_LOOK_S)

    @property
    def idle_j(self) -> float | None:
        """Joules that the command's GPUs drew while nobody was on them; None: not known."""
        return self._look().idle_j

    @property
    def overhead_s(self) -> float:
        """CPU seconds that the worker has used."""
        return self._look().used_s

    def close(self) -> None:
        """Have the worker let go of the driver, or leave it behind where the driver holds it."""
        if self._channel is None:
            return
        self._look()
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        self._wait_for(0, FAREWELL_S)
        self._channel.close()
        self._channel = None
        if not self._pid:
            return
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            # If it was killed and reaped, its PID may be another's by now.
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            os.kill(self._pid, signal.SIGKILL)

    def _look(self) -> State:
        """Return the last state that the worker left in one piece."""
        if self._slot is not None:
            self._state = self._slot.read() or self._state
        return self._state

    def _tell(self, tree: frozenset[int], now_s: float) -> None:
        self._began_s = min(self._began_s, now_s)
        if tree != self._tree:
            self._tree = tree
            self._send()

    def _send(self) -> None:
        """Tell the worker the tree; if it does not listen, a later state will be late."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.send(marshal.dumps((self._ticket, tuple(self._tree))))

    def _wait_for(self, ticket: int, timeout_s: float) -> bool:
        """Wait for the worker to answer a ticket; 0 is never answered: wait for its end."""
        until_s = time.monotonic() + timeout_s
        while self._channel is not None and readable(self._channel, until_s - time.monotonic()):
            try:
                answer = self._channel.recv(4)
            except OSError:
                return False
            if not answer or int.from_bytes(answer, "little") == ticket:
                return bool(answer)
        return False
