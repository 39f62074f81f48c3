"""NVIDIA GPUs by NVML, the driver's library; the only door to `pynvml`.

A call into the driver can hang for ever, so all of them are made by one daemon thread, and the
caller reads what that thread has left. Words for doubts: `gpu-shared` (others are on a device of
ours, which counts whole), `gpu-by-device` (PIDs cannot be compared: the devices visible to the
job count whole), `gpu-unknown` (a device of ours tells neither energy nor power), `gpu-lost` (it
fell off the bus), `gpu-late` (the driver does not answer, or not in time: the last value stands),
`gpu-unavailable` (the library is here and does not work).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters.gpu_job import Job, own_pid_namespace, translated, visible
from eco2ai_cli.meters.gpus import Gpu, Look
from eco2ai_cli.meters.nvml_device import Device, Lost
from eco2ai_cli.model import Component, Reading, Usage

FULL_S = (1.0, 10.0)
"""Seconds between two full polls: who is where. The longer, where a poll is dear."""
POWER_S = (0.1, 0.5)
"""Seconds between two looks at a power that has to be integrated: 10 Hz suits sensors of the
moment (before Volta), 2 Hz those that average over a second (measuring.md §6)."""
DUTY = 0.005
"""Share of one core that polling may take (measuring.md §5)."""
LATE_S = 2.0
"""Seconds that an answer may be overdue."""
OPENING_S = 1.0
"""Seconds in which NVML may open without a doubt: CUDA has the same driver to wake and a context
to make besides, so a tree that is over by then has computed on no GPU."""
LAST_LOOK_S = 0.2
"""Seconds that the last sample of a run may wait for fresh values."""

_UNAVAILABLE = Reading("gpu", "nvml", None, "none", caveats=frozenset({"gpu-unavailable"}))


def _late(reading: Reading) -> Reading:
    return reading._replace(caveats=reading.caveats | {"gpu-late"})


class Driver:
    """The GPUs of this machine, polled from one thread: any of its calls may hang."""

    def __init__(self, environ: Mapping[str, str], proc: str, clock: Callable[[], float]) -> None:
        self._environ = environ
        self._proc = proc
        self._clock = clock
        self._nvml: Any = None
        self._devices: list[Device] = []
        self._given: frozenset[str] = frozenset()
        self._comparable = True

    def open(self) -> None:
        """Start NVML and find the devices; raises MeterUnavailable with the driver's reason."""
        import pynvml as nvml  # type: ignore[import-untyped]

        try:
            nvml.nvmlInit()
            self._nvml = nvml
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            raise MeterUnavailable(f"NVML cannot be opened: {error}") from error
        for index in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                self._devices.append(Device(nvml, handle, index))
            except (nvml.NVMLError, Lost):
                continue  # a device that is closed to us is closed to the tree
        if count and not self._devices:
            raise MeterUnavailable(f"none of the {count} GPUs of this machine can be opened")
        self._given = visible(self._environ, tuple(d.gpu.uuid for d in self._devices))
        self._comparable = not own_pid_namespace(self._proc)

    def poll(self, tree: frozenset[int], full: bool) -> None:
        """Look at every device, or, without `full`, at the energy of those the tree is on."""
        looks: list[tuple[Gpu, Look]] = []
        for device in self._devices:
            if device.gpu.lost or not (full or device.gpu.resident):
                continue
            try:
                looks.append((device.gpu, device.look(self._clock(), full)))
            except Lost:
                device.gpu.lose()
        if not self._comparable:
            listed = frozenset(pid for _, look in looks for pid in look.pids or ())
            self._comparable = translated(listed, tree, self._proc)
        job = Job(tree, self._comparable, self._given, self._proc)
        for gpu, look in looks:
            gpu.take(look, job)

    @property
    def integrating(self) -> bool:
        """Whether a device that the tree is on has to be looked at often."""
        gpus = (device.gpu for device in self._devices)
        return any(gpu.resident and not gpu.lost and gpu.dial.integrating for gpu in gpus)

    def readings(self) -> tuple[tuple[float, Reading], ...]:
        """Return a reading for each device the tree has been on, after when it was last seen."""
        gpus = (device.gpu for device in self._devices)
        return tuple((gpu.seen_s, gpu.reading()) for gpu in gpus if gpu.used)

    def close(self) -> None:
        """Let go of NVML: where persistence is off, an open client keeps the GPU awake."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None


class NvmlMeter:
    """Meter the GPUs that a process tree uses. `environ` is the command's environment.

    Nothing happens before `start`, and nothing dear before the first `sample` of a living tree,
    which takes what the thread has left. A sample of a tree without processes is a run's last,
    and waits at most 0.2 s for values that reach to the end: `finish` is that wait, for when
    processes live on. A device that the tree was on at one of two polls is its own in between.
    """

    component: Component = "gpu"

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        proc: str = "/proc",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = Driver(environ, proc, clock)
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._tree: frozenset[int] = frozenset()
        self._slot: tuple[tuple[float, Reading], ...] | None = None  # None: NVML is not open yet
        self._polled_s = float("inf")  # until a tree is known
        self._full_s = FULL_S[0]
        self._changed = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._closing = False

    def start(self) -> None:
        """Start the one thread that talks to the driver; it inherits the caller's signal mask."""
        self._thread = threading.Thread(target=self._run, name="eco2ai-nvml", daemon=True)
        self._thread.start()

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return one reading a device of the tree; none where the tree has used no GPU."""
        answered = True
        if usage.pids:
            self._tell(frozenset(usage.pids), now_s)
        else:
            answered = self._catch_up()
        slot = self._slot
        if slot is None:
            return (_UNAVAILABLE,) if now_s - self._polled_s > OPENING_S else ()
        stale_s = now_s - LATE_S - 2 * self._full_s
        if not slot and (not answered or self._polled_s < stale_s):
            return (_UNAVAILABLE,)
        return tuple(
            reading if answered and seen_s >= stale_s else _late(reading)
            for seen_s, reading in slot
        )

    def finish(self) -> None:
        """Wait for fresh values, so that the last sample of a tree that lives on has them."""
        self._catch_up()

    def _catch_up(self, timeout_s: float = LAST_LOOK_S) -> bool:
        """Wait for values from now on; False if the driver does not answer in time."""
        thread = self._thread
        if thread is None or not thread.is_alive() or self._slot is None:
            return True
        with self._changed:
            self._asked += 1
            ticket = self._asked
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._answered >= ticket, timeout_s)

    def close(self) -> None:
        """Stop the thread, or leave it behind if a call into the driver holds it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(0.3)

    def _tell(self, tree: frozenset[int], now_s: float) -> None:
        with self._changed:
            if not self._tree:
                self._polled_s = now_s
                self._changed.notify_all()
            self._tree = tree

    def _run(self) -> None:
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._tree or self._closing)
            if not self._closing:
                self._driver.open()
                self._slot = ()
                self._poll()
        except Exception:
            # NVML refused, or the fault is ours: a doubt in the row, never a traceback on the
            # command's terminal.
            dead = tuple((float("-inf"), reading) for _, reading in self._slot or ())
            self._slot = dead or ((float("inf"), _UNAVAILABLE),)
        finally:
            with contextlib.suppress(Exception):
                self._driver.close()

    def _poll(self) -> None:
        """Poll until closed: in full 10 times a second at first, then once a second."""
        began_s = due_s = self._clock()
        while not self._closing:
            ticket = self._asked
            full = ticket == self._answered and self._clock() >= due_s
            before_s = time.thread_time()
            self._driver.poll(self._tree, full)
            step_s = (time.thread_time() - before_s) / DUTY
            self._slot = self._driver.readings()
            self._polled_s = now_s = self._clock()
            if full:
                self._full_s = _within(FULL_S, step_s)
                due_s = now_s + min(self._full_s, max(POWER_S[0], (now_s - began_s) / 2))
            wait_s = due_s - now_s
            if self._driver.integrating:
                wait_s = min(wait_s, _within(POWER_S, step_s))
            with self._changed:
                self._answered = ticket
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._closing or self._asked != self._answered, wait_s
                )


def _within(bounds: tuple[float, float], value: float) -> float:
    return min(max(value, bounds[0]), bounds[1])
