"""Sets of emission coefficients: two that ship, and the user's own CSV."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from eco2ai_cli import gazetteer
from eco2ai_cli.errors import ResourceError

CURRENT = "current"
PAPER = "paper-2022"
SHIPPED = {CURRENT: "regions.csv", PAPER: "regions_paper_2022.csv"}


class Coefficient(NamedTuple):
    """What a set says of one code: kg of CO2 or CO2 equivalent per MWh, and where it is from."""

    kg_per_mwh: float
    year: int | None
    method: str | None
    source: str | None
    caveats: frozenset[str] = frozenset()


def find(code: str, coefficients: str) -> Coefficient | None:
    """Return the coefficient of `code` in the set `coefficients`; None when it has no such row.

    In the set `current` a cloud region has the figure of its own row, or else that of its grid.
    Raises ResourceError when the set is a file that cannot be read.
    """
    if coefficients not in SHIPPED:
        return user_set(coefficients).get(code)
    if coefficients == CURRENT and (cells := gazetteer.cloud(code)):
        return _coefficient(cells[4:8]) if cells[4] else find(cells[3], CURRENT)
    cells = gazetteer.row(gazetteer.table(SHIPPED[coefficients]), code)
    return _coefficient(cells[3:7], cells[8]) if cells else None


def codes(coefficients: str) -> list[str]:
    """Return the codes that have a row of their own in a set, in the order of its file."""
    if coefficients not in SHIPPED:
        return list(user_set(coefficients))
    lines = gazetteer.table(SHIPPED[coefficients]).decode().splitlines()[1:]
    return [line.partition(",")[0] for line in lines]


def _coefficient(cells: list[str], caveats: str = "") -> Coefficient:
    kg, year, method, source = cells
    return Coefficient(float(kg), int(year), method, source, frozenset(caveats.split()))


@cache
def user_set(path: str) -> Mapping[str, Coefficient]:
    """Read a user's CSV of coefficients, read once: code -> Coefficient.

    The header names the columns: `code` (anything that a look-up understands, or a name of your
    own for a site) and `kg_per_mwh` (>= 0; the same number as g/kWh) are needed, `year`, `method`
    and `source` are told when present, others are read past. A row `WORLD` is what is taken when
    no region is known. Raises ResourceError with file and line for what cannot be read.
    """
    from eco2ai_cli import user_csv  # few have a set of their own

    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ResourceError(
            f"cannot read the coefficients `{path}`: {(error.strerror or str(error)).lower()}",
            hint=f"say {', '.join(f'`{name}`' for name in SHIPPED)} or the path of a CSV",
        ) from None
    found: dict[str, Coefficient] = {}
    for where, cells in user_csv.rows(
        content,
        path,
        needed={"code", "kg_per_mwh"},
        kind="a set of coefficients",
        header="code,kg_per_mwh,year,method,source",
    ):
        code, coefficient = _user_row(cells, where)
        if code in found:
            raise ResourceError(f"{where}: `{code}` has a row already")
        found[code] = coefficient
    return found


def _user_row(cells: Mapping[str, str], where: str) -> tuple[str, Coefficient]:
    """Check one row of a user's CSV; `where` is its file and line for the error."""
    written = cells["code"]
    if not written:
        raise ResourceError(f"{where}: no code")
    matches = gazetteer.resolve(written)[0]
    if len(matches) > 1:
        raise ResourceError(
            f"{where}: `{written}` names more than one region",
            hint="say " + " or ".join(f"`{code}`" for code in matches[:5]),
        )

    def text(column: str) -> str | None:
        return cells.get(column) or None

    year = text("year")
    if year and not (year.isdecimal() and len(year) == 4):
        raise ResourceError(f"{where}: `{year}` is not a year")
    return matches[0] if matches else written, Coefficient(
        kg_per_mwh=_kg_per_mwh(text("kg_per_mwh"), where),
        year=int(year) if year else None,
        method=text("method"),
        source=text("source"),
    )


def _kg_per_mwh(text: str | None, where: str) -> float:
    from eco2ai_cli.user_csv import number  # few have a set of their own

    value = number(text or "")
    if not 0 <= value < float("inf"):
        raise ResourceError(f"{where}: `{text or ''}` is no coefficient, a number of kg per MWh")
    return value
