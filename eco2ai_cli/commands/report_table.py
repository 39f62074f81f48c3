"""Show a report as a table, with bars where a terminal has room, and what is to be said to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from eco2ai_cli import caveats, units
from eco2ai_cli.report import Report, Summary
from eco2ai_cli.report.notes import notes, runs

if TYPE_CHECKING:
    from rich.table import Table

_LEAST_WIDTH = 80
_UNLIMITED_WIDTH = 10_000
"""Columns of a line that no terminal folds: a pipe or a file takes it whole."""
_BAR_WIDTH = 12
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show(found: Report) -> None:
    """Print a report on stdout."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    # Squeezed further, rich would cut figures: a narrower terminal had better wrap whole lines.
    narrowest = _LEAST_WIDTH if console.is_terminal else _UNLIMITED_WIDTH
    console.width = max(console.width, narrowest)
    table = _table(found, with_rules=console.is_terminal, with_bars=False)
    if console.is_terminal and found.groups:
        with_bars = _table(found, with_rules=True, with_bars=True)
        if console.measure(with_bars).maximum <= console.width:
            table = with_bars
    console.print(table)
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


def _table(found: Report, *, with_rules: bool, with_bars: bool) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    total = _figures(found.total)
    columns = [name for name in total if name != "cost" or found.total.cost]
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
        table.add_column(name, Text(total[name]), justify="right", no_wrap=True)
    if with_bars:
        table.add_column("energy", width=_BAR_WIDTH, no_wrap=True)
    most_kwh = max((summary.energy_kwh or 0.0 for _, summary in found.groups), default=0.0)
    for labels, summary in found.groups:
        figures = _figures(summary)
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
        "runs": str(summary.runs),
        "failed": str(summary.failed_runs),
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
