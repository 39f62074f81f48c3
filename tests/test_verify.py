"""`eco2ai verify`: no cell of a ledger changes, no row comes, goes or moves without a word."""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import pexpect
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import LEDGERS, ROOT, as_csv

from eco2ai_cli import ledger
from eco2ai_cli.clock import Moment, clock_was_set
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import spool
from eco2ai_cli.ledger.columns import COLUMNS
from eco2ai_cli.ledger.records import Record, records
from eco2ai_cli.verify import Verdict, verify, words

KEY = b"5d7a" * 16
ENERGY, MASS, HASH = "power_consumption(kWh)", "CO2_emissions(kg)", "row_hash"
Rows = list[list[str]]


def a_run(number: int, **cells: str | float | None) -> dict[str, str | int | float | None]:
    """Return a row as the paper's formula has it: 2 h at PUE 1.25, in France, for 0.2 EUR/kWh."""
    kwh = 1.25 * (0.3 + 0.1 * number + 0.05)
    return {
        "id": f"run-{number}",
        "project_name": "kandinsky",
        "epoch": "N/A",
        "start_time": "2024-07-01 12:00:00+00:00",
        "duration(s)": 7200.5,
        ENERGY: kwh,
        MASS: kwh * 56 / 1000,
        "CPU_name": 'AMD "EPYC", 7742/2 device(s)',
        "cost": kwh * 0.2,
        "command": f"python train.py --seed {number}\n--x",
        "exit_status": 0,
        "stop_reason": "exit",
        "end_time": "2024-07-01 14:00:00+00:00",
        "host": "h",
        "user": "u",
        "tags": '{"t": "é"}',
        "cpu_energy(kWh)": 0.3,
        "gpu_energy(kWh)": 0.1 * number,
        "ram_energy(kWh)": 0.05,
        "pue": 1.25,
        "carbon_intensity(kg/MWh)": 56.0,
        "price_per_kwh": 0.2,
        "currency": "EUR",
        "version": "0.1.0",
        **cells,
    }


def written(
    path: Path, runs: Iterable[dict[str, str | int | float | None]], key: bytes | None = None
) -> Rows:
    """Append runs as `eco2ai run` does; return the file's records, the header first."""
    for run in runs:
        ledger.append(str(path), [run], key=key)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The records of a ledger with 7 runs."""
    return written(tmp_path_factory.mktemp("l") / "l.csv", map(a_run, range(7)))


@pytest.fixture(scope="module")
def seven_keyed(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The same, chained with a key."""
    return written(tmp_path_factory.mktemp("k") / "l.csv", map(a_run, range(7)), KEY)


def judged(rows: Sequence[Sequence[str]], *keys: bytes) -> Verdict:
    """Return the verdict on records, row N standing on line N."""
    return verify("l.csv", (Record(n, list(cells)) for n, cells in enumerate(rows, 1)), keys)


def kinds(verdict: Verdict) -> list[tuple[str, int]]:
    return [(fault.kind, fault.line) for fault in verdict.faults]


def netstrings(previous: str, names: Sequence[str], cells: Sequence[str]) -> bytes:
    """Return what a row's hash is over, by the words of `docs/ledger.md`."""
    parts = [previous]
    for name, cell in zip(names, cells, strict=True):
        parts += [name, cell] if cell and name != HASH else []
    return b"".join(b"%d:%b," % (len(p.encode()), p.encode()) for p in parts)


def rehashed(rows: Rows, sign: Callable[[bytes], str]) -> Rows:
    """Return records as one who knows the format writes them anew, hashes and all."""
    names = rows[0]
    anew = [names]
    previous = ""
    for row in rows[1:]:
        cells = list(row)
        previous = cells[names.index(HASH)] = sign(netstrings(previous, names, cells))
        anew.append(cells)
    return anew


def plain(message: bytes) -> str:
    return hashlib.sha256(message).hexdigest()


