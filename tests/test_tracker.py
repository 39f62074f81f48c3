"""`Tracker` in a program of its own: what is counted, what is kept, and what it leaves alone."""

from __future__ import annotations

import copy
import csv
import fcntl
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from eco2ai_cli import Tracker, mark
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.processes.own import OwnUsage
from eco2ai_cli.tracker import measuring, presence
from eco2ai_cli.tracker.warn import Eco2aiWarning
from eco2ai_cli.units import BYTES_PER_GIB

ROUNDING_S = 0.03


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECO2AI_REGION_CODE", "FR")
    yield
    assert presence.latest() is None, "a test has left a tracker behind"


def rows(path: str | Path = "emission.csv") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def burn(seconds: float) -> float:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return time.process_time()


def test_the_row_tells_what_the_process_used_between_start_and_stop() -> None:
    tracker = Tracker(project_name="p", experiment_description="d", pue=1.5)
    burn(0.05)  # not between
    outer_s, around_s = time.process_time(), time.monotonic()
    tracker.start()
    before_s, began_s = time.process_time(), time.monotonic()
    threads = [threading.Thread(target=burn, args=(0.1,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used_s, span_s = time.process_time() - before_s, time.monotonic() - began_s
    tracker.stop()
    (row,) = rows()
    assert used_s <= float(row["cpu_time(s)"]) <= time.process_time() - outer_s
    assert span_s <= float(row["duration(s)"]) <= time.monotonic() - around_s
    parts = sum(float(row[f"{part}_energy(kWh)"]) for part in ("cpu", "gpu", "ram"))
    assert float(row["power_consumption(kWh)"]) == pytest.approx(1.5 * parts)
    assert (row["project_name"], row["experiment_description"]) == ("p", "d")
    assert (row["epoch"], row["region/country"]) == ("N/A", "FR")
    assert (row["exit_status"], row["stop_reason"]) == ("0", "exit")
    assert row["id"] == tracker.id()
    assert tracker.consumption() == float(row["power_consumption(kWh)"])
    assert tracker.emission_level() == float(row["carbon_intensity(kg/MWh)"])


def test_nothing_is_left_of_a_tracker_that_was_stopped() -> None:
    def state() -> list[object]:
        handlers = [signal.getsignal(number) for number in signal.valid_signals()]
        files = sorted(os.listdir("/proc/self/fd"))
        return [handlers, files, threading.enumerate(), dict(os.environ), os.getcwd()]

    with Tracker():
        pass
    before = state()
    with Tracker():
        assert (
            signal.getsignal(signal.SIGCHLD)
            == before[0][list(signal.valid_signals()).index(signal.SIGCHLD)]
        )  # type: ignore[index]
    assert state() == before
    folder = Path(os.environ["XDG_STATE_HOME"], "eco2ai", "journal")
    assert list(folder.iterdir()) == []


def test_memory_is_charged_over_time_as_the_paper_does() -> None:
    block = bytearray(b"x") * 200_000_000
    with Tracker(measure_period=0.05):
        time.sleep(0.3)
    del block
    (row,) = rows()
    byte_s = float(row["memory_mean(GB)"]) * 1e9 * float(row["duration(s)"])
    kwh = 0.375 * byte_s / BYTES_PER_GIB / 3.6e6
    assert float(row["memory_mean(GB)"]) > 0.2
    assert float(row["ram_energy(kWh)"]) == pytest.approx(kwh, rel=0.02)


def test_the_measure_period_changes_no_figure() -> None:
    energies = []
    for period in (0.05, 100):
        tracker = Tracker(measure_period=period)
        tracker.start()
        burn(0.2)
        tracker.stop()
    for row in rows():
        energies.append(float(row["cpu_energy(kWh)"]) / float(row["cpu_time(s)"]))
        assert 0.2 <= float(row["cpu_time(s)"]) < 0.25
    assert energies[0] == pytest.approx(energies[1])


def test_all_processes_of_the_machine_count_when_that_is_asked_for() -> None:
    other = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    # A child of ours, but not of the tracker: it would count as ours. So it is orphaned first.
    other.kill()
    other.wait()
    code = (
        "import os, time\nif os.fork(): os._exit(0)\nend=time.time()+1\nwhile time.time()<end: pass"
    )
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
    with Tracker(cpu_processes="all", project_name="all"), Tracker(project_name="own"):
        time.sleep(0.4)
    own, everyone = rows()
    assert (own["project_name"], everyone["project_name"]) == ("own", "all")
    assert float(own["cpu_time(s)"]) < 0.2
    assert float(everyone["cpu_time(s)"]) > 0.2
    assert "cpu-of-machine" in everyone["caveats"]
    assert own["parent_id"] == everyone["id"]


def test_each_epoch_is_a_row_and_they_add_up_to_the_training() -> None:
    tracker = Tracker(project_name="p")
    before_s = time.process_time()
    tracker.start_training(start_epoch=4)
    burn(0.1)
    tracker.new_epoch({"loss": 0.5, "name": "a b"})
    so_far = tracker.consumption()
    burn(0.05)
    tracker.new_epoch({"loss": 0.25})
    tracker.stop_training()
    used_s = time.process_time() - before_s
    first, second = rows()
    assert first["epoch"] == "epoch: 4, loss: 0.5, name: a b"
    assert second["epoch"] == "epoch: 5, loss: 0.25"
    assert first["id"] == second["id"] == tracker.id()
    assert sum(float(row["cpu_time(s)"]) for row in rows()) == pytest.approx(used_s, abs=0.06)
    assert 0.1 <= float(first["cpu_time(s)"]) < 0.15
    energies = [float(row["power_consumption(kWh)"]) for row in rows()]
    assert tracker.consumption() == math.fsum(energies)
    assert energies[0] < so_far < sum(energies)


def test_what_is_done_after_the_last_epoch_is_a_row_too() -> None:
    tracker = Tracker()
    tracker.start_training()
    tracker.new_epoch({})
    burn(0.15)
    tracker.stop()  # as `stop_training`
    first, rest = rows()
    assert (first["epoch"], rest["epoch"]) == ("epoch: 1", "N/A")
    assert float(rest["cpu_time(s)"]) >= 0.15
    assert (first["exit_status"], rest["exit_status"]) == ("", "0")


def test_an_exception_passes_unchanged_and_the_row_is_saved() -> None:
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught, Tracker():
        raise error
    assert caught.value is error
    assert caught.value.__context__ is None
    (row,) = rows()
    assert (row["exit_status"], row["stop_reason"]) == ("1", "exit")


def test_an_exception_in_a_training_ends_it_with_a_row_of_its_own() -> None:
    tracker = Tracker()

    def train() -> None:
        tracker.new_epoch({"loss": 1})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), tracker:
        train()
    assert [row["epoch"] for row in rows()] == ["epoch: 1, loss: 1", "N/A"]
    assert rows()[-1]["exit_status"] == "1"


@pytest.mark.parametrize(
    ("raised", "status"),
    [("SystemExit(3)", "3"), ("SystemExit()", "0"), ("KeyboardInterrupt()", "SIGINT")],
)
def test_the_status_is_that_with_which_the_exception_ends_a_program(
    raised: str, status: str
) -> None:
    error = eval(raised)
    with pytest.raises(type(error)), Tracker():
        raise error
    assert rows()[-1]["exit_status"] == status


def test_stopping_twice_or_before_a_start_does_nothing() -> None:
    tracker = Tracker()
    tracker.stop()
    tracker.stop_training()
    assert tracker.id() is None
    assert math.isnan(tracker.consumption())
    tracker.start()
    tracker.stop()
    tracker.stop()
    assert len(rows()) == 1


def test_starting_again_is_another_run_and_the_one_under_way_is_saved() -> None:
    tracker = Tracker()
    ids = []
    for _ in range(2):
        tracker.start()
        ids.append(tracker.id())
    tracker.stop()
    assert [row["id"] for row in rows()] == ids
    assert ids[0] != ids[1]


def test_an_epoch_of_nothing_warns_and_is_quiet_where_that_is_asked_for() -> None:
    with pytest.warns(Eco2aiWarning, match="before `start_training`") as said:
        Tracker().new_epoch({})
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Tracker(ignore_warnings=True).new_epoch({})


def test_where_warnings_are_errors_they_are_said_on_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Tracker().new_epoch({})
    assert "before `start_training`" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"measure_period": -1}, r"argument `measure_period` must be a number from 0.05 to 3600 s"),
        ({"pue": 0.5}, r"argument `pue` must be a number from 1 to 10, not `0.5`"),
        ({"emission_level": "much"}, r"argument `emission_level` must be a number"),
        (
            {"alpha_2_code": "AU", "region": "Qeensland"},
            r"`AU/Qeensland` \(from argument `region`\)",
        ),
        ({"alpha_2_code": "Atlantis"}, r"`Atlantis` \(from argument `alpha_2_code`\)"),
        ({"alpha_2_code": 36}, r"argument `alpha_2_code` must be text"),
        ({"electricity_pricing": {"8:30-19:00": 0.3}}, r"argument `electricity_pricing` has no"),
        ({"electricity_pricing": 0.3}, r"must be a dictionary of the prices.*, not `0.3`$"),
        ({"electricity_pricing": {}}, r"must be a dictionary of the prices.*, not empty$"),
        ({"cpu_processes": "some"}, r"argument `cpu_processes` must be `current` or `all`"),
        ({"encode_file": 3}, r"argument `encode_file` must be `True` or the path"),
        ({"encode_file": "emission.csv"}, r"is the ledger itself"),
    ],
)
def test_a_wrong_argument_is_a_value_error_that_says_which(
    arguments: dict[str, object], sentence: str
) -> None:
    tracker = Tracker(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=sentence):
        tracker.start()
    assert not Path("emission.csv").exists()


