"""Files of every version and maker, as their own code wrote them, gain columns and lose nothing.

`tests/data/ledgers/<program>-<version>.csv` were written by these programs themselves. Whoever adds
a column to the ledger leaves the sample of the version before as it is, and adds one.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, a_row, first_broken_row, rows_of

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import Row, read
from eco2ai_cli.report import summarise

OURS = sorted(LEDGERS.glob("eco2ai-cli-*.csv"))
APPENDED_TO = [*OURS, *sorted(LEDGERS.glob("eco2ai-[0-9]*.csv"))]
CODECARBON = LEDGERS / "codecarbon-3.3.2.csv"
NASTY = "say \"a, b\"\nand 'c'; 日本 🎨"


@pytest.fixture(params=APPENDED_TO, ids=lambda path: path.stem)
def sample(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


@pytest.fixture
def continued(sample: Path, tmp_path: Path) -> Path:
    """The sample with two rows of today."""
    path = tmp_path / "emission.csv"
    path.write_bytes(sample.read_bytes())
    ledger.check(str(path))
    ledger.append(str(path), [a_row(id="new", command=NASTY, cost=0.5, currency="EUR")])
    ledger.append(str(path), [a_row(id="newer", job=None)])
    return path


def test_there_is_a_sample_of_every_version() -> None:
    assert [path.stem for path in APPENDED_TO] == [
        "eco2ai-cli-0.1.0",
        "eco2ai-cli-0.2.0",
        "eco2ai-0.3.12",
    ]


def test_old_rows_keep_their_cells_and_have_empty_ones_for_what_was_not_known(
    sample: Path, continued: Path
) -> None:
    before = rows_of(sample)
    *old, new, newer = rows_of(continued)
    assert [{name: row[name] for name in before[0]} for row in old] == before
    added = [name for name in ledger.COLUMNS if name not in before[0]]
    assert {row[name] for row in old for name in added} <= {""}
    assert list(new) == [*before[0], *added]
    assert (new["id"], new["command"], newer["id"]) == ("new", NASTY, "newer")


def test_history_is_not_rewritten(sample: Path, continued: Path) -> None:
    """A file that has all columns is only added to; of another the original is kept."""
    was = sample.read_bytes()
    now = continued.read_bytes()
    kept = continued.with_name("emission.csv.eco2ai-original")
    assert now.startswith(was) or kept.read_bytes() == was
    assert first_broken_row(continued) is None
    assert [row["row_hash"] for row in rows_of(continued)][:-2] == [
        row.get("row_hash", "") for row in rows_of(sample)
    ]


def test_total_is_that_of_the_old_rows_and_the_new(sample: Path, continued: Path) -> None:
    old = summarise(read(str(sample))).total
    now = summarise(read(str(continued))).total
    assert now.rows == old.rows + 2
    assert (old.energy_kwh or 0) > 0
    assert now.energy_kwh == pytest.approx((old.energy_kwh or 0) + 49.0, rel=1e-12)


def test_pandas_reads_it_without_options(continued: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(continued)
    assert list(frame.columns) == list(rows_of(continued)[0])
    assert frame["id"].tolist() == [row["id"] for row in rows_of(continued)]
    assert frame["command"].tolist()[-2] == NASTY
    for name in ("duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)"):
        assert frame[name].dtype == float
        assert frame[name].tolist() == [float(row[name]) for row in rows_of(continued)]
    assert frame["job"].isna().tolist()[-1]


def test_duckdb_reads_it_without_options(continued: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    rows = rows_of(continued)
    with duckdb.connect() as connection:
        names = connection.execute(f"select * from '{continued}'").description
        found = connection.execute(
            f"""select id::text, command, "power_consumption(kWh)" from '{continued}'"""
        ).fetchall()
    assert [name for name, *_ in names] == list(rows[0])
    assert [cells[0] for cells in found] == [row["id"] for row in rows]
    assert found[-2][1] == NASTY
    assert [cells[2] for cells in found] == [float(row["power_consumption(kWh)"]) for row in rows]


def test_polars_reads_it_without_options(continued: Path) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.read_csv(continued)
    assert frame["id"].to_list() == [row["id"] for row in rows_of(continued)]
    assert frame["command"].to_list()[-2] == NASTY


def test_parser_of_a_spreadsheet_finds_as_many_cells_in_every_row(continued: Path) -> None:
    """It takes a line end within quotes for one of the cell, and a quote doubled for a quote."""
    rows = list(csv.reader(io.StringIO(continued.read_text("utf-8"), newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert by_characters(continued.read_text("utf-8")) == rows


def by_characters(text: str) -> list[list[str]]:
    """Read CSV by RFC 4180, character by character."""
    rows, row, cell, in_quotes = [], [], "", False
    for place, character in enumerate(text):
        if character == '"':
            in_quotes = not in_quotes
            cell += '"' * (in_quotes and text[place - 1] == '"')  # the second of two
        elif in_quotes or character not in ",\n":
            cell += character
        else:
            row.append(cell)
            cell = ""
            if character == "\n":
                rows.append(row)
                row = []
    return rows


def test_codecarbon_is_reported_and_a_run_that_was_flushed_counts_once() -> None:
    """Every row of a run holds all that it has used so far: 12.6 µWh are part of the 21.4."""
    found = summarise(read(str(CODECARBON)))
    assert (found.total.runs, found.total.rows) == (2, 2)
    by_project = {labels[0]: summary.energy_kwh for labels, summary in found.groups}
    assert by_project == {"mnist": 2.141182301719743e-05, "cifar, ten": 7.847734889628351e-06}
    assert found.total.emissions_kg == 1.199897150060727e-06 + 4.3977921547988323e-07
    assert found.total.duration_s == 2.4663028239992855 + 1.2011526290007168
    assert found.skipped == []


def test_order_of_the_rows_of_codecarbon_does_not_matter(tmp_path: Path) -> None:
    header, first, *rest = CODECARBON.read_bytes().splitlines(keepends=True)
    turned = tmp_path / "emissions.csv"
    turned.write_bytes(b"".join([header, *reversed(rest), first]))
    assert summarise(read(str(turned))).total == summarise(read(str(CODECARBON))).total


def test_row_of_codecarbon_that_lacks_cells_is_skipped_and_not_read_shifted(
    tmp_path: Path,
) -> None:
    """It leaves out the cells that are empty when it appends: what follows them stands amiss."""
    header, first, *_ = CODECARBON.read_bytes().splitlines(keepends=True)
    path = tmp_path / "emissions.csv"
    path.write_bytes(header + first.replace(b",,", b","))
    assert not [entry for entry in read(str(path)) if isinstance(entry, Row)]


def test_tasks_of_a_codecarbon_run_are_summed(tmp_path: Path) -> None:
    path = tmp_path / "emissions_base.csv"
    path.write_text(
        "task_name,timestamp,project_name,run_id,duration,emissions,energy_consumed\n"
        "load,2025-01-01T00:00:00,p,r,1.0,0.5,2.0\n"
        "train,2025-01-01T00:00:01,p,r,3.0,0.25,4.0\n"
    )
    total = summarise(read(str(path))).total
    assert (total.runs, total.rows, total.energy_kwh, total.duration_s) == (1, 2, 6.0, 4.0)


def test_rows_are_never_appended_to_a_file_of_codecarbon(tmp_path: Path) -> None:
    path = tmp_path / "emissions.csv"
    path.write_bytes(CODECARBON.read_bytes())
    for refuse in (ledger.check, lambda path: ledger.append(path, [a_row()])):
        with pytest.raises(LedgerError, match="its first line is `timestamp,project_name,run_id"):
            refuse(str(path))
    assert path.read_bytes() == CODECARBON.read_bytes()
