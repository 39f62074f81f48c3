"""An append killed, or refused by the system, at any of its steps loses and doubles nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ledger_rows import run_python
from ledger_steps import SCENARIOS, WITHOUT_LOCKS

RUN = """
import sys
sys.path.insert(0, "tests")
import ledger_steps
ledger_steps.main()
"""
WITHOUT = [name + WITHOUT_LOCKS for name in ("empty", "one_row_and_a_spool")]


@pytest.mark.parametrize("scenario", [*SCENARIOS, *WITHOUT])
def test_kill_at_any_step_leaves_whole_rows_each_exactly_once(
    tmp_path: Path, scenario: str
) -> None:
    assert int(run_python(RUN, tmp_path, scenario, "kill")) > 40


@pytest.mark.parametrize("scenario", [*SCENARIOS, *WITHOUT])
def test_disk_that_is_full_at_any_step_leaves_whole_rows_each_exactly_once(
    tmp_path: Path, scenario: str
) -> None:
    assert int(run_python(RUN, tmp_path, scenario, errno.ENOSPC)) > 40


@pytest.mark.parametrize("reason", ["EIO", "EDQUOT", "EROFS"])
def test_step_refused_for_another_reason_is_no_different(tmp_path: Path, reason: str) -> None:
    number = getattr(errno, reason)
    assert int(run_python(RUN, tmp_path, "one_row_and_a_spool", number)) > 40
