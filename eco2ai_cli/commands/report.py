"""`eco2ai report`: sum ledgers up, by project and in total."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from eco2ai_cli import caveats, units
from eco2ai_cli.ledger.reader import Skipped, read
from eco2ai_cli.report import Report, Summary, summarise, to_json

if TYPE_CHECKING:
    from rich.table import Table

_DEFAULT_LEDGER = "emission.csv"
_SKIPPED_ROWS_SHOWN = 5
_LEAST_WIDTH = 80
_UNLIMITED_WIDTH = 10_000
"""Columns of a line that no terminal folds: a pipe or a file takes it whole."""


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def report(files: tuple[str, ...], as_json: bool) -> None:
    """Sum ledgers up: runs, duration, energy, emissions and cost by project, and a total.

    FILE is a ledger of ours or of eco2AI, `emission.csv` by default. All rows of one run count
    as one, and a run that was started inside another counts as part of that. Rows that cannot
    be trusted are named and skipped.
    """
    paths = files or (_DEFAULT_LEDGER,)
    found = summarise(entry for path in paths for entry in read(path))
    if as_json:
        import json

        click.echo(json.dumps(to_json(found), indent=2, allow_nan=False))
        return
    for line in _warnings(found.skipped):
        click.echo(f"eco2ai: warning: {line}", err=True)
    if found.total.rows:
        _show(found)
    else:
        click.echo(f"no runs in {', '.join(f'`{path}`' for path in paths)}", err=True)


def _warnings(skipped: Sequence[Skipped]) -> Iterator[str]:
    for row in skipped[:_SKIPPED_ROWS_SHOWN]:
        yield _printable(f"skipped the row at line {row.line} of `{row.file}`: {row.reason}")
    more = len(skipped) - _SKIPPED_ROWS_SHOWN
    if more > 0:
        yield f"skipped {more} more rows; `--json` names them all"


def _show(found: Report) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    # Squeezed further, rich would cut figures: a narrower terminal had better wrap whole lines.
    narrowest = _LEAST_WIDTH if console.is_terminal else _UNLIMITED_WIDTH
    console.width = max(console.width, narrowest)
    console.print(_table(found, with_rules=console.is_terminal))
    notes = list(_notes(found.total))
    if notes or found.total.caveats:
        console.print()
    for note in notes:
        console.print(note)
    if found.total.caveats:
        console.print(_caveats(found.total))


def _table(found: Report, *, with_rules: bool) -> Table:
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
    table.add_column("project", "total", overflow="fold", min_width=8)
    for name in columns:
        table.add_column(name, Text(total[name]), justify="right", no_wrap=True)
    for project, summary in found.by_project:
        figures = _figures(summary)
        name = "(no name)" if project is None else _printable(project)
        table.add_row(Text(name), *(Text(figures[column]) for column in columns))
    return table


def _figures(summary: Summary) -> dict[str, str]:
    costs = (units.format_money(cost, currency) for currency, cost in summary.cost.items())
    return {
        "runs": str(summary.runs),
        "failed": str(summary.failed_runs),
        "duration": _known(summary.duration_s, units.format_duration),
        "energy": _known(summary.energy_kwh, lambda kwh: units.format_energy(units.joules(kwh))),
        "CO2": _known(summary.emissions_kg, units.format_mass),
        "cost": "\n".join(_printable(cost) for cost in costs),
    }


def _known(value: float | None, write: Callable[[float], str]) -> str:
    return "unknown" if value is None else write(value)


def _notes(total: Summary) -> Iterator[str]:
    if total.failed_energy_kwh and total.energy_kwh:
        percent = 100 * total.failed_energy_kwh / total.energy_kwh
        yield f"{percent:.0f} % of the energy went into {_runs(total.failed_runs)} that failed"
    if total.nested_runs:
        yield f"{_runs(total.nested_runs)} inside others, counted there"


def _caveats(total: Summary) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for word, count in total.caveats.items():
        grid.add_row(_runs(count), Text(_printable(word)), Text(caveats.sentence(word)))
    return grid


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _printable(name: str) -> str:
    """Return `name` with control characters escaped: what a file says must not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
