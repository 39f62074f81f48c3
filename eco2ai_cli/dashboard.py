"""Lay out what a run has used so far in a few rows, for any width. Pure: no terminal in here."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from eco2ai_cli import units

BARS = "▁▂▃▄▅▆▇█"
_WIDE = 60
"""From so many columns on, things stand further apart."""
_SPARKLINE = (8, 48)
"""The least and the most columns of the sparkline."""


class Gpu(NamedTuple):
    """One GPU at this moment; None is what its driver does not say."""

    name: str | None
    power_w: float | None
    utilisation_percent: float | None = None
    memory_used_bytes: float | None = None
    temperature_c: float | None = None


class Budget(NamedTuple):
    """How much of a budget is used, as a share (1.0: all of it), and the same in words."""

    used: float
    words: str


class State(NamedTuple):
    """All that the panel shows; None: not known, or (cost, budget, forecast) not asked for.

    `powers_w`: the power of the last moments, the oldest first. `cpu_percent`: 100 is one hardware
    thread. `place`: the region in words. Energy, emissions and cost are those at the facility's
    socket. `epochs`: how many are over (of how many).
    """

    elapsed_s: float
    power_w: float | None
    powers_w: tuple[float | None, ...]
    energy_j: float | None
    emissions_kg: float | None
    cost: float | None
    currency: str | None
    cpu_percent: float | None
    memory_bytes: float | None
    processes: int
    gpus: tuple[Gpu, ...]
    project: str
    place: str
    kg_per_mwh: float
    caveats: tuple[str, ...]
    budget: Budget | None = None
    forecast: str | None = None
    epochs: str | None = None


class Span(NamedTuple):
    """A piece of a line; `role` is `rule`, `label`, `figure`, `spark`, `doubt` or "" (plain)."""

    text: str
    role: str = ""


Line = tuple[Span, ...]


def panel(state: State, columns: int, rows: int) -> list[Line]:
    """Return at most `rows` lines of at most `columns` columns: what matters most is kept."""
    if rows < 1 or columns < 1:
        return []
    if rows < 3:
        power, *others = _figures(state, bars=columns // 5 if columns >= _WIDE else 0)
        elapsed = (Span(_elapsed(state), "label"),)
        return _flow([power, *others[:2], elapsed, *others[2:], *_usage(state)], columns)[:1]
    least, most = _SPARKLINE
    figures = _figures(state, bars=min(most, max(least, columns // 5)))
    blocks = [_flow(items, columns) for items in (figures, _prospects(state), _usage(state))]
    notes = _notes(state, columns)
    room = rows - 1 - len(notes) - sum(map(len, blocks))
    blocks += [_gpus(state.gpus, columns, max(1, room)), notes]
    return [_headline(state, columns), *_trimmed(blocks, rows - 1)]


def sparkline(values: Sequence[float | None], columns: int) -> str:
    """Draw the last `columns` values as bars, the highest of them being full; None is a gap."""
    recent = values[-columns:] if columns > 0 else ()
    highest = max((value for value in recent if value is not None), default=0.0) or 1.0
    return "".join(
        " " if value is None else BARS[round(max(0.0, value) / highest * (len(BARS) - 1))]
        for value in recent
    )


def width(text: str) -> int:
    """Return the columns that `text` takes on a terminal; never less than it takes."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def cut(text: str, columns: int) -> str:
    """Return `text`, or as much of it as `columns` hold with `…` behind."""
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += _character_width(character)
        if used > columns - 1:
            break
        kept += character
    return kept + "…" if columns > 0 else ""


