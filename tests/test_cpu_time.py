"""CPU time is the kernel's truth, on the worst trees we know and at every interval."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from wrapped import HERE, PATIENCE_S, only_row, run, wrapped

from eco2ai_cli.processes.linux import LinuxTree

PYTHON = sys.executable
WORKLOADS = str(HERE / "workloads.py")
INTERVALS = ["0.2", "1", "10"]


def tolerance_s(truth_s: float) -> float:
    """What the law allows: 0.5 % or 10 ms, whichever is larger."""
    return max(0.005 * truth_s, 0.010)


def noted_s(notes: Path) -> float:
    """The CPU seconds that the processes of a workload noted of themselves."""
    return sum(map(float, notes.read_text().split()))


def measure(name: str, ledger: Path, *arguments: str, interval: str = "1") -> tuple[float, float]:
    """Run a workload; return what its processes noted and what the row says, in CPU seconds."""
    notes = ledger.with_name("notes")
    line = wrapped([PYTHON, WORKLOADS, name, notes, *arguments], ledger, "-i", interval)
    result = run(line)
    assert result.returncode == 0, result.stderr.decode()
    return noted_s(notes), float(only_row(ledger)["cpu_time(s)"])


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize(
    "workload",
    [
        ("one",),
        ("one", "0.3"),
        ("two_workers",),
        ("four_threads",),
        ("kernel_heavy",),
        ("pool", "fork"),
        ("daemon",),
        ("sessions",),
        ("zombies",),
        ("nested_subreaper",),
    ],
    ids=" ".join,
)
def test_the_row_has_what_the_processes_were_given(
    workload: tuple[str, ...], interval: str, ledger: Path
) -> None:
    noted, row = measure(workload[0], ledger, *workload[1:], interval=interval)
    assert row == pytest.approx(noted, abs=tolerance_s(noted))


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A control group to account a workload in: the truth also of programs that tell nothing."""
    name = f"eco2ai-test-{os.getpid()}"
    for root, counter in (
        ("/sys/fs/cgroup/cpuacct", "cpuacct.usage"),
        ("/sys/fs/cgroup", "cpu.stat"),
        ("/sys/fs/cgroup/unified", "cpu.stat"),
    ):
        group = Path(root, name)
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / counter).exists():
            yield group
            until = time.monotonic() + PATIENCE_S
            while (group / "cgroup.procs").read_text() and time.monotonic() < until:
                time.sleep(0.01)
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("no control group can be made here (that needs root)")


def used_in(group: Path) -> float:
    """Return the CPU seconds that a control group has used."""
    if (group / "cpuacct.usage").exists():
        return int((group / "cpuacct.usage").read_text()) / 1e9
    words = (group / "cpu.stat").read_text().split()
    return int(words[words.index("usage_usec") + 1]) / 1e6


