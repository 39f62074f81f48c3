"""The reader takes any bytes: it never crashes, and no total is more or less than the rows say."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import LEDGERS, a_row, as_csv

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import Row, Skipped, read
from eco2ai_cli.ledger.search import has_ended
from eco2ai_cli.report import summarise

NAMES = ["id", "project_name", "duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)", "cost"]
HEADER = ",".join(NAMES).encode() + b"\n"
OURS, ECO2AI = (",".join(names).encode() for names in (ledger.COLUMNS, ledger.COLUMNS[:13]))
BEGINNINGS = [b"", b"\xef\xbb\xbf", HEADER, OURS, OURS + b"\n", ECO2AI + b"\n", ECO2AI + b"\r\n"]
SAMPLES = [path.read_bytes() for path in sorted(LEDGERS.glob("*.csv"))]

# A bare carriage return is not quoted by the csv module, which eco2AI writes with, before 3.13.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)
figure = st.floats(0, 1e9) | st.none()
rows = st.lists(st.tuples(text, text, figure, figure, figure, figure), max_size=12)
pieces = st.lists(
    st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"1", b"-", b"nan", b"\xff", b"a", HEADER])
    | st.binary(max_size=6),
    max_size=60,
).map(b"".join)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers") / "l.csv"


def entries(path: Path) -> list[Row | Skipped]:
    try:
        return list(read(str(path)))
    except LedgerError:
        return []


@given(pieces, st.sampled_from(BEGINNINGS))
@settings(max_examples=400, deadline=None)
def test_no_bytes_crash_the_reader_the_search_or_the_writer(
    path: Path, content: bytes, begin: bytes
) -> None:
    for beside in path.parent.iterdir():
        beside.unlink()
    path.write_bytes(begin + content)
    total = summarise(entries(path)).total
    for figure in (total.energy_kwh, total.emissions_kg, total.duration_s):
        assert figure is None or (math.isfinite(figure) and figure >= 0)
    for look in (ledger.check, lambda path: has_ended(path, "1")):
        try:
            look(str(path))
        except LedgerError:
            assert path.read_bytes() == begin + content
    try:
        ledger.append(str(path), [a_row(id="new")])
    except LedgerError:
        assert path.read_bytes() == begin + content
    else:
        assert [row.id for row in entries(path) if isinstance(row, Row)].count("new") == 1
        assert has_ended(str(path), "new")
        assert_kept(path, begin + content)
    ledger_after_it(path)


def assert_kept(path: Path, content: bytes) -> None:
    """All that the file held is in it, or in its original, but for the torn line set aside."""
    aside, original = path.with_name("l.csv.torn"), path.with_name("l.csv.eco2ai-original")
    torn = aside.read_bytes().removesuffix(b"\n") if aside.exists() else b""
    kept = original if original.exists() else path
    assert content.endswith(torn)
    assert kept.read_bytes().startswith(content.removesuffix(torn))


def ledger_after_it(path: Path) -> None:
    """Whatever was there: once a row of ours is the last, the next one follows from it."""
    try:
        ledger.append(str(path), [a_row(id="newer")])
    except LedgerError:
        return
    assert [row.id for row in entries(path) if isinstance(row, Row)][-2:] == ["new", "newer"]


@given(st.sampled_from(SAMPLES), st.data())
@settings(max_examples=200, deadline=None)
def test_real_file_with_any_bytes_changed_yields_rows_of_it_or_says_what_it_skips(
    path: Path, sample: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(place, min(len(sample), place + 20)))
    path.write_bytes(sample[:place] + data.draw(st.binary(max_size=6)) + sample[end:])
    for entry in entries(path):
        if isinstance(entry, Row):
            for value in (entry.energy_kwh, entry.emissions_kg, entry.duration_s, entry.cost):
                assert value is None or (math.isfinite(value) and value >= 0)
        else:
            assert entry.reason
            assert entry.line > 0


@settings(deadline=None)
@given(rows, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_total_is_the_sum_of_the_cells_as_the_csv_module_reads_them(
    path: Path, rows: list[tuple[object, ...]], line_end: str, bom: bool, data: st.DataObject
) -> None:
    lines = [["" if cell is None else str(cell) for cell in row] for row in rows]
    content = b"\xef\xbb\xbf" * bom + as_csv([NAMES, *lines], line_end)
    path.write_bytes(content)
    with path.open(encoding="utf-8-sig", newline="") as file:
        expected = [row for row in csv.DictReader(file) if any(row.values())]
    found = entries(path)
    total = summarise(found).total
    assert total.rows == len(expected) == len(found) - sum(isinstance(e, Skipped) for e in found)
    by_id = sum(float(row["power_consumption(kWh)"] or 0) for row in expected)
    assert math.isclose(total.energy_kwh or 0.0, by_id, abs_tol=1e-9)


@settings(deadline=None)
@given(rows, st.data())
def test_file_cut_anywhere_yields_its_first_rows_and_no_other(
    path: Path, rows: list[tuple[object, ...]], data: st.DataObject
) -> None:
    """A figure in the last cell may be cut short and still be one, which nobody can tell."""
    path.unlink(missing_ok=True)
    for number, (_, project, *figures) in enumerate(rows):
        row = a_row(id=str(number), project_name=project)
        ledger.append(str(path), [row | dict(zip(NAMES[2:], figures, strict=True))])
    whole = entries(path) if rows else []
    size = path.stat().st_size if rows else 0
    if rows:
        os.truncate(path, data.draw(st.integers(0, size)))
    found = [entry for entry in entries(path) if isinstance(entry, Row)] if rows else []
    assert found == whole[: len(found)]
