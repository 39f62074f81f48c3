"""`eco2ai watch`: runs under way are found and shown, never touched; the terminal comes back."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nvml_rig
import pytest
from journals import CELLS, folder, id_in, leave_journal, start, until
from terminal import Terminal, touch
from wrapped import ECO2AI, only_row, run

from eco2ai_cli.clock import Moment
from eco2ai_cli.commands.watch import watch
from eco2ai_cli.commands.watch_screen import meanings
from eco2ai_cli.dashboard import Gpu
from eco2ai_cli.errors import NoAnswer, WrongUsage
from eco2ai_cli.journal.owner import this_process
from eco2ai_cli.ledger import COLUMNS
from eco2ai_cli.watch import traces
from eco2ai_cli.watch.members import look
from eco2ai_cli.watch.outcome import outcome
from eco2ai_cli.watch.power import LEAST_S
from eco2ai_cli.watch.runs import LiveRun, live_runs, matching

WATCH = [*ECO2AI, "watch"]
FRAME = "── eco2ai watch ──"
WAIT = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file that the command of a run waits for."""
    return tmp_path / "go"


def waiting(go: Path) -> list[Any]:
    return [sys.executable, "-c", WAIT, go]


def leave_live_journal(ledger: Path, project: str = "left", **facts: Any) -> str:
    """Leave the journal of a run that this very process keeps; return the run's id."""
    run_id = str(uuid.uuid4())
    cells = {"id": run_id, **CELLS, "project_name": project}
    leave_journal(ledger, this_process(), cells=cells, **facts)
    return run_id


def tracing(trace: Path, run_id: str, lines: Sequence[str]) -> int:
    """Write a trace as a run does, and leave it open; return the descriptor."""
    fd = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.write(fd, "".join(f'{{"id": "{run_id}", {line}}}\n' for line in lines).encode())
    return fd


def found() -> list[str]:
    return [run.id for run in live_runs()]


def test_a_run_is_found_by_its_project_and_by_the_beginning_of_its_id(ledger: Path) -> None:
    first, second = (leave_live_journal(ledger, project) for project in ("vision", "speech"))
    runs = live_runs()
    assert {run.id for run in runs} == {first, second}
    assert [run.id for run in matching(runs, "speech")] == [second]
    for run_id in (first, second):
        assert [run.id for run in matching(runs, run_id)] == [run_id]
        assert run_id in [run.id for run in matching(runs, run_id[:2])]
        assert [run.id for run in matching(runs, run_id[:13].upper())] == [run_id]
    assert matching(runs, "spee") == matching(runs, "nothing") == []


def test_the_dead_and_what_is_elsewhere_is_not_under_way(ledger: Path) -> None:
    here = this_process()
    leave_journal(ledger)
    leave_journal(ledger, here._replace(boot="another"))
    leave_journal(ledger, here._replace(machine="another"))
    leave_journal(ledger, here._replace(pid_namespace=1))
    assert found() == []


