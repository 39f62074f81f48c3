"""Lay out what a run has used, what that would be in a day, its GPUs and processes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eco2ai_cli import units
from eco2ai_cli.dashboard import Gpu, Line, Span, cut, printable, width
from eco2ai_cli.model import COMPONENTS
from eco2ai_cli.watch.members import Member
from eco2ai_cli.watch.power import Pace, Stretch, recent_w
from eco2ai_cli.watch.runs import LiveRun

HOUR_S, DAY_S = 3600.0, 86400.0
_LABEL = 7
_HEADS = ("", "now", "so far", "per hour", "per day")
_LEAST = 9
"""Columns of a figure, so that the table does not move with every digit."""
_BAR = 10
_GPU_BAR_COLUMNS, _GPU_NAME_COLUMNS = 60, 68
"""From so many columns on a GPU has a bar, and its name."""


class Row(NamedTuple):
    """A row of the table of costs: its label, as many figures as it has, what else there is.

    `share`: what of the whole it is.
    """

    label: str
    figures: tuple[str, ...]
    note: str = ""
    share: float | None = None


def costs(
    run: LiveRun,
    pace: Pace | None,
    stretches: Sequence[Stretch],
    columns: int,
    *,
    name_gpus: bool = True,
) -> list[Line]:
    """Return what the run uses now and has used, and an hour and a day at the recent pace.

    The rows: energy, CO2 and, with a price, money, all at the facility's socket; then the
    components before PUE, each with its share of their sum, its method and its device.
    """
    gpu_name = str(run.cells.get("GPU_name") or "") if name_gpus else ""
    rows = [
        Row(_HEADS[0], _HEADS[1:]),
        *_totals(run, pace, stretches),
        *_components(run, pace, gpu_name),
    ]
    widths = [
        max(_LEAST, *(width(row.figures[n]) for row in rows if n < len(row.figures))) + 2
        for n in range(len(_HEADS) - 1)
    ]
    while len(widths) > 2 and _LABEL + sum(widths) > columns:
        widths.pop()
    return [_laid_out(row, widths, columns, is_head=not n) for n, row in enumerate(rows)]


def _totals(run: LiveRun, pace: Pace | None, stretches: Sequence[Stretch]) -> list[Row]:
    rate_w = recent_w(stretches)
    ahead_j = [None if rate_w is None else rate_w * span_s for span_s in (HOUR_S, DAY_S)]
    intensity, price = _number(run, "carbon_intensity(kg/MWh)"), _number(run, "price_per_kwh")
    currency = run.cells.get("currency")

    unit = None if currency is None else str(currency)

    def row(
        label: str, column: str, per_kwh: float, write: Callable[[float], str], now: str = ""
    ) -> Row:
        so_far = _or_unknown(_number(run, column), write)
        ahead = (None if j is None else units.kwh(j) * per_kwh for j in ahead_j)
        return Row(label, (now, so_far, *(_or_unknown(value, write) for value in ahead)))

    now = _or_unknown(pace and pace.power_w, units.format_power)
    rows = [row("total", "power_consumption(kWh)", 1.0, _energy, now)]
    if intensity is not None:
        rows.append(row("CO2", "CO2_emissions(kg)", intensity / 1000, units.format_mass))
    if price is not None:
        rows.append(row("cost", "cost", price, lambda sum_: units.format_money(sum_, unit)))
    return rows


def _components(run: LiveRun, pace: Pace | None, gpu_name: str) -> Iterator[Row]:
    used_kwh = {c: _number(run, f"{c}_energy(kWh)") for c in COMPONENTS}
    all_kwh = sum(kwh for kwh in used_kwh.values() if kwh is not None)
    for component, kwh in used_kwh.items():
        method = run.cells.get(f"{component}_method")
        if method == "none" and not kwh:
            continue
        now_w = getattr(pace, f"{component}_w") if pace else None
        name = gpu_name if component == "gpu" else ""
        yield Row(
            component.upper(),
            (_or_unknown(now_w, units.format_power), _or_unknown(kwh, _energy)),
            "  ".join(printable(str(text)) for text in (method, name) if text),
            kwh / all_kwh if kwh is not None and all_kwh else None,
        )


def _laid_out(row: Row, widths: Sequence[int], columns: int, *, is_head: bool) -> Line:
    cells = zip(row.figures, widths, strict=False)
    text = "".join(" " * (column - width(figure)) + figure for figure, column in cells)
    label = Span(cut(f" {row.label:<{_LABEL - 1}}", columns), "label")
    text = cut(text, columns - _LABEL)
    spans = [label, Span(text, "label" if is_head else "figure")]
    room = columns - _LABEL - width(text)
    if row.share is not None and room >= 7:
        text = "<1" if 0 < row.share < 0.005 else f"{100 * row.share:.0f}"
        spans.append(Span(f"{text:>5} %"))
        room -= 7
        if room >= _BAR + 10:
            spans.append(Span(f" {bar(row.share)}", "spark"))
            room -= _BAR + 1
    note = cut(row.note, room - 2)
    return (*spans, Span(f"  {note}", "label")) if len(note) > 2 else tuple(spans)


def bar(share: float) -> str:
    """Return a bar that is full where `share` is 1."""
    full = min(_BAR, max(0, round(_BAR * share)))
    return "█" * full + "░" * (_BAR - full)


def gpus(listed: Sequence[Gpu], columns: int, rows: int) -> list[Line]:
    """Return a line a GPU, at most `rows`: power, utilisation, memory, temperature, its name."""
    shown = listed if len(listed) <= rows else listed[: max(0, rows - 1)]
    lines: list[Line] = []
    for number, gpu in enumerate(shown):
        busy = gpu.utilisation_percent
        label = f" GPU {number}" if len(listed) > 1 else " GPU"
        figures = (
            "" if gpu.power_w is None else units.format_power(gpu.power_w),
            "" if busy is None else f"{busy:.0f} %",
        )
        spans = [
            Span(f"{label:<{_LABEL}}", "label"),
            Span("".join(f"{text:>{_LEAST + 2}}" for text in figures), "figure"),
        ]
        if columns >= _GPU_BAR_COLUMNS:
            used = " " * _BAR if busy is None else bar(busy / 100)
            spans.append(Span(f" {used}", "spark"))
        memory = gpu.memory_used_bytes
        spans.append(Span(f"{'' if memory is None else units.format_bytes(memory):>9}"))
        spans.append(Span("" if gpu.temperature_c is None else f"{gpu.temperature_c:5.0f} °C"))
        if columns >= _GPU_NAME_COLUMNS:
            name = printable(gpu.name or "").removeprefix("NVIDIA ")
            spans.append(Span(f"   {name}", "label"))
        lines.append(cut_line(spans, columns))
    if len(shown) < len(listed) and rows > 0:
        lines.append((Span(cut(f" and {len(listed) - len(shown)} GPUs more", columns), "label"),))
    return lines


def cut_line(line: Sequence[Span], columns: int) -> Line:
    """Return a line, or as much of it as `columns` hold."""
    spans: list[Span] = []
    for span in line:
        text = cut(span.text, columns)
        spans.append(span._replace(text=text))
        columns -= width(text)
        if text != span.text:
            break
    return tuple(spans)


def processes(members: Sequence[Member], count: int, columns: int, rows: int) -> list[Line]:
    """Return the processes as a table of at most `rows` lines; `count`: how many there are."""
    if rows < 2 or not members:
        return []
    lines: list[Line] = [
        (Span(cut(f"{'PID':>8}{'CPU':>8}{'MEMORY':>10}  COMMAND", columns), "label"),)
    ]
    shown = members[: rows - 1 if count < rows or rows == 2 else rows - 2]
    for member in shown:
        cpu = "" if member.cpu_percent is None else f"{member.cpu_percent:,.0f} %"
        memory = units.format_bytes(member.resident_bytes)
        text = f"{member.pid:>8}{cpu:>8}{memory:>10}  {printable(member.command)}"
        lines.append((Span(cut(text, columns)),))
    if count > len(shown) and rows > 2:
        lines.append((Span(cut(f"{'':8}and {count - len(shown):,} more", columns), "label"),))
    return lines


def usage(run: LiveRun, pace: Pace | None) -> list[str]:
    """Say what the run's processes use now, and what they have used; what matters most first."""
    last = run.samples[-1]
    parts = ["CPU ? %" if pace is None else f"CPU {pace.cpu_percent:,.0f} %"]
    if pace is not None and pace.memory_bytes is not None:
        parts.append(f"memory {units.format_bytes(pace.memory_bytes)}")
    if last.memory_peak_bytes is not None:
        parts.append(f"peak {units.format_bytes(last.memory_peak_bytes)}")
    parts.append(f"CPU time {units.format_duration(last.cpu_s)}")
    used_kwh = _number(run, "power_consumption(kWh)")
    if used_kwh is not None and last.awake_s > 0:
        parts.append(f"mean {units.format_power(units.joules(used_kwh) / last.awake_s)}")
    return parts


def _number(run: LiveRun, column: str) -> float | None:
    value = run.cells.get(column)
    return None if value is None else float(value)


def _energy(kwh: float) -> str:
    return units.format_energy(units.joules(kwh))


def _or_unknown(value: float | None, write: Callable[[float], str]) -> str:
    return "?" if value is None else write(value)