def test_a_ledger_that_cannot_be_written_is_told_before_anything_starts() -> None:
    with pytest.raises(Eco2aiError, match=r"there is no folder.*`file_name`"):
        Tracker(file_name="no/where.csv").start()


def test_a_program_in_a_folder_that_is_gone_is_told_to_name_the_ledger_in_full(
    tmp_path: Path,
) -> None:
    Path("gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(Eco2aiError, match=r"is gone; name it by an absolute path in `file_name`"):
        Tracker().start()
    with Tracker(file_name=tmp_path / "mine.csv"):
        pass
    assert len(rows(tmp_path / "mine.csv")) == 1


def test_the_row_goes_where_the_program_was_when_it_started(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    with Tracker(file_name=Path("mine.csv")):
        os.chdir("else")
    assert len(rows(tmp_path / "mine.csv")) == 1


def test_a_tracker_within_a_tracker_is_part_of_it_and_one_that_outlives_it_is_told() -> None:
    outer, inner = Tracker(project_name="outer"), Tracker(project_name="inner")
    with outer, inner:
        pass
    outer.start()
    inner.start()
    outer.stop()
    inner.stop()
    nested, around, first, last = rows()
    assert nested["parent_id"] == around["id"]
    assert around["parent_id"] == first["parent_id"] == last["parent_id"] == ""
    assert "trackers-overlap" in last["caveats"]
    assert "trackers-overlap" not in first["caveats"]


def test_a_mark_goes_to_the_tracker_that_was_started_last() -> None:
    assert mark("nobody") is False
    with Tracker(), Tracker() as tracker:
        assert mark("warm up", loss=2.5) is True
        assert mark() is True
    assert [row["epoch"] for row in rows() if row["id"] == tracker.id()] == [
        "epoch: warm up, loss: 2.5",
        "epoch: 2",
    ]


def test_a_copy_is_a_tracker_of_its_own_that_has_not_started() -> None:
    with Tracker(project_name="p") as tracker:
        for other in (copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker))):
            assert other.id() is None
            other.stop()
            with other:
                pass
    assert [row["project_name"] for row in rows()] == ["p"] * 3


