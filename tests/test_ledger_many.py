"""Many runs that end at the same moment, of one user and of two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, contents, first_broken_row, fork_writers, rows_of

from eco2ai_cli import ledger

RUNS = 64
OF_TWO_USERS = """
os.setgroups([54321])
os.setgid(10001 + number % 2)
os.setuid(10001 + number % 2)
os.umask(0o002)
"""


def check_rows(path: Path, *, already: int = 0) -> None:
    rows = rows_of(path)[already:]
    assert sorted(int(row["id"]) for row in rows) == list(range(RUNS))
    assert {row["command"] for row in rows} == {"a 'b'\n" * 300}
    assert first_broken_row(path) is None
    assert path.read_bytes().count(b"project_name") == 1


def test_runs_that_end_at_once_leave_a_row_each_one_header_and_a_whole_chain(
    tmp_path: Path,
) -> None:
    fork_writers(RUNS, tmp_path / "l.csv")
    check_rows(tmp_path / "l.csv")
    assert list(contents(tmp_path)) == ["l.csv"]


def test_run_that_was_saved_before_another_ended_stands_before_it(tmp_path: Path) -> None:
    told = fork_writers(RUNS, tmp_path / "l.csv", "time.sleep(0.004 * number)")
    place = {int(row["id"]): place for place, row in enumerate(rows_of(tmp_path / "l.csv"))}
    pairs = [
        (place[first], place[then])
        for first, _, first_ended_s in told
        for then, then_began_s, _ in told
        if first_ended_s < then_began_s
    ]
    assert len(pairs) > RUNS
    assert all(first < then for first, then in pairs)


@pytest.mark.parametrize("begun", ["no file", "eco2AI's file"])
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_two_users_of_one_group_write_one_ledger(tmp_path: Path, begun: str) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o5 != 0o5:
            folder.chmod(folder.stat().st_mode | 0o5)
        if folder.name == "tmp":
            break
    os.chown(tmp_path, 0, 54321)
    tmp_path.chmod(0o2775)
    path = tmp_path / "l.csv"
    already = 0
    if begun != "no file":
        path.write_bytes((LEDGERS / "eco2ai.csv").read_bytes())
        os.chown(path, 10001, 54321)
        path.chmod(0o664)
        already = len(rows_of(path))
    fork_writers(RUNS, path, OF_TWO_USERS)
    check_rows(path, already=already)
    assert path.stat().st_gid == 54321
    assert path.stat().st_mode & 0o777 == 0o664


def test_runs_that_end_while_a_file_of_eco2ai_is_extended_leave_a_row_each(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes((LEDGERS / "eco2ai.csv").read_bytes())
    fork_writers(RUNS, path)
    check_rows(path, already=2)
    assert set(contents(tmp_path)) == {"l.csv", "l.csv.eco2ai-original"}
    assert tuple(rows_of(path)[0]) == ledger.COLUMNS
