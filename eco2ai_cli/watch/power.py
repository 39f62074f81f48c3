"""Tell how fast a run uses energy: by two samples of it, over all the time that it is watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from eco2ai_cli.journal.layout import Figures
from eco2ai_cli.model import Energy
from eco2ai_cli.watch.runs import LiveRun

LEAST_S = 0.7
"""CPU time and energy step: over a shorter time their rates say little."""
RECENT_S = 60.0
"""What an hour and a day would be is told by the mean power of so long."""
_MOST_STRETCHES = 4096
"""More than a terminal has columns. When there are more, two and two become one."""


class Pace(NamedTuple):
    """How fast a run went from one sample to another; None: not known.

    `power_w` is that at the facility's socket, the components are before PUE. `cpu_percent`: 100
    is one hardware thread. `memory_bytes` is the mean.
    """

    power_w: float | None
    cpu_w: float | None
    gpu_w: float | None
    ram_w: float | None
    cpu_percent: float
    memory_bytes: float | None


class Stretch(NamedTuple):
    """The mean power of a time, in seconds since the start of the run; None: not known."""

    from_s: float
    to_s: float
    power_w: float | None


class History(NamedTuple):
    """The power of a run since it is watched: `pace` is the last, `base` the sample after it.

    `before` is the time before `stretches`, of which the mean is known; None where there was none.
    """

    base: Figures
    pace: Pace | None = None
    stretches: tuple[Stretch, ...] = ()
    before: Stretch | None = None


def follow(
    history: History | None, run: LiveRun, past: Callable[[], tuple[Stretch, ...]] = tuple
) -> History:
    """Return the history with the run's last samples; the first of them begins it.

    `past` is asked for what was before, once.
    """
    cell = run.cells.get("pue")
    pue = float(cell) if cell is not None else 1.0
    history = history or _begun(run.samples[0], pue, past())
    base, last = history.base, run.samples[-1]
    if last.awake_s - base.awake_s < LEAST_S:
        return history
    pace = _pace(base, last, pue)
    stretch = Stretch(base.awake_s, last.awake_s, pace.power_w)
    return History(last, pace, _bounded((*history.stretches, stretch)), history.before)


def recent_w(stretches: Sequence[Stretch]) -> float | None:
    """Return the mean power of the last minute, or of as much of it as is known."""
    if not stretches:
        return None
    end_s = stretches[-1].to_s
    return mean_w(stretches, end_s - RECENT_S, end_s)


def mean_w(stretches: Sequence[Stretch], from_s: float, to_s: float) -> float | None:
    """Return the mean power between two moments; None where it is not known at all."""
    joules = known_s = 0.0
    for stretch in reversed(stretches):
        if stretch.to_s <= from_s:
            break
        span_s = min(stretch.to_s, to_s) - max(stretch.from_s, from_s)
        if span_s > 0 and stretch.power_w is not None:
            joules += span_s * stretch.power_w
            known_s += span_s
    return joules / known_s if known_s else None


def _begun(first: Figures, pue: float, past: tuple[Stretch, ...]) -> History:
    stretches = tuple(stretch for stretch in past if stretch.to_s <= first.awake_s)
    total_j = Energy(first.cpu_j, first.gpu_j, first.ram_j).total_j
    if stretches or total_j is None or first.awake_s <= 0:
        return History(first, None, stretches)
    return History(first, before=Stretch(0.0, first.awake_s, pue * total_j / first.awake_s))


def _pace(first: Figures, last: Figures, pue: float) -> Pace:
    span_s = last.awake_s - first.awake_s

    def rate(of: Callable[[Figures], float | None]) -> float | None:
        before, now = of(first), of(last)
        return None if before is None or now is None else (now - before) / span_s

    total_w = rate(lambda figures: Energy(figures.cpu_j, figures.gpu_j, figures.ram_j).total_j)
    return Pace(
        power_w=None if total_w is None else pue * total_w,
        cpu_w=rate(lambda figures: figures.cpu_j),
        gpu_w=rate(lambda figures: figures.gpu_j),
        ram_w=rate(lambda figures: figures.ram_j),
        cpu_percent=100 * (last.cpu_s - first.cpu_s) / span_s,
        memory_bytes=rate(lambda figures: figures.memory_byte_s),
    )


def _bounded(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    if len(stretches) <= _MOST_STRETCHES:
        return stretches
    pairs = zip(stretches[::2], stretches[1::2], strict=False)
    merged = [Stretch(a.from_s, b.to_s, mean_w((a, b), a.from_s, b.to_s)) for a, b in pairs]
    return (*merged, *stretches[len(merged) * 2 :])
