"""The FIFO of a run: nothing that is written gets lost, and no writer blocks or dies of us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from wrapped import PATIENCE_S

from eco2ai_cli.marks import afterlife
from eco2ai_cli.marks.channel import MOST_MARKS, Channel, open_channel
from eco2ai_cli.marks.send import LIMIT, send

SH = shutil.which("sh") or "sh"
WRITER = """
import os, sys
for number in range(200):
    with open(os.environ["ECO2AI_MARK"], "wb", buffering=0) as mark:
        mark.write(b"w%s-%d note=%s\\n" % (sys.argv[1].encode(), number, b"x" * int(sys.argv[2])))
"""


@pytest.fixture(autouse=True)
def _signals_wait() -> Iterator[None]:
    """As in a run: every signal is taken, none acts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    yield
    while signal.sigtimedwait({signal.SIGIO}, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    opened = open_channel("0-1-2", {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert opened is not None
    yield opened
    opened.close()


def shell(script: str, channel: Channel, **options: object) -> subprocess.Popen[bytes]:
    environ = os.environ | {"ECO2AI_MARK": channel.path}
    return subprocess.Popen([SH, "-ec", script], env=environ, **options)  # type: ignore[call-overload,no-any-return]


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds that must come to hold."""
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def state(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
    return "X"


def lives(pid: int) -> bool:
    return state(pid) not in "ZX"


def drains() -> list[int]:
    """Return our children that were left to read on."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
            if name == "eco2ai-drain" and int(rest.split()[1]) == os.getpid() and lives(pid):
                found.append(pid)
    return found


def test_a_shell_writes_a_mark(channel: Channel) -> None:
    assert shell('echo "epoch 3 loss=0.21" > "$ECO2AI_MARK"', channel).wait() == 0
    (mark,) = channel.read()
    assert (mark.name, mark.values) == ("3", (("loss", "0.21"),))
    assert channel.read() == []


def test_a_mark_raises_a_signal_that_nobody_else_can_send(channel: Channel) -> None:
    assert send("3", {}, {"ECO2AI_MARK": channel.path})
    ours = signal.sigtimedwait({signal.SIGIO}, PATIENCE_S)
    assert ours is not None
    assert ours.si_code > 0
    channel.read()
    assert signal.sigtimedwait({signal.SIGIO}, 0) is None  # what we take out raises none
    signal.pthread_kill(threading.get_ident(), signal.SIGIO)  # others may not block it
    theirs = signal.sigtimedwait({signal.SIGIO}, PATIENCE_S)
    assert theirs is not None
    assert theirs.si_code <= 0


@pytest.mark.parametrize("size", [3, 4000])
def test_ten_writers_at_once_lose_nothing(channel: Channel, size: int) -> None:
    environ = os.environ | {"ECO2AI_MARK": channel.path}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(n), str(size)], env=environ)
        for n in range(10)
    ]
    marks = []
    while any(writer.poll() is None for writer in writers):
        signal.sigtimedwait({signal.SIGIO}, 0.01)
        marks += channel.read()
    marks += channel.read()
    assert {writer.returncode for writer in writers} == {0}
    assert sorted(mark.name or "" for mark in marks) == sorted(
        f"w{writer}-{number}" for writer in range(10) for number in range(200)
    )
    assert {mark.values for mark in marks} == {(("note", "x" * size),)}
    assert (channel.rejected, channel.cut, channel.dropped) == (0, 0, 0)


def test_marks_of_one_writer_stay_in_their_order(channel: Channel) -> None:
    shell('for n in 1 2 3 4 5; do echo $n > "$ECO2AI_MARK"; done', channel).wait()
    assert [mark.name for mark in channel.read()] == list("12345")


def test_a_writer_has_room_for_many_marks_while_we_are_busy(channel: Channel) -> None:
    environ = {"ECO2AI_MARK": channel.path}
    began_s = time.monotonic()
    assert all(send(n, {"loss": 0.21}, environ) for n in range(6000))  # 94 kB: more than a pipe
    assert time.monotonic() - began_s < 1
    assert len(channel.read()) == 6000


def test_garbage_is_survived_and_counted(channel: Channel) -> None:
    fd = os.open(channel.path, os.O_WRONLY)
    os.write(fd, b"no mark at all\n1\n\x00\x01\x02\n" + b"2 note=" + b"x" * 9000 + b"\n3\n")
    os.close(fd)
    assert [mark.name for mark in channel.read()] == ["1", "2", "3"]
    assert (channel.rejected, channel.cut, channel.dropped) == (2, 1, 0)


