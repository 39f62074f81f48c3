"""The recorder: dials are read and subtracted, so the result does not depend on the beat."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli.clock import Clock
from eco2ai_cli.dials import Integrator
from eco2ai_cli.faults import Faults
from eco2ai_cli.meters.ram import RamMeter
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.model import Energy, Reading, Sample, Usage
from eco2ai_cli.recorder import Recorder


@dataclass
class Machine:
    """A machine of our own making: a clock, and a tree that uses 2 CPUs and 1 GiB steadily."""

    now_s: float = 100.0
    failing: bool = False
    used_s: float = 0.0
    look_costs_s: float = 0.0

    def __post_init__(self) -> None:
        self.memory = Integrator()

    def clock(self) -> Clock:
        def now() -> float:
            return self.now_s

        return Clock(now, now, now, lambda: self.used_s)

    def usage(self, now_s: float) -> Usage:
        if self.failing:
            raise RuntimeError("cannot look")
        self.used_s += self.look_costs_s
        cpu_s = 2 * (self.now_s - 100.0)
        return Usage(cpu_s, 2**30, self.memory.advance(2**30, now_s), pids=(1,))


def recorder_of(machine: Machine, interval_s: float = 1.0) -> Recorder:
    recorder = Recorder(machine, interval_s, began_s=100.0, clock=machine.clock(), faults=Faults())
    recorder.meters = (TdpMeter(5.0, "cpu", frozenset()), RamMeter(0.375))
    return recorder


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=50))
def test_the_energy_does_not_depend_on_when_samples_were_taken(steps: list[float]) -> None:
    machine = Machine()
    recorder = recorder_of(machine)
    recorder.sample()
    for step in steps:
        machine.now_s += step
        recorder.sample()
    energy = Energy.since_start(recorder.last)
    duration = machine.now_s - 100.0
    assert energy.cpu_j == pytest.approx(5.0 * 2 * duration)
    assert energy.ram_j == pytest.approx(0.375 * duration)


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=20), st.data())
def test_parts_of_a_run_add_up_to_the_run(steps: list[float], data: st.DataObject) -> None:
    machine = Machine()
    recorder = recorder_of(machine)
    samples = []
    for step in steps:
        machine.now_s += step
        recorder.sample()
        samples.append(recorder.last)
    cut = samples[data.draw(st.integers(0, len(samples) - 1))]
    whole = Energy.since_start(samples[-1])
    parts = [Energy.since_start(cut), Energy.between(cut, samples[-1])]
    assert sum(part.total_j for part in parts) == pytest.approx(whole.total_j)


def test_the_beats_quicken_at_the_start_and_then_keep_the_interval() -> None:
    machine = Machine()
    recorder = recorder_of(machine, interval_s=1000.0)
    dues = []
    for _ in range(20):
        machine.now_s = recorder.beat()
        dues.append(machine.now_s - 100.0)
    steps = [b - a for a, b in zip([0.0, *dues], dues, strict=False)]
    assert steps[0] < 1
    assert all(after > 0.99 * before for before, after in itertools.pairwise(steps))
    assert steps[-1] == pytest.approx(1000.0)


@pytest.mark.parametrize("cost_s", [0.001, 0.01, 0.1])
def test_looking_costs_half_a_percent_of_a_core_at_the_most(cost_s: float) -> None:
    machine = Machine(look_costs_s=cost_s)
    recorder = recorder_of(machine)
    for _ in range(200):
        machine.now_s = recorder.beat()
    used_s, began_s = machine.used_s, machine.now_s
    for _ in range(100):
        machine.now_s = recorder.beat()
    assert (machine.used_s - used_s) / (machine.now_s - began_s) <= 0.005 * 1.0001


def test_a_late_beat_is_noted_and_not_repeated() -> None:
    machine = Machine()
    recorder = recorder_of(machine)
    machine.now_s = recorder.beat()
    assert not recorder.late
    machine.now_s += 3600
    due = recorder.beat()
    assert recorder.late
    assert due > machine.now_s


def test_a_look_that_fails_costs_a_sample_and_is_kept_as_a_fault() -> None:
    machine = Machine()
    faults = Faults()
    recorder = Recorder(machine, 1.0, began_s=100.0, clock=machine.clock(), faults=faults)
    recorder.sample()
    machine.failing = True
    due = recorder.beat()
    assert due > machine.now_s
    machine.failing = False
    recorder.sample()
    assert recorder.samples == 2
    assert str(faults.first) == "cannot look"


def test_an_observer_that_fails_takes_nothing_from_the_others() -> None:
    machine = Machine()
    seen: list[Sample] = []
    recorder = recorder_of(machine)

    def broken(sample: Sample) -> None:
        raise OSError("disk full")

    recorder.observers = [broken, seen.append]
    recorder.sample()
    assert seen == [recorder.last]


def test_what_is_not_known_is_not_zero() -> None:
    usage = Usage(1.0, None, None)
    (reading,) = RamMeter(0.375).sample(usage, 0.0)
    assert reading.energy_j is None
    assert Energy.since_start(Sample(1.0, usage, (reading,))).ram_j is None


def test_a_device_without_a_figure_leaves_the_sum_of_the_others() -> None:
    usage = Usage(0.0, None, None)
    readings = (
        Reading("gpu", "a", 5.0, "nvml-energy"),
        Reading("gpu", "b", None, "none", caveats=frozenset({"gpu-unknown"})),
    )
    sample = Sample(1.0, usage, readings)
    assert Energy.since_start(sample).gpu_j == 5.0
    assert "gpu-unknown" in sample.caveats


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 10)), min_size=1, max_size=30))
def test_an_integral_never_falls_and_a_constant_level_is_exact(
    steps: list[tuple[float, float]],
) -> None:
    dial, constant = Integrator(), Integrator()
    now = 0.0
    shown = [dial.advance(steps[0][0], now)]
    constant.advance(7.0, now)
    for level, step in steps:
        now += step
        shown.append(dial.advance(level, now))
        constant.advance(7.0, now)
    assert shown == sorted(shown)
    assert constant.advance(None, now) == pytest.approx(7.0 * now)


def test_an_unknown_level_holds_the_last_one() -> None:
    dial = Integrator()
    assert dial.advance(None, 0.0) is None
    dial.advance(10.0, 1.0)
    dial.advance(None, 2.0)
    assert dial.advance(None, 3.0) == pytest.approx(20.0)