def printable(text: str) -> str:
    """Return a text of others without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def _character_width(character: str) -> int:
    # A variation selector widens the sign before it (U+FE0F); joiners and marks take no room.
    if character == "\ufe0f":
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _figures(state: State, bars: int) -> list[Line]:
    """Return power with a sparkline of `bars` columns, energy, emissions and cost."""
    items = [
        (
            Span(f"{_or_unknown(state.power_w, units.format_power, 'W'):<9}", "figure"),
            Span(f"{sparkline(state.powers_w, bars):<{bars}}", "spark"),
        ),
        (Span(f"{_or_unknown(state.energy_j, units.format_energy, 'Wh'):<8}", "figure"),),
        (
            Span(f"{_or_unknown(state.emissions_kg, units.format_mass, 'g')} ", "figure"),
            Span("CO2", "label"),
        ),
    ]
    if state.cost is not None:
        items.append((Span(units.format_money(state.cost, state.currency), "figure"),))
    return items


def _prospects(state: State) -> list[Line]:
    items: list[Line] = []
    if state.budget is not None:
        full = min(10, max(0, int(10 * state.budget.used)))
        bar = Span("█" * full + "░" * (10 - full) + " ", "spark")
        items.append((Span("budget ", "label"), bar, Span(printable(state.budget.words))))
    if state.forecast is not None:
        items.append((Span("forecast ", "label"), Span(printable(state.forecast))))
    elif state.epochs is not None:  # a forecast begins with them
        items.append((Span("epochs ", "label"), Span(state.epochs)))
    return items


def _usage(state: State) -> list[Line]:
    cpu = "?" if state.cpu_percent is None else f"{state.cpu_percent:,.0f}"
    processes = "process" if state.processes == 1 else "processes"
    memory = _or_unknown(state.memory_bytes, units.format_bytes, "GB")
    return [
        (Span("CPU ", "label"), Span(f"{cpu + ' %':<6}")),
        (Span("memory ", "label"), Span(f"{memory:<7}")),
        (Span(f"{state.processes:,} "), Span(processes, "label")),
    ]


def _gpus(gpus: Sequence[Gpu], columns: int, rows: int) -> list[Line]:
    """Describe each GPU in the most detail that `rows` lines hold, else all of them together."""
    for detail in (3, 2, 1, 0):
        numbers = [str(number) if len(gpus) > 1 else "" for number in range(len(gpus))]
        items = [_gpu(gpu, f"GPU{n}", detail) for gpu, n in zip(gpus, numbers, strict=True)]
        lines = _flow(items, columns)
        if len(lines) <= rows and all(_line_width(item) < columns for item in items):
            return lines
    return _flow([_gpu(_together(gpus), f"{len(gpus)} GPUs", detail=2)], columns)


def _gpu(gpu: Gpu, label: str, detail: int) -> Line:
    """Describe one GPU, from 0 (its power) to 3 (all that is known)."""
    name = printable(gpu.name or "").removeprefix("NVIDIA ") if detail == 3 else ""
    figures = [f"{_or_unknown(gpu.power_w, units.format_power, 'W'):<6}"]
    if gpu.utilisation_percent is not None and detail > 0:
        figures.append(f"{gpu.utilisation_percent:3.0f} %")
    if gpu.memory_used_bytes is not None and detail > 1:
        figures.append(f"{units.format_bytes(gpu.memory_used_bytes):<7}")
    if gpu.temperature_c is not None and detail > 1:
        figures.append(f"{gpu.temperature_c:.0f} °C")
    label = " ".join(part for part in (label, cut(name, 24)) if part)
    return (Span(f"{label} ", "label"), Span(" ".join(figures)))


def _together(gpus: Sequence[Gpu]) -> Gpu:
    """Return the sums of power and memory, the mean utilisation and the highest temperature."""

    def known(values: Iterable[float | None]) -> list[float]:
        listed = [value for value in values if value is not None]
        return listed if len(listed) == len(gpus) else []

    powers = known(gpu.power_w for gpu in gpus)
    utilisations = known(gpu.utilisation_percent for gpu in gpus)
    memories = known(gpu.memory_used_bytes for gpu in gpus)
    temperatures = known(gpu.temperature_c for gpu in gpus)
    return Gpu(
        name=None,
        power_w=sum(powers) if powers else None,
        utilisation_percent=sum(utilisations) / len(gpus) if utilisations else None,
        memory_used_bytes=sum(memories) if memories else None,
        temperature_c=max(temperatures, default=None),
    )


def _notes(state: State, columns: int) -> list[Line]:
    if not state.caveats:
        return []
    return _flow([(Span("note ", "label"), Span(", ".join(state.caveats), "doubt"))], columns)


def _headline(state: State, columns: int) -> Line:
    """Return a rule that holds our name and, as far as there is room, project, place and time."""
    elapsed = _elapsed(state)
    intensity = f"{printable(state.place)} {state.kg_per_mwh:g} kg/MWh"
    left, right = ["eco2ai"], [elapsed]
    for side, text in ((right, cut(intensity, 48)), (left, cut(printable(state.project), 32))):
        if text and _rule_width([text, *left, *right]) < columns:
            side.insert(0 if side is right else len(side), text)
    fill = columns - _rule_width([*left, *right])
    if fill < 0:
        return (Span(cut(f" {elapsed}", columns), "label"),)
    spans = [Span("──", "rule")]
    for text in left:
        spans += [Span(f" {text} ", "label"), Span("──", "rule")]
    spans.append(Span("─" * fill, "rule"))
    for text in right:
        spans += [Span(f" {text} ", "label"), Span("──", "rule")]
    return tuple(spans)


def _rule_width(texts: Sequence[str]) -> int:
    return 2 + sum(width(text) + 4 for text in texts)


def _flow(items: Iterable[Line], columns: int) -> list[Line]:
    """Set `items` side by side, indented by one, on as many lines as they need."""
    lines: list[list[Span]] = []
    used = columns
    gap = 3 if columns >= _WIDE else 2
    for item in items:
        needed = _line_width(item)
        if lines and used + gap + needed <= columns:
            lines[-1] += [Span(" " * gap), *item]
            used += gap + needed
        else:
            lines.append([Span(" "), *_cut_line(item, columns - 1)])
            used = 1 + min(needed, columns - 1)
    return [tuple(line) for line in lines]


def _line_width(line: Line) -> int:
    return sum(width(span.text) for span in line)


def _cut_line(line: Line, columns: int) -> Line:
    if _line_width(line) <= columns:
        return line
    spans, room = [], columns
    for span in line:
        spans.append(Span(cut(span.text, room), span.role))
        room -= width(spans[-1].text)
        if spans[-1].text != span.text or room <= 0:
            break
    return tuple(spans)


def _trimmed(blocks: Sequence[list[Line]], rows: int) -> Iterable[Line]:
    """Leave out the second and further lines of blocks, from the last back, then whole blocks."""
    heights = [len(block) for block in blocks]
    for least in (1, 0):
        for index in reversed(range(len(blocks))):
            while sum(heights) > rows and heights[index] > least:
                heights[index] -= 1
    for block, height in zip(blocks, heights, strict=True):
        yield from block[:height]


def _elapsed(state: State) -> str:
    whole_s = int(state.elapsed_s)
    return units.format_duration(whole_s) if whole_s >= 60 else f"{whole_s} s"


def _or_unknown(value: float | None, write: Callable[[float], str], unit: str) -> str:
    return f"? {unit}" if value is None else write(value)
