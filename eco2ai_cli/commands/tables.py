"""Print a table: drawn by rich on a terminal, plain aligned text everywhere else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence

import click


def echo_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str],
    fold: str,
    spare: Sequence[str] = (),
) -> None:
    """Print `rows` on stdout under `header`.

    The columns named in `right` hold numbers. On a narrow terminal the column `fold` is folded,
    and if that is not enough the columns `spare` go, one after the other.
    """
    if sys.stdout.isatty():
        _draw(*_narrowed(header, rows, fold, spare), right, fold)
        return
    widths = _widths(header, rows)
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def echo_text(text: str, *, err: bool = False) -> None:
    """Print a sentence, broken between words on a terminal."""
    if (sys.stderr if err else sys.stdout).isatty():
        import textwrap

        text = textwrap.fill(
            text, shutil.get_terminal_size().columns, break_on_hyphens=False, break_long_words=False
        )
    click.echo(text, err=err)


def echo_fields(fields: Iterable[tuple[str, object]], *, indent: str = "") -> None:
    """Print names and values in two columns; values are folded in theirs, at 80 in a file."""
    lines = [(indent + name, str(value)) for name, value in fields]
    width = max(len(name) for name, _ in lines) + 2
    columns = shutil.get_terminal_size().columns
    for name, value in lines:
        click.echo(click.wrap_text(value, columns, name.ljust(width), " " * width))


def _widths(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(header, *rows, strict=True)]


def _narrowed(
    header: Sequence[str], rows: Sequence[Sequence[str]], fold: str, spare: Sequence[str]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return header and rows without as many of the `spare` columns as the terminal is too narrow.

    The column `fold` counts with its longest word.
    """
    for name in spare:
        widths = dict(zip(header, _widths(header, rows), strict=True))
        if fold in widths:
            at = header.index(fold)
            widths[fold] = max(len(word) for row in (header, *rows) for word in row[at].split())
        if sum(widths.values()) + 2 * (len(widths) - 1) <= shutil.get_terminal_size().columns:
            break
        at = header.index(name)
        header = [*header[:at], *header[at + 1 :]]
        rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    return header, rows


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
    # rich takes a dumb terminal for one of 80 columns.
    columns, lines = shutil.get_terminal_size()
    Console(width=columns, height=lines).print(table)
