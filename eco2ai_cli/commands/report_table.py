"""Show a report as a table, with bars where a terminal has room, and what is to be said to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from eco2ai_cli import caveats, units
from eco2ai_cli.report import Report, Summary
from eco2ai_cli.report.notes import notes, runs

if TYPE_CHECKING:
    from rich.table import Table

_LEFT_OUT = ("duration",), ("duration", "failed")
"""Columns that a narrow terminal has no room for."""
_UNLIMITED_WIDTH = 10_000
"""Columns of a line that no terminal folds: a pipe or a file takes it whole."""
_BAR_WIDTH = 12
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show(found: Report) -> None:
    """Print a report on stdout."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    columns = console.width if console.is_terminal else _UNLIMITED_WIDTH
    console.width = _UNLIMITED_WIDTH
    for without in ((), *_LEFT_OUT):
        table = _table(found, with_rules=console.is_terminal, without=without)
        # Squeezed further, rich would cut figures: a narrower terminal had better wrap whole lines.
        narrowest = console.measure(table).minimum
        if narrowest <= columns:
            break
    if console.is_terminal and found.groups:
        with_bars = _table(found, with_rules=True, with_bars=True)
        if console.measure(with_bars).maximum <= columns:
            table = with_bars
    console.width = max(columns, narrowest)
    console.print(table)
    console.width = columns
    said = list(notes(found.total))
    if said or found.total.caveats:
        console.print()
    for note in said:
        console.print(Text(note))
    if found.total.caveats:
        console.print(_caveats(found.total))


def printable(name: str) -> str:
    """Return `name` with control characters escaped: what a file says must not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _table(
    found: Report, *, with_rules: bool, with_bars: bool = False, without: Sequence[str] = ()
) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    total, *rows = (_figures(summary) for summary in (found.total, *(s for _, s in found.groups)))
    columns = [name for name in total if name not in without]
    if not found.total.cost:
        columns.remove("cost")
    table = Table(
        box=SIMPLE_HEAD if with_rules else None,
        padding=(0, 1 if with_rules else 2, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_footer=True,
    )
    for number, name in enumerate(found.by):
        table.add_column(name, "" if number else "total", overflow="fold", min_width=8)
    for name in columns:
        lines = [line for row in (total, *rows) for line in row[name].split("\n")]
        width = max(map(cell_len, [name, *lines]))
        table.add_column(name, Text(total[name]), justify="right", no_wrap=True, min_width=width)
    if with_bars:
        table.add_column("energy", width=_BAR_WIDTH, no_wrap=True)
    most_kwh = max((summary.energy_kwh or 0.0 for _, summary in found.groups), default=0.0)
    for (labels, summary), figures in zip(found.groups, rows, strict=True):
        names = ["(no name)" if label is None else printable(label) for label in labels]
        bar = [_bar((summary.energy_kwh or 0.0) / (most_kwh or 1.0))] if with_bars else []
        table.add_row(*map(Text, [*names, *(figures[column] for column in columns), *bar]))
    return table


def _bar(share: float) -> str:
    """Draw a share of 1 as a bar, to an eighth of a column."""
    whole, eighths = divmod(round(share * _BAR_WIDTH * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _figures(summary: Summary) -> dict[str, str]:
    costs = (units.format_money(cost, currency) for currency, cost in summary.cost.items())
    return {
        "runs": f"{summary.runs:,}",
        "failed": f"{summary.failed_runs:,}",
        "duration": _known(summary.duration_s, units.format_duration),
        "energy": _known(summary.energy_kwh, lambda kwh: units.format_energy(units.joules(kwh))),
        "CO2": _known(summary.emissions_kg, units.format_mass),
        "cost": "\n".join(printable(cost) for cost in costs),
    }


def _known(value: float | None, write: Callable[[float], str]) -> str:
    return "unknown" if value is None else write(value)


def _caveats(total: Summary) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for word, count in total.caveats.items():
        grid.add_row(runs(count), Text(printable(word)), Text(caveats.sentence(word)))
    return grid
