"""Print a table: drawn by rich on a terminal, plain aligned text everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import click


def echo_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str], fold: str
) -> None:
    """Print `rows` on stdout under `header`.

    The columns named in `right` hold numbers; on a narrow terminal the column `fold` is folded.
    """
    if sys.stdout.isatty():
        _draw(header, rows, right, fold)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def _draw(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str], fold: str
) -> None:
    # rich takes longer to import than most tables take to make.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in header:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name != fold,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
