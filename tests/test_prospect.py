"""What lies ahead of a run: its budget at every sample, its forecast at every epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrapped import ECO2AI, load_json, run

from eco2ai_cli.clock import Clock
from eco2ai_cli.config_keys import Config
from eco2ai_cli.faults import Faults
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.model import Energy, Footprint, Sample, Usage
from eco2ai_cli.prospect import Prospect
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_parts import Part


class Machine:
    """A clock of our own, and a tree that keeps `threads` of 1 W each busy; a look costs a bit."""

    def __init__(self) -> None:
        self.now_s = self.cpu_s = self.used_s = 0.0
        self.threads = 1.0
        self.signals: list[int] = []

    def clock(self) -> Clock:
        return Clock(
            lambda: self.now_s, lambda: self.now_s, lambda: self.now_s, lambda: self.used_s
        )

    def usage(self, now_s: float) -> Usage:
        self.used_s += 0.02  # 2 % of a core at 1 Hz: looks would be thinned out to every 4 s
        return Usage(self.cpu_s, None, None, pids=(1,))

    def advance_to(self, then_s: float) -> None:
        self.cpu_s += self.threads * (then_s - self.now_s)
        self.now_s = then_s

    def alive(self) -> list[int]:
        return []

    def is_stopped(self, pid: int) -> bool:
        return False


def prospect_of(machine: Machine, **settings: object) -> tuple[Prospect, list[str]]:
    said: list[str] = []

    def footprint(sample: Sample) -> Footprint:
        return Footprint(Energy.since_start(sample).total_j, None, None)

    over = settings.pop("is_over", lambda: False)
    epochs = settings.pop("epochs", None)
    prospect = Prospect(
        Config(**settings),  # type: ignore[arg-type]
        footprint,
        machine,
        is_over=over,  # type: ignore[arg-type]
        now_s=lambda: machine.now_s,
        epochs=epochs,  # type: ignore[arg-type]
        say=said.append,
    )
    return prospect, said


def recorder_of(machine: Machine, prospect: Prospect, interval_s: float = 1.0) -> Recorder:
    recorder = Recorder(machine, interval_s, began_s=0, clock=machine.clock(), faults=Faults())
    recorder.meters = (TdpMeter(1.0, "cpu", frozenset()),)
    recorder.observers.append(prospect)
    recorder.latest = prospect.latest
    return recorder


def part(energy_kwh: float | None, duration_s: float = 10.0) -> Part:
    known = None if energy_kwh is None else energy_kwh / 2
    return Part("1", "", duration_s, energy_kwh, known, None, 1.0, energy_kwh, None, None, 1, 0.0)


@pytest.mark.parametrize("interval_s", [0.1, 1.0, 3600.0])
def test_at_steady_power_the_stop_comes_within_a_twentieth_of_a_second(interval_s: float) -> None:
    machine = Machine()
    prospect, said = prospect_of(machine, max_energy_kwh=100 / 3.6e6, interval_s=interval_s)
    recorder = recorder_of(machine, prospect, interval_s)
    due_s = 0.0
    while not prospect.is_stopping:
        machine.advance_to(due_s)
        due_s = recorder.beat()
    assert 100 <= machine.cpu_s <= 100.05 + 1e-6
    assert prospect.stopped_by == "energy"
    assert [" % of the energy budget is used" in line for line in said] == [True, False]


def test_where_the_power_leaps_the_overshoot_is_that_of_one_interval() -> None:
    machine = Machine()
    prospect, _ = prospect_of(machine, max_energy_kwh=100 / 3.6e6)
    recorder = recorder_of(machine, prospect)
    due_s = 0.0
    while not prospect.is_stopping:
        machine.threads = 200 if due_s > 50 else 0.5
        machine.advance_to(due_s)
        due_s = recorder.beat()
    assert 100 <= machine.cpu_s <= 100 + 200 * 1.0


def test_a_command_that_has_ended_by_itself_is_not_stopped() -> None:
    machine = Machine()
    prospect, said = prospect_of(machine, max_energy_kwh=1 / 3.6e6, is_over=lambda: True)
    recorder = recorder_of(machine, prospect)
    machine.advance_to(100.0)
    recorder.sample()
    assert not prospect.is_stopping
    assert said == []


def test_a_forecast_over_the_budget_is_said_at_the_epoch_that_shows_it() -> None:
    prospect, said = prospect_of(Machine(), max_energy_kwh=1.0, epochs=20)
    prospect.end_epoch(part(0.04))
    assert said == []
    prospect.end_epoch(part(0.06))
    assert len(said) == 1
    assert "the forecast is over the energy budget: 1.18 kWh" in said[0]
    prospect.end_epoch(part(0.06))
    assert len(said) == 1


def test_the_first_forecast_is_kept_and_the_words_are_those_of_the_last() -> None:
    prospect, _ = prospect_of(Machine(), epochs=4)
    assert prospect.words(0) is None
    prospect.end_epoch(part(2e-3, 20))
    prospect.end_epoch(part(1e-3, 10))
    assert prospect.first is not None
    assert prospect.first.by["energy"].total == pytest.approx(8e-3 * 3.6e6)
    assert prospect.words(30) == "2/4 · 20.0 s left · 5.00 Wh (4.4–5.6) · 2.50 g CO2"
    for _ in range(2):
        prospect.end_epoch(part(1e-3, 10))
    assert prospect.is_complete
    assert prospect.words(50) is None
    assert prospect.outlook(50) == {"epochs": "4/4"}


def test_the_number_of_epochs_may_come_from_a_mark() -> None:
    prospect, _ = prospect_of(Machine())
    assert "epochs" not in prospect.outlook(0)
    prospect.end_epoch(part(1e-3))
    assert prospect.forecasts() == {}
    assert prospect.outlook(1)["epochs"] == "1"
    prospect.end_epoch(part(1e-3), 10)
    assert prospect.forecasts()["energy"].total == pytest.approx(10e-3 * 3.6e6)


def test_of_what_is_not_known_there_is_no_forecast() -> None:
    prospect, _ = prospect_of(Machine(), epochs=4)
    prospect.end_epoch(part(None))
    assert set(prospect.forecasts()) == {"duration"}


def test_the_finished_run_says_how_far_the_first_forecast_was_off(tmp_path: Path) -> None:
    script = 'for i in 1 2 3; do sleep 0.1; echo "$i" > "$ECO2AI_MARK"; sleep 0.1; done'
    command = [*ECO2AI, "run", "--epochs", "3", "--json", "r.json", "--", "sh", "-c", script]
    answer = run(command, cwd=tmp_path)
    assert answer.returncode == 0
    told = load_json(tmp_path / "r.json")
    off = 100 * (told["forecast_energy_kwh"] / told["energy_kwh"] - 1)
    assert told["forecast_epochs"] == 3
    assert told["forecast_error_percent"] == pytest.approx(off)
    assert f"after the first epoch, {off:+.0f} % off" in answer.stderr.decode()


def test_a_run_that_ends_early_says_nothing_of_its_forecast(tmp_path: Path) -> None:
    script = 'sleep 0.1; echo 1/9 > "$ECO2AI_MARK"; sleep 0.2'
    run([*ECO2AI, "run", "-q", "--json", "r.json", "--", "sh", "-c", script], cwd=tmp_path)
    told = load_json(tmp_path / "r.json")
    assert told["forecast_epochs"] == 9
    assert told["forecast_error_percent"] is None
