"""From looks at a GPU's counter and power to the joules that the device has drawn."""

from __future__ import annotations

from typing import NamedTuple

from eco2ai_cli.dials import Integrator

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

    `counter_j`: energy since the driver was loaded.
    """

    at_s: float
    counter_j: float | None = None
    power_w: float | None = None


class GpuDial:
    """Show the joules of one device since the first look.

    Time is cut into windows of at least 0.5 s. A window is paid by the energy counter if that
    moved and the mean power is plausible, else by power x time, which also stands in until the
    window is long enough. So a counter that resets, sticks or jumps costs one window. `untold`:
    there was a time for which neither said anything. `source` begins the ledger's words for it:
    `nvml` makes `nvml-energy` and `nvml-power`.
    """

    def __init__(self, limit_w: float | None = None, source: str = "nvml") -> None:
        self._source = source
        self.ceiling_w = limit_w * PLAUSIBLE if limit_w else NO_LIMIT_W
        self._power = Integrator(MAX_GAP_S)
        self._power_j: float | None = None
        self._base_s: float | None = None
        self._base_j: float | None = None
        self._window_j = 0.0
        self._counter_j = 0.0
        self._integrated_j = 0.0
        self._shown_j = 0.0
        self.integrating = True
        self.untold = False

    def advance(self, look: Look) -> float:
        """Take a look, and return by how many joules the dial has moved.

        Its power has to be plausible, see `plausible`.
        """
        before_j, self._power_j = self._power_j, self._power.advance(look.power_w, look.at_s)
        if self._base_s is None:
            self._open_window(look)
            return 0.0
        span_s = look.at_s - self._base_s
        self.untold = self.untold or (before_j is None and self._base_j is None)
        if self._power_j is not None:
            self._window_j += self._power_j - (before_j or 0.0)
        elif look.counter_j is not None and self._base_j is not None:
            moved_j = max(0.0, look.counter_j - self._base_j)
            self._window_j = min(moved_j, self.ceiling_w * span_s)  # a coarse figure is one too
        self._judge(look, span_s)
        shown_j = self._shown_j
        self._shown_j = max(shown_j, self._counter_j + self._integrated_j + self._window_j)
        return self._shown_j - shown_j

    def plausible(self, look: Look) -> Look:
        """Return a look without its power, if that cannot be: a GPU that answers draws some."""
        if look.power_w is None or 0 < look.power_w <= self.ceiling_w:
            return look
        return look._replace(power_w=None)

    def _judge(self, look: Look, span_s: float) -> None:
        """Pay the window that `look` ends, by the better source, or leave it open."""
        used_j = 0.0
        if self._base_j is not None:
            used_j = 0.0 if look.counter_j is None else look.counter_j - self._base_j
            if span_s < SETTLE_S or (used_j == 0 and span_s < STUCK_S):
                self.integrating = self.integrating or used_j == 0
                return
        self.integrating = not 0 < used_j < self.ceiling_w * span_s
        if self.integrating:
            self._integrated_j += self._window_j
            self.untold = self.untold or self._power_j is None
        else:
            self._counter_j += used_j
        self._open_window(look)

    def _open_window(self, look: Look) -> None:
        self._base_s, self._base_j, self._window_j = look.at_s, look.counter_j, 0.0

    @property
    def energy_j(self) -> float | None:
        """Joules so far; None while neither the counter nor the power has said anything."""
        return None if self._power_j is None and self._shown_j == 0 else self._shown_j

    @property
    def method(self) -> str:
        """The ledger's word for the source of most of these joules."""
        if self.energy_j is None:
            return "none"
        by_power_j = self._integrated_j + self._window_j
        by_counter = self._power_j is None or self._counter_j > by_power_j
        kind = "energy" if by_counter else "power"
        return f"{self._source}-{kind}"
