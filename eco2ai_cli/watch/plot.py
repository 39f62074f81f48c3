"""Draw power over time with blocks, for any size. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise, zip_longest

from eco2ai_cli.dashboard import BARS, Line, Span
from eco2ai_cli.watch.power import History, Stretch, mean_w

_WINDOWS_S = (60, 120, 300, 600, 1200, 1800, 3600, *(3600 * hours for hours in (2, 4, 8, 12, 24)))
"""What a plot goes back: the shortest of these that holds all that is known, later whole days."""
_DAY_S = 86400
_TOPS = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
"""What is easy to divide by 4 or 5."""
_DIVISIONS = (5, 4, 2, 1)
_GUTTER = 8
"""Columns left of the axis of power: a blank and `1.25 kW`."""
SHADES = 4
"""The bars have roles of their own, `spark1` at the foot to `spark4`."""
_SHADE = "░"
_LEAST_BETWEEN = 3
"""Rows from one label to the next, at least."""
_UNITS = ((1e6, "MW"), (1e3, "kW"), (1.0, "W"), (1e-3, "mW"))


def plot(history: History, columns: int, rows: int, window_s: float | None = None) -> list[Line]:
    """Return at most `rows` lines of at most `columns` columns: bars, axes, what they count.

    The axis of power begins at 0; the right end is the last moment that is known, and the left one
    `window_s` before it; None: as far back as is known. Of what was before, the mean is shaded.
    Too small a place has no lines.
    """
    height, count = rows - 2, columns - _GUTTER - 1
    if height < 1 or count < 8:
        return []
    if height > 5:
        height -= height % 2  # so that the middle is a row
    stretches = history.stretches
    window_s = window_s or window(stretches)
    end_s = stretches[-1].to_s if stretches else history.base.awake_s
    span_s = end_s - window_s, end_s
    values = resampled(stretches, *span_s, count)
    means = resampled((history.before,) if history.before else (), *span_s, count)
    means = [None if v is not None else mean for v, mean in zip(values, means, strict=True)]
    known = [value for value in (*values, *means) if value is not None]
    top_w = ceiling(max(known, default=0.0))
    drawn = bars(values, top_w, height, means)
    labels = axis_labels(top_w, height) if known else [""] * (height + 1)
    lines: list[Line] = [
        (Span(_gutter(label, "┤" if label else "│"), "label"), Span(bar, _shade(row, height)))
        for row, (label, bar) in enumerate(zip(labels, drawn, strict=False))
    ]
    return [
        *lines,
        (Span(_gutter(labels[-1], "└") + "─" * count, "label"),),
        (Span(" " * (_GUTTER + 1) + _ages(window_s, count, shaded=any(means)), "label"),),
    ]


def window(stretches: Sequence[Stretch]) -> float:
    """Return how many seconds a plot of all that is known goes back."""
    known_s = stretches[-1].to_s - stretches[0].from_s if stretches else 0.0
    days_s = math.ceil(known_s / _DAY_S) * _DAY_S
    return next((float(length_s) for length_s in _WINDOWS_S if length_s >= known_s), days_s)


def zoomed(window_s: float | None, stretches: Sequence[Stretch], step: int) -> float | None:
    """Return the window that is so many steps longer (shorter: negative) than `window_s`.

    None, as for `plot`, is the longest that there is a use for.
    """
    longest_s = window(stretches)
    lengths_s = [length_s for length_s in _WINDOWS_S if length_s < longest_s]
    number = len(lengths_s) if window_s is None else bisect.bisect_left(lengths_s, window_s)
    number = max(0, number + step)
    return lengths_s[number] if number < len(lengths_s) else None


def resampled(
    stretches: Sequence[Stretch], from_s: float, to_s: float, count: int
) -> list[float | None]:
    """Return the mean power in `count` equal parts of a time; None where nothing is known."""
    step_s = (to_s - from_s) / count
    edges_s = [from_s + number * step_s for number in range(count + 1)]
    values: list[float | None] = []
    first = 0
    for start_s, end_s in pairwise(edges_s):
        while first < len(stretches) and stretches[first].to_s <= start_s:
            first += 1
        last = first
        while last < len(stretches) and stretches[last].from_s < end_s:
            last += 1
        values.append(mean_w(stretches[first:last], start_s, end_s))
    return values


def bars(
    values: Sequence[float | None], top: float, height: int, means: Sequence[float | None] = ()
) -> list[str]:
    """Draw values as bars of `height` rows, `top` being full; return the rows, the highest first.

    What is more than zero has an eighth of a row at least; None is a gap, or shaded up to what it
    has in `means`.
    """
    columns = []
    for value, mean in zip_longest(values, means):
        shown = mean if value is None else value
        level = 0.0 if shown is None else min(1.0, shown / top) * height
        if value is None:
            bar = _SHADE * round(level)
        else:
            full, eighths = divmod(max(round(8 * level), 1 if value > 0 else 0), 8)
            bar = BARS[-1] * full + BARS[:eighths][-1:]
        columns.append(bar.ljust(height))
    return ["".join(row) for row in zip(*columns, strict=True)][::-1]


def ceiling(highest: float) -> float:
    """Return the end of an axis that holds `highest`: a number that is easy to divide."""
    if highest <= 0 or not math.isfinite(highest):
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(highest))
    return next(top * power for top in (*_TOPS, 20) if top * power >= highest)


def axis_labels(top_w: float, height: int) -> list[str]:
    """Return the labels of the upper edges of `height` rows, and that of the axis, which is 0."""
    parts = next(
        n for n in _DIVISIONS if n == 1 or (height % n == 0 and height // n >= _LEAST_BETWEEN)
    )
    factor, unit = next((u for u in _UNITS if top_w >= u[0]), _UNITS[-1])
    labels = [""] * (height + 1)
    for part in range(parts + 1):
        labels[part * height // parts] = f"{top_w * (parts - part) / parts / factor:g} {unit}"
    return labels


def _shade(row: int, height: int) -> str:
    """Return the role of a row: the higher, the brighter."""
    return f"spark{SHADES * (height - 1 - row) // height + 1}"


def _gutter(label: str, axis: str) -> str:
    return f"{label:>{_GUTTER}}{axis}"


def _ages(window_s: float, columns: int, *, shaded: bool) -> str:
    """Write what the left end, the middle and the right end of the axis of time are."""
    left, middle, right = f"{_age(window_s)} ago", _age(window_s / 2), "now"
    left += f"   {_SHADE} mean before" if shaded else ""
    half = max(0, columns // 2 - len(left) - len(middle) // 2)
    if half < 3:
        return f"{left}{right:>{columns - len(left)}}"
    text = left + " " * half + middle
    return f"{text}{right:>{columns - len(text)}}"


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    if seconds < 7200:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:g} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:g} d"