def eco2ai(*args: object, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "verify", *map(str, args)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# nothing was touched


def test_ledger_that_was_only_appended_to_holds(seven: Rows, seven_keyed: Rows) -> None:
    verdict = judged(seven)
    assert (verdict.holds, verdict.rows, verdict.hashed, verdict.recomputed) == (True, 7, 7, 7)
    verdict = judged(seven_keyed, b"x" * 16, KEY)
    assert (verdict.holds, verdict.keyed, verdict.key_from_line) == (True, 7, 2)


def test_a_run_of_ours_holds(tmp_path: Path) -> None:
    for region in ("FR", "US-CA"):
        subprocess.run(
            [sys.executable, "-m", "eco2ai_cli", "run", "-q", "-r", region, "--price", "0.1",
             "--pue", "1.37", "--", sys.executable, "-c", "sum(range(10**6))"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )  # fmt: skip
    done = eco2ai(folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 rows: 2 with a hash; 2 recomputed" in done.stdout


def test_epochs_of_one_run_hold_and_so_does_what_is_not_known(tmp_path: Path) -> None:
    at = "2024-07-01 12:{:02}:00+00:00".format
    epochs = [
        a_run(1, epoch=f"epoch: {n}", start_time=at(10 * n), end_time=at(10 * n + 10))
        | {"duration(s)": 600.0}
        for n in range(5)
    ]
    unknown: dict[str, None] = {ENERGY: None, MASS: None, "cost": None}
    nothing = {"cpu_energy(kWh)": 0.0, "gpu_energy(kWh)": None, "ram_energy(kWh)": 0.0}
    rows = written(tmp_path / "l.csv", [*epochs, a_run(2) | unknown | nothing])
    assert kinds(judged(rows)) == []


def test_runs_that_write_their_epochs_by_turns_hold(tmp_path: Path) -> None:
    at = "2024-07-01 12:{:02}:00+00:00".format
    rows = written(
        tmp_path / "l.csv",
        [
            a_run(number, epoch=f"epoch: {n}", stop_reason="exit" if n == 4 else None)
            | {"start_time": at(10 * n), "end_time": at(10 * n + 10), "duration(s)": 600.0}
            for n in range(5)
            for number in (1, 2)
        ],
    )
    assert kinds(judged(rows)) == []
    longer = [*rows[:4], [cell.replace("600.0", "700.0") for cell in rows[4]], *rows[5:]]
    assert kinds(judged(rehashed(longer, plain))) == [("run", 11)]
    assert kinds(judged(rehashed([*rows, rows[3]], plain))) == [("repeated", 12)]


def test_known_components_are_added_up_where_another_is_not_known(tmp_path: Path) -> None:
    kwh = 1.25 * (0.3 + 0.05)
    cells = {ENERGY: kwh, MASS: kwh * 56 / 1000, "cost": kwh * 0.2, "gpu_energy(kWh)": None}
    assert judged(written(tmp_path / "l.csv", [a_run(1) | cells])).holds


def test_line_ends_quotes_and_a_byte_order_mark_are_no_content(tmp_path: Path, seven: Rows) -> None:
    single_line = [[cell.replace("\n", " ") for cell in row] for row in seven]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(
        rehashed(single_line, plain)
    )
    path = tmp_path / "l.csv"
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())
    assert verify(str(path), records(str(path))).holds


# something was


@st.composite
def alterations(draw: st.DrawFn, rows: Rows) -> Rows:
    """Draw a change: of a cell or a name, or of the rows there are and their order."""
    changed = [list(row) for row in rows]
    row, other = (draw(st.integers(1, len(rows) - 1)) for _ in range(2))
    column = draw(st.integers(0, len(rows[0]) - 1))
    match draw(st.sampled_from(["cell", "swap", "delete", "copy", "insert", "cells", "merge"])):
        case "cell":
            changed[row][column] = draw(
                st.text(st.characters(exclude_categories=["Cs"])) | st.floats().map(repr)
            )
        case "swap":
            changed[row], changed[other] = changed[other], changed[row]
        case "delete":
            del changed[row]
        case "copy":
            changed.insert(other, list(changed[row]))
        case "insert":
            changed.insert(other, [draw(st.text("ab1", max_size=3)) for _ in rows[0]])
        case "cells":
            second = draw(st.integers(0, len(rows[0]) - 1))
            cells = changed[row]
            cells[column], cells[second] = cells[second], cells[column]
        case "merge":
            changed += [list(cells) for cells in rows[1:]]
    return changed


@given(st.data())
def test_any_altered_removed_added_or_moved_row_is_noticed(
    seven: Rows, seven_keyed: Rows, data: st.DataObject
) -> None:
    for rows, keys in ((seven, ()), (seven_keyed, (KEY,))):
        changed = data.draw(alterations(rows))
        untouched = changed in (rows, rows[:-1])  # a removed last row: said to be beyond us
        verdict = judged(changed, *keys)
        # A row as of eco2AI, put in before ours, is not vouched for, and that is said.
        assert (verdict.holds and verdict.hashed == verdict.rows) == untouched


@given(st.data())
def test_what_was_altered_with_its_hashes_is_noticed_with_a_key_alone(
    seven: Rows, seven_keyed: Rows, data: st.DataObject
) -> None:
    row, column = data.draw(st.integers(1, 7)), seven[0].index("user")
    value = data.draw(st.text("abc", min_size=2))
    sign = data.draw(st.sampled_from([plain, partial(mac, b"another secret!!")]))
    changed = [list(cells) for cells in seven_keyed]
    changed[row][column] = value
    assert not judged(rehashed(changed, sign), KEY).holds
    verdict = judged(rehashed(changed, plain))
    assert verdict.holds
    assert any("written anew as a whole" in line for line in words.unseen(verdict))


def mac(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("name", COLUMNS)
def test_every_cell_counts_even_an_empty_one(seven: Rows, name: str) -> None:
    changed = [list(cells) for cells in seven]
    changed[4][seven[0].index(name)] += "1"
    verdict = judged(changed)
    assert not verdict.holds
    assert verdict.faults[0].line == 5


@pytest.mark.parametrize(
    ("column", "factor"),
    [
        (ENERGY, 0.5), (MASS, 1.0001), ("cost", 0.0), ("pue", 2.0), ("cpu_energy(kWh)", 0.9),
        ("gpu_energy(kWh)", 3.0), ("carbon_intensity(kg/MWh)", 0.1), ("price_per_kwh", 1.5),
        ("duration(s)", 0.5), (ENERGY, float("nan")), ("cost", -1.0),
    ],
)  # fmt: skip
def test_figure_that_its_row_contradicts_is_named_though_the_hashes_are_new(
    seven: Rows, column: str, factor: float
) -> None:
    changed = [list(cells) for cells in seven]
    place = seven[0].index(column)
    changed[3][place] = repr(factor * float(changed[3][place]))
    verdict = judged(rehashed(changed, plain))
    assert {fault.line for fault in verdict.faults} == {4}
    named = {fault.column for fault in verdict.faults}
    follows = {"pue": ENERGY, "cpu_energy(kWh)": ENERGY, "gpu_energy(kWh)": ENERGY}
    follows |= {"carbon_intensity(kg/MWh)": MASS, "price_per_kwh": "cost"}
    assert follows.get(column, column) in named
    assert "forged together with their hashes" in words.conclusion(verdict)


def test_first_fault_says_line_run_cell_expected_and_found(seven: Rows) -> None:
    changed = [list(cells) for cells in seven]
    changed[3][seven[0].index(MASS)] = "0.001"
    last = words.sentence("l.csv", judged(changed).faults[-1])
    expected = repr(1.25 * (0.3 + 0.1 * 2 + 0.05) * 56 / 1000)
    assert last.startswith(f"l.csv:4 (run run-2): `{MASS}` ")
    assert last.endswith(f"expected {expected}, found 0.001")


@pytest.mark.parametrize("column", ["project_name", "host", "user", "command"])
def test_rows_of_one_run_have_to_agree(tmp_path: Path, column: str) -> None:
    epochs = [a_run(1, epoch="epoch: 1"), a_run(1, epoch="epoch: 2") | {column: "other"}]
    (fault, *_) = judged(written(tmp_path / "l.csv", epochs)).faults
    assert (fault.kind, fault.line, fault.column) == ("run", 3, column)


def test_clock_that_was_set_during_a_run_is_no_lie_when_the_row_says_so(tmp_path: Path) -> None:
    set_back = a_run(1, end_time="2024-07-01 11:00:00+00:00")
    assert kinds(judged(written(tmp_path / "a.csv", [set_back]))) == [("run", 2)]
    said = set_back | {"caveats": "clock-set;cpu-unknown"}
    assert judged(written(tmp_path / "b.csv", [said])).holds


def test_run_that_is_there_twice_is_noticed_though_the_hashes_are_new(seven: Rows) -> None:
    verdict = judged(rehashed([*seven, seven[3]], plain))
    assert kinds(verdict) == [("repeated", 9)]
    assert "twice" in words.conclusion(verdict)


def test_clock_that_was_set_is_told_in_the_row() -> None:
    began = Moment(wall_s=1000, elapsed_s=50, awake_s=50)
    for wall_s, was_set in ((8200, False), (8205, False), (8215, True), (900, True)):
        assert clock_was_set(began, Moment(wall_s, 7250, 7250)) == was_set


# what happened


def of(rows: Rows, *numbers: int) -> Rows:
    return [rows[number] for number in numbers]


def test_altered_cell_breaks_its_row_alone(seven: Rows) -> None:
    changed = [list(cells) for cells in seven]
    changed[4][seven[0].index("user")] = "somebody"
    verdict = judged(changed)
    assert kinds(verdict) == [("hash", 5)]
    assert words.conclusion(verdict) == "the file was altered"


def test_altered_hash_is_told_from_an_altered_row(seven: Rows) -> None:
    changed = [list(cells) for cells in seven]
    place = seven[0].index(HASH)
    changed[4][place] = "0" * 64
    verdict = judged(changed)
    assert kinds(verdict) == [("hash-cell", 5)]
    assert (verdict.faults[0].expected, verdict.faults[0].found) == (seven[4][place], "0" * 64)


def test_removed_row_breaks_the_one_behind_it(seven: Rows) -> None:
    assert kinds(judged(of(seven, 0, 1, 2, 5, 6, 7))) == [("hash", 4)]
    assert kinds(judged(of(seven, 0, 2, 3, 4))) == [("hash", 2)]


def test_row_that_was_put_in_is_the_first_that_does_not_hold(seven: Rows) -> None:
    forged = list(seven[3])
    forged[seven[0].index(HASH)] = "f" * 64
    verdict = judged([*seven[:3], forged, *seven[3:]])
    assert kinds(verdict)[0] == ("hash", 4)
    assert words.conclusion(verdict) == "the file was altered"


@pytest.mark.parametrize(
    "order",
    [
        (0, 1, 3, 2, 4, 5, 6, 7), (0, 7, 6, 5, 4, 3, 2, 1),
        (0, 2, 4, 6, 1, 3, 5, 7), (0, 7, 1, 2, 3, 4, 5, 6),
    ],
)  # fmt: skip
def test_sorted_file_is_intact_but_moved(seven: Rows, order: tuple[int, ...]) -> None:
    verdict = judged(of(seven, *order))
    assert not verdict.holds
    assert {kind for kind, _ in kinds(verdict)} <= {"moved", "anew"}
    assert "the rows are intact" in words.conclusion(verdict)


def test_joined_and_interleaved_files_are_intact_but_of_several_chains(
    tmp_path: Path, seven: Rows
) -> None:
    other = written(tmp_path / "l.csv", (a_run(n) for n in range(10, 17)))
    joined = judged([*seven, *other[1:]])
    assert kinds(joined) == [("anew", 9)]
    with_header = judged([*seven, *other])
    assert kinds(with_header) == [("anew", 9)]
    shuffled = [seven[0], *(row for pair in zip(seven[1:], other[1:], strict=True) for row in pair)]
    for verdict in (joined, with_header, judged(shuffled)):
        assert {kind for kind, count in verdict.counts.items() if count} <= {"anew", "moved"}
        assert "of several chains: files were joined" in words.conclusion(verdict)


def test_copied_rows_are_called_copies(seven: Rows) -> None:
    verdict = judged([*seven[:4], seven[3], *seven[4:]])
    assert kinds(verdict)[0] == ("repeated", 5)
    assert "line 4" in verdict.faults[0].why
    assert "twice" in words.conclusion(verdict)


def test_columns_renamed_exchanged_moved_or_removed_are_named(seven: Rows) -> None:
    names = seven[0]
    cpu, ram = names.index("cpu_energy(kWh)"), names.index("ram_energy(kWh)")
    renamed = list(names)
    renamed[cpu] = "cpu"
    verdict = judged([renamed, *seven[1:]])
    assert kinds(verdict) == [("header", 1)]
    assert (verdict.faults[0].expected, verdict.faults[0].found) == ("cpu_energy(kWh)", "cpu")

    exchanged = list(names)
    exchanged[cpu], exchanged[ram] = names[ram], names[cpu]
    assert kinds(judged([exchanged, *seven[1:]])) == [("header", 1)] * 2

    order = [*range(20, len(names)), *range(20)]
    moved = judged([[row[place] for place in order] for row in seven])
    assert kinds(moved) == [("header", 1)]
    assert moved.recomputed == 7

    place = names.index(HASH)
    without = judged([[*row[:place], *row[place + 1 :]] for row in seven])
    assert kinds(without) == [("header", 1)]
    unhashed = [list(row) for row in seven]
    unhashed[0][place] = "hash"
    assert kinds(judged(unhashed)) == [("header", 1)]


def test_empty_column_that_is_renamed_is_noticed(seven: Rows) -> None:
    renamed = list(seven[0])
    renamed[renamed.index("job")] = "jobs"
    assert kinds(judged([renamed, *seven[1:]])) == [("header", 1)]


def test_columns_that_were_added_behind_ours_change_nothing_as_long_as_they_are_empty(
    seven: Rows,
) -> None:
    assert judged([[*seven[0], "note"], *([*row, ""] for row in seven[1:])]).holds
    assert not judged([[*seven[0], "note"], *([*row, "x"] for row in seven[1:])]).holds


def test_torn_line_is_a_torn_line_and_the_chain_may_go_on_either_way(
    tmp_path: Path, seven: Rows
) -> None:
    torn = judged([*seven, seven[3][:20]])
    assert kinds(torn) == [("torn", 9)]
    assert "torn, as a power cut does" in words.conclusion(torn)
    anew = written(tmp_path / "l.csv", map(a_run, range(20, 22)))[1:]
    assert kinds(judged([*seven, seven[3][:20], *anew])) == [("torn", 9)]
    assert kinds(judged([*seven[:4], seven[3][:20], *seven[4:]])) == [("torn", 5)]
    assert kinds(judged([*seven[:4], [""] * len(seven[0]), *seven[4:]])) == [("torn", 5)]


def test_stripped_hashes_are_noticed(seven: Rows) -> None:
    changed = [list(cells) for cells in seven]
    for row in changed[1:]:
        row[seven[0].index(HASH)] = ""
    assert kinds(judged(changed)) == [("no-hash", line) for line in range(2, 9)]
    for row in changed[1:]:
        row[changed[0].index("version")] = ""
    assert kinds(judged(changed)) == [("no-hash", line) for line in range(2, 9)]
    gone = ("row_hash", "version", "overhead(s)")
    places = [place for place, name in enumerate(seven[0]) if name not in gone]
    without = [[row[place] for place in places] for row in seven]
    assert ("header", 1) in kinds(judged(without))
    as_of_eco2ai = [*seven, [*seven[1][:13], *[""] * (len(seven[0]) - 13)]]
    assert kinds(judged(as_of_eco2ai)) == [("no-hash", 9)]


def test_bytes_that_are_not_utf_8_do_not_pass_for_their_escapes(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    written(path, [a_run(0, command="\udcff"), a_run(1)])
    assert b"\\xff" in path.read_bytes()
    assert verify(str(path), records(str(path))).holds
    path.write_bytes(path.read_bytes().replace(b"\\xff", b"\xff"))
    assert kinds(verify(str(path), records(str(path)))) == [("torn", 2)]


# keys


def test_file_with_a_key_and_none_at_hand_is_not_called_altered(seven_keyed: Rows) -> None:
    for keys in ((), (b"another secret!!",)):
        verdict = judged(seven_keyed, *keys)
        assert not verdict.holds
        assert "no hash from line 2 on holds: the rows are chained" in words.conclusion(verdict)


def test_key_that_came_later_vouches_for_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    written(path, map(a_run, range(3)))
    rows = written(path, map(a_run, range(3, 5)), KEY)
    verdict = judged(rows, KEY)
    assert verdict.holds
    assert (verdict.keyed, verdict.plain_rows, verdict.key_from_line) == (2, 3, 5)
    assert any("used from line 5 on" in line for line in words.covered(verdict))
    assert "from line 5 on" in words.conclusion(judged(rows))
    forged = [list(cells) for cells in rows]
    forged[1][forged[0].index("user")] = "x"
    assert not judged([*rehashed(forged[:4], plain), *forged[4:]], KEY).holds


def test_rows_that_anybody_can_have_added_behind_the_key_are_told(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    written(path, map(a_run, range(3)), KEY)
    rows = written(path, map(a_run, range(3, 5)))
    verdict = judged(rows, KEY)
    assert kinds(verdict) == [("unkeyed", 5)]
    assert "anybody can have written" in words.conclusion(verdict)


def test_ledger_in_which_nothing_is_by_the_key_is_told(
    tmp_path: Path, seven: Rows, seven_keyed: Rows
) -> None:
    """With all but the paper's columns cut off it passes for eco2AI's, but for the key."""
    as_of_eco2ai = [row[:13] for row in seven_keyed]
    assert judged(as_of_eco2ai).holds
    assert kinds(judged(as_of_eco2ai, KEY)) == [("unkeyed", 2)]
    assert "anybody can have written" in words.conclusion(judged(as_of_eco2ai, KEY))
    assert kinds(judged(seven, KEY)) == [("unkeyed", 2)]
    assert judged(seven[:1], KEY).holds
    theirs_first = [*as_of_eco2ai[:3]]
    path = tmp_path / "l.csv"
    path.write_bytes(as_csv(theirs_first))
    assert judged(written(path, [a_run(9)], KEY), KEY).holds


def test_keys_that_followed_each_other_are_all_taken(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    second = b"another secret!!"
    written(path, map(a_run, range(3)), KEY)
    rows = written(path, map(a_run, range(3, 6)), second)
    assert judged(rows, second, KEY).holds
    assert not judged(rows, second).holds


# other files


def test_ledger_of_eco2ai_holds_and_is_said_not_to_be_covered(tmp_path: Path) -> None:
    path = tmp_path / "emission.csv"
    path.write_bytes((LEDGERS / "eco2ai.csv").read_bytes())
    done = eco2ai(folder=tmp_path)
    assert done.returncode == 0
    assert "without a hash, as those of eco2AI" in done.stdout
    assert "no hashes" in done.stdout
    assert "every hash" not in done.stdout
    theirs = json.loads(eco2ai("--json", folder=tmp_path).stdout)["rows"]

    mixed = written(path, map(a_run, range(2)))
    verdict = judged(mixed)
    assert (verdict.holds, verdict.rows, verdict.hashed) == (True, theirs + 2, 2)
    mixed[-1][0] = "x"
    assert not judged(mixed).holds


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", (",".join(COLUMNS) + "\n").encode()])
def test_ledger_without_rows_holds(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "emission.csv").write_bytes(content)
    done = eco2ai(folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no rows" in done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a,b\n1,2\n", "is not a ledger"), (b"\x00\xff" * 9, "is not"), (None, "there is no ledger")],
)
def test_what_is_no_ledger_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "emission.csv").write_bytes(content)
    done = eco2ai(folder=tmp_path)
    assert (done.returncode, done.stdout) == (125, "")
    assert said in done.stderr


@settings(deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_get_a_verdict_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, with_header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(((",".join(COLUMNS) + "\n").encode() if with_header else b"") + tail)
    try:
        verdict = verify(str(path), records(str(path)), [KEY])
    except ledger.precheck.LedgerError:
        return
    lines = [words.conclusion(verdict), *(words.sentence("f", f) for f in verdict.faults)]
    assert all(lines)


# the command


def test_exit_status_and_json_are_those_of_the_contract(tmp_path: Path, seven: Rows) -> None:
    changed = [list(cells) for cells in seven]
    changed[2][seven[0].index(ENERGY)] = "9.0"
    (tmp_path / "good.csv").write_bytes(as_csv(seven))
    (tmp_path / "bad.csv").write_bytes(as_csv(changed))
    assert eco2ai("good.csv", folder=tmp_path).returncode == 0
    done = eco2ai("bad.csv", "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert found["file"] == "bad.csv"
    assert found["holds"] is False
    line = 4  # the first row takes two lines, for its command does
    assert {(f["line"], f["id"]) for f in found["faults"]} == {(line, "run-1")}
    assert {f["column"] for f in found["faults"]} == {HASH, ENERGY, MASS, "cost"}
    both = eco2ai("good.csv", "bad.csv", "--json", folder=tmp_path)
    assert [found["holds"] for found in json.loads(both.stdout)] == [True, False]
    assert both.returncode == 1
    shown = eco2ai("bad.csv", folder=tmp_path).stdout.splitlines()
    assert shown[0].startswith("bad.csv:4 (run run-1): `row_hash`")
    assert eco2ai("--wrong", folder=tmp_path).returncode == 2


def test_key_is_that_of_the_configuration_or_of_the_option(
    tmp_path: Path, seven_keyed: Rows
) -> None:
    (tmp_path / "emission.csv").write_bytes(as_csv(seven_keyed))
    key_file = tmp_path / "k"
    key_file.write_bytes(KEY)
    key_file.chmod(0o600)
    assert eco2ai(folder=tmp_path).returncode == 1
    assert eco2ai(folder=tmp_path, ECO2AI_LEDGER_KEY=str(key_file)).returncode == 0
    done = eco2ai("--key", key_file, folder=tmp_path)
    assert done.returncode == 0
    assert "7 with a hash, of which 7 by the key" in done.stdout
    key_file.chmod(0o644)
    assert eco2ai("--key", key_file, folder=tmp_path).returncode == 125


def test_what_a_file_says_does_not_steer_the_terminal(tmp_path: Path, seven: Rows) -> None:
    changed = [list(cells) for cells in seven]
    changed[2][0] = "\x1b[2J\x9b1mx"
    (tmp_path / "emission.csv").write_bytes(as_csv(changed))
    assert not {"\x1b", "\x9b"} & set(eco2ai(folder=tmp_path).stdout)


def test_memory_does_not_grow_with_the_file(seven: Rows) -> None:
    def peak(count: int) -> int:
        rows = (Record(n, list(seven[3])) for n in range(count))  # none holds
        tracemalloc.start()
        verify("l.csv", chain([Record(0, seven[0])], rows))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(1500)
    assert peak(3000) < 1.1 * peak(1500)


def test_bar_shows_on_a_terminal_after_a_second_and_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import itertools, sys\n"
        "from eco2ai_cli.commands.progress import bar\n"
        "ticks = itertools.count()\n"
        "with bar('verifying', 100, now_s=lambda: 0.6 * next(ticks)) as tell:\n"
        "    for done in range(0, 100, 10):\n"
        "        tell(done)\n"
        "print('rich' in sys.modules)\n"
    )
    shown = pexpect.run(f"{sys.executable} -c '{script.replace(chr(39), chr(34))}'", cwd=str(ROOT))
    assert b"verifying" in shown
    piped = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (piped.stdout, piped.stderr) == ("False\n", "")


def test_runs_that_wait_beside_a_ledger_are_said_to_be_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "emission.csv"
    ledger.append(str(path), [a_run(1)])
    spool.put(str(path), [a_run(2)])
    assert "1 run waits in `emission.csv.spool`" in eco2ai(folder=tmp_path).stdout
    assert json.loads(eco2ai("--json", folder=tmp_path).stdout)["waiting_runs"] == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(b"id,project_name\n"), "it is compressed by gzip"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), "it is not a text file"),
        (b"PK\x03\x04\x14\x00\x06\x00", "it is a ZIP archive, as spreadsheets are"),
        (b"SQLite format 3\0" + bytes(80), "it is a SQLite database"),
        ("id,project_name\n".encode("utf-16"), "it is UTF-16 text, not UTF-8"),
        (b"\x00\x01\x1b[2J" + bytes(70000), "it is not a text file"),
        (b"\x9b2J\xff\n", "it is not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_named_and_not_printed(
    content: bytes, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "l.csv").write_bytes(content)
    done = eco2ai("l.csv", folder=tmp_path)
    assert done.returncode == 125
    assert (
        done.stderr.splitlines()[0] == f"eco2ai: error: `l.csv` is not a ledger of eco2ai: {kind}"
    )


def test_a_device_without_an_end_is_no_ledger() -> None:
    with pytest.raises(LedgerError, match="not a text file"):
        next(records("/dev/zero"))


def test_a_row_that_is_written_while_the_file_is_read_is_not_taken_for_a_torn_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_run(number) for number in range(3)])
    reading = records(str(path))
    header = next(reading)
    with path.open("ab") as file:
        file.write(b"run-3,kandi")
    found = verify(str(path), chain([header], reading))
    assert (found.holds, found.rows) == (True, 3)


def test_a_ledger_comes_through_a_pipe_as_well(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_run(number) for number in range(300)])
    reader, writer = os.pipe()
    os.write(writer, path.read_bytes()[:60000])
    os.close(writer)
    try:
        assert verify("-", records(f"/dev/fd/{reader}")).rows > 30
    finally:
        os.close(reader)
