"""Measured energy of processors and memory: RAPL counters, shared out by busy CPU time."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from eco2ai_cli.cpu_limits import allowance
from eco2ai_cli.meters import Meter, cpu_share
from eco2ai_cli.meters.cpu_share import IdlePower, Load, Share
from eco2ai_cli.meters.powercap import Zone, read_j
from eco2ai_cli.model import Component, Reading, Usage

_LONGEST_STEP_S = 1.0
"""Energy and share are multiplied look by look, so both have to be looked at often."""
_SMALLEST_RANGE_J = 65_536.0
"""2^32 units of 15.3 uJ, the smallest that are built: stands in where a range cannot be read."""
_SLACK_S = 0.05
"""How much later than its clock a counter may have been read, for judging its power."""
_STILL_S = 5.0
"""A counter that has not moved for so long is dead: no package draws nothing."""
_WHOLE = 0.99
_MISSED = 0.01
"""Of the CPU time of the tree: what may be missing at the start without a word."""


class WrappingCounter:
    """Adds up what a counter moves, over its wraps and resets; `range_j` None: it never wraps.

    A fall is one wrap, unless that would take more than `max_w`: then the counter was reset, and
    what it shows since is all that is known. A jump that would take more counts nothing. `reset`
    and `late` tell that there was one, and that so long nobody looked that wraps may be missing.
    """

    def __init__(self, range_j: float | None, max_w: float) -> None:
        self._range_j = range_j
        self._max_w = max_w
        self._last_j = 0.0
        self._at_s: float | None = None
        self.total_j = 0.0
        self.reset = False
        self.late = False

    def advance(self, shown_j: float, now_s: float) -> None:
        """Take what the counter shows; the first time only starts it."""
        if self._at_s is not None:
            most_j = self._max_w * (now_s - self._at_s + _SLACK_S)
            used_j = shown_j - self._last_j
            if used_j < 0 and self._range_j is not None:
                used_j += self._range_j
            if not 0 <= used_j <= most_j:
                self.reset = True
                used_j = shown_j if 0 <= shown_j <= most_j else 0.0
            if self._range_j is not None and most_j > self._range_j:
                self.late = True
            self.total_j += used_j
        self._last_j, self._at_s = shown_j, now_s


class ZoneDial:
    """One counter, and what of its energy is the tree's."""

    def __init__(self, zone: Zone, policy: str, allowed: float) -> None:
        self.zone = zone
        self._policy = policy
        self._allowed = allowed
        self._counter = WrappingCounter(zone.range_j, zone.max_w)
        self._idle = IdlePower()
        self._base: Load | None = None
        self._base_j = 0.0
        self._all_j = 0.0
        self._ours_j: float | None = None
        self._power_w: float | None = None
        self._share: Share | None = None
        self._caveats: set[str] = set()
        self._lost = False
        self._start: Reading | None = None

    def begin_with(self, start: Reading) -> None:
        """Take over from the model that pays for what ran before the counter was first read."""
        self._start = start

    def take(self, load: Load | None, now_s: float) -> None:
        """Read the counter, and pay the tree its share of what was used since the last time.

        Where the counter or the load cannot be read, the next time pays for this one too.
        """
        try:
            self._counter.advance(read_j(self.zone), now_s)
        except OSError:
            self._lost = True
            return
        if load is None:
            self._lost = True
        elif self._base is None:
            self._base, self._base_j = load, self._counter.total_j
        elif load.at_s > self._base.at_s:
            used_j = self._counter.total_j - self._base_j
            self._lost = used_j == 0 and load.at_s - self._base.at_s > _STILL_S
            if used_j > 0:
                self._pay(used_j, cpu_share.between(self._base, load))
                self._base, self._base_j = load, self._counter.total_j

    def _pay(self, used_j: float, share: Share) -> None:
        self._idle.see(used_j / share.span_s, share.busy)
        idle_share = cpu_share.idle_share(self._policy, share.of_busy, self._allowed)
        idle_j = min(used_j, (self._idle.watts or 0.0) * share.span_s)
        ours_j = (used_j - idle_j) * share.of_busy + idle_j * idle_share
        if self._idle.assumed and idle_share < share.of_busy:
            self._caveats.add("idle-assumed")
        self._all_j += used_j
        self._ours_j = (self._ours_j or 0.0) + ours_j
        self._power_w, self._share = ours_j / share.span_s, share

    def reading(self, missed: bool) -> Reading:
        """Return what is the tree's, with its doubts; `missed`: it had begun before we looked."""
        missed = missed or self._ours_j is None
        doubts = {
            "rapl-late": self._counter.late,
            "rapl-lost": self._lost,
            "rapl-reset": self._counter.reset,
            "rapl-start": missed,
        }
        caveats = self._caveats.union(word for word, holds in doubts.items() if holds)
        energy_j, method = self._ours_j, "none"
        if self._start is not None:
            if self._start.energy_j is not None:
                energy_j = self._start.energy_j + (energy_j or 0.0)
                method = self._start.method
            caveats = caveats | self._start.caveats if missed else caveats
        if self._ours_j is not None:
            method = "rapl" if self._ours_j >= _WHOLE * self._all_j else "rapl+share"
        details = {} if self._share is None else {"share_percent": 100 * self._share.of_busy}
        return Reading(
            component=self.zone.component,
            device=self.zone.id,
            energy_j=energy_j,
            method=method,
            name=self.zone.name,
            power_w=self._power_w,
            caveats=frozenset(caveats),
            details=MappingProxyType(details),
        )