ENTER = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize(
    "command",
    [
        [PYTHON, WORKLOADS, "fork_storm", "NOTES"],
        [PYTHON, WORKLOADS, "exec_storm", "NOTES"],
        [PYTHON, WORKLOADS, "pool", "NOTES", "spawn"],
        [PYTHON, WORKLOADS, "pool", "NOTES", "forkserver"],
        [
            "sh",
            "-c",
            "i=0; while [ $i -lt 250 ]; do echo a | cat | tr a b | sort; i=$((i+1)); done",
        ],
        ["sh", "-c", f"seq 12 | xargs -P2 -I% {PYTHON} -S -c 'sum(range(1000000))'"],
        ["make", "-s", "-j2", "-f", "MAKEFILE"],
    ],
    ids=["fork storm", "exec storm", "spawn", "forkserver", "pipelines", "xargs", "make -j"],
)
def test_the_row_has_what_the_control_group_was_given(
    command: list[str], interval: str, cgroup: Path, ledger: Path, tmp_path: Path
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    makefile = tmp_path / "makefile"
    makefile.write_text(
        "all: 1 2 3 4 5 6\n1 2 3 4 5 6:\n\t@" + PYTHON + " -S -c 'sum(range(2000000))'\n"
    )
    places = {"NOTES": str(tmp_path / "notes"), "MAKEFILE": str(makefile)}
    command = [places.get(word, word) for word in command]
    # Helpers of multiprocessing outlive their parent by a moment; on a busy machine, a long one.
    options = ["-i", interval, "--wait", "tree"]
    line = wrapped(["sh", "-c", ENTER, "sh", cgroup, *command], ledger, *options)
    result = run(line)
    assert result.returncode == 0, result.stderr.decode()
    # The shell that enters the group has used some milliseconds by then, outside of it.
    truth = used_in(cgroup)
    assert float(only_row(ledger)["cpu_time(s)"]) == pytest.approx(truth, abs=tolerance_s(truth))


def test_a_thousand_processes_of_others_change_nothing(ledger: Path) -> None:
    crowd = subprocess.Popen(
        ["sh", "-c", "i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i+1)); done; echo; wait"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with crowd:
        assert crowd.stdout is not None
        crowd.stdout.readline()
        try:
            noted, row = measure("two_workers", ledger, interval="0.2")
        finally:
            os.killpg(crowd.pid, 9)
    assert row == pytest.approx(noted, abs=tolerance_s(noted))


# -- parents that let the kernel forget their children


def perf_is_allowed() -> bool:
    from eco2ai_cli.processes import perf

    fd = perf.open_task_clock(0)
    if fd is not None:
        os.close(fd)
    return fd is not None


STORM = ("100", "0.005", "0.05")
LONG = ("4", "2", "2")


@pytest.mark.parametrize("shape", [STORM, LONG], ids=["5 to 50 ms", "2 s"])
def test_children_that_nobody_waits_for_are_counted_by_perf(
    shape: tuple[str, ...], ledger: Path
) -> None:
    if not perf_is_allowed():
        pytest.skip("perf_event_open is refused here")
    noted, row = measure("sigchld_ignored", ledger, *shape)
    assert row >= 0.98 * noted
    assert row <= 1.01 * noted
    assert "cpu-by-perf" in only_row(ledger)["caveats"]


def refuse_perf(error: int) -> None:
    """Refuse perf_event_open(2) to this process and its children, as containers do (seccomp)."""
    from eco2ai_cli.processes.perf import _SYSCALL_NUMBERS

    number = _SYSCALL_NUMBERS[os.uname().machine]

    def instruction(code: int, jump_if_false: int, operand: int) -> bytes:
        return struct.pack("HBBI", code, 0, jump_if_false, operand)

    program = (
        instruction(0x20, 0, 0)  # load the number of the system call
        + instruction(0x15, 1, number)  # is it perf_event_open?
        + instruction(0x06, 0, 0x00050000 | error)  # yes: fail with this error
        + instruction(0x06, 0, 0x7FFF0000)  # no: allow it
    )
    code = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", 4, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    if libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


EPERM, ENOSYS = 1, 38


@pytest.mark.parametrize("error", [EPERM, ENOSYS])
@pytest.mark.parametrize("workload", ["fork_storm", "daemon", "two_workers"])
def test_nothing_is_lost_without_perf(workload: str, error: int, ledger: Path) -> None:
    notes = ledger.with_name("notes")
    line = wrapped([PYTHON, WORKLOADS, workload, notes], ledger)
    assert run(line, preexec_fn=lambda: refuse_perf(error)).returncode == 0
    row = only_row(ledger)
    # What a process notes of itself leaves out its end, 0.6 ms for each of the storm's 100.
    slack = 0.1 if workload == "fork_storm" else 0.0
    noted = noted_s(notes)
    assert noted - tolerance_s(noted) <= float(row["cpu_time(s)"]) <= noted * 1.005 + 0.01 + slack
    assert "tree-escaped" not in row["caveats"]


@pytest.mark.parametrize(
    ("shape", "interval", "recovered"),
    [(STORM, "1", 0.0), (LONG, "10", 0.85), (LONG, "0.2", 0.9)],
    ids=["5 to 50 ms", "2 s at 10 s", "2 s at 0.2 s"],
)
def test_without_perf_what_escaped_is_recovered_as_far_as_it_was_seen_and_said(
    shape: tuple[str, ...], interval: str, recovered: float, ledger: Path
) -> None:
    notes = ledger.with_name("notes")
    command = [PYTHON, WORKLOADS, "sigchld_ignored", notes, *shape]
    run(wrapped(command, ledger, "-i", interval), preexec_fn=lambda: refuse_perf(EPERM))
    row = only_row(ledger)
    assert "tree-escaped" in row["caveats"]
    assert recovered * noted_s(notes) <= float(row["cpu_time(s)"]) <= 1.005 * noted_s(notes) + 0.01


# -- without the children files

DRIVER = """
import os, sys
from eco2ai_cli import config, session
from eco2ai_cli.faults import Faults
from eco2ai_cli.processes.linux import LinuxTree

request = session.Request(tuple(map(os.fsencode, sys.argv[2:])), config.load({}))
faults = Faults()
_, finished = session.execute(
    session.prepare(request), faults, tree=LinuxTree(use_children=False, use_perf=False)
)
assert faults.first is None, faults.first
with open(sys.argv[1], "w") as file:
    print(finished.run.cpu_s, finished.run.processes, file=file)
"""


@pytest.mark.parametrize("workload", ["fork_storm", "daemon", "sessions", "nested_subreaper"])
def test_nothing_is_lost_on_a_kernel_without_children_files(
    workload: str, ledger: Path, tmp_path: Path
) -> None:
    notes, result = tmp_path / "notes", tmp_path / "result"
    command = [PYTHON, WORKLOADS, workload, str(notes)]
    done = run([PYTHON, "-c", DRIVER, result, *command], cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    cpu_s, processes = map(float, result.read_text().split())
    noted = noted_s(notes)
    slack = 0.1 if workload == "fork_storm" else 0.0
    assert noted - tolerance_s(noted) <= cpu_s <= noted * 1.005 + 0.01 + slack
    assert processes >= 2  # the scan saw the children while they lived


# -- the end of the tree


def test_what_outlives_the_command_is_left_running_and_counted_so_far(ledger: Path) -> None:
    program = "import os,time\nwhile time.process_time()<0.3: pass\nos.write(1,b'x')\nos.read(0,1)"
    hold, release = os.pipe()
    ready = ledger.with_name("ready")
    os.mkfifo(ready)
    script = '"$1" -c "$2" <&3 >"$3" 2>&- & read -r -N1 line <"$3"; exit 0'
    line = wrapped(["bash", "-c", script, "bash", PYTHON, program, ready], ledger)
    try:
        with subprocess.Popen(
            line, preexec_fn=lambda: os.dup2(hold, 3), close_fds=False
        ) as process:
            process.wait(PATIENCE_S)
        row = only_row(ledger)
        assert "left-running" in row["caveats"]
        assert float(row["cpu_time(s)"]) >= 0.3
    finally:
        os.close(hold)
        os.close(release)  # what was left running ends


def test_wait_tree_waits_for_the_last_descendant(ledger: Path) -> None:
    script = f'{PYTHON} {WORKLOADS} one "$1" 0.5 &'
    notes = ledger.with_name("notes")
    run(wrapped(["sh", "-c", script, "sh", notes], ledger, "--wait", "tree"))
    row = only_row(ledger)
    noted = noted_s(notes)
    assert float(row["cpu_time(s)"]) == pytest.approx(noted, abs=tolerance_s(noted))
    assert "left-running" not in row["caveats"]
    assert float(row["duration(s)"]) >= 0.5


def test_a_run_inside_a_run_is_in_both_rows_and_says_so(ledger: Path) -> None:
    inner = ledger.with_name("inner.csv")
    notes = ledger.with_name("notes")
    run(wrapped(wrapped([PYTHON, WORKLOADS, "one", notes, "0.5"], inner), ledger))
    outer_row, inner_row = only_row(ledger), only_row(inner)
    noted = noted_s(notes)
    assert inner_row["parent_id"] == outer_row["id"]
    assert outer_row["parent_id"] == ""
    assert float(inner_row["cpu_time(s)"]) == pytest.approx(noted, abs=tolerance_s(noted))
    assert float(outer_row["cpu_time(s)"]) > float(inner_row["cpu_time(s)"])


def test_children_that_we_had_before_are_not_of_the_tree(ledger: Path) -> None:
    """A shell that execs us, as the entry point of a container does, may leave us some."""
    notes = ledger.with_name("notes")
    hold, release = os.pipe()
    burner = f"{PYTHON} {WORKLOADS} one {notes} 0.5 & {PYTHON} -c 'import os; os.read({hold}, 1)' &"
    line = ["sh", "-c", burner + ' exec "$@"', "sh", *wrapped(["sleep", "0.7"], ledger)]
    try:
        done = subprocess.run(line, pass_fds=[hold], timeout=PATIENCE_S, check=True)
    finally:
        os.close(hold)
        os.close(release)
    assert done.returncode == 0
    row = only_row(ledger)
    assert float(row["cpu_time(s)"]) < 0.1
    assert row["processes"] == "1"
    assert "left-running" not in row["caveats"]


def test_a_parent_of_a_thousand_children_is_seen_whole() -> None:
    """The kernel gives a list of children in pieces of 4 KB, about 700 of them."""
    script = "for i in $(seq 1000); do sleep 100 & done; echo; wait"
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        tree = LinuxTree(use_perf=False)
        try:
            tree.attach(parent.pid)
            pids = tree.usage(0.0).pids
        finally:
            tree.close()
            os.killpg(parent.pid, 9)
    assert len(pids) == 1001
