"""Epochs: rows of one run that begin where the one before ended, and are the run together."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import folder, journals, start, until
from wrapped import ECO2AI, load_json, only_row, rows, run, wrapped

from eco2ai_cli import config, journal, ledger
from eco2ai_cli.accounting import Watched, record
from eco2ai_cli.clock import Clock
from eco2ai_cli.dials import Integrator
from eco2ai_cli.epochs import Epochs, Intake
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.faults import Faults
from eco2ai_cli.journal import layout
from eco2ai_cli.ledger import Cells, spool
from eco2ai_cli.ledger.writer import append_now
from eco2ai_cli.marks.line import Mark
from eco2ai_cli.meters.ram import RamMeter
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.model import Usage
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_forms import json_object, ledger_cells
from eco2ai_cli.run_record import Finished
from eco2ai_cli.session import Request, prepare

ADDED = {
    "duration_s": "duration(s)",
    "energy_kwh": "power_consumption(kWh)",
    "emissions_kg": "CO2_emissions(kg)",
    "cost": "cost",
    "cpu_time_s": "cpu_time(s)",
    "cpu_energy_kwh": "cpu_energy(kWh)",
    "ram_energy_kwh": "ram_energy(kWh)",
    "samples": "samples",
    "overhead_s": "overhead(s)",
}
MARK = Mark(None)


class Machine:
    """A tree whose CPU time and memory we set, on a clock of our own."""

    def __init__(self, path: Path) -> None:
        self.now_s, self.cpu_s, self.bytes, self.pids = 100.0, 0.0, 2**30, 1
        self.used_s = 0.0
        self.memory = Integrator()
        self.clock = Clock(*(lambda: self.now_s,) * 3, lambda: self.used_s)
        options = {"run.output": str(path), "electricity.price": "0.3", "facility.pue": "1.3"}
        self.plan = prepare(Request(argv=(b"train",), config=config.load(options)))
        self.began = self.clock.now()
        self.faults = Faults()
        self.recorder = Recorder(
            self, 1.0, began_s=self.began.awake_s, clock=self.clock, faults=self.faults
        )
        self.recorder.meters = (TdpMeter(5.0, "cpu", frozenset()), RamMeter(0.375))
        self.recorder.sample()
        self.written: list[Cells] = []
        self.refuses = False
        self.epochs = Epochs(
            self.recorder, self.outline, self.append, began=self.began, clock=self.clock
        )

    def usage(self, now_s: float) -> Usage:
        memory_byte_s = self.memory.advance(self.bytes, now_s)
        return Usage(self.cpu_s, self.bytes, memory_byte_s, tuple(range(self.pids)))

    def outline(self, status: int | None = None) -> Any:
        now = self.clock.now()
        watched = Watched(status, self.began, now, self.recorder, None, lambda: self.plan.place)
        return record(self.plan, watched, self.faults)

    def append(self, cells: Sequence[Cells]) -> tuple[str, ...]:
        if self.refuses:
            raise LedgerError("no space left on device")
        self.written += cells
        return ()

    def work(self, seconds: float, cpu_s: float = 0.0) -> None:
        self.now_s += seconds
        self.cpu_s += cpu_s
        self.recorder.sample()

    def end(self) -> Finished:
        self.recorder.sample()
        finished = self.epochs.finish(self.outline(0))
        self.written += [*finished.unsaved, ledger_cells(finished.rest)]
        assert self.faults.first is None
        return finished


amounts = st.floats(0, 1e5, allow_nan=False)


@given(epochs=st.lists(st.tuples(amounts, amounts, st.integers(0, 2**40)), max_size=8))
def test_rows_of_a_run_add_up_to_it_to_the_last_digit(
    epochs: list[tuple[float, float, int]],
) -> None:
    machine = Machine(Path("none.csv"))
    for seconds, cpu_s, memory_bytes in epochs:
        machine.bytes = memory_bytes
        machine.work(seconds, cpu_s)
        machine.epochs.end([MARK])
    machine.work(1.5, 0.7)
    finished = machine.end()
    whole = json_object(finished.run, finished.parts)
    assert len(machine.written) == len(epochs) + 1
    for key, column in ADDED.items():
        assert whole[key] == math.fsum(row[column] for row in machine.written)  # type: ignore[misc]
    # The truth: what the machine did, whatever the marks.
    total_s = sum(seconds for seconds, _, _ in epochs) + 1.5
    assert whole["duration_s"] == pytest.approx(total_s, abs=1e-6)
    cpu_j = 5.0 * (sum(cpu_s for _, cpu_s, _ in epochs) + 0.7)
    assert whole["cpu_energy_kwh"] == pytest.approx(cpu_j / 3.6e6, rel=1e-9)


def test_an_epoch_has_what_was_used_in_it_and_no_more(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "l.csv")
    machine.pids = 5
    machine.work(10, cpu_s=20)
    machine.epochs.end([Mark(None, (("loss", "0.5"),))])
    machine.pids, machine.bytes = 2, 2**29
    machine.work(5, cpu_s=1)
    machine.epochs.end([Mark("7", (("loss", "0.4"), ("acc", "0.9")))])
    machine.work(1)
    machine.epochs.end([Mark("warm up")])
    machine.epochs.end([MARK])
    finished = machine.end()
    first, second, third, fourth, rest = machine.written
    assert [row["epoch"] for row in machine.written] == [
        "epoch: 1, loss: 0.5",
        "epoch: 7, loss: 0.4, acc: 0.9",
        "epoch: warm up",
        "epoch: 9",
        "N/A",
    ]
    assert (first["duration(s)"], second["duration(s)"], third["duration(s)"]) == (10, 5, 1)
    assert first["cpu_energy(kWh)"] == pytest.approx(100 / 3.6e6)
    assert second["cpu_energy(kWh)"] == pytest.approx(5 / 3.6e6)
    assert (first["processes"], second["processes"]) == (5, 5)  # five when it began
    assert third["processes"] == 2
    assert third["memory_mean(GB)"] == pytest.approx(2**29 / 1e9)
    assert finished.run.processes == 5
    assert fourth["duration(s)"] == 0
    assert fourth["memory_mean(GB)"] is None
    for row in machine.written[:-1]:
        assert row["exit_status"] is None
        assert row["stop_reason"] is None
        assert row["id"] == rest["id"]
    assert (rest["exit_status"], rest["stop_reason"]) == (0, "exit")
    assert rest["start_time"] == fourth["end_time"]


def test_rows_that_the_ledger_refuses_come_with_the_next_ones_or_at_the_end(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path / "l.csv")
    machine.refuses = True
    machine.work(1, 1)
    machine.epochs.end([MARK])
    assert machine.written == []
    machine.refuses = False
    machine.work(1, 1)
    machine.epochs.end([MARK])
    assert [row["epoch"] for row in machine.written] == ["epoch: 1", "epoch: 2"]
    machine.refuses = True
    machine.work(1, 1)
    machine.epochs.end([MARK])
    machine.end()
    assert [row["epoch"] for row in machine.written][2:] == ["epoch: 3", "N/A"]


def test_a_run_without_marks_has_the_row_that_it_always_had(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "l.csv")
    machine.work(10, 5)
    finished = machine.end()
    assert finished.rest == finished.run
    assert finished.parts == ()
    assert "epochs" not in json_object(finished.run, finished.parts)


def test_marks_that_come_in_a_flood_wait_for_their_turn(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "l.csv")
    came: list[Mark] = []

    class Source:
        due_s = math.inf

        def read(self, *, last: bool = False) -> list[Mark]:
            marks, came[:] = came[:], []
            return marks

    intake = Intake(Source(), machine.epochs, clock=machine.clock, faults=machine.faults)
    assert intake.take() == math.inf
    came.append(MARK)
    assert intake.take() == math.inf
    machine.epochs.end = spend(machine, machine.epochs.end)  # type: ignore[method-assign]
    came.append(MARK)
    intake.take()
    came.extend([MARK] * 3)
    due_s = intake.take()
    assert machine.now_s < due_s <= machine.now_s + 0.2
    assert len(machine.written) == 2
    machine.now_s = due_s
    assert intake.take() == math.inf
    assert len(machine.written) == 5
    came.extend([MARK] * 2500)
    intake.take_all(machine.clock.now())
    assert len(machine.written) == 2505


def test_an_epoch_whose_mark_is_read_late_lasts_no_longer_than_the_run(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "l.csv")

    class Source:
        due_s = math.inf

        def read(self, *, last: bool = False) -> list[Mark]:
            return [MARK]

    machine.work(2)
    ended = machine.clock.now()
    intake = Intake(
        Source(), machine.epochs, clock=machine.clock, faults=machine.faults, ended=lambda: ended
    )
    machine.now_s += 3
    intake.take()
    finished = machine.epochs.finish(machine.outline(0)._replace(ended=ended))
    assert [part.duration_s for part in finished.parts] == [2, 0]


def spend(machine: Machine, end: Any) -> Any:
    def costly(*arguments: Any) -> None:
        machine.used_s += 0.005
        end(*arguments)

    return costly


# -- the real thing

TRAINING = """
for epoch in 1 2 3; do
    i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done
    echo "epoch $epoch loss=0.$epoch" > "$ECO2AI_MARK"
