"""Show a run while it goes on: from samples to what the panel shows, once a second.

What draws is not even imported before the first drawing is due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.config import Config
from eco2ai_cli.faults import Faults
from eco2ai_cli.footprint import footprint
from eco2ai_cli.model import ORIGIN, Energy, Footprint, Reading, Sample
from eco2ai_cli.place import Place

if TYPE_CHECKING:
    from eco2ai_cli.dashboard import Budget, Gpu, State
    from eco2ai_cli.prospect import Prospect
    from eco2ai_cli.screen import Screen
    from eco2ai_cli.weighing import Weigher

FIRST_S = 1.0
"""A command that is over by then is never drawn over."""
_STEP_S = 1.0
_LOOK_S = 0.2
"""How soon a program that takes the whole terminal is noticed; a look costs some 10 µs."""
_EARLY_S = 0.02  # what is due within it is done with what is due now: one wake-up less
_SELDOM_S = 0.9
_WITH_SAMPLE_S = 0.5
_SETTLED_S = 0.4
"""A size is believed when it has held so long: tmux (3.3) tells of one up to 0.25 s late."""
_SPAN_S = 0.7  # CPU time and energy step: over a shorter span their rates say little
_REMEMBERED = 48


class Subject(NamedTuple):
    """The run that is shown; `doubts` tells the caveats beside those of a sample.

    `weigher`: what weighs the joules, where price or intensity go by the time of day.
    """

    config: Config
    place: Place
    began: Moment
    doubts: Callable[[Sample], frozenset[str]]
    weigher: Weigher | None = None

    def footprint(self, sample: Sample) -> Footprint:
        """Return what the run has used up to `sample`, by the mean rates up to now."""
        price_per_kwh, kg_per_mwh = self.config.price_per_kwh, self.place.region.kg_per_mwh
        if self.weigher is not None:
            mean_price, mean_kg = self.weigher.mean_rates()
            price_per_kwh = price_per_kwh if mean_price is None else mean_price
            kg_per_mwh = kg_per_mwh if mean_kg is None else mean_kg
        return footprint(
            Energy.since_start(sample),
            pue=self.place.pue,
            kg_per_mwh=kg_per_mwh,
            price_per_kwh=price_per_kwh,
        )


class Live:
    """Observes samples and keeps the panel up to date.

    `sample` is the recorder's beat, which `beat` includes. `open_screen` is called once, when the
    first drawing is due; None: nothing is ever drawn. No method raises.
    """

    def __init__(
        self,
        subject: Subject,
        open_screen: Callable[[], Screen | None],
        sample: Callable[[], float],
        *,
        clock: Clock,
        faults: Faults,
        prospect: Prospect | None = None,
    ) -> None:
        self._subject = subject
        self._prospect = prospect
        self._open_screen = open_screen
        self._screen: Screen | None = None
        self._sample = sample
        self._clock = clock
        self._faults = faults
        self._sample_due_s = 0.0
        self._not_before_s = self._draw_due_s = subject.began.awake_s + FIRST_S
        self._last = self._base = ORIGIN
        self._powers_w: deque[float | None] = deque(maxlen=_REMEMBERED)
        self._cpu_percent: float | None = None

    def __call__(self, sample: Sample) -> None:
        """Take a sample; nothing is drawn."""
        self._last = sample
        span_s = sample.t_s - self._base.t_s
        if span_s < _SPAN_S:
            return
        before_j = self._subject.footprint(self._base).energy_j
        now_j = self._subject.footprint(sample).energy_j
        power_w = None if before_j is None or now_j is None else (now_j - before_j) / span_s
        self._powers_w.append(power_w)
        self._cpu_percent = 100 * (sample.usage.cpu_s - self._base.usage.cpu_s) / span_s
        self._base = sample

    def beat(self) -> float:
        """Take a sample and draw, as each is due; return when to look again (monotonic seconds)."""
        now_s = self._clock.awake_s()
        early_s = _EARLY_S
        if now_s >= self._sample_due_s - _EARLY_S:
            self._sample_due_s = self._sample()
            if self._sample_due_s - now_s > _SELDOM_S:
                early_s = _WITH_SAMPLE_S  # so that from now on one wake-up does for both
        if now_s >= max(self._not_before_s, self._draw_due_s - early_s):
            self._show()
            self._draw_due_s = max(self._draw_due_s, now_s + _STEP_S)
        due_s = min(self._sample_due_s, self._draw_due_s)
        screen = self._screen
        look_soon = screen is not None and self._faults.guard(screen.keep_out, False)
        return min(due_s, now_s + _LOOK_S) if look_soon else due_s

    def resized(self) -> None:
        """Take the rows away until the size of the terminal has settled."""
        if self._screen is None:
            return
        self._faults.guard(self._screen.resized, None)
        settled_s = self._clock.awake_s() + _SETTLED_S
        self._not_before_s = self._draw_due_s = max(self._not_before_s, settled_s)

    def give_back(self) -> None:
        """Leave the terminal to others until the next beat."""
        if self._screen is not None:
            self._screen.give_back()

    def _show(self) -> None:
        """Draw; after a fault of ours never again."""
        if not self._faults.guard(self._draw, False):
            self._not_before_s = self._draw_due_s = float("inf")
            self.give_back()

    def _draw(self) -> bool:
        """Draw; return whether that will do any good in future."""
        from eco2ai_cli.dashboard import panel

        if self._screen is None:
            self._screen = self._open_screen()
        return self._screen is not None and self._screen.show(
            lambda columns, rows: panel(self.state(), columns, rows)
        )

    def state(self) -> State:
        """Return what there is to show now."""
        from eco2ai_cli.dashboard import State

        sample, (config, place, began, doubts, _) = self._last, self._subject
        used = self._subject.footprint(sample)
        return State(
            elapsed_s=self._clock.elapsed_s() - began.elapsed_s,
            power_w=self._powers_w[-1] if self._powers_w else None,
            powers_w=tuple(self._powers_w),
            energy_j=used.energy_j,
            emissions_kg=used.emissions_kg,
            cost=used.cost,
            currency=config.currency,
            cpu_percent=self._cpu_percent,
            memory_bytes=sample.usage.memory_bytes,
            processes=sample.usage.processes,
            gpus=tuple(_gpu(reading) for reading in sample.of("gpu") if reading.name),
            project=config.project,
            place=place.region.name,
            kg_per_mwh=place.region.kg_per_mwh,
            caveats=tuple(sorted(sample.caveats | place.caveats | doubts(sample))),
            budget=self._budget(),
            forecast=self._forecast(),
            epochs=None if self._prospect is None else self._prospect.progress,
        )

    def _budget(self) -> Budget | None:
        from eco2ai_cli.dashboard import Budget

        fullest = None if self._prospect is None else self._prospect.budget.fullest()
        return None if fullest is None else Budget(*fullest)

    def _forecast(self) -> str | None:
        if self._prospect is None:
            return None
        elapsed_s = self._clock.elapsed_s() - self._subject.began.elapsed_s
        return self._prospect.words(elapsed_s)


def _gpu(reading: Reading) -> Gpu:
    from eco2ai_cli.dashboard import Gpu

    details = reading.details
    return Gpu(
        name=reading.name,
        power_w=reading.power_w,
        utilisation_percent=details.get("utilisation_percent"),
        memory_used_bytes=details.get("memory_used_bytes"),
        temperature_c=details.get("temperature_c"),
    )