def test_what_was_settled_at_the_start_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker(measure_period=3)
    assert tracker.measure_period() == 3
    assert tracker.emission_level() == Tracker(alpha_2_code="FR").emission_level()
    tracker.start()
    monkeypatch.setenv("ECO2AI_REGION_CODE", "nowhere")
    assert tracker.measure_period() == 3
    assert tracker.emission_level() > 0
    tracker.stop()


def test_values_of_an_epoch_that_are_no_dictionary_are_told_and_cost_no_epoch() -> None:
    with Tracker() as tracker, pytest.warns(Eco2aiWarning, match="takes a dictionary"):
        tracker.new_epoch([0.5])  # type: ignore[arg-type]
    assert rows()[0]["epoch"] == "epoch: 1"


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


def test_values_that_cannot_be_written_cost_no_epoch() -> None:
    with Tracker() as tracker:
        tracker.new_epoch({"loss": Unspeakable()})
    assert rows()[0]["epoch"] == "epoch: 1"


def test_a_fault_of_ours_costs_a_warning_and_never_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> NoReturn:
        raise RuntimeError("broken")

    tracker = Tracker()
    tracker.start()
    with monkeypatch.context() as broken:
        broken.setattr(OwnUsage, "usage", fail)
        tracker.new_epoch({"loss": 1})
        assert tracker.consumption() >= 0
        with pytest.warns(Eco2aiWarning, match="cost accuracy.*broken"):
            tracker.stop()
    assert "internal-error" in rows()[-1]["caveats"]
    assert rows()[-1]["epoch"] == "epoch: 1, loss: 1"


def test_a_row_that_is_lost_by_a_fault_of_ours_is_told_and_recovered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> NoReturn:
        raise RuntimeError("broken")

    tracker = Tracker()
    tracker.start()
    with monkeypatch.context() as broken:
        broken.setattr(measuring, "ledger_cells", fail)
        with pytest.warns(Eco2aiWarning, match="the next eco2ai command tries to save it"):
            tracker.stop()
    assert not Path("emission.csv").exists()
    folder = Path(os.environ["XDG_STATE_HOME"], "eco2ai", "journal")
    assert [file.name.startswith(str(tracker.id())) for file in folder.iterdir()] == [True]


def test_a_ledger_that_others_hold_locked_keeps_the_rows_of_epochs_for_later() -> None:
    Path("emission.csv").touch()
    with Tracker() as tracker, open("emission.csv") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        tracker.new_epoch({"loss": 1})
        assert rows() == []
        fcntl.flock(held, fcntl.LOCK_UN)
        burn(0.11)
    assert [row["epoch"] for row in rows()] == ["epoch: 1, loss: 1", "N/A"]