done
exit 7
"""


def test_a_shell_loop_marks_its_epochs_by_echo(ledger: Path, tmp_path: Path) -> None:
    result = tmp_path / "run.json"
    done = run(wrapped(["sh", "-c", TRAINING], ledger, "--json", str(result), "--price", "0.3"))
    assert done.returncode == 7, done.stderr
    found = rows(ledger)
    assert [row["epoch"] for row in found] == [
        "epoch: 1, loss: 0.1",
        "epoch: 2, loss: 0.2",
        "epoch: 3, loss: 0.3",
        "N/A",
    ]
    assert [row["exit_status"] for row in found] == ["", "", "", "7"]
    whole = load_json(result)
    for key, column in ADDED.items():
        assert whole[key] == math.fsum(float(row[column] or 0) for row in found)
    assert all(float(row["cpu_time(s)"]) > 0.02 for row in found[:3])
    verified = run([*ECO2AI, "verify", ledger])
    assert verified.returncode == 0, verified.stdout


def test_rows_are_in_the_ledger_before_the_run_ends(ledger: Path, tmp_path: Path) -> None:
    script = f'echo > "$ECO2AI_MARK"; while ! grep -q "epoch: 1" {ledger}; do sleep 0.01; done'
    assert run(wrapped(["timeout", "20", "sh", "-c", script], ledger)).returncode == 0
    assert [row["epoch"] for row in rows(ledger)] == ["epoch: 1", "N/A"]


def test_what_a_killed_run_used_after_its_epochs_is_recovered_and_nothing_twice(
    ledger: Path, tmp_path: Path
) -> None:
    script = 'sleep 0.3; echo > "$ECO2AI_MARK"; while :; do :; done'
    process = start(["sh", "-c", script], ledger, "-i", "0.05", "--price", "0.3")
    until(lambda: ledger.exists() and len(rows(ledger)) == 1)
    epoch = only_row(ledger)
    until(lambda: cpu_so_far(float(epoch["cpu_time(s)"]) + 0.2))
    process.kill()
    process.wait()
    (note,) = journal.recover()
    assert "recovered" in note.sentence
    assert journal.recover() == []
    epoch, rest = rows(ledger)
    assert (rest["epoch"], rest["stop_reason"]) == ("N/A", "recovered")
    assert rest["start_time"] == epoch["end_time"]
    assert 0.15 < float(rest["cpu_time(s)"]) < 60
    assert float(rest["duration(s)"]) >= float(rest["cpu_time(s)"]) - 0.05
    kwh, co2 = float(rest["power_consumption(kWh)"]), float(rest["CO2_emissions(kg)"])
    assert co2 == pytest.approx(kwh * float(rest["carbon_intensity(kg/MWh)"]) / 1000, rel=1e-12)
    verified = run([*ECO2AI, "verify", ledger])
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("lost", ["moved", "unreadable"])
def test_epochs_whose_rows_are_not_found_again_are_not_counted_twice(
    lost: str, ledger: Path, tmp_path: Path
) -> None:
    script = 'sleep 0.3; echo > "$ECO2AI_MARK"; while :; do :; done'
    process = start(["sh", "-c", script], ledger, "-i", "0.05", "--price", "0.3")
    until(lambda: ledger.exists() and len(rows(ledger)) == 1)
    epoch = only_row(ledger)
    used_s = float(epoch["cpu_time(s)"])
    until(lambda: cpu_so_far(used_s + 0.3))
    process.kill()
    process.wait()
    whole = journal_left()
    ledger.rename(tmp_path / "moved.csv")
    if lost == "unreadable":
        ledger.mkdir()
    (note,) = journal.recover()
    assert "recovered" in note.sentence
    found = ledger if lost == "moved" else next((Path(os.environ["XDG_STATE_HOME"])).rglob("*.csv"))
    rest = only_row(found)
    assert rest["start_time"] == epoch["end_time"]
    for column, total in (("cpu_time(s)", whole.cpu_s), ("duration(s)", whole.duration_s)):
        assert float(rest[column]) == pytest.approx(total - float(epoch[column]), abs=1e-9)
    verified = run([*ECO2AI, "verify", found])
    assert verified.returncode == 0, verified.stdout


def journal_left() -> layout.Figures:
    """Return what the journal of the one run that there is holds."""
    (name,) = [name for name in journals() if name.endswith(".journal")]
    return layout.parse((folder() / name).read_bytes())[1]


def cpu_so_far(seconds: float) -> bool:
    """Tell whether the journal of the one run that there is has seen so much CPU time."""
    return journal_left().cpu_s > seconds


def test_rows_in_the_spool_come_to_the_epochs_that_are_in_the_ledger(tmp_path: Path) -> None:
    """Whoever dies while he takes rows in leaves it open which of them the ledger has."""
    path = str(tmp_path / "l.csv")
    machine = Machine(tmp_path / "l.csv")
    machine.work(1, 1)
    machine.epochs.end([MARK])
    machine.work(1, 1)
    machine.epochs.end([MARK])
    machine.end()
    one, two, rest = machine.written
    append_now(path, [one])
    spool.put(path, [two, rest])
    (Path(path + ".spool") / "merging-left").touch()
    ledger.take_in(path)
    assert [row["epoch"] for row in rows(Path(path))] == ["epoch: 1", "epoch: 2", "N/A"]
    spool.put(path, [two, rest])
    (Path(path + ".spool") / "merging-left").touch()
    ledger.take_in(path)
    assert len(rows(Path(path))) == 3


def test_a_mark_just_before_the_end_leaves_a_rest_of_no_duration(ledger: Path) -> None:
    for pause in ("sleep 0.2", "sleep 0.2", "sleep 0.2", ":", ":"):
        done = run(wrapped(["sh", "-c", f'{pause}; echo > "$ECO2AI_MARK"'], ledger))
        assert done.returncode == 0
    assert all(float(row["duration(s)"]) >= 0 for row in rows(ledger))
    assert len(rows(ledger)) == 10
    verified = run([*ECO2AI, "verify", ledger])
    assert verified.returncode == 0, verified.stdout


def test_garbage_is_counted_and_said_and_the_others_stay(ledger: Path) -> None:
    script = r"""
