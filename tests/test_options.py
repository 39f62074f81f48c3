"""Short options of `run` mean what their long ones mean, and cost no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from wrapped import ECO2AI, only_row, run


@pytest.mark.parametrize(
    "options",
    [
        ["-q", "-o", "l.csv", "-p", "a project"],
        ["-qo", "l.csv", "-pa project"],
        ["-o", "l.csv", "--quiet", "--project=a project", "--"],
        ["-p", "a project", "-q", "-ol.csv"],
    ],
)
def test_options_are_the_same_however_they_are_written(options: list[str], tmp_path: Path) -> None:
    answer = run([*ECO2AI, "run", *options, "echo", "-q", "-o", "--", "x"], cwd=tmp_path)
    assert (answer.stdout, answer.stderr) == (b"-q -o -- x\n", b"")
    assert only_row(tmp_path / "l.csv")["project_name"] == "a project"


def test_what_stands_after_an_option_is_its_value_whatever_it_looks_like(tmp_path: Path) -> None:
    answer = run([*ECO2AI, "run", "-q", "-o", "-p", "echo", "-q"], cwd=tmp_path)
    assert answer.stdout == b"-q\n"
    assert only_row(tmp_path / "-p")["project_name"] == ""


def test_short_options_do_not_make_click_look_for_suggestions(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "fork = os.fork\n"
        "def tell_and_fork():\n"
        "    print('difflib' in sys.modules, file=sys.stderr, flush=True)\n"
        "    return fork()\n"
        "os.fork = tell_and_fork\n"
        "from eco2ai_cli.__main__ import main\n"
        "main()\n"
    )
    answer = run([sys.executable, "-c", script, "run", "-q", "-o", "l.csv", "true"], cwd=tmp_path)
    assert answer.stderr.startswith(b"False\n")
