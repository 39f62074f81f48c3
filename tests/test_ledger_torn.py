"""A last line that is torn is no row: it is set aside, and said, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, a_row, as_csv, contents, first_broken_row, rows_of, run_python

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import Row, Skipped, read

NASTY_COMMAND = "bash -c \"\necho, 'a\n"
ECO2AI = (LEDGERS / "eco2ai.csv").read_bytes()
PAPER_COLUMNS = list(ledger.COLUMNS[:13])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.csv"


def test_line_torn_anywhere_is_moved_and_said_and_the_rows_around_it_are_whole(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1", command=NASTY_COMMAND)])
    kept = path.read_bytes()
    ledger.append(str(path), [a_row(id="2", command=NASTY_COMMAND, project_name='"')])
    whole = path.read_bytes()
    aside = path.with_name("l.csv.torn")
    for size in range(len(kept) + 1, len(whole) - 1):
        path.write_bytes(whole[:size])
        ledger.check(str(path))
        said = ledger.append(str(path), [a_row(id="3", command=NASTY_COMMAND)]).notes
        assert said == (f"the last line of `{path}` was torn; it was moved to `{aside}`",)
        assert path.read_bytes().startswith(kept)
        assert aside.read_bytes() == whole[len(kept) : size] + b"\n"
        assert [row["id"] for row in rows_of(path)] == ["1", "3"], whole[:size]
        assert rows_of(path)[-1]["command"] == NASTY_COMMAND
        assert first_broken_row(path) is None
        aside.unlink()


def test_header_torn_anywhere_is_completed(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    whole = path.read_bytes()
    for begin in (b"", b"\xef\xbb\xbf"):
        for size in range(whole.index(b"\n") + 1):
            path.write_bytes(begin + whole[:size])
            ledger.check(str(path))
            assert list(read(str(path))) == []
            assert ledger.append(str(path), [a_row(id="1")]).notes == ()
            assert path.read_bytes() == begin + whole
    assert list(contents(path.parent)) == ["l.csv"]


def test_torn_lines_of_two_accidents_stand_one_after_the_other(path: Path) -> None:
    for number in (1, 2):
        ledger.append(str(path), [a_row(id=str(number))])
        path.write_bytes(path.read_bytes() + b"torn %d" % number)
    ledger.append(str(path), [a_row(id="3")])
    assert path.with_name("l.csv.torn").read_bytes() == b"torn 1\ntorn 2\n"
    assert [row["id"] for row in rows_of(path)] == ["1", "2", "3"]


def test_zeros_that_a_power_cut_left_at_the_end_are_moved(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    path.write_bytes(path.read_bytes() + bytes(500))
    ledger.check(str(path))
    assert len(ledger.append(str(path), [a_row(id="2")]).notes) == 1
    assert [type(entry) for entry in read(str(path))] == [Row, Row]
    assert path.with_name("l.csv.torn").read_bytes() == bytes(500) + b"\n"


def test_torn_line_of_an_eco2ai_file_is_moved_unless_only_its_last_figure_may_be(
    path: Path,
) -> None:
    begin = ECO2AI.index(b"7d2c1f86")
    last_cell = ECO2AI.rindex(b",") + 1
    for size in range(begin + 1, len(ECO2AI)):
        for beside in path.parent.iterdir():
            beside.unlink()
        path.write_bytes(ECO2AI[:size])
        notes = ledger.append(str(path), [a_row(id="new", command="a\n'b' \"c\"")]).notes
        rows = rows_of(path)
        assert (rows[0]["project_name"], rows[-1]["command"]) == ("malevich", "a\n'b' \"c\"")
        assert len(notes) == 3 - len(rows)
        assert (len(rows) == 3) == (size >= last_cell)


def test_last_row_of_another_program_without_a_line_end_is_a_row(path: Path) -> None:
    """As editors and spreadsheets leave it: with all cells, and figures that are figures."""
    ledger.append(str(path), [a_row(id="1")])
    theirs = dict.fromkeys(ledger.COLUMNS, "") | {"id": "2", "duration(s)": "1.5", "cost": "2"}
    path.write_bytes(path.read_bytes() + as_csv([list(theirs.values())]).rstrip(b"\n"))
    assert ledger.append(str(path), [a_row(id="3")]).notes == ()
    assert [row["id"] for row in rows_of(path)] == ["1", "2", "3"]
    assert first_broken_row(path) is None


@pytest.mark.parametrize("line_end", ["", "\r\n", "\n\n", "\r\n\r\n"])
def test_row_of_ours_whose_line_end_another_program_changed_is_a_row(
    path: Path, line_end: str
) -> None:
    ledger.append(str(path), [a_row(id="1", command=NASTY_COMMAND)])
    path.write_bytes(path.read_bytes().removesuffix(b"\n") + line_end.encode())
    assert ledger.append(str(path), [a_row(id="2")]).notes == ()
    assert [row["id"] for row in rows_of(path)] == ["1", "2"]
    assert first_broken_row(path) is None
    assert list(contents(path.parent)) == ["l.csv"]


def test_columns_behind_the_hash_do_not_make_a_whole_row_a_torn_one(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    header, row, _ = path.read_bytes().split(b"\n")
    path.write_bytes(header + b",water(l),note\n" + row + b",1.5,mine")
    assert ledger.append(str(path), [a_row(id="2")]).notes == ()
    assert [row["note"] for row in rows_of(path)] == ["mine", ""]


@pytest.mark.parametrize("columns", [13, len(ledger.COLUMNS)])
def test_rows_behind_a_quote_that_is_open_are_never_taken_for_a_torn_line(
    path: Path, columns: int
) -> None:
    """Another program tore that line; these rows, of yet another, are not our fault or ours."""
    names = ledger.COLUMNS[:columns]
    rows = [[str(number), *(["1"] * 12), *([""] * (columns - 13))] for number in range(4)]
    lines = as_csv([list(names), *rows]).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'1,"torn by another program\n', *lines[2:]]))
    ledger.append(str(path), [a_row(id="new")])
    assert not path.with_name("l.csv.torn").exists()
    assert all(line.rstrip() in path.read_bytes() for line in lines[1:])
    assert rows_of(path)[-1]["id"] == "new"


def test_quote_within_a_bare_cell_opens_none(path: Path) -> None:
    cells = ["1", 'a 5" disk', *(["1"] * 11)]
    path.write_bytes((",".join(PAPER_COLUMNS) + "\n" + ",".join(cells) + "\n").encode())
    ledger.append(str(path), [a_row(id="2")])
    assert [row["id"] for row in rows_of(path)] == ["1", "2"]
    assert rows_of(path)[0]["project_name"] == 'a 5" disk'
    assert path.with_name("l.csv.eco2ai-original").exists()


def test_torn_line_that_cannot_be_moved_is_ended_where_it_stands_and_said(path: Path) -> None:
    script = """