printf '\001\377 = ; \n!!!\n' > "$ECO2AI_MARK"
echo "epoch 1 loss=0.5" > "$ECO2AI_MARK"
head -c 9000 /dev/zero | tr '\0' x > "$ECO2AI_MARK"
"""
    done = run(wrapped(["sh", "-c", script], ledger))
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "2 lines were no mark" in said
    assert "1 line was cut" in said
    found = rows(ledger)
    assert found[0]["epoch"] == "epoch: 1, loss: 0.5"
    assert "marks-lost" in found[-1]["caveats"]


def test_nobody_who_writes_blocks_or_dies_when_we_are_killed(ledger: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"""
exec 3> "$ECO2AI_MARK"; echo 1 >&3; sleep 0.3; kill -9 $PPID; sleep 0.3
for i in 1 2 3; do echo $i >&3; echo $i > "$ECO2AI_MARK"; done; echo fine > {done}
"""
    command = wrapped(["sh", "-c", script], ledger, "--on-death", "keep")
    assert run(command).returncode == -signal.SIGKILL
    until(lambda: done.exists() and done.read_text() == "fine\n")


def test_a_run_leaves_nothing_behind_in_the_folder_for_temporary_files(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert run(wrapped(["sh", "-c", 'test -p "$ECO2AI_MARK"'], ledger)).returncode == 0
    assert run(wrapped([tmp_path / "no-such-command"], ledger)).returncode == 127
    assert list(place.iterdir()) == []


def test_epochs_are_read_from_a_log_that_the_command_writes(ledger: Path, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("Epoch 9/9\n1/1 - loss: 0.9\n")
    script = f"""
