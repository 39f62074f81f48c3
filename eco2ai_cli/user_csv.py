"""Read a CSV that the user wrote, row by row with its line, and say what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from eco2ai_cli.errors import ResourceError

Cells = Mapping[str, str]
"""A row by the names of its columns, without space around the cells; a missing cell is empty."""


def rows(
    content: bytes, path: str, *, needed: Collection[str], kind: str, header: str
) -> Iterator[tuple[str, Cells]]:
    """Yield the file and line of each row, for an error, and its cells.

    `needed`: columns that have to be there. `kind` (`a table of processors`) and `header` tell in
    the hint what the file should be. Raises ResourceError with file and line.
    """
    import csv
    import io

    try:
        # A byte order mark is what spreadsheets put in front of UTF-8.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ResourceError(f"`{path}`, line {line}: this is not UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        columns = reader.fieldnames or ()
        missing = set(needed) - set(columns)
        if missing:
            semicolons = any(";" in name for name in columns)
            commas = "commas between its cells, not semicolons, and " if semicolons else ""
            raise ResourceError(
                f"`{path}`, line 1: no column `{min(missing)}`",
                hint=f"{kind} is a CSV with {commas}the header `{header}`",
            )
        for cells in reader:
            where = f"`{path}`, line {reader.line_num}"
            yield where, {name: (cell or "").strip() for name, cell in cells.items() if name}
    except csv.Error as error:
        line = reader.line_num + 1
        raise ResourceError(f"`{path}`, line {line}: this is not CSV: {error}") from None


def number(text: str) -> float:
    """Return the number in a cell, as any program reads it; NaN for what is none.

    `1_000` and other scripts' digits are numbers to Python alone.
    """
    try:
        return float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return float("nan")
