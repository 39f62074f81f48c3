"""A ledger that lacks our columns gains them, and loses nothing."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, a_row, as_csv, contents, first_broken_row, fork_writers, rows_of

from eco2ai_cli import ledger
from eco2ai_cli.ledger.extension import extend

ECO2AI = (LEDGERS / "eco2ai.csv").read_bytes()
PAPER_COLUMNS = list(ledger.COLUMNS[:13])
KEPT = "l.csv.eco2ai-original"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "l.csv"
    path.write_bytes(ECO2AI)
    return path


def test_eco2ai_file_keeps_its_cells_byte_for_byte_and_gains_our_columns(path: Path) -> None:
    before = rows_of(path)
    ledger.append(str(path), [a_row(id="new")])
    *old, new = rows_of(path)
    assert list(new) == list(ledger.COLUMNS)
    assert [{name: row[name] for name in PAPER_COLUMNS} for row in old] == before
    assert {row[name] for row in old for name in ledger.COLUMNS[13:]} == {""}
    assert new["id"] == "new"
    assert first_broken_row(path) is None
    padding = b"," * 34
    lines = ECO2AI.splitlines()
    assert path.read_bytes().splitlines()[1:4] == [lines[1] + padding, lines[2], lines[3] + padding]


def test_original_stays_beside_it_and_nothing_else_does(path: Path) -> None:
    ledger.append(str(path), [a_row()])
    ledger.append(str(path), [a_row()])
    assert len(rows_of(path)) == 4
    assert sorted(contents(path.parent)) == ["l.csv", KEPT]
    assert contents(path.parent)[KEPT] == ECO2AI


def test_file_kept_earlier_is_not_overwritten(path: Path) -> None:
    (path.parent / KEPT).write_bytes(b"precious")
    (path.parent / f"{KEPT}.2").symlink_to("nowhere")
    ledger.append(str(path), [a_row()])
    assert (path.parent / KEPT).read_bytes() == b"precious"
    assert (path.parent / f"{KEPT}.3").read_bytes() == ECO2AI


def test_original_is_copied_where_there_are_no_hard_links(path: Path) -> None:
    def link(source: str, target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    fd = os.open(path, os.O_RDWR)
    extend(fd, str(path), tuple(PAPER_COLUMNS), [a_row()], "", link=link)
    os.close(fd)
    assert len(rows_of(path)) == 3
    assert (path.parent / KEPT).read_bytes() == ECO2AI


def test_file_stays_when_the_original_cannot_be_kept(path: Path) -> None:
    def link(source: str, target: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    fd = os.open(path, os.O_RDWR)
    with pytest.raises(OSError, match=r"Errno 5"):
        extend(fd, str(path), tuple(PAPER_COLUMNS), [a_row()], "", link=link)
    os.close(fd)
    assert contents(path.parent) == {"l.csv": ECO2AI}


def test_mode_is_kept_and_a_link_stays_a_link(path: Path) -> None:
    path.chmod(0o664)
    (path.parent / "elsewhere").mkdir()
    linked = path.parent / "elsewhere" / "link.csv"
    linked.symlink_to("../l.csv")
    ledger.append(str(linked), [a_row()])
    assert linked.is_symlink()
    assert len(rows_of(path)) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_is_kept(path: Path) -> None:
    os.chown(path, 12345, 54321)
    ledger.append(str(path), [a_row()])
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@pytest.mark.parametrize("last_line_end", ["\r\n", ""])
def test_file_from_windows_with_a_byte_order_mark_keeps_its_cells(
    path: Path, last_line_end: str
) -> None:
    before = rows_of(path)
    as_windows = as_csv([PAPER_COLUMNS, *(list(row.values()) for row in before)], "\r\n")
    as_windows = as_windows.removesuffix(b"\r\n") + last_line_end.encode()
    path.write_bytes(b"\xef\xbb\xbf" + as_windows)
    ledger.append(str(path), [a_row(id="new")])
    *old, new = rows_of(path)
    assert [{name: row[name] for name in PAPER_COLUMNS} for row in old] == before
    assert new["id"] == "new"
    assert b"\r" not in path.read_bytes()


def test_index_column_columns_of_others_and_blank_lines_are_kept(path: Path) -> None:
    names = ["", *PAPER_COLUMNS, "note, mine"]
    path.write_bytes(as_csv([names, [str(n) for n in range(15)]]) + b"\n")
    ledger.append(str(path), [a_row(id="new")])
    old, new = rows_of(path)
    assert [old[name] for name in names] == [str(n) for n in range(15)]
    assert (new["id"], new[""], new["note, mine"]) == ("new", "", "")


def test_file_of_an_older_version_of_ours_keeps_its_chain(path: Path) -> None:
    path.unlink()
    ledger.append(str(path), [a_row(id="1"), a_row(id="2")])
    dropped = ("processes", "caveats")
    rows = [{n: c for n, c in row.items() if n not in dropped} for row in rows_of(path)]
    path.write_bytes(as_csv([list(rows[0]), *(list(row.values()) for row in rows)]))
    assert first_broken_row(path) is None

    ledger.append(str(path), [a_row(id="3", processes=8)])
    assert list(rows_of(path)[0])[-2:] == list(dropped)
    assert [row["processes"] for row in rows_of(path)] == ["", "", "8"]
    assert first_broken_row(path) is None
    assert all(row["row_hash"] for row in rows_of(path))


def test_twenty_writers_at_once_extend_an_eco2ai_file_once(path: Path) -> None:
    fork_writers(20, path)
    ids = [row["id"] for row in rows_of(path)]
    assert sorted(ids[2:], key=int) == [str(number) for number in range(20)]
    assert sorted(contents(path.parent)) == ["l.csv", KEPT]
    assert contents(path.parent)[KEPT] == ECO2AI
    assert first_broken_row(path) is None