import os, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
from eco2ai_cli.ledger import extension, torn, writer
path = sys.argv[1]
ledger.append(path, [a_row(id="1")])
open(path, "a").write('2,"torn')
os.chmod(path, 0o666)
os.chmod(os.path.dirname(path), 0o555)
if os.geteuid() == 0:
    os.chdir(os.path.dirname(path))
    os.setgid(65534)
    os.setuid(65534)
print(ledger.append(os.path.basename(path), [a_row(id="3")]).notes)
print(ledger.append(os.path.basename(path), [a_row(id="4")]).notes)
"""
    said = run_python(script, path).splitlines()
    path.parent.chmod(0o755)
    assert "torn and could not be moved: Permission denied" in said[0]
    assert said[1] == "()"
    assert [type(entry) for entry in read(str(path))] == [Row, Skipped, Row, Row]


def test_link_laid_out_for_the_torn_line_is_not_followed(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    path.write_bytes(path.read_bytes() + b"torn")
    (path.parent / "victim").write_bytes(b"precious")
    path.with_name("l.csv.torn").symlink_to("victim")
    assert "could not be moved" in ledger.append(str(path), [a_row(id="2")]).notes[0]
    assert (path.parent / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("size", [2 * 10**7, 63 * 2**20])
def test_row_of_many_megabytes_is_a_row_and_chained_to(path: Path, size: int) -> None:
    ledger.append(str(path), [a_row(id="1", command="x" * size)])
    assert ledger.append(str(path), [a_row(id="2")]).notes == ()
    assert [entry.id for entry in read(str(path)) if isinstance(entry, Row)] == ["1", "2"]
    assert first_broken_row(path) is None


def test_torn_line_of_many_megabytes_is_moved(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    path.write_bytes(path.read_bytes() + b'2,"' + b"x, and y\n" * 2_500_000)
    assert len(ledger.append(str(path), [a_row(id="2")]).notes) == 1
    assert path.with_name("l.csv.torn").stat().st_size == 22_500_004


def test_file_of_ten_gigabytes_is_written_and_read_if_it_ends_with_a_row_and_else_refused(
    path: Path,
) -> None:
    ledger.append(str(path), [a_row(id="1")])
    _, row, _ = path.read_bytes().split(b"\n")
    os.truncate(path, 10**10)
    for refuse in (ledger.check, lambda path: ledger.append(path, [a_row(id="2")])):
        with pytest.raises(LedgerError, match=r"last line of .* is longer than 64 MiB"):
            refuse(str(path))
    assert path.stat().st_size == 10**10
    with path.open("ab") as file:
        file.write(b"\n" + row + b"\n")
    ledger.check(str(path))
    ledger.append(str(path), [a_row(id="2")])
    with path.open("rb") as file:
        file.seek(10**10)
        assert file.read().startswith(b"\n" + row + b"\n2,kandinsky,")
