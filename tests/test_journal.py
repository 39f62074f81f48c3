"""The journal of a run: what is in it at any moment, and what it never costs or tells."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import FIGURES, folder, id_in, journals, start
from ledger_rows import in_tiny_file_system
from wrapped import ECO2AI, PATIENCE_S, only_row, run, wrapped

from eco2ai_cli import config
from eco2ai_cli.accounting import Watched, record
from eco2ai_cli.clock import Clock
from eco2ai_cli.dials import Integrator
from eco2ai_cli.faults import Faults
from eco2ai_cli.journal import keeper, layout
from eco2ai_cli.journal.row import left_in
from eco2ai_cli.meters.ram import RamMeter
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.model import Reading, Usage
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_forms import ledger_cells
from eco2ai_cli.session import Request, prepare


class Machine:
    """A run of 2 CPUs and 1 GiB on a clock of our own, and its journal."""

    def __init__(self, folder: Path, write: keeper.Write = os.pwrite) -> None:
        self.now_s = 100.0
        self.cpus = 2
        self.cpu_s = 0.0
        self.memory = Integrator()
        self.clock = Clock(*(lambda: self.now_s,) * 4)
        options = {"run.output": str(folder / "l.csv"), "electricity.price": "0.5"}
        plan = prepare(Request(argv=(b"train", b"\xff"), config=config.load(options)))
        began = self.clock.now()
        faults = Faults()
        self.recorder = Recorder(self, 1.0, began_s=began.awake_s, clock=self.clock, faults=faults)
        self.recorder.meters = (TdpMeter(5.0, "cpu", frozenset()), RamMeter(0.375))
        self.recorder.sample()
        watched = Watched(None, began, began, self.recorder, None, lambda: plan.place)
        self.run = record(plan, watched, faults)
        self.journal = keeper.Journal(
            self.run, self.recorder, self.clock, lambda sample: frozenset(), write=write
        )
        self.opened = self.journal.open()
        self.recorder.observers.append(self.journal)

    def usage(self, now_s: float) -> Usage:
        return Usage(self.cpu_s, 2**30, self.memory.advance(2**30, now_s), pids=(1, 2))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.cpu_s += self.cpus * seconds
        self.recorder.sample()

    @property
    def path(self) -> Path:
        (path,) = folder().glob(f"{self.run.id}.*.journal")
        return path


def test_at_any_sample_it_holds_the_row_that_the_run_would_have_then(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for seconds in (0.0, 0.05, 0.1, 3.3, 7200.0):
        machine.pass_time(seconds)
        recorder = machine.recorder
        so_far = machine.run._replace(
            ended=machine.clock.now(),
            sample=recorder.last,
            samples=recorder.samples,
            memory_peak_bytes=recorder.memory_peak_bytes,
            processes=recorder.processes_peak,
        )
        cells = dict(left_in(machine.path.read_bytes()).cells)
        expected = ledger_cells(so_far)
        for own in ("exit_status", "stop_reason", "caveats", "overhead(s)"):
            del cells[own], expected[own]
        assert cells == expected
    assert cells["cpu_time(s)"] == pytest.approx(2 * 7203.45)
    assert cells["cpu_energy(kWh)"] == pytest.approx(5.0 * 2 * 7203.45 / 3.6e6)


def test_an_idle_run_is_written_every_five_seconds_and_at_once_when_it_goes_on(
    tmp_path: Path,
) -> None:
    writes = 0

    def write(fd: int, data: bytes, offset: int) -> int:
        nonlocal writes
        writes += 1
        return os.pwrite(fd, data, offset)

    machine = Machine(tmp_path, write)
    machine.pass_time(1.0)
    machine.cpus, writes = 0, 0
    for _ in range(20):
        machine.pass_time(1.0)
    assert writes == 4
    assert left_in(machine.path.read_bytes()).cells["duration(s)"] == 21.0
    machine.pass_time(1.0)
    assert writes == 4
    machine.cpus = 1
    machine.pass_time(0.01)
    assert writes == 5
    machine.cpus = 0
    saved = {"duration(s)": 3.0}
    machine.journal.saved = lambda: saved  # an epoch has got its row
    machine.pass_time(1.0)
    assert left_in(machine.path.read_bytes()).saved == saved


def test_its_size_never_changes(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    size = machine.path.stat().st_size
    for _ in range(5):
        machine.pass_time(1.0)
        assert machine.path.stat().st_size == size


@pytest.mark.parametrize("fault", [OSError(5, "on purpose"), 0, 1, 50])
def test_a_sample_that_cannot_be_written_leaves_the_one_before(
    fault: OSError | int, tmp_path: Path
) -> None:
    failing = False

    def write(fd: int, data: bytes, offset: int) -> int:
        if not failing:
            return os.pwrite(fd, data, offset)
        if isinstance(fault, OSError):
            raise fault
        return os.pwrite(fd, data[:fault], offset)

    machine = Machine(tmp_path, write)
    machine.pass_time(1.0)
    failing = True
    for _ in range(3):
        machine.pass_time(1.0)
        assert left_in(machine.path.read_bytes()).cells["duration(s)"] == 1.0
    failing = False
    machine.pass_time(1.0)
    assert left_in(machine.path.read_bytes()).cells["duration(s)"] == 5.0


def test_names_that_take_more_than_the_room_for_words_are_left_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    class Gpus:
        component = "gpu"

        def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
            return tuple(
                Reading("gpu", str(n), 1.0, "nvml-energy", name=f"{n}" * 200) for n in range(50)
            )

        def finish(self) -> None: ...

        def close(self) -> None: ...

    machine.recorder.meters += (Gpus(),)
    machine.pass_time(1.0)
    cells = left_in(machine.path.read_bytes()).cells
    assert (cells["gpu_method"], cells["gpu_energy(kWh)"]) == ("nvml-energy", 50 / 3.6e6)
    assert machine.path.stat().st_size == len(machine.path.read_bytes())


@given(st.data())
def test_any_figures_come_back(data: st.DataObject) -> None:
    known = st.floats(0, allow_infinity=False)
    figures = layout.Figures(
        *(data.draw(st.integers(0, 2**63)) for _ in range(3)),
        *(data.draw(known) for _ in range(4)),
        *(data.draw(st.none() | known) for _ in range(5)),
        data.draw(known),
        data.draw(st.binary(max_size=layout.LONGEST_WORDS_BYTES)),
    )
    content = bytearray(layout.whole({"text": "é\udcff"}, FIGURES._replace(number=0)))
    at = layout.SLOTS_AT[1]
    written = layout.slot(figures._replace(number=1))
    content[at : at + len(written)] = written
    assert layout.parse(bytes(content)) == ({"text": "é\udcff"}, figures._replace(number=1))


def a_journal() -> bytes:
    content = bytearray(layout.whole({"some": "facts"}, FIGURES._replace(number=6)))
    written = layout.slot(FIGURES)
    content[layout.SLOTS_AT[1] : layout.SLOTS_AT[1] + len(written)] = written
    return bytes(content)


def never_wrong(damaged: bytes) -> None:
    """Check that a reading is of one of the two samples, or none at all."""
    try:
        facts, figures = layout.parse(damaged)
    except layout.Damaged:
        return
    assert facts == {"some": "facts"}
    assert figures in (FIGURES, FIGURES._replace(number=6))


def test_no_bit_that_flips_makes_a_wrong_figure() -> None:
    good = a_journal()
    for place in range(len(good)):
        if good[place - 200 : place + 200].strip(b"\0"):
            for bit in (1, 128):
                damaged = bytearray(good)
                damaged[place] ^= bit
                never_wrong(bytes(damaged))


def test_no_cut_makes_a_wrong_figure() -> None:
    good = a_journal()
    for end in [*range(100), *range(4000, 4600), *range(8100, 8500), *range(12200, len(good))]:
        with pytest.raises(layout.Damaged):
            layout.parse(good[:end])


@given(st.lists(st.tuples(st.integers(0, 12300), st.binary(min_size=1, max_size=600))))
def test_nothing_written_over_it_makes_a_wrong_figure(scars: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(a_journal())
    for place, scar in scars:
        damaged[place : place + len(scar)] = scar
    never_wrong(bytes(damaged))


def test_one_of_a_newer_version_is_told_from_a_damaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "VERSION", 2)
    newer = a_journal()
    monkeypatch.undo()
    with pytest.raises(layout.Newer):
        layout.parse(newer)


# -- of real runs


def test_a_run_keeps_one_that_only_its_user_may_read_and_takes_it_away(ledger: Path) -> None:
    with start(["cat"], ledger, stdin=subprocess.PIPE) as process:
        (path,) = folder().iterdir()
        modes = [stat.S_IMODE(p.stat().st_mode) for p in (path, folder(), folder().parent)]
        process.communicate(timeout=PATIENCE_S)
    assert modes == [0o600, 0o700, 0o700]
    assert only_row(ledger)["stop_reason"] == "exit"
    assert id_in(path) == only_row(ledger)["id"]
    assert journals() == []


def test_neither_the_command_nor_the_sentinel_has_it_open(ledger: Path) -> None:
    with start(["cat"], ledger, stdin=subprocess.PIPE) as process:
        (path,) = folder().iterdir()
        holders = {
            pid
            for pid in filter(str.isdigit, os.listdir("/proc"))
            for link in descriptors_of(pid)
            if link == str(path)
        }
        process.communicate(timeout=PATIENCE_S)
    assert holders == {str(process.pid)}


def descriptors_of(pid: str) -> list[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
        return [os.readlink(f"/proc/{pid}/fd/{name}") for name in names]
    except OSError:
        return []


def test_the_environment_and_the_key_are_not_in_it(tmp_path: Path, ledger: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a secret of the ledger")
    key.chmod(0o600)
    environment = os.environ | {"ECO2AI_LEDGER_KEY": str(key), "TOKEN": "a secret of the user"}
    settings = {"stdin": subprocess.PIPE, "env": environment}
    with start(["cat"], ledger, **settings) as process:
        (path,) = folder().iterdir()
        content = path.read_bytes()
        process.communicate(timeout=PATIENCE_S)
    assert str(key).encode() in content
    assert b"a secret" not in content


def test_a_secret_of_the_command_line_is_in_it_no_more_than_in_the_row(ledger: Path) -> None:
    secret = ["sh", "-c", "exec cat", "--password", "hunter2"]
    with start(secret, ledger, stdin=subprocess.PIPE) as process:
        (path,) = folder().iterdir()
        content = path.read_bytes()
        process.communicate(timeout=PATIENCE_S)
    assert b"--password" in content
    assert b"hunter2" not in content


def test_it_goes_when_the_row_was_saved_elsewhere(tmp_path: Path) -> None:
    ledger = tmp_path / "gone" / "l.csv"
    ledger.parent.mkdir()
    with start(["cat"], ledger, stdin=subprocess.PIPE) as process:
        ledger.parent.rmdir()
        process.communicate(timeout=PATIENCE_S)
    assert journals() == []
    assert len(list((folder().parent / "unsaved").iterdir())) == 1


def test_a_state_folder_that_was_open_to_others_is_closed(ledger: Path) -> None:
    ours = folder().parent
    folder().mkdir(parents=True)
    ours.chmod(0o755)
    folder().chmod(0o775)
    assert run(wrapped(["sleep", "0.3"], ledger)).returncode == 0
    assert [stat.S_IMODE(path.stat().st_mode) for path in (ours, folder())] == [0o700, 0o700]


def test_a_state_folder_that_is_a_link_is_followed_and_left_as_it_is(
    tmp_path: Path, ledger: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    folder().parent.parent.mkdir(parents=True, exist_ok=True)
    folder().parent.symlink_to(shared)
    assert run(wrapped(["sleep", "0.3"], ledger)).returncode == 0
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert stat.S_IMODE((shared / "journal").stat().st_mode) == 0o700


def no_home(environment: dict[str, str], state: Path) -> None:
    del environment["HOME"], environment["XDG_STATE_HOME"]


def home_is_a_file(environment: dict[str, str], state: Path) -> None:
    state.write_text("")


def nowhere(environment: dict[str, str], state: Path) -> None:
    environment["XDG_STATE_HOME"] = "/proc/nowhere"


@pytest.mark.parametrize("trouble", [no_home, home_is_a_file, nowhere])
def test_where_there_is_no_place_for_it_the_run_is_as_it_would_be(
    trouble: Callable[[dict[str, str], Path], None], ledger: Path
) -> None:
    environment = dict(os.environ)
    trouble(environment, Path(environment["XDG_STATE_HOME"]))
    result = run(wrapped(["sleep", "0.5"], ledger), env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert "internal-error" not in only_row(ledger)["caveats"]


def test_a_disk_with_no_room_for_it_costs_the_run_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "l.csv"
    machine = Machine(tmp_path, lambda fd, data, offset: os.pwrite(fd, data[:9000], offset))
    assert not machine.opened
    assert journals() == []
    assert not ledger.exists()


def test_a_full_disk_costs_the_run_neither_its_row_nor_a_caveat(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    script = f"""
import os, subprocess, sys
state, ledger = sys.argv[1], {str(tmp_path / "l.csv")!r}
os.environ["XDG_STATE_HOME"] = state
with open(state + "/fill", "wb") as fill:
    fill.write(b"x" * 50_000)
look = f"sleep 0.5; find {{state}} -name '*.journal*'"
line = [*{ECO2AI!r}, "run", "-q", "-o", ledger, "--", "sh", "-c", look]
print(subprocess.run(line, check=True, capture_output=True))
"""
    said = in_tiny_file_system(script, state, "size=64k")
    assert "stdout=b'', stderr=b''" in said
    row = only_row(tmp_path / "l.csv")
    assert (row["exit_status"], "internal-error" in row["caveats"]) == ("0", False)


def test_a_run_that_is_stopped_by_a_signal_takes_it_away_too(ledger: Path) -> None:
    with start(["sleep", "60"], ledger) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == -signal.SIGTERM
    assert journals() == []
    assert only_row(ledger)["stop_reason"] == "signal"
