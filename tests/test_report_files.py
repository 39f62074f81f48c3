"""`eco2ai report` on files: the fast way of reading is the careful one, and both are pandas'."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pexpect
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_rows import LEDGERS, ROOT, a_row, as_csv, run_python

from eco2ai_cli import ledger
from eco2ai_cli.ledger.columns import COLUMNS
from eco2ai_cli.ledger.reader import Reading, Row, Skipped, parts, read
from eco2ai_cli.ledger.rows import BadRow, row_of
from eco2ai_cli.report import Question, Report, dimension, summarise_parts
from eco2ai_cli.report.data import to_json
from eco2ai_cli.report.files import ledgers
from eco2ai_cli.report.ids import Ids
from eco2ai_cli.report.sums import exact

NAMES = [
    "id", "project_name", "start_time", "duration(s)", "power_consumption(kWh)",
    "CO2_emissions(kg)", "cost", "parent_id", "command", "exit_status", "currency", "caveats",
]  # fmt: skip
SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def eco2ai(*args: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "report", *map(str, args)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def totals(*paths: Path, by: str = "project") -> Report:
    question = Question((dimension(by),))
    reading = Reading(question.columns)
    return summarise_parts(
        lambda: [part for path in paths for part in parts(str(path), reading)], question
    )


texts = st.text(st.sampled_from('ab,"\n\r\\;é\0 '), max_size=5)
numbers = st.one_of(
    st.floats(0, 1e9).map(repr),
    st.sampled_from(["", "0", "-1", "nan", "inf", "1e999", "1_0", " 1", "x", "٣", '"', "1\n"]),
)
times = st.sampled_from(
    ["", "2022-07-01 12:00:00+00:00", "2022-07-01 12:00:00", "2022-07-01T12:00:00-11:00", "x"]
)
odd_cells = st.sampled_from(["a", 'a"', '"a"', '"', '""', '"a"b', 'a"b"', '"a""'])
lines = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["", "1", "2", "3"]), texts, times, numbers, numbers, numbers, numbers,
            st.sampled_from(["", "1"]), texts, st.sampled_from(["0", "1"]), texts, texts,
        ).map(lambda cells: as_csv([list(cells)])),
        st.tuples(odd_cells, odd_cells).map(
            lambda cells: f'1,{cells[0]},,1,2,3,,,x,0,,{cells[1]}\n'.encode()
        ),
        st.binary(max_size=12).map(lambda line: line + b"\n"),
        st.sampled_from(
            [b"a\n", b"\n", b"\r", b"," * 11 + b"\n", b"a,b" * 30 + b"\n", b'1,"a\n', b'1,p"q,\n',
             b"1,p,,1,2,3,,,,0,,\r"]
        ),
    ),
    max_size=12,
)  # fmt: skip


@SLOW
@given(lines, st.booleans())
def test_rows_are_those_that_the_csv_module_reads(
    tmp_path: Path, found: list[bytes], is_whole: bool
) -> None:
    data = as_csv([NAMES]) + b"".join(found)
    path = tmp_path / "l.csv"
    path.write_bytes(data if is_whole else data[:-1])
    expected: list[Row | str] = []
    with path.open(encoding="utf-8", errors="backslashreplace", newline="") as file:
        records = csv.reader(file)
        next(records)
        while True:
            try:
                cells = next(records, None)
                if cells is None:
                    break
                if cells:
                    expected.append(row_of(NAMES, cells))
            except (csv.Error, BadRow) as error:
                expected.append(str(error))
    got = [e.reason if isinstance(e, Skipped) else e for e in read(str(path))]
    assert got == expected


runs = st.lists(
    st.tuples(
        st.sampled_from("abcdefgh"),
        st.sampled_from(["", "a", "b", "c", "h", "elsewhere"]),
        st.sampled_from(["p", "q", "r,s", ""]),
        st.floats(0, 1e9),
        st.sampled_from(["0", "1", ""]),
    ),
    max_size=14,
)


@SLOW
@given(runs, st.randoms(), st.integers(0, 14))
def test_report_does_not_depend_on_the_order_of_rows_or_on_how_they_are_spread_over_files(
    tmp_path: Path, found: list[tuple[str, ...]], random: random.Random, cut: int
) -> None:
    # What a run says of itself is the same in each of its rows.
    of_run = {run[0]: run[1:3] for run in found}
    rows = [
        [run_id, of_run[run_id][1], "2022-07-01 12:00:00", "1", repr(kwh), "1", "",
         of_run[run_id][0], "", status, "", "w" if kwh > 1 else ""]
        for run_id, _, _, kwh, status in found
    ]  # fmt: skip
    one, two, three = (tmp_path / f"{n}.csv" for n in (1, 2, 3))
    one.write_bytes(as_csv([NAMES, *rows]))
    random.shuffle(rows)
    two.write_bytes(as_csv([NAMES, *rows[:cut]]))
    three.write_bytes(as_csv([NAMES, *rows[cut:]]))
    assert to_json(totals(two, three)) == to_json(totals(one))


def generated(path: Path, count: int) -> list[dict[str, object]]:
    """Write a ledger with what ledgers have: epochs, nested runs, quoted cells, unknown figures."""
    rng = random.Random(3)
    rows: list[dict[str, object]] = []
    for number in range(count):
        kwh = rng.random() * 10 ** rng.randrange(-8, 3)
        row = a_row(
            id=f"run {number}",
            project_name=rng.choice(["p", "q", "r, s", 'say "t"', "", "é"]),
            exit_status=rng.choice([0, 0, 0, 1, "SIGKILL"]),
            cost=rng.choice([None, kwh / 3]),
            command=rng.choice(["a", "b,c", 'd "e"', "f\ng"]),
            host=rng.choice(["n1", "n2"]),
            tags=rng.choice([None, '{"lr": "0.1", "n": 3}']),
            caveats=rng.choice([None, "gpu-shared", "gpu-shared;region-assumed"]),
        )
        row |= {ENERGY: rng.choice([kwh, kwh, kwh, None]), "CO2_emissions(kg)": kwh / 7}
        row["start_time"] = f"2022-{rng.randrange(1, 13):02d}-15 12:00:00+00:00"
        row["currency"] = None if row["cost"] is None else rng.choice(["EUR", "JPY"])
        if rng.random() < 0.1:
            rows.append(row | {"id": f"in {number}", "parent_id": row["id"]})
        rows += [row | {"epoch": epoch} for epoch in range(rng.choice([1, 1, 1, 3]))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


ENERGY = "power_consumption(kWh)"


@pytest.mark.parametrize(
    ("by", "column"), [("project", "project_name"), ("host", "host"), ("command", "command")]
)
def test_totals_are_those_of_pandas(tmp_path: Path, by: str, column: str) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "l.csv"
    generated(path, 3000)
    frame = pandas.read_csv(path, keep_default_na=False, na_values=[""], dtype={"exit_status": str})
    whole = frame[frame.parent_id.isna()]
    assert 0 < len(whole) < len(frame)
    failed = whole[whole.exit_status != "0"]
    found = totals(path, by=by)
    groups = {labels[0]: summary for labels, summary in found.groups}
    for name, rows in whole.groupby(column, dropna=False):
        summary = groups[None if pandas.isna(name) else name]
        assert summary.runs == rows.id.nunique()
        assert summary.energy_kwh == pytest.approx(rows[ENERGY].sum(), rel=1e-13)
        assert summary.duration_s == pytest.approx(rows["duration(s)"].sum(), rel=1e-13)
        for currency, amounts in rows.groupby("currency"):
            assert summary.cost[currency] == pytest.approx(amounts["cost"].sum(), rel=1e-13)
    assert found.total.runs == whole.id.nunique()
    assert found.total.nested_runs == len(frame) - len(whole)
    assert found.total.failed_runs == failed.id.nunique()
    assert found.total.failed_energy_kwh == pytest.approx(failed[ENERGY].sum(), rel=1e-13)
    assert found.total.rows == len(frame)


def test_ledger_larger_than_a_block_is_the_same_in_any_order_and_adds_up_to_the_last_digit(
    tmp_path: Path,
) -> None:
    path, shuffled = tmp_path / "l.csv", tmp_path / "s.csv"
    generated(path, 2000)
    with path.open(newline="") as file:
        names, *rows = list(csv.reader(file))
    random.Random(5).shuffle(rows)
    shuffled.write_bytes(as_csv([names, *rows]))
    assert path.stat().st_size > 3 * 65536
    assert to_json(totals(shuffled)) == to_json(totals(path))


@given(st.lists(st.floats(-1e300, 1e300)))
def test_parts_of_a_sum_are_exactly_the_sum(values: list[float]) -> None:
    from fractions import Fraction

    try:
        parts = exact(values)
    except OverflowError:
        return
    assert sum(map(Fraction, parts)) == sum(map(Fraction, values))
    assert len(parts) <= 1 + len(values)


def test_ids_that_came_twice_are_found_also_when_they_no_longer_fit_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kept in (1 << 20, 100):
        monkeypatch.setattr("eco2ai_cli.report.ids._KEPT", kept)
        monkeypatch.setattr("eco2ai_cli.report.ids._PENDING", 64)
        with closing(Ids()) as ids:
            ids.add(hash(b"%d" % number) for number in range(500))
            ids.add(map(hash, [b"7", b"499", b"new"]))
            assert ids.twice() == {hash(b"7"), hash(b"499")}
            assert ids.known(["new", "3", "unknown"]) == {"new", "3"}


def test_bad_rows_are_counted_named_and_skipped(tmp_path: Path) -> None:
    bad = {
        "-1": "cannot be `-1`", "nan": "cannot be `nan`", "inf": "cannot be `inf`",
        "much": "not a number: `much`",
    }  # fmt: skip
    rows = [["id", "project_name", "start_time", "duration(s)", ENERGY, "CO2_emissions(kg)"]]
    for number in range(20):
        rows.append([str(number), "p", "2022-07-01 12:00:00+00:00", "1", "2", "3"])
    for cell in bad:
        rows.append(["b", "p", "2022-07-01 12:00:00+00:00", "1", cell, "3"])
    rows.append(["c", "p", "2999-07-01 12:00:00+00:00", "1", "2", "3"])
    rows.append(["d", "p"])
    rows.append(["e", "p", "", "1", "", "3"])
    (tmp_path / "emission.csv").write_bytes(as_csv(rows))
    done = eco2ai("--json", folder=tmp_path)
    found = json.loads(done.stdout)
    assert found["total"]["runs"] == 21
    assert found["total"]["energy_kwh"] == 40.0
    assert found["total"]["caveats"] == {"energy-unknown": 1}
    assert [entry["line"] for entry in found["skipped"]] == [22, 23, 24, 25, 26, 27]
    reasons = [entry["reason"] for entry in found["skipped"]]
    for reason, said in zip(reasons, [*bad.values(), "in the future", "2 cells"], strict=True):
        assert said in reason


def test_run_inside_one_of_another_file_is_counted_there(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    ledger.append(str(tmp_path / "deep" / "in.csv"), [a_row(id="in", parent_id="out")])
    ledger.append(str(tmp_path / "out.csv"), [a_row(id="out")])
    for places in (["."], ["out.csv", "deep"], ["**/*.csv"], ["deep/in.csv", "out.csv", "out.csv"]):
        total = json.loads(eco2ai(*places, "--json", folder=tmp_path).stdout)["total"]
        assert (total["runs"], total["nested_runs"], total["energy_kwh"]) == (1, 1, 24.5)


def test_pipe_is_read_as_often_as_it_takes(tmp_path: Path) -> None:
    rows = [NAMES, *([n, "p", "", "1", "2", "3", *[""] * 6] for n in ("a", "b", "a"))]
    command = [sys.executable, "-m", "eco2ai_cli", "report", "/dev/stdin", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=as_csv(rows), capture_output=True, env=environment)
    total = json.loads(done.stdout)["total"]
    assert (total["runs"], total["rows"], total["energy_kwh"]) == (2, 3, 6.0)


def test_what_is_no_ledger_is_passed_over_in_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,y\n1,2\n")
    assert eco2ai(".", folder=tmp_path).stderr == "eco2ai: error: there is no ledger in `.`\n"
    ledger.append(str(tmp_path / "emission.csv"), [a_row()])
    assert [Path(path).name for path in ledgers([str(tmp_path)])] == ["emission.csv"]
    assert eco2ai("data.csv", folder=tmp_path).returncode == 125


def test_ledgers_of_all_makers_are_summed_together(tmp_path: Path) -> None:
    found = json.loads(eco2ai(LEDGERS, "--json", "--by", "version", folder=tmp_path).stdout)
    assert found["total"]["runs"] == sum(
        json.loads(eco2ai(path, "--json", folder=tmp_path).stdout)["total"]["runs"]
        for path in LEDGERS.glob("*.csv")
    )


@pytest.mark.parametrize(
    ("by", "label"),
    [
        ("region", "FR"), ("host", "n1"), ("user", "anna"), ("day", "2022-07-01"),
        ("week", "2022-W26"), ("month", "2022-07"), ("year", "2022"), ("hour", "2022-07-01 12:00"),
        ("command", "python train.py"), ("job", "17"), ("tag:lr", "0.1"), ("tag:n", "3"),
        ("tag:none", None), ("status", "0"), ("rank", None),
    ],
)  # fmt: skip
def test_rows_are_told_apart_by(tmp_path: Path, by: str, label: str | None) -> None:
    row = a_row(host="n1", user="anna", job="17", tags='{"lr": "0.1", "n": 3}')
    for number in range(5):  # the first and the last are read with care, the others at once
        ledger.append(str(tmp_path / "l.csv"), [row | {"id": str(number), "region/country": "FR"}])
    (group,) = totals(tmp_path / "l.csv", by=by).groups
    assert (group[0], group[1].runs) == ((label,), 5)


def test_period_and_projects_choose_rows_and_several_labels_tell_them_apart(
    tmp_path: Path,
) -> None:
    path = tmp_path / "emission.csv"
    for month in range(1, 13):
        start = f"2022-{month:02d}-10 00:00:00+00:00"
        project = "even" if month % 2 == 0 else "odd"
        row = a_row(id=str(month), project_name=project, start_time=start, cost=None)
        ledger.append(str(path), [row | {ENERGY: month}])
    ask = ["--since", "2022-03", "--until", "2022-09-10", "-p", "even", "--json"]
    found = json.loads(eco2ai(*ask, "--by", "project,month", folder=tmp_path).stdout)
    assert [group["by"]["month"] for group in found["groups"]] == ["2022-04", "2022-06", "2022-08"]
    assert found["total"]["energy_kwh"] == 18.0
    ask = ["--by", "month", "--sort", "energy", "--top", "2", "--json"]
    top = json.loads(eco2ai(*ask, folder=tmp_path).stdout)
    assert [group["energy_kwh"] for group in top["groups"]] == [12.0, 11.0]
    assert top["total"]["runs"] == 12


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "colour"], "cannot be by `colour`"),
        (["--since", "yesterday"], "`yesterday` is no time"),
        (["--format", "hf", "--by", "host"], "leave `--by` out"),
        (["--trace", "t"], "`--format html` alone"),
        (["--top", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(
    tmp_path: Path, options: list[str], said: str
) -> None:
    done = eco2ai(*options, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_bars_are_drawn_where_a_terminal_has_the_room(tmp_path: Path) -> None:
    for number, kwh in enumerate((8.0, 2.0)):
        row = a_row(id=str(number), project_name=f"p{number}") | {ENERGY: kwh}
        ledger.append(str(tmp_path / "emission.csv"), [row])
    command = ["-m", "eco2ai_cli", "report", str(tmp_path / "emission.csv")]
    terminal = pexpect.spawn(
        sys.executable,
        command,
        dimensions=(50, 120),
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    )
    shown = terminal.read()
    terminal.close()
    found = [line.count("█") for line in shown.splitlines() if re.match(r"p\d ", line)]
    assert found == [12, 3]
    assert "█" not in eco2ai(folder=tmp_path).stdout


@pytest.mark.parametrize("line_end", [b"\r", b"\r\n", b"\n", b"\r\r\n"])
def test_line_end_of_any_kind_before_a_row_is_none_of_the_row_as_verify_and_pandas_have_it(
    tmp_path: Path, line_end: bytes
) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "emission.csv"
    for number in range(5):
        ledger.append(str(path), [a_row(id=f"run {number}", project_name='a "b", c')])
    before, row, after = path.read_bytes().partition(b"run 3")
    path.write_bytes(before + line_end + row + after)
    done = eco2ai("--json", folder=tmp_path)
    found = json.loads(done.stdout)
    assert (found["total"]["runs"], found["skipped"]) == (len(pandas.read_csv(path)), [])
    command = [sys.executable, "-m", "eco2ai_cli", "verify", "--json", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    verdict = json.loads(subprocess.run(command, capture_output=True, env=environment).stdout)
    assert (verdict["holds"], verdict["rows"]) == (True, 5)


def test_last_row_whose_hash_is_cut_is_named_and_skipped_and_one_that_is_whole_counts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "l.csv"
    for number in range(3):
        ledger.append(str(path), [a_row(id=str(number), command="a\nb")])
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    width = COLUMNS.index("row_hash") + 1  # the last column of older files
    whole = as_csv([row[:width] for row in rows])
    for missing in (2, 3, 40, 64, 65):
        path.write_bytes(whole[:-missing])
        report = totals(path)
        assert report.total.runs == 2
        assert [(row.file, row.line) for row in report.skipped] == [(str(path), 6)]
        assert "torn" in report.skipped[0].reason
    path.write_bytes(whole[:-1])
    assert (totals(path).total.runs, totals(path).skipped) == (3, [])


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_quoted_cells_that_are_asked_for_are_read_by_blocks_too(
    tmp_path: Path, quoting: int, line_end: str
) -> None:
    nasty = ["a, b", 'say "t"', "c\nd", "e\r\nf", '"', "é, ü", "", '""', ',"\n']
    path = tmp_path / "l.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
        writer.writerow(NAMES)
        for n in range(900):
            name = nasty[n % 9]
            writer.writerow([str(n), name, "", 1.5, 2, 3, "", "", name, "0", "", ""])
    with path.open(newline="", encoding="utf-8") as file:
        expected = [row["project_name"] or None for row in csv.DictReader(file)]
    assert [row.project for row in read(str(path)) if isinstance(row, Row)] == expected
    one_by_one = sum(len(part.others) for part in parts(str(path)))
    assert one_by_one <= 100  # a carriage return in a cell is rare


def test_million_rows_would_fit_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    generated(path, 20_000)
    script = """
import re, sys
from eco2ai_cli.ledger.reader import parts
from eco2ai_cli.report import summarise_parts
print(summarise_parts(lambda: parts(sys.argv[1])).total.rows)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    rows, kilobytes = map(int, run_python(script, path).split())
    assert rows > 20_000
    assert kilobytes < 40_000


def test_share_of_failed_runs_is_said_with_equivalents_and_their_sources(tmp_path: Path) -> None:
    path = str(tmp_path / "emission.csv")
    ledger.append(path, [a_row(id="1") | {ENERGY: 69.0, "CO2_emissions(kg)": 17.5}])
    ledger.append(path, [a_row(id="2", exit_status=1) | {ENERGY: 31.0, "CO2_emissions(kg)": 0.0}])
    said = eco2ai(folder=tmp_path).stdout
    assert "31 % of the energy went into 1 run that failed" in said
    assert re.search(r"100 km by .* car \(0\.175 kg/km; .*2019", said)
    assert re.search(r"19\.1 tree-months \(0\.917 kg/tree-month; .*2021", said)
    assert re.search(r"8,621 phone charges \(0\.0116 kWh/charge; US EPA.*2023", said)
