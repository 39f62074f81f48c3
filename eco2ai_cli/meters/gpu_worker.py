"""Talk to a driver of GPUs in a process of its own, forked from the one that keeps the time.

Not in a thread: a driver in trouble holds its callers in the uninterruptible state, where not even
SIGKILL reaches them (nvidia-docker issue 377, gpud pull request 117), and a process of which one
thread hangs so cannot end, whoever waits for it. Such a child of ours is left behind.
"""

from __future__ import annotations

import contextlib
import marshal
import mmap
import os
import select
import signal
import socket
import time
from binascii import crc32
from typing import NamedTuple, NoReturn, Protocol

from eco2ai_cli.launch import descriptors, libc
from eco2ai_cli.meters.gpu_job import WORKER
from eco2ai_cli.model import Reading

CELL_S = 1.0
"""All runs of a machine look at who is on its GPUs whenever this divides the monotonic clock."""
LONGEST_CELL_S = 8.0
FIRST_STEP_S = 0.1
DUTY = 0.005
"""Share of one core that polling may take (measuring.md §5)."""
SLOT_BYTES = 1 << 17
MESSAGE_BYTES = 1 << 20

_HEAD = 8  # of a slot: length and checksum of what is in it


class Driver(Protocol):
    """The GPUs of one driver, as a tree of processes uses them; any of its calls may hang."""

    @property
    def power_step_s(self) -> float | None:
        """How often the power of the tree's devices has to be looked at; None: no need to."""
        ...

    @property
    def idle_j(self) -> float | None:
        """Joules that the devices given to the job drew while nobody was on them; None: unknown."""
        ...

    def open(self) -> None:
        """Find the devices; raises MeterUnavailable with the reason."""
        ...

    def poll(
        self, tree: frozenset[int], full: bool, *, aligned: bool = True, last: bool = False
    ) -> None:
        """Look at every device and who is on it, or, without `full`, at the energy of the tree's.

        `aligned`: at a moment at which all runs of the machine look. `last`: settle what is open.
        """
        ...

    def readings(self) -> tuple[tuple[float, Reading], ...]:
        """Return a reading for each device the tree has been on, after when it was last seen."""
        ...

    def close(self) -> None:
        """Let go of the devices."""
        ...


class State(NamedTuple):
    """What the worker has seen so far.

    `readings`: one a device, after when it was last seen (seconds, monotonic clock); None: the
    driver is not open yet. `failed`: it does not open, or has stopped. `polled_s`: when the last
    poll ended. `cell_s`: how long from one full look to the next. `idle_j`: see `Driver`.
    `used_s`: CPU seconds of the worker.
    """

    readings: tuple[tuple[float, Reading], ...] | None = None
    failed: bool = False
    polled_s: float = float("inf")
    cell_s: float = CELL_S
    idle_j: float | None = None
    used_s: float = 0.0


class Slot:
    """Memory that two processes share: one writes a state over the last, the other reads it.

    What is read in the middle of a write fails its checksum and is not taken.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SLOT_BYTES)

    def publish(self, state: State) -> None:
        """Write a state; raises ValueError for one that is too large."""
        plain = [(seen_s, _plain(reading)) for seen_s, reading in state.readings or ()]
        data = marshal.dumps((None if state.readings is None else plain, *state[1:]))
        head = len(data).to_bytes(4, "little") + crc32(data).to_bytes(4, "little")
        self._memory[: _HEAD + len(data)] = head + data

    def read(self) -> State | None:
        """Return the last state; None where there is none, or not in one piece."""
        length = int.from_bytes(self._memory[:4], "little")
        data = self._memory[_HEAD : _HEAD + length]
        if not length or crc32(data) != int.from_bytes(self._memory[4:_HEAD], "little"):
            return None
        readings, *others = marshal.loads(data)
        if readings is not None:
            readings = tuple((seen_s, Reading(*reading)) for seen_s, reading in readings)
        return State(readings, *others)


def readable(channel: socket.socket, timeout_s: float | None) -> bool:
    """Wait until there is something to read, or nobody left to write it."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else max(0.0, timeout_s * 1000)))


