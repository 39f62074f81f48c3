"""From looks at a GPU to the joules of a process tree. Nothing here talks to a driver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from eco2ai_cli.dials import Integrator
from eco2ai_cli.meters.gpu_job import Job
from eco2ai_cli.model import Reading

SETTLE_S = 0.5
"""Below it a counter's delta says little: counters step every 20 to 100 ms (measuring.md §6)."""
STUCK_S = 5.0
"""A counter that has not moved for so long is broken: no powered GPU draws nothing."""
PLAUSIBLE = 1.5
"""Times the power limit: what a GPU may draw by its counter (measuring.md §6)."""
NO_LIMIT_W = 3000.0
"""Stands in where no limit is told; the largest board of 2025 (GB200) is allowed 1,200 W."""
MAX_GAP_S = 5.0
"""Across a longer silence, power is held instead of sloped."""


class Look(NamedTuple):
    """One look at one device; None is what the driver did not say.

    `counter_j`: energy since the driver was loaded. `pids`: the processes that it lists, as the
    driver numbers them; None where it has never answered that question.
    """

    at_s: float
    counter_j: float | None = None
    power_w: float | None = None
    pids: frozenset[int] | None = None
    details: Mapping[str, float] = MappingProxyType({})


class GpuDial:
    """Show the joules of one device over the time that counts.

    That time is cut into windows of at least 0.5 s. A window is paid by the energy counter if
    that moved and the mean power is plausible, else by power x time, which also stands in until
    the window is long enough. So a counter that resets, sticks or jumps costs one window.
    """

    def __init__(self, limit_w: float | None = None) -> None:
        self._ceiling_w = limit_w * PLAUSIBLE if limit_w else NO_LIMIT_W
        self._power = Integrator(MAX_GAP_S)
        self._power_j: float | None = None
        self._base_s = 0.0
        self._base_j: float | None = None
        self._window_j = 0.0
        self._counter_j = 0.0
        self._integrated_j = 0.0
        self._shown_j = 0.0
        self.integrating = True

    def advance(self, look: Look, counts: bool) -> None:
        """Take a look; `counts` says whether the time since the last one is the tree's."""
        before_j, self._power_j = self._power_j, self._power.advance(look.power_w, look.at_s)
        if counts:
            self._window_j += (self._power_j or 0.0) - (before_j or 0.0)
            self._judge(look)
        else:
            self._integrated_j += self._window_j
            self._open_window(look)
        total_j = self._counter_j + self._integrated_j + self._window_j
        self._shown_j = max(self._shown_j, total_j)

    def _judge(self, look: Look) -> None:
        """Pay the window that `look` ends, by the better source, or leave it open."""
        span_s = look.at_s - self._base_s
        used_j = 0.0
        if self._base_j is not None:
            used_j = 0.0 if look.counter_j is None else look.counter_j - self._base_j
            if span_s < SETTLE_S or (used_j == 0 and span_s < STUCK_S):
                self.integrating = self.integrating or used_j == 0
                return
        self.integrating = not 0 < used_j < self._ceiling_w * span_s
        if self.integrating:
            self._integrated_j += self._window_j
        else:
            self._counter_j += used_j
        self._open_window(look)

    def _open_window(self, look: Look) -> None:
        self._base_s, self._base_j, self._window_j = look.at_s, look.counter_j, 0.0

    @property
    def energy_j(self) -> float | None:
        """Joules so far; None while neither the counter nor the power has said anything."""
        return None if self._power_j is None and self._counter_j == 0 else self._shown_j

    @property
    def method(self) -> str:
        """The ledger's word for the source of most of these joules."""
        if self.energy_j is None:
            return "none"
        by_power_j = self._integrated_j + self._window_j
        return "nvml-energy" if self._counter_j > by_power_j else "nvml-power"


class Gpu:
    """One device, whose it is, and what it has used while it was the tree's."""

    def __init__(self, uuid: str, name: str | None, limit_w: float | None = None) -> None:
        self.uuid = uuid
        self.resident = False
        self.used = False
        self.lost = False
        self.dial = GpuDial(limit_w)
        self._name = name
        self._ours: frozenset[int] = frozenset()
        self._others: frozenset[int] = frozenset()
        self._caveats: set[str] = set()
        self._last: Look | None = None

    def take(self, look: Look, job: Job) -> None:
        """Take a look: an interval counts if the tree was resident at its start or at its end.

        Where PIDs cannot be compared, a device that was given to the job counts whole.
        """
        if look.counter_j is None and look.power_w is None and self.dial.energy_j is not None:
            return  # a call failed: the next look pays for this interval too
        was_resident = self.resident
        if job.comparable and look.pids is not None:
            self._tell_apart(look.pids, job)
        else:
            self.resident = self.uuid in job.given
            if self.resident:
                self._caveats.add("gpu-by-device")
        self.used = self.used or self.resident
        self.dial.advance(look, was_resident or self.resident)
        self._last = look

    def _tell_apart(self, pids: frozenset[int], job: Job) -> None:
        # Who was ours at the last look still is: a process may leave the tree before this list.
        self._ours = frozenset(
            pid
            for pid in pids
            if pid in job.tree or pid in self._ours or (pid not in self._others and job.begot(pid))
        )
        self._others = pids - self._ours
        self.resident = bool(self._ours)
        if self._ours and self._others:
            self._caveats.add("gpu-shared")

    def lose(self) -> None:
        """Note that the device is gone; the dial keeps its last value."""
        self.lost = True
        self._caveats.add("gpu-lost")

    @property
    def seen_s(self) -> float:
        """When the driver last answered for this device; for ever, once it is lost."""
        return self._last.at_s if self._last and not self.lost else float("inf")

    def reading(self) -> Reading:
        """Return what the dial shows, with its doubts."""
        energy_j = self.dial.energy_j
        unknown = {"gpu-unknown"} if energy_j is None else set()
        return Reading(
            component="gpu",
            device=self.uuid,
            energy_j=energy_j,
            method=self.dial.method,
            name=self._name,
            power_w=self._last.power_w if self._last else None,
            caveats=frozenset(self._caveats | unknown),
            details=self._last.details if self._last else MappingProxyType({}),
        )


def gpu_name(readings: Iterable[Reading]) -> str:
    """Name the devices as an eco2AI file does: `NVIDIA A100-SXM4-80GB 2 device(s)`; "" for none."""
    counts: dict[str, int] = {}
    for reading in readings:
        if reading.component == "gpu" and reading.name:
            counts[reading.name] = counts.get(reading.name, 0) + 1
    return "; ".join(f"{name} {count} device(s)" for name, count in counts.items())