class RaplMeter:
    """Reads the counters of all packages, and of their memory where there are any.

    `policy` shares out the idle power, see `cpu_share.idle_share`; `allowed`: the part of the
    machine's CPUs that the tree may use. `models` pay for what ran before the first look, some
    hundredths of a second. `longest_step_s`: how far apart samples may be.
    """

    component: Component = "cpu"

    def __init__(
        self,
        zones: tuple[Zone, ...],
        policy: str,
        allowed: float,
        models: Iterable[Meter] = (),
        proc: str = "/proc",
    ) -> None:
        self._dials = tuple(ZoneDial(zone, policy, allowed) for zone in zones)
        self._models = tuple(models)
        self._proc = proc
        self._missed_s: float | None = None
        self.longest_step_s = min(
            _LONGEST_STEP_S,
            *((zone.range_j or _SMALLEST_RANGE_J) / (2 * zone.max_w) for zone in zones),
        )

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return one reading a counter; the first sample only starts them."""
        if self._missed_s is None:
            self._missed_s = usage.cpu_s
            self._begin(usage, now_s)
        try:
            load = cpu_share.look(usage.cpu_s, now_s, self._proc)
        except OSError:
            load = None
        for dial in self._dials:
            dial.take(load, now_s)
        missed = self._missed_s > _MISSED * usage.cpu_s
        return tuple(dial.reading(missed) for dial in self._dials)

    def _begin(self, usage: Usage, now_s: float) -> None:
        for model in self._models:
            for start in model.sample(usage, now_s):
                dials = [d for d in self._dials if d.zone.component == start.component]
                if dials:
                    dials[0].begin_with(start)

    def finish(self) -> None:
        """Nothing lags behind."""

    def close(self) -> None:
        """Nothing is open."""


def open_rapl(
    zones: tuple[Zone, ...], policy: str, models: Iterable[Meter] = (), root: str = ""
) -> RaplMeter:
    """Open the meter of what was found to be readable; see `rapl_survey.survey`.

    Raises OSError where the load of the machine cannot be told.
    """
    cpus = cpu_share.look(0.0, 0.0, f"{root}/proc").cpus
    return RaplMeter(zones, policy, allowance(cpus, root).cpus / cpus, models, f"{root}/proc")
