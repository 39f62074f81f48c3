"""NVIDIA GPUs by NVML, the driver's library: what a run asks of it.

This and `nvml_survey.py` are the only doors to `pynvml`. A call into the driver can hang for
ever, so this runs in a process of its own, see `gpu_worker.py`.

Words for doubts: `gpu-shared` (others were on a device of ours), `gpu-sliced`
(a MIG slice has a part of what all of the device draws), `gpu-by-device` (PIDs cannot be compared:
the devices visible to the job count whole), `gpu-order` (which these are is not certain),
`gpu-brief` (what it was used for between two full seconds is a part that matters, and another run
may pay for it), `gpu-unknown` (a device of ours told neither energy nor power, always or for a
time), `gpu-lost` (it fell off the bus),
`gpu-late` (the driver does not answer, or not in time: the last value stands), `gpu-unavailable`
(the library is here and does not work).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters.gpu_dial import GpuDial, Look
from eco2ai_cli.meters.gpu_job import (
    Installed,
    Job,
    Slice,
    order_doubts,
    others_look,
    own_pid_namespace,
    translated,
    unheard_of,
    visible,
)
from eco2ai_cli.meters.gpus import IDLE_OF_LIMIT, Gpu, Residents
from eco2ai_cli.meters.nvml_device import Device, Handle, Lost
from eco2ai_cli.model import Reading


class Unit:
    """What a process can be on: a device or a slice of it, its handle, and whose it is."""

    def __init__(self, handle: Handle, gpu: Gpu) -> None:
        self.handle = handle
        self.gpu = gpu
        self.details: dict[str, float] = {}


class Board:
    """One physical device: its dial, and the units that share what it shows."""

    def __init__(self, device: Device) -> None:
        idle_w = device.default_limit_w and device.default_limit_w * IDLE_OF_LIMIT
        slices = list(device.slices())
        self.device = device
        self.dial = GpuDial(device.limit_w)
        self.lost = False
        self.seen_s = float("-inf")
        self.installed = Installed(
            device.uuid, device.name, tuple(Slice(uuid, place) for uuid, place, _, _ in slices)
        )
        self.units = [
            Unit(handle, Gpu(uuid, handle.ask("Name") or device.name, part, idle_w))
            for uuid, _, part, handle in slices
        ] or [Unit(device, Gpu(device.uuid, device.name, idle_w=idle_w))]
        self._look: Look | None = None
        self._crowded = False

    @property
    def resident(self) -> bool:
        """Whether the tree is on it."""
        return not self.lost and any(unit.gpu.resident for unit in self.units)

    def look(self, at_s: float) -> tuple[float, float] | None:
        """Read the dial: joules and seconds since the last time; None if it does not answer.

        Raises Lost.
        """
        look = self.dial.plausible(self.device.look(at_s))
        if look.counter_j is None and look.power_w is None and self.dial.energy_j is not None:
            return None  # a call failed: the next look pays for this time too
        span_s = 0.0 if self._look is None else at_s - self._look.at_s
        self._look, self.seen_s = look, at_s
        return self.dial.advance(look), span_s

    def busy(self, pids: int) -> dict[int, float]:
        """Return how busy its processes were, if there were several; `pids` are there now.

        MIG has no such figures.
        """
        crowded, self._crowded = self._crowded or pids > 1, pids > 1
        return self.device.busy() if crowded and self.units[0].handle is self.device else {}

    def readings(self) -> list[Reading]:
        """Return a reading for each unit that the tree has been on."""
        doubts = {"gpu-lost": self.lost, "gpu-unknown": self.dial.untold}
        return [
            unit.gpu.reading(
                self.dial.energy_j is not None,
                self.dial.method,
                self._look.power_w if self._look else None,
                unit.details,
                [word for word, holds in doubts.items() if holds],
            )
            for unit in self.units
            if unit.gpu.used
        ]


class Driver:
    """The GPUs of this machine, as a tree of processes uses them; any of its calls may hang."""

    def __init__(self, environ: Mapping[str, str], proc: str, clock: Callable[[], float]) -> None:
        self._environ = environ
        self._proc = proc
        self._clock = clock
        self._nvml: Any = None
        self._boards: list[Board] = []
        self._given: frozenset[str] = frozenset()
        self._doubts: frozenset[str] = frozenset()
        self._comparable = True
        self._disputed: bool | None = None
        self._missing: frozenset[int] = frozenset()

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
                self._boards.append(Board(Device(nvml, handle, f"unnamed-{index}")))
            except (nvml.NVMLError, Lost):
                continue  # a device that is closed to us is closed to the tree
        if count and not self._boards:
            raise MeterUnavailable(f"none of the {count} GPUs of this machine can be opened")
        installed = [board.installed for board in self._boards]
        self._given = visible(self._environ, installed)
        self._doubts = order_doubts(self._environ, installed)
        self._comparable = not own_pid_namespace(self._proc)

    def poll(
        self, tree: frozenset[int], full: bool, *, aligned: bool = True, last: bool = False
    ) -> None:
        """Look at every device and who is on it, or, without `full`, at the energy of the tree's.

        `aligned`: at a moment at which all runs of the machine look. `last`: settle what is open.
        """
        boards = [b for b in self._boards if not b.lost and (full or last or b.resident)]
        seen: dict[Unit, frozenset[int] | None] = {}
        drawn: list[tuple[Board, float, float]] = []
        for board in boards:
            try:
                joules = board.look(self._clock())
                if full:
                    for unit in board.units:
                        seen[unit] = unit.handle.residents(self._proc)
                if joules is not None:
                    drawn.append((board, *joules))
            except Lost:
                board.lost = True
        if full:
            self._compare(frozenset().union(*(pids for pids in seen.values() if pids)), tree)
        if self._disputed is None:
            self._disputed = others_look(self._proc)
        known = (self._given, self._proc, self._doubts, self._disputed)
        job = Job(tree, self._comparable, *known)
        for board, joules_drawn, span_s in drawn:
            try:
                self._share_out(board, joules_drawn, span_s, seen, job, (full, aligned, last))
            except Lost:
                board.lost = True

    def _compare(self, listed: frozenset[int], tree: frozenset[int]) -> None:
        """Tell anew whether the driver speaks of our PIDs: it does not, if it names only others."""
        missing = self._missing
        self._missing = unheard_of(listed, tree, self._proc) if self._comparable else frozenset()
        if not self._comparable:
            self._comparable = translated(listed, tree, self._proc)
        elif missing & self._missing:
            self._comparable = False

    def _share_out(
        self,
        board: Board,
        drawn_j: float,
        span_s: float,
        seen: Mapping[Unit, frozenset[int] | None],
        job: Job,
        how: tuple[bool, bool, bool],
    ) -> None:
        full, aligned, last = how
        busy = board.busy(max(len(seen.get(unit) or ()) for unit in board.units)) if full else {}
        for unit in board.units:
            residents = Residents(seen.get(unit), aligned) if full else None
            unit.gpu.take(drawn_j, span_s, residents, busy, job)
            if last:
                unit.gpu.end()
            if full and unit.gpu.used:
                unit.details = unit.handle.dashboard()

    @property
    def power_step_s(self) -> float | None:
        """How often the power of the tree's devices has to be looked at; None: no need to."""
        steps = [b.device.power_step_s for b in self._boards if b.resident and b.dial.integrating]
        return min(steps, default=None)

    def readings(self) -> tuple[tuple[float, Reading], ...]:
        """Return a reading for each device the tree has been on, after when it was last seen."""
        return tuple(
            (float("inf") if board.lost else board.seen_s, reading)
            for board in self._boards
            for reading in board.readings()
        )

    @property
    def idle_j(self) -> float | None:
        """Joules that the devices given to the job drew while nobody was on them; None: unknown."""
        known = [board for board in self._boards if board.dial.energy_j is not None]
        units = [unit for board in known for unit in board.units]
        given = [unit.gpu.idle_j for unit in units if unit.gpu.uuid in self._given]
        told = [idle_j for idle_j in given if idle_j is not None]
        return sum(told) if known and self._comparable and len(told) == len(given) else None

    def close(self) -> None:
        """Let go of NVML: where persistence is off, an open client keeps the GPU awake."""
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None