for epoch in 1 2 3; do
    echo "Epoch $epoch/3" >> {log}; sleep 0.2
    echo "10/10 [====] - 1s 9ms/step - loss: 0.$epoch - val_loss: 0.5" >> {log}
done
"""
    done = run(wrapped(["sh", "-c", script], ledger, "--progress-file", log, "-i", "0.05"))
    assert done.returncode == 0, done.stderr
    *epochs, rest = rows(ledger)
    assert [row["epoch"] for row in epochs] == [
        f"epoch: {number}, loss: 0.{number}, val_loss: 0.5" for number in (1, 2, 3)
    ]
    assert float(epochs[1]["duration(s)"]) == pytest.approx(0.2, abs=0.15)
    assert rest["epoch"] == "N/A"


def test_a_pattern_without_a_log_is_refused(ledger: Path, tmp_path: Path) -> None:
    done = run(wrapped(["true"], ledger, "--progress", "epoch (?P<epoch>.*)"))
    assert done.returncode == 2
    assert b"--progress-file" in done.stderr
    done = run(wrapped(["true"], ledger, "--progress-file", tmp_path / "l", "--progress", "(("))
    assert done.returncode == 2


def test_marks_are_taken_in_amid_a_storm_of_children(ledger: Path) -> None:
    script = """
(while :; do /bin/true; done) & storm=$!
for epoch in 1 2 3; do sleep 0.25; echo > "$ECO2AI_MARK"; done
kill $storm
"""
    assert run(wrapped(["sh", "-c", script], ledger)).returncode == 0
    durations_s = [float(row["duration(s)"]) for row in rows(ledger)[:3]]
    assert all(0.1 < seconds < 1.0 for seconds in durations_s), durations_s
