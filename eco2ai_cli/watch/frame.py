"""Lay the runs under way out on a terminal of any size. Pure: no terminal in here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from eco2ai_cli import units
from eco2ai_cli.dashboard import (
    BARS,
    Budget,
    Gpu,
    Line,
    Span,
    cut,
    printable,
    sparkline,
    width,
)
from eco2ai_cli.watch.members import Member
from eco2ai_cli.watch.plot import plot
from eco2ai_cli.watch.power import History, Stretch
from eco2ai_cli.watch.runs import LiveRun
from eco2ai_cli.watch.tables import bar, costs, cut_line, gpus, processes, usage

_IN_ASCII = str.maketrans(f"{BARS}░─│┤└▸↑↓…·×µ°", "._-=+*##.-|++>^v..xu ")
_SIDE_BY_SIDE = 120
"""From so many columns on the processes stand beside the costs."""
_COSTS_COLUMNS = 64
_LEAST_PLOT = 4
_MOST_NOTES = 2
_STILL_S = 5.0
"""A run that has had no sample for so long, and for twice its interval, is said to stand still."""
MOST_MEMBERS = 24
"""More processes than the tallest frame shows."""


class Watched(NamedTuple):
    """A run as it is shown: with its power so far, and its processes if it is the chosen one.

    `elapsed_s`: since its start; `idle_s`: since its last sample. `gpus`: None where they cannot
    be looked at. `budget`, `forecast`, `epochs` (that are over): None where there is none.
    """

    run: LiveRun
    history: History
    elapsed_s: float
    idle_s: float
    members: tuple[Member, ...] = ()
    processes: int = 0
    gpus: tuple[Gpu, ...] | None = None
    budget: Budget | None = None
    forecast: str | None = None
    epochs: str | None = None


def frame(
    watched: Sequence[Watched],
    chosen: int,
    columns: int,
    rows: int,
    *,
    foot: str = "",
    window_s: float | None = None,
) -> list[Line]:
    """Return at most `rows` lines of at most `columns` columns.

    Of several runs there is a list, and the one of number `chosen` is shown below it. `window_s`:
    how far its plot goes back; None: as far as is known.
    """
    if columns < 1 or rows < 1:
        return []
    last: list[Line] = [(Span(cut(f" {foot}", columns), "label"),)] if foot and rows > 3 else []
    top = _listed(watched, chosen, columns, rows // 4) if len(watched) > 1 else []
    top.append(_headline(watched[chosen], columns))
    body = _body(watched[chosen], columns, rows - len(top) - len(last), window_s)
    return [*(top + body)[: rows - len(last)], *last]


def encodable(text: str, encoding: str) -> str:
    """Return `text` as far as a stream of that encoding can show it."""
    if encoding.lower() in ("utf-8", "utf8"):
        return text
    return text.translate(_IN_ASCII).encode(encoding, "replace").decode(encoding)


def _body(shown: Watched, columns: int, rows: int, window_s: float | None) -> list[Line]:
    """Return the command, the plot, the costs, the processes and the notes, as far as they fit."""
    stretches = shown.history.stretches
    beside = columns >= _SIDE_BY_SIDE
    table = _table(shown, _COSTS_COLUMNS if beside else columns, rows)
    notes = _notes(shown, columns)
    room = rows - len(table)
    if room <= len(notes):
        if len(table) > 1:
            spare = columns - sum(width(span.text) for span in table[1])
            table[1] = (*table[1], *_power_line(stretches, spare))
        return [*table, *notes][: max(0, rows)]
    room -= len(notes)
    command: list[Line] = [(Span(cut(f" {printable(shown.run.command)}", columns)),)]
    command = command if room > 1 else []
    room -= len(command)
    under: list[Line] = []
    if beside:
        most = len(table) + max(0, room - 2 * len(table)) // 3
        right = processes(shown.members, shown.processes, columns - _COSTS_COLUMNS - 2, most)
        room -= max(0, len(right) - len(table))
        table = _beside(table, right, _COSTS_COLUMNS)
    elif room >= _LEAST_PLOT + 4:
        most = min(1 + MOST_MEMBERS, max(3, room // 3))
        under = processes(shown.members, shown.processes, columns, most)
        room -= len(under)
    drawn = plot(shown.history, columns, room, window_s) if room >= _LEAST_PLOT else []
    drawn = drawn or [_power_line(stretches, columns)]
    if under:
        most = len(under) + room - len(drawn)
        room += len(under)
        under = processes(shown.members, shown.processes, columns, most)
        room -= len(under)
    blank: list[Line] = [()] * max(0, room - len(drawn))
    return [*command, *drawn, *table, *under, *blank, *notes]


def _table(shown: Watched, columns: int, rows: int) -> list[Line]:
    """Return what the run uses, by component and GPU, and where that leads."""
    run, history = shown.run, shown.history
    lines = costs(run, history.pace, history.stretches, columns, name_gpus=not shown.gpus)
    lines += gpus(shown.gpus or (), columns, max(1, rows // 4))
    used = ""
    for part in usage(run, history.pace):
        if width(used) + width(part) + 2 <= columns:
            used += f"  {part}" if used else f" {part}"
    lines.append((Span(used, "label"),))
    if shown.budget is not None:
        words = f"  {printable(shown.budget.words)}"
        used_bar = Span(bar(shown.budget.used), "spark")
        lines.append(cut_line((Span(" budget ", "label"), used_bar, Span(words)), columns))
    label, ahead = "forecast", shown.forecast  # which begins with the epochs
    if ahead is None:
        label, ahead = "epochs", shown.epochs
    if ahead is not None:
        words = printable(ahead)
        lines.append(cut_line((Span(f" {label} ", "label"), Span(words)), columns))
    return lines


def _power_line(stretches: Sequence[Stretch], columns: int) -> Line:
    """Return the last powers, where there is no room for a plot."""
    powers_w = [stretch.power_w for stretch in stretches[-columns:]] if columns > 2 else []
    return (Span("  "), Span(sparkline(powers_w, columns - 2), "spark")) if powers_w else ()


def _listed(watched: Sequence[Watched], chosen: int, columns: int, rows: int) -> list[Line]:
    """Return one line a run, so many at most that the chosen one is among them."""
    rows = max(1, min(rows, len(watched)))
    first = min(max(0, chosen - rows // 2), len(watched) - rows)
    lines: list[Line] = []
    projects = [cut(printable(entry.run.project), 16) for entry in watched]
    broadest = max(map(width, projects))
    for number in range(first, first + rows):
        entry = watched[number]
        pace = entry.history.pace
        power_w = pace.power_w if pace else None
        mark = "▸" if number == chosen else " "
        figures = (
            f"{mark}{entry.run.id[:8]} {_short(entry.elapsed_s):>11}"
            f" {_power(power_w):>8}  {projects[number]}"
            + " "
            * (broadest - width(projects[number]))
        )
        text = cut(f"{figures}  {printable(entry.run.command)}", columns)
        lines.append((Span(text, "chosen" if number == chosen else ""),))
    return lines


def _headline(shown: Watched, columns: int) -> Line:
    """Return a rule that holds, as far as there is room, who, where and how long."""
    run, cells = shown.run, shown.run.cells
    place = str(cells.get("region/country") or "")
    intensity = cells.get("carbon_intensity(kg/MWh)")
    if isinstance(intensity, float | int):
        place += f" {intensity:g} kg/MWh"
        place += f" ({cells['intensity_year']})" if cells.get("intensity_year") else ""
    pue = cells.get("pue")
    pue_words = f"PUE {pue:g}" if isinstance(pue, float | int) and pue != 1 else ""
    left = [("eco2ai watch", 0), (cut(printable(run.project), 32), 3), (run.id[:8], 5)]
    right = [(printable(place), 2), (pue_words, 4), (_short(shown.elapsed_s), 1)]
    for rank in range(max(rank for _, rank in left + right), -1, -1):
        texts = [text for text, at in left + right if text and at <= rank]
        fill = columns - 2 - sum(width(text) + 4 for text in texts)
        if fill >= 0:
            break
    else:
        return (Span(cut(f" {_short(shown.elapsed_s)}", columns), "label"),)
    spans = [Span("──", "rule")]
    for side, gap in ((left, "─" * fill), (right, "")):
        for text, at in side:
            if text and at <= rank:
                spans += [Span(f" {text} ", "label"), Span("──", "rule")]
        spans.append(Span(gap, "rule"))
    return tuple(spans)


def _notes(shown: Watched, columns: int) -> list[Line]:
    words = list(shown.run.caveats)
    last = shown.run.samples[-1]
    interval_s = last.awake_s / max(1, last.samples)
    if shown.idle_s > max(_STILL_S, 2 * interval_s):
        words.insert(0, f"no sample for {units.format_duration(shown.idle_s)}")
    if not words:
        return []
    lines = textwrap.wrap("note " + ", ".join(words), max(8, columns - 1), break_on_hyphens=False)
    if len(lines) > _MOST_NOTES:
        lines = [*lines[: _MOST_NOTES - 1], cut(f"{lines[_MOST_NOTES - 1]} …", columns - 1)]
    return [(Span(cut(f" {line}", columns), "doubt"),) for line in lines]


def _beside(left: Sequence[Line], right: Sequence[Line], columns: int) -> list[Line]:
    lines: list[Line] = []
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else ()
        other = right[number] if number < len(right) else ()
        blank = " " * (columns - sum(width(span.text) for span in one) + 2)
        lines.append((*one, Span(blank), *other) if other else one)
    return lines


def _power(watts: float | None) -> str:
    return "? W" if watts is None else units.format_power(watts)


def _short(seconds: float) -> str:
    whole_s = max(0, int(seconds))
    return units.format_duration(whole_s) if whole_s >= 60 else f"{whole_s} s"