def _plain(reading: Reading) -> tuple[object, ...]:
    return tuple(reading._replace(details=dict(reading.details)))


def serve(driver: Driver, slot: Slot, channel: socket.socket, parent: int) -> NoReturn:
    """Be the worker of `parent`: poll for the tree that it tells, until it closes the channel."""
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        libc.die_with_parent(parent)
        libc.set_name(WORKER)
        _hold_nothing(channel.fileno())
        Worker(driver, slot, channel).run()
    finally:
        os._exit(0)


def serve_in_thread(driver: Driver, slot: Slot, channel: socket.socket) -> None:
    """Have a thread be the worker, in a process that is not ours alone: a child would be in the way
    of whoever waits for his own, and to fork among his threads is not safe.

    Where the driver holds it for ever the process cannot end; nor can one that computes on it.
    """
    import threading  # `run` needs none

    def work() -> None:
        with channel:
            Worker(driver, slot, channel).run()

    threading.Thread(target=work, name="eco2ai-gpu", daemon=True).start()


def _hold_nothing(channel: int) -> None:
    """Keep no file, terminal or folder in use: a driver that hangs may keep us for ever."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        if number != channel:
            os.dup2(null, number)
    for number in descriptors.open_numbers():
        if number > 2 and number != channel:
            with contextlib.suppress(OSError):  # the one that listed the others
                os.close(number)


class Worker:
    """Polls the driver: who is on the devices, and what these have drawn."""

    def __init__(self, driver: Driver, slot: Slot, channel: socket.socket) -> None:
        self._driver = driver
        self._slot = slot
        self._channel = channel
        self._tree: frozenset[int] = frozenset()
        self._ticket = 0
        self._cell_s = CELL_S

    def run(self) -> None:
        """Wait for a tree, then poll until the channel is closed."""
        try:
            while not self._tree:
                if not self._listen(None):
                    return
            self._driver.open()
            self._poll()
        except Exception:
            # The driver refused, or the fault is ours: a doubt in the row, and no traceback on the
            # command's terminal.
            self._slot.publish(self._state()._replace(failed=True))
        finally:
            with contextlib.suppress(Exception):
                self._driver.close()

    def _poll(self) -> None:
        """Poll in full ten times a second until the first cell begins, then at every cell."""
        due_s = 0.0
        aligned = False
        answered = 0
        cost_s = 0.0
        while True:
            ticket = self._ticket
            last = ticket != answered
            full = not last and time.monotonic() >= due_s
            before_s = time.thread_time()
            self._driver.poll(self._tree, full, aligned=aligned, last=last)
            poll_s = time.thread_time() - before_s
            self._slot.publish(self._state())
            if last:
                answered = ticket
                self._channel.send(ticket.to_bytes(4, "little"), socket.MSG_DONTWAIT)
            now_s = time.monotonic()
            if full:
                cost_s += (poll_s - cost_s) / 4  # the first look has much to load
                if cost_s / DUTY > self._cell_s < LONGEST_CELL_S:
                    self._cell_s *= 2
                next_cell_s = (now_s // self._cell_s + 1) * self._cell_s
                soon_s = next_cell_s if aligned else now_s + max(FIRST_STEP_S, 10 * cost_s)
                due_s, aligned = min(next_cell_s, soon_s), soon_s >= next_cell_s
            power_step_s = self._driver.power_step_s
            wake_s = due_s if power_step_s is None else min(due_s, now_s + power_step_s)
            if not self._listen(max(0.0, wake_s - now_s)):
                return

    def _listen(self, timeout_s: float | None) -> bool:
        """Wait for what the parent tells; False if it has closed the channel."""
        if readable(self._channel, timeout_s):
            message = self._channel.recv(MESSAGE_BYTES)
            if not message:
                return False
            self._ticket, tree = marshal.loads(message)
            self._tree = frozenset(tree)
        return True

    def _state(self) -> State:
        return State(
            readings=self._driver.readings(),
            polled_s=time.monotonic(),
            cell_s=self._cell_s,
            idle_j=self._driver.idle_j,
            used_s=time.thread_time(),
        )
