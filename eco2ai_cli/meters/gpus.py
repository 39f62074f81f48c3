"""Whose the joules of a GPU are. Nothing here talks to a driver.

Time is cut into cells by the looks at who is on the device, which all runs of a machine take at
the same moments, the full seconds of the monotonic clock. A cell is paid by those who were there
when it began; where nobody was, by those who are there when it ends. Hence runs that look at the
same lists never pay for more than the device drew. What comes before the first full second of a
run may be in the cell of another, and is paid only where no other run is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from eco2ai_cli.meters.gpu_job import Job
from eco2ai_cli.model import Reading

IDLE_OF_LIMIT = 0.125
"""Idle power as a part of the default power limit, where a device is shared: of a T4 10 of 70 W,
an A100 SXM 50 to 55 of 400 W, an H200 74 of 700 W. A constant and not what was seen, for runs
that saw different things would share out more than there is."""


class Residents(NamedTuple):
    """Who is on a device: `pids` as the driver numbers them, None if it has never told.

    `aligned`: seen at a moment at which all runs of this machine look.
    """

    pids: frozenset[int] | None
    aligned: bool = True


class Cell(NamedTuple):
    """Who pays for a span of time, and what is to be paid so far.

    `disputed`: it is not aligned, and another run may pay for the same time.
    """

    residents: frozenset[int]
    mine: frozenset[int]
    aligned: bool
    disputed: bool = False
    drawn_j: float = 0.0
    span_s: float = 0.0


_NOBODY: frozenset[int] = frozenset()
_MISSED = 0.05
"""Of a run's energy: what may be left unpaid without a word, as much as sensors err (NVML)."""