def test_a_line_without_an_end_is_whole_after_a_moment_or_at_the_end_of_the_run(
    tmp_path: Path,
) -> None:
    now_s = 100.0
    os.mkfifo(tmp_path / "mark")
    folder_fd = os.open(tmp_path, os.O_RDONLY)
    channel = Channel(str(tmp_path / "mark"), folder_fd, clock=lambda: now_s)
    fd = os.open(channel.path, os.O_WRONLY)
    os.write(fd, b"epoch 1")
    assert channel.read() == []
    os.write(fd, b"2 loss=1\n")  # by the same writer, a moment later
    assert [mark.name for mark in channel.read()] == ["12"]
    os.write(fd, b"epoch 3")
    assert channel.read() == []
    now_s = channel.due_s
    os.write(fd, b"epoch 4")  # by one who never ends a line
    assert [mark.name for mark in channel.read()] == ["3"]
    assert [mark.name for mark in channel.read(last=True)] == ["4"]
    os.close(fd)
    channel.close()


def test_more_marks_than_a_run_may_have_are_counted(channel: Channel) -> None:
    # As many in one look as no writer could send in time: straight into the reader.
    channel._pieces = lambda: iter([b"\n" * 60_000] * 2)  # type: ignore[method-assign]
    assert len(channel.read()) == MOST_MARKS
    assert channel.dropped == 20_000


def test_a_flood_is_read_in_bounded_looks(channel: Channel) -> None:
    flood = shell('exec yes "no mark" > "$ECO2AI_MARK"', channel)
    until(lambda: channel.read() is not None and channel.rejected)
    began_s = time.process_time()
    channel.read()
    assert time.process_time() - began_s < 3
    flood.kill()
    flood.wait()


def test_nobody_else_may_enter_the_folder(channel: Channel, tmp_path: Path) -> None:
    folder = os.stat(os.path.dirname(channel.path))
    assert stat.S_IMODE(folder.st_mode) == 0o700
    assert os.path.dirname(os.path.dirname(channel.path)) == str(tmp_path)


def test_what_is_left_behind_is_nothing(channel: Channel, tmp_path: Path) -> None:
    channel.close()
    channel.close()  # twice is once
    assert list(tmp_path.iterdir()) == []


def test_the_next_place_is_taken_where_one_cannot_be_used(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "missing"), "TMPDIR": str(tmp_path)}
    channel = open_channel("0-1-2", environ)
    assert channel is not None
    assert channel.path.startswith(str(tmp_path))
    channel.close()
    for useless in ("relative", "", "\0"):
        channel = open_channel("0-1-2", {"XDG_RUNTIME_DIR": useless, "TMPDIR": useless})
        assert channel is not None
        assert channel.path.startswith("/tmp/")
        channel.close()


def test_a_folder_that_is_there_already_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "eco2ai-mark-0-1-2").mkdir()
    channel = open_channel("0-1-2", {"TMPDIR": str(tmp_path)})
    assert channel is not None
    assert not channel.path.startswith(str(tmp_path))
    channel.close()


