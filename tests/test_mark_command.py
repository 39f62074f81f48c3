"""`eco2ai mark`: what scripts call, within a run and outside of one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from wrapped import ECO2AI, run

from eco2ai_cli.commands.mark import mark
from eco2ai_cli.errors import NoAnswer, WrongUsage
from eco2ai_cli.marks.channel import Channel, open_channel


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    """A run around us, as far as a mark can see."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    opened = open_channel("0-1-2", {"TMPDIR": str(tmp_path)})
    assert opened is not None
    monkeypatch.setenv("ECO2AI_MARK", opened.path)
    yield opened
    opened.close()
    while signal.sigtimedwait({signal.SIGIO}, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call(*words: str) -> Result:
    return CliRunner().invoke(mark, words)


@pytest.mark.parametrize(
    ("words", "name", "values", "total"),
    [
        ((), None, (), None),
        (("3",), "3", (), None),
        (("3/10", "loss=-0.21", "acc=0.9"), "3", (("loss", "-0.21"), ("acc", "0.9")), 10),
        (("epoch", "3"), "3", (), None),
        (("fold 2 of the data",), "fold 2 of the data", (), None),
        (("loss=0.21",), None, (("loss", "0.21"),), None),
        (("note=a, b: 'c' \"d\"",), None, (("note", "a, b: 'c' \"d\""),), None),
        (("my loss=1",), None, (("my loss", "1"),), None),
        (("a=",), None, (("a", ""),), None),
    ],
)
def test_a_mark_arrives_as_it_was_given(
    channel: Channel,
    words: tuple[str, ...],
    name: str | None,
    values: tuple[tuple[str, str], ...],
    total: int | None,
) -> None:
    result = call(*words)
    assert (result.exit_code, result.output) == (0, "")
    (got,) = channel.read()
    assert (got.name, got.values, got.total) == (name, values, total)


@pytest.mark.parametrize(
    "words", [("loss=1", "done"), ("=1",), ("a", "b", "c"), ("loss=1", "=1")], ids=" ".join
)
def test_what_cannot_be_meant_is_wrong_usage(channel: Channel, words: tuple[str, ...]) -> None:
    assert isinstance(call(*words).exception, WrongUsage)
    assert channel.read() == []


def test_outside_of_a_run_the_answer_is_no_unless_that_is_fine() -> None:
    assert isinstance(call("3").exception, NoAnswer)
    result = call("--if-running", "3")
    assert (result.exit_code, result.output) == (0, "")


def test_outside_of_a_run_a_script_sees_one_sentence_and_status_1() -> None:
    result = run([*ECO2AI, "mark", "3"])
    assert (result.returncode, result.stdout) == (1, b"")
    sentence, hint = result.stderr.decode().splitlines()
    assert sentence == "eco2ai: error: there is no run around to mark"
    assert "--if-running" in hint


def test_a_script_does_not_fail_because_its_run_was_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mark")  # and nobody reads from it
    for path in (tmp_path / "mark", tmp_path / "gone"):
        result = run([*ECO2AI, "mark", "3"], env=os.environ | {"ECO2AI_MARK": str(path)})
        assert result.returncode == 0
        assert result.stderr.startswith(b"eco2ai: warning: the run around takes no marks any more")


def test_it_loads_next_to_nothing() -> None:
    """It is called in loops: neither the ledger, nor the journal, nor `re` patterns of ours."""
    code = (
        "import sys; from eco2ai_cli.cli import eco2ai\n"
        "eco2ai.main(['mark', '--if-running', '3'], standalone_mode=False)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('eco2ai_cli')))"
    )
    result = run([sys.executable, "-c", code])
    assert result.stdout.decode().split() == [
        "eco2ai_cli",
        "eco2ai_cli.cli",
        "eco2ai_cli.commands",
        "eco2ai_cli.commands.eager",
        "eco2ai_cli.commands.mark",
        "eco2ai_cli.errors",
        "eco2ai_cli.marks",
        "eco2ai_cli.marks.send",
        "eco2ai_cli.talk",
    ]