def test_a_run_in_another_container_lives_as_long_as_its_journal_is_locked(ledger: Path) -> None:
    path = leave_journal(ledger, this_process()._replace(pid_namespace=1))
    with path.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (run,) = live_runs()
        assert (run.id, run.pid) == (id_in(path), None)
    assert found() == []
    with path.open("rb+") as recoverer:  # nothing of ours is left on it
        fcntl.flock(recoverer, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_is_no_journal_is_passed_over(ledger: Path, tmp_path: Path) -> None:
    run_id = leave_live_journal(ledger)
    whole = next(folder().iterdir()).read_bytes()
    tags = next(folder().iterdir()).name.partition(".")[2]
    for n, content in enumerate((b"", b"x" * 20000, whole[:9000], whole[:-1], whole[:16] * 999)):
        (folder() / f"{n}.{tags}").write_bytes(content)
    os.mkfifo(folder() / f"fifo.{tags}")
    (tmp_path / "elsewhere").write_bytes(whole)
    (folder() / f"link.{tags}").symlink_to(tmp_path / "elsewhere")
    (folder() / f"folder.{tags}").mkdir()
    assert found() == [run_id]


def test_where_there_are_no_journals_there_are_no_runs(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live_runs({}) == []
    assert live_runs(proc="/nonexistent") == []
    with pytest.raises(NoAnswer, match="no run of yours is under way on this machine"):
        watch.main([], standalone_mode=False)
    leave_live_journal(ledger)
    with pytest.raises(NoAnswer, match="has the id or the project `other`"):
        watch.main(["other", "--json", "--once"], standalone_mode=False)
    assert capsys.readouterr().out == ""


def test_an_interval_is_a_time() -> None:
    for interval in ("0", "-1", "nan", "inf", "3601"):
        with pytest.raises(WrongUsage, match=r"from 0\.1 to 3600"):
            watch.main(["--interval", interval], standalone_mode=False)


def test_a_journal_is_read_and_nothing_else(ledger: Path) -> None:
    leave_live_journal(ledger)
    (path,) = folder().iterdir()
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with path.open("rb+") as held:
        # While the run keeps its lock, we never ask for one.
        fcntl.flock(held, fcntl.LOCK_EX)
        assert len(found()) == 1
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert os.listdir(folder()) == [path.name]


def test_two_samples_half_written_are_read_again(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = leave_live_journal(ledger)
    whole, reads = os.pread, []

    def torn(fd: int, count: int, offset: int) -> bytes:
        reads.append(1)
        data = whole(fd, count, offset)
        return data if len(reads) > 1 else data[:4096] + bytes(8192) + data[12288:]

    monkeypatch.setattr(os, "pread", torn)
    assert found() == [run_id]
    assert len(reads) == 2


def test_processes_are_those_below_the_wrapper_without_its_own_copies(go: Path) -> None:
    others = set(look(os.getpid()).seen)  # whom other tests have left
    copy = os.fork()
    if not copy:
        signal.pause()
        os._exit(0)
    shell = subprocess.Popen(["sh", "-c", '"$@" & wait', "sh", *map(str, waiting(go))])
    try:
        until(lambda: len(set(look(os.getpid()).seen) - others) == 2)
        seen = look(os.getpid()).seen
        assert shell.pid in seen
        assert copy not in seen
        (worker,) = set(seen) - {shell.pid} - others
        assert Path(f"/proc/{worker}/cmdline").read_bytes().split(b"\0")[1] == b"-c"
        until(lambda: look(os.getpid()).seen[worker].cpu_s > 0)
    finally:
        touch(go)
        shell.wait()
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
    assert set(look(os.getpid()).seen) <= others
    assert look(os.getpid(), "/nonexistent").seen == {}


def test_a_trace_is_found_by_the_run_in_it_and_nothing_else_is_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fds = [os.open(pipe, os.O_RDWR | os.O_CLOEXEC)]  # to open it once more would disturb it
    fds.append(tracing(tmp_path / "other", "other", ['"t_s": 0']))
    fds.append(tracing(tmp_path / "mine", "mine", ['"t_s": 0']))
    try:
        path = traces.find(os.getpid(), "mine")
        assert path is not None
        assert os.path.realpath(path) == str(tmp_path / "mine")
        assert traces.find(os.getpid(), "min") is None
        assert traces.find(None, "mine") is None
    finally:
        for fd in fds:
            os.close(fd)


def test_what_was_before_it_was_watched_is_in_the_trace(tmp_path: Path) -> None:
    """With every line read or only some, the energy is that of the trace."""
    trace = tmp_path / "trace"
    for count in (100, 5000):
        trace.unlink(missing_ok=True)
        lines = [
            f'"t_s": {n + 1.0}, "cpu_energy_j": {n * n / 7}, "gpu_energy_j": null,'
            f' "ram_energy_j": {n}.0, "devices": []'
            for n in range(count)
        ]
        fd = tracing(trace, "mine", [*lines, '"t_s": 1e9, "torn'])
        os.ftruncate(fd, os.fstat(fd).st_size - 2)
        stretches = traces.past(str(trace), 1.5)
        os.close(fd)
        assert 95 <= len(stretches) <= 1024
        assert [s.to_s for s in stretches[:-1]] == [s.from_s for s in stretches[1:]]
        assert stretches[-1].to_s > 0.99 * count
        last = int(stretches[-1].to_s) - 1
        joules = sum((s.to_s - s.from_s) * (s.power_w or 0.0) for s in stretches)
        assert joules == pytest.approx(1.5 * (last * last / 7 + last))


def test_the_gpus_of_the_last_sample_are_in_the_trace(tmp_path: Path) -> None:
    device = '{"component": "gpu", "name": "H100", "power_w": 350.5, "utilisation_percent": 97.0'
    lines = ['"devices": []', f'"devices": [{device}, "memory_used_bytes": 4e9}}]']
    os.close(tracing(tmp_path / "trace", "mine", lines))
    assert traces.gpus(str(tmp_path / "trace")) == (Gpu("H100", 350.5, 97.0, 4e9, None),)


def test_what_is_no_trace_tells_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for content in (b"", b"\n", b"x\n", b"[]\n", b"{}\n", b'{"t_s": "x"}\n', b"\xff" * 99 + b"\n"):
        trace.write_bytes(content)
        assert traces.past(str(trace), 1.0) == ()
        assert traces.gpus(str(trace)) is None
    assert traces.gpus(str(tmp_path / "nothing")) is None


def test_gpus_of_a_run_without_a_trace_are_asked_once_it_uses_them(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = nvml_rig.build(tmp_path_factory.mktemp("nvml"))
    scenario = tmp_path / "scenario"
    scenario.write_text(
        nvml_rig.machine(
            {"uuid": "GPU-0", "name": "Stand-in", "power_mw": 350_000, "energy_mj": "clock"}
            | {"compute": 1, "util": 97, "memory": 41_200_000_000, "temperature": 64}
        )
    )
    code = """
import os, sys, time
from eco2ai_cli.clock import Moment
from eco2ai_cli.watch.gpus import Gpus
from eco2ai_cli.watch.runs import LiveRun
scenario = os.environ["FAKE_NVML"]
with open(scenario, "a") as file:
    file.write(f"0.compute {os.getpid()}\\n")
run = LiveRun("", 1, Moment(0.0, 0.0, 0.0), "", {"id": "mine", "gpu_method": "none"}, ())
gpus = Gpus()
assert gpus.look(run, [os.getpid()]) is None
assert "libnvidia" not in open("/proc/self/maps").read()
run = run._replace(cells={"id": "mine", "gpu_method": "nvml-energy"})
while not (seen := gpus.look(run, [os.getpid()])):
    time.sleep(0.01)
print(*map(tuple, seen))
gpus.close()
"""
    printed = nvml_rig.run(code, library, scenario)
    assert printed == "('Stand-in', 350.0, 97.0, 41200000000.0, 64.0)\n"


def test_once_prints_one_picture_of_a_real_run(go: Path, ledger: Path) -> None:
    process = start(waiting(go), ledger, "-p", "vision", "-r", "FR", "-i", "0.2")
    try:
        # Not before there is a second sample: power is the difference of two.
        until(lambda: live_runs()[0].samples[-1].awake_s > LEAST_S)
        done = run([*WATCH, "vision", "--once"], env=os.environ | {"COLUMNS": "90", "LINES": "30"})
    finally:
        touch(go)
        assert process.wait() == 0
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) == 90
    assert "" not in lines
    assert b"\x1b" not in done.stdout
    shown = done.stdout.decode()
    for part in (FRAME, "vision", "FR ", "kg/MWh (20", "now   ", "so far", "CO2", "tdp", "PID"):
        assert part in shown, part
    assert "total        ?" not in shown


def test_json_tells_what_the_row_will_say(go: Path, ledger: Path) -> None:
    options = ["-p", "vision", "-r", "FR", "--pue", "1.5", "--price", "0.25", "--tag", "a=b"]
    process = start(waiting(go), ledger, *options, "-i", "0.2")
    try:
        once = run([*WATCH, "--json", "--once"])
        stream = subprocess.Popen(
            [*WATCH, "--json", "--interval", "0.3"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert stream.stdout is not None
        lines = [stream.stdout.readline() for _ in range(4)]
    finally:
        touch(go)
        assert process.wait() == 0
    rest, talk = stream.communicate(timeout=60)
    assert stream.returncode == 0
    (object_,) = map(json.loads, once.stdout.splitlines())
    row = only_row(ledger)
    for key, column in (
        ("id", "id"),
        ("project", "project_name"),
        ("command", "command"),
        ("region", "region/country"),
        ("start_time", "start_time"),
        ("cpu_method", "cpu_method"),
    ):
        assert object_[key] == row[column]
    assert (object_["pue"], object_["price_per_kwh"], object_["tags"]) == (1.5, 0.25, {"a": "b"})
    assert (object_["exit_status"], object_["end_time"]) == (None, None)
    assert "end-unseen" not in object_["caveats"]
    assert object_["pid"] == process.pid
    objects = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    durations = [o["duration_s"] for o in objects]
    assert durations == sorted(set(durations))
    assert durations[-1] <= float(row["duration(s)"])
    last = objects[-1]
    assert last["energy_kwh"] <= float(row["power_consumption(kWh)"])
    assert last["cost"] == pytest.approx(last["energy_kwh"] * 0.25)
    # Power is what the energy grew by, at the facility's socket.
    first, second = objects[2:4]
    span_s = second["duration_s"] - first["duration_s"]
    if span_s > 0.75:
        grown_kwh = second["energy_kwh"] - first["energy_kwh"]
        assert second["power_w"] == pytest.approx(grown_kwh * 3.6e6 / span_s, rel=0.01)
    assert b"has ended: exit 0" in talk


def test_a_stream_ends_without_a_word_when_nobody_reads_it_any_more(ledger: Path) -> None:
    paths = [leave_live_journal(ledger) for _ in range(2)]
    stream = subprocess.Popen(
        [*WATCH, "--json", "--interval", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert stream.stdout is not None
    assert stream.stderr is not None
    assert {json.loads(stream.stdout.readline())["id"] for _ in paths} == set(paths)
    stream.stdout.close()
    # A sample that is new is written, and a run that begins is one.
    until(lambda: bool(leave_live_journal(ledger)) and stream.poll() is not None)
    assert (stream.returncode, stream.stderr.read()) == (-signal.SIGPIPE, b"")
    stream.stderr.close()


def test_the_picture_fills_a_terminal_of_any_size_and_leaves_none_of_it(
    go: Path, ledger: Path
) -> None:
    process = start([*waiting(go), "x"], ledger, "-p", "vision", "-i", "0.2")
    try:
        watched = Terminal([*WATCH, "--interval", "0.2"], environ={"NO_COLOR": "1"})
        for columns, rows in ((80, 24), (120, 40), (20, 5), (8, 2), (40, 12), (200, 50)):
            watched.resize(columns, rows)
            watched.until(lambda w=columns: max(map(len, watched.rows)) == w)
            last = " q quit   + - zoom"[: columns - 1] if rows > 3 else ""
            watched.until(lambda last=last: watched.rows[-1].startswith(last))
        watched.until_shown("W ")
    finally:
        touch(go)
        assert process.wait() == 0
    assert watched.finish() == 0
    line, *wrapped = watched.lines
    assert line.startswith("eco2ai: `")
    assert " has ended: exit 0 · " in line
    assert " · saved to `" in "".join([line, *wrapped])
    assert len(wrapped) < 2
    assert not watched.screen.cursor.hidden
    assert not re.search(rb"\x1b\[[0-9;]*3[0-8]", watched.output)


def test_keys_choose_among_several_runs(ledger: Path) -> None:
    names = ["one", "two", "three"]
    for n, name in enumerate(names):
        leave_live_journal(ledger, name, began=[1e9, 100.0 - n, 0.0])
    watched = Terminal([*WATCH, "--interval", "0.2"])
    watched.until_shown("3 runs")

    def is_chosen(name: str) -> bool:
        marked = [row for row in watched.rows if row.startswith("▸")]
        return len(marked) == 1 and name in marked[0] and f"── {name} ──" in watched.rows[3]

    for key, name in (
        ("", "one"),
        ("j", "two"),
        ("\x1b[B", "three"),
        ("\t", "one"),
        ("\x1bOA", "three"),
        ("k", "two"),
        ("\x1b[Z", "one"),
        ("x\x1b[5~", "one"),
    ):
        watched.send(key)
        watched.until(lambda name=name: is_chosen(name))
    for path in folder().iterdir():
        path.unlink()
    assert watched.finish() == 0
    assert sum("has ended; its row is not in" in line for line in watched.lines) == 3


def test_keys_that_come_in_pieces_or_together() -> None:
    assert meanings(b"jj\x1b[A\tq") == ["next", "next", "previous", "next", "quit"]
    assert meanings(b"\x1b") == ["quit"]
    assert meanings(b"\x1b[200~a\x1b[1;5C\xc3\xa9") == []
    assert meanings(b"") == []


def test_what_a_run_came_to_is_the_sum_of_its_rows(ledger: Path, tmp_path: Path) -> None:
    columns = (
        *("id", "duration(s)", "power_consumption(kWh)", "CO2_emissions(kg)", "cost"),
        *("exit_status", "stop_reason", "currency"),
    )
    run = LiveRun(
        str(tmp_path / "gone"),
        *(1, Moment(0.0, 0.0, 0.0), str(ledger)),
        {"id": "mine", "command": "make"},
        (),
    )
    with ledger.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for cells in (
            ("mine", 60, 0.5, 0.1, 0.2, "", "", "EUR"),
            ("other", 1, 1, 1, 1, 1, "exit", "EUR"),
        ):
            writer.writerow(dict(zip(columns, cells, strict=True)))
        file.flush()
        assert outcome(run) == f"`make` has ended; its row is not in `{ledger}` yet"
        last = ("mine", 30, 0.25, 0.1, 0.3, 7, "exit", "EUR")
        writer.writerow(dict(zip(columns, last, strict=True)))
    assert outcome(run) == (
        "`make` has ended: exit 7 · 1 min 30 s · 750 Wh · 200 g CO2 · 0.50 EUR"
        f" · saved to `{ledger}`"
    )


def test_a_run_that_is_killed_is_said_to_be(go: Path, ledger: Path) -> None:
    process = start(waiting(go), ledger)
    watched = Terminal([*WATCH, "--interval", "0.2"], columns=200)
    watched.until_shown(FRAME)
    process.kill()
    process.wait()
    assert watched.finish() == 0
    assert "was killed; the next `eco2ai` command saves its row" in watched.lines[0]


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_restored_however_it_ends(how: str, ledger: Path) -> None:
    leave_live_journal(ledger)
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it
    watched = Terminal(WATCH)
    signal.signal(signal.SIGINT, ours)
    before = termios.tcgetattr(watched.process.child_fd)
    watched.until_shown("q quit")
    kept = os.open(f"/proc/{watched.process.pid}/fd/0", os.O_RDWR | os.O_NOCTTY)
    assert termios.tcgetattr(watched.process.child_fd) != before
    if how == "ctrl-c":
        watched.send("\x03")
        expected = 0
    else:
        number = signal.Signals[how]
        watched.kill(number)
        expected = -number
    watched.until(lambda: not watched.process.isalive())
    assert termios.tcgetattr(kept) == before
    os.close(kept)
    assert watched.finish() == expected
    assert watched.lines == []
    assert not watched.screen.cursor.hidden
    assert watched.output.count(b"\x1b[?1049h") == watched.output.count(b"\x1b[?1049l") == 1


def test_a_fault_of_ours_gives_the_terminal_back(ledger: Path, tmp_path: Path) -> None:
    leave_live_journal(ledger)
    script = tmp_path / "faulty.py"
    script.write_text(
        "from eco2ai_cli.watch import watcher\n"
        "whole, looks = watcher.Watcher.look, []\n"
        "def look(self):\n"
        "    looks.append(1)\n"
        "    if len(looks) > 3: raise RuntimeError('a fault')\n"
        "    return whole(self)\n"
        "watcher.Watcher.look = look\n"
        "from eco2ai_cli.cli import main\n"
        "main()\n"
    )
    watched = Terminal([sys.executable, script, "watch", "--interval", "0.1"])
    assert watched.finish() == 125
    assert "RuntimeError: a fault" in watched.lines
    assert not watched.screen.cursor.hidden
    assert watched.output.count(b"\x1b[?1049l") == 1


def test_it_can_be_stopped_goes_on_and_waits_in_the_background(ledger: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    leave_live_journal(ledger)
    shell = Terminal([bash, "--norc", "--noediting"], environ={"PS1": "$ "})
    shell.until_shown("$")
    shell.send(" ".join([*WATCH, "--interval", "0.2"]) + "\n")
    shell.until_shown("q quit")
    shell.send("\x1a")
    shell.until_shown("Stopped")
    assert not shell.screen.cursor.hidden
    assert FRAME not in "".join(shell.rows)
    shell.send("echo sa''ne\n")
    shell.until_shown("sane")
    shell.send("fg\n")
    shell.until_shown("q quit")
    shell.send("q")
    shell.until_gone("q quit")
    shell.send("printf '\\033[2J\\033[H'\n")
    shell.until_gone("Stopped")
    shell.send(" ".join([*WATCH, "--interval", "0.2", "&"]) + "\n")
    shell.until_shown("[1]")

    def is_stopped() -> bool:
        shell.send("jobs\n")
        return any("Stopped" in row for row in shell.rows)

    shell.until(is_stopped)
    shell.send("fg\n")
    shell.until_shown("q quit")
    shell.send("q")
    shell.until_gone("q quit")
    shell.send("exit\n")
    assert shell.finish() == 0


def test_it_can_be_killed_while_it_is_stopped(ledger: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    leave_live_journal(ledger)
    shell = Terminal([bash, "--norc", "--noediting"], environ={"PS1": "$ "})
    shell.until_shown("$")
    shell.send(" ".join([*WATCH, "--interval", "0.2"]) + "\n")
    shell.until_shown("q quit")
    shell.send("\x1a")
    shell.until_shown("Stopped")
    shell.send("kill %1\n")  # of bash it gets SIGTERM and SIGCONT

    def is_dead() -> bool:
        shell.send("jobs\n")
        return any("Terminated" in row for row in shell.rows)

    shell.until(is_dead)
    shell.send("exit\n")
    assert shell.finish() == 0


def test_a_terminal_that_cannot_be_drawn_on_gets_one_picture_in_its_character_set(
    ledger: Path,
) -> None:
    leave_live_journal(ledger)
    watched = Terminal(WATCH, environ={"TERM": "dumb", "PYTHONIOENCODING": "ascii"})
    assert watched.finish() == 0
    assert watched.lines[0].startswith("-- eco2ai watch --")
    assert watched.output.isascii()
    assert b"\x1b[?1049h" not in watched.output


def test_a_look_costs_little_of_a_cpu(ledger: Path) -> None:
    for _ in range(20):
        leave_live_journal(ledger)
    live_runs()
    before_s = time.process_time()
    for _ in range(10):
        assert len(live_runs()) == 20
    assert (time.process_time() - before_s) / 10 < 0.05