def test_who_still_writes_when_the_run_has_ended_does_not_die_of_it(
    channel: Channel, tmp_path: Path
) -> None:
    writer = shell(
        'exec 7> "$ECO2AI_MARK"; echo 1 >&7; read go; echo 2 >&7; echo 3 >&7; echo alive; read go',
        channel,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    until(channel.read)
    held = os.pipe()
    channel.close(left_running=True)
    os.close(held[1])
    assert os.read(held[0], 1) == b""  # who was left behind holds nothing of ours
    os.close(held[0])
    until(drains)  # it has its name
    (drain,) = drains()
    until(lambda: len(os.listdir(f"/proc/{drain}/fd")) == 1)
    assert os.readlink(f"/proc/{drain}/cwd") == "/"
    assert os.getsid(drain) == drain  # what ends our group or our terminal does not end it
    writer.stdin.write(b"\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == b"alive\n"
    writer.communicate(b"\n")
    assert writer.returncode == 0
    os.waitpid(drain, 0)  # it ends with its last writer


def test_a_shell_that_is_left_running_makes_a_plain_file(channel: Channel) -> None:
    channel.close(left_running=True)
    assert shell('echo 1 > "$ECO2AI_MARK"; echo 2 > "$ECO2AI_MARK"', channel).wait() == 0
    assert Path(channel.path).read_text() == "2\n"
    assert not send("3", {}, {"ECO2AI_MARK": channel.path})


OWNER = """
import os, sys
from eco2ai_cli.marks.channel import open_channel
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
channel = open_channel("0-1-2", {"TMPDIR": sys.argv[1]})
command = int(sys.argv[2])
keeper = channel.keep(command) if command else 0
print(channel.path, keeper, flush=True)
sys.stdin.read()
channel.close()
"""


@contextlib.contextmanager
def owner(folder: Path, command: int) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    """A process with a channel, and with a keeper if `command` is not 0."""
    line = [sys.executable, "-c", OWNER, str(folder), str(command)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        path, keeper = process.stdout.readline().split()
        try:
            yield process, path.decode(), int(keeper)
        finally:
            process.kill()


def test_a_keeper_reads_on_when_we_are_killed_until_the_command_has_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as command:
        with owner(tmp_path, command.pid) as (process, path, keeper):
            process.kill()
            process.wait()
            assert process.stdout is not None
            assert process.stdout.read() == b""  # the keeper does not hold our caller's pipe
        assert lives(keeper)
        script = 'for n in 1 2 3; do echo $n > "$0"; done'
        subprocess.run([SH, "-ec", script, path], timeout=PATIENCE_S, check=True)
        until(lambda: state(keeper) == "S")  # it waits, and does not ask again and again
        assert not afterlife.discard(path)  # it is in use
        command.kill()
    until(lambda: not lives(keeper))
    assert list(tmp_path.iterdir()) == []


def test_a_keeper_is_ended_with_its_channel(tmp_path: Path) -> None:
    with owner(tmp_path, os.getpid()) as (process, _, keeper):
        assert lives(keeper)
        process.communicate(b"")
        assert process.returncode == 0
    assert not lives(keeper)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_has_left_is_discarded_and_who_waits_there_is_let_go(
    tmp_path: Path,
) -> None:
    with owner(tmp_path, 0) as (process, path, _):
        assert not afterlife.discard(path)  # it lives
        process.kill()
        process.wait()
    with subprocess.Popen([SH, "-ec", 'echo 1 > "$0"', path]) as waiting:
        until(lambda: "wait_for_partner" in wait_channel(waiting.pid))
        assert afterlife.discard(path)
        assert waiting.wait(PATIENCE_S) == 0
    assert not os.path.exists(path)
    assert afterlife.discard(path)  # again


def wait_channel(pid: int) -> str:
    """Return where in the kernel a process sleeps; where that is not told, any sleep will do."""
    with open(f"/proc/{pid}/wchan") as file:
        place = file.read()
    return "wait_for_partner" if place in ("", "0") and state(pid) == "S" else place


def test_nothing_is_discarded_that_has_another_name(tmp_path: Path) -> None:
    for path in (tmp_path / "eco2ai-mark-1" / "other", tmp_path / "folder" / "mark"):
        path.parent.mkdir()
        path.write_text("mine")
        assert afterlife.discard(str(path))
        assert path.read_text() == "mine"


def test_sending_outside_of_a_run_is_told_and_harmless(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nobody-reads")
    for path in ("", "/nonexistent/mark", str(tmp_path), str(tmp_path / "nobody-reads")):
        assert not send("3", {}, {"ECO2AI_MARK": path})
    assert not send("3", {}, {})


def test_sending_what_cannot_be_text_is_told_and_harmless(channel: Channel) -> None:
    class Loss:
        def __str__(self) -> str:
            raise RuntimeError

    assert not send("3", {"loss": Loss()}, {"ECO2AI_MARK": channel.path})


def test_a_full_pipe_is_waited_for_a_second_at_the_most(channel: Channel) -> None:
    fd = os.open(channel.path, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(fd, b"x" * LIMIT):
            pass
    os.close(fd)
    began_s = time.monotonic()
    assert not send("3", {}, {"ECO2AI_MARK": channel.path})
    assert 0.5 < time.monotonic() - began_s < 3


def test_sending_is_imported_without_anything_else() -> None:
    code = "import sys; before = set(sys.modules); import eco2ai_cli.marks.send\n" + (
        "print(*sorted(set(sys.modules) - before))"
    )
    line = [sys.executable, "-c", code]
    answer = subprocess.run(line, cwd=ROOT, capture_output=True, check=True, text=True)
    assert answer.stdout.split() == [
        "__future__",
        "eco2ai_cli",
        "eco2ai_cli.marks",
        "eco2ai_cli.marks.send",
    ]


def test_opening_a_channel_imports_nothing_for_reading() -> None:
    code = "import sys, eco2ai_cli.marks.channel; print('eco2ai_cli.marks.line' in sys.modules)"
    line = [sys.executable, "-c", code]
    answer = subprocess.run(line, cwd=ROOT, capture_output=True, check=True, text=True)
    assert answer.stdout == "False\n"