class Gpu:
    """One device, or a slice of one: what a tree has used of it.

    `part`: what of the device's energy is the slice's; 1 for a whole device. `idle_w`: what all of
    the device draws when idle, None if that is not known.
    """

    def __init__(
        self, uuid: str, name: str | None, part: float = 1.0, idle_w: float | None = None
    ) -> None:
        self.uuid = uuid
        self.used = False
        self.resident = False
        self._name = name
        self._part = part
        self._idle_w = (idle_w or 0.0) * part
        self._ours: frozenset[int] = _NOBODY
        self._others: frozenset[int] = _NOBODY
        self._cell: Cell | None = None
        self._ours_j = 0.0
        self._idle_j = 0.0
        self._shared = False
        self._whole = False
        self._withheld_j = 0.0
        self._caveats: set[str] = {"gpu-sliced"} if part < 1 else set()

    def take(
        self,
        drawn_j: float,
        span_s: float,
        seen: Residents | None,
        busy: Mapping[int, float],
        job: Job,
    ) -> None:
        """Take what the whole device drew in the `span_s` since the last look.

        `seen`: who is there now; None: nobody looked, and the cell goes on. `busy`: how busy each
        process kept the device's processors since somebody looked, in any unit; empty: the driver
        does not tell.
        """
        if self._cell is not None:
            cell = self._cell
            drawn_j, span_s = cell.drawn_j + drawn_j * self._part, cell.span_s + span_s
            self._cell = cell._replace(drawn_j=drawn_j, span_s=span_s)
        was_whole = self._whole
        if seen is not None:
            self._whole = not job.comparable or seen.pids is None
        if was_whole or self._whole:
            self._pay_whole(job)
        if self._whole:
            self._take_whole(job)
        elif seen is not None and seen.pids is not None:
            self._tell_apart(seen.pids, job)
            if self._cell is not None:
                self._settle(self._cell, seen.pids, busy)
            disputed = not seen.aligned and job.disputed
            self._cell = Cell(seen.pids, self._ours, seen.aligned, disputed)

    def _pay_whole(self, job: Job) -> None:
        """Pay for everything on a device that was given to the job, for nothing on another."""
        if self._cell is not None and (self.uuid in job.given or self._cell.mine):
            self._ours_j += self._cell.drawn_j
        self._cell = None

    def _take_whole(self, job: Job) -> None:
        """Begin a cell of which nobody tells who is there."""
        given = self.uuid in job.given
        self._cell = Cell(_NOBODY, _NOBODY, aligned=False)
        self.resident = given
        if given:
            self.used = True
            self._caveats.add("gpu-by-device")
            self._caveats.update({"gpu-order"} & job.doubts)

    def _tell_apart(self, pids: frozenset[int], job: Job) -> None:
        # Who was ours at the last look still is: a process may leave the tree before this list.
        self._ours = frozenset(
            pid
            for pid in pids
            if pid in job.tree or pid in self._ours or (pid not in self._others and job.begot(pid))
        )
        self._others = pids - self._ours
        self.resident = bool(self._ours)
        self.used = self.used or self.resident
        if self._ours and self._others:
            self._caveats.add("gpu-shared")

    def _settle(self, cell: Cell, now: frozenset[int], busy: Mapping[int, float]) -> None:
        """Pay for a cell that ends with `now` on the device."""
        mine, there = cell.mine, cell.residents
        if not there:
            mine, there = self._ours & now, now
        if not there:
            self._idle_j += cell.drawn_j
        elif mine == there and not cell.disputed and (cell.aligned or now <= self._ours):
            self._ours_j += cell.drawn_j
        elif cell.aligned:
            if mine:
                self._ours_j += self._share(cell, mine, there, busy)
                self._shared = True
        else:
            self._withheld_j += cell.drawn_j * len(mine) / len(there)

    def end(self) -> None:
        """Pay, when a run ends, for what no full second will settle."""
        cell = self._cell
        if cell is not None and not self._whole and not cell.aligned:
            self._settle(cell, _NOBODY, {})
            self._cell = cell._replace(drawn_j=0.0, span_s=0.0)

    def _share(
        self,
        cell: Cell,
        mine: frozenset[int],
        there: frozenset[int],
        busy: Mapping[int, float],
    ) -> float:
        """Split a cell: idle power by heads, the rest by who kept the processors busy."""
        of_heads = len(mine) / len(there)
        all_busy = sum(busy.values()) if busy and not there.isdisjoint(busy) else 0.0
        if not busy or all_busy <= 0:
            return cell.drawn_j * of_heads
        of_busy = sum(busy.get(pid, 0.0) for pid in mine) / all_busy
        idle_j = min(cell.drawn_j, self._idle_w * cell.span_s)
        return (cell.drawn_j - idle_j) * of_busy + idle_j * of_heads

    def reading(
        self,
        known: bool,
        method: str,
        power_w: float | None,
        details: Mapping[str, float],
        caveats: Iterable[str] = (),
    ) -> Reading:
        """Return what is the tree's; what the device itself shows is handed in.

        `known`: whether the device tells its energy at all.
        """
        doubts = self._caveats.union(caveats)
        energy_j = self._ours_j + self._open_j()
        if not known:
            doubts.add("gpu-unknown")
        elif self._withheld_j > _MISSED * energy_j:
            doubts.add("gpu-brief")
        known = known and (energy_j > 0 or doubts.isdisjoint(("gpu-brief", "gpu-lost")))
        if not known:
            method = "none"
        elif self._shared or self._part < 1:
            method += "+share"
        return Reading(
            component="gpu",
            device=self.uuid,
            energy_j=energy_j if known else None,
            method=method,
            name=self._name,
            power_w=None if power_w is None else power_w * self._part,
            caveats=frozenset(doubts),
            details=MappingProxyType(dict(details)),
        )

    @property
    def idle_j(self) -> float | None:
        """Joules that were drawn while nobody was there; None where that is not told."""
        if self._whole:
            return None
        cell = self._cell
        nobody = cell is not None and not cell.residents
        return self._idle_j + (cell.drawn_j if cell is not None and nobody else 0.0)

    def _open_j(self) -> float:
        """Return what of the cell that is not over yet is sure to be the tree's.

        All of it where it is alone. Else the idle power by heads: who is busy for the rest of the
        cell has a share in what was drawn until now.
        """
        cell = self._cell
        if cell is None or not cell.aligned or not cell.mine:
            return 0.0
        if cell.mine == cell.residents:
            return cell.drawn_j
        of_heads = len(cell.mine) / len(cell.residents)
        return min(cell.drawn_j, self._idle_w * cell.span_s) * of_heads


def gpu_name(readings: Iterable[Reading]) -> str:
    """Name the devices as an eco2AI file does: `NVIDIA A100-SXM4-80GB 2 device(s)`; "" for none."""
    counts: dict[str, int] = {}
    for reading in readings:
        if reading.component == "gpu" and reading.name:
            counts[reading.name] = counts.get(reading.name, 0) + 1
    return "; ".join(f"{name} {count} device(s)" for name, count in counts.items())
