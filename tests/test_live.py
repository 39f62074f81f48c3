"""When the live view samples and draws, and how samples become what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.config import Config
from eco2ai_cli.faults import Faults
from eco2ai_cli.live import Live, Subject
from eco2ai_cli.model import Reading, Sample, Usage
from eco2ai_cli.place import Place
from eco2ai_cli.regions import Region

FRANCE = Region("FR", "FR", "France", None, 56.0, 2024, None, None, "code")


class FakeScreen:
    """Notes when it is drawn on; `is_shown` is what the real one knows."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.drawn: list[float] = []
        self.cleared: list[float] = []
        self.is_shown = True
        self.given_back = 0

    def show(self, picture: Callable[[int, int], Any]) -> bool:
        assert picture(79, 6)
        self.drawn.append(self.now())
        return True

    def keep_out(self) -> bool:
        return self.is_shown

    def resized(self) -> None:
        self.cleared.append(self.now())

    def give_back(self) -> None:
        self.given_back += 1


class Rig:
    """A live view on clocks that stand at `now_s`; a sample costs nothing."""

    def __init__(self, interval_s: float = 1.0, **config: Any) -> None:
        self.now_s = 100.0
        self.samples: list[float] = []
        self.interval_s = interval_s
        self.faults = Faults()
        self.screen = FakeScreen(lambda: self.now_s)
        self.opened = 0
        clock = Clock(*[lambda: self.now_s] * 4)
        place = Place(FRANCE, "option", 2.0, frozenset({"region-assumed"}))
        subject = Subject(
            Config(**config),
            place,
            Moment(0, 100, 100),
            lambda sample: frozenset({"sampling-late"}),
        )
        self.live = Live(subject, self.open, self.sample, clock=clock, faults=self.faults)

    def open(self) -> Any:
        self.opened += 1
        return self.screen

    def sample(self) -> float:
        self.samples.append(self.now_s)
        return self.now_s + self.interval_s

    def pass_time(self, until_s: float) -> int:
        """Beat whenever it is due, some microseconds late; return how often."""
        beats = 0
        while self.now_s < until_s:
            due_s = self.live.beat()
            beats += 1
            assert due_s > self.now_s
            self.now_s = due_s + 5e-6
        return beats


def sample(t_s: float, cpu_s: float, joules: float | None) -> Sample:
    reading = Reading("cpu", "0", joules, "tdp")
    return Sample(t_s, Usage(cpu_s, 10**9, None, (1, 2)), (reading,))


def test_nothing_is_drawn_nor_opened_in_the_first_second() -> None:
    rig = Rig(interval_s=0.05)
    rig.pass_time(100.9)
    rig.live.resized()
    assert rig.opened == 0
    rig.pass_time(101.1)
    assert rig.opened == 1
    assert len(rig.screen.drawn) == 1


@pytest.mark.parametrize("interval_s", [0.05, 0.4, 1.0, 7.0])
def test_it_is_drawn_once_a_second_whatever_the_interval(interval_s: float) -> None:
    rig = Rig(interval_s)
    rig.pass_time(160.5)
    assert 58 <= len(rig.screen.drawn) <= 61
    assert len(rig.samples) == pytest.approx(60.5 / interval_s, rel=0.05, abs=2)


def test_sampling_and_drawing_share_a_wake_up() -> None:
    rig = Rig()
    rig.screen.is_shown = False
    assert rig.pass_time(160.5) <= 63


def test_while_it_is_shown_the_terminal_is_looked_at_five_times_a_second() -> None:
    rig = Rig()
    assert rig.pass_time(160.5) == pytest.approx(300, abs=15)


def test_while_the_terminal_is_being_resized_nothing_is_drawn_until_its_size_has_settled() -> None:
    rig = Rig()
    rig.pass_time(105.5)
    drawn = len(rig.screen.drawn)
    for _ in range(30):
        rig.live.resized()
        rig.pass_time(rig.now_s + 0.1)
    assert len(rig.screen.cleared) == 30
    assert len(rig.screen.drawn) == drawn
    rig.pass_time(rig.screen.cleared[-1] + 0.6)
    assert len(rig.screen.drawn) == drawn + 1
    assert rig.screen.drawn[-1] - rig.screen.cleared[-1] >= 0.3  # tmux is up to 0.25 s late


def test_after_a_fault_of_ours_nothing_is_drawn_and_sampling_goes_on() -> None:
    rig = Rig()
    rig.screen.show = lambda picture: 1 / 0  # type: ignore[assignment,return-value]
    rig.pass_time(110)
    assert isinstance(rig.faults.first, ZeroDivisionError)
    assert rig.screen.given_back == 1
    assert len(rig.samples) >= 10


def test_where_there_is_no_screen_sampling_goes_on() -> None:
    rig = Rig()
    rig.live._open_screen = lambda: None
    assert rig.pass_time(110) <= 13
    assert rig.faults.first is None


def test_power_is_that_at_the_socket_of_the_facility_since_the_sample_before() -> None:
    rig = Rig()
    for now in (sample(1.0, 0.5, 10.0), sample(2.0, 2.5, 40.0), sample(2.1, 2.6, 41.0)):
        rig.live(now)
    state = rig.live.state()
    assert state.power_w == 60.0
    assert state.powers_w == (20.0, 60.0)
    assert state.cpu_percent == 200.0
    assert state.energy_j == 82.0
    assert state.processes == 2
    assert state.cost is None
    assert state.caveats == ("region-assumed", "sampling-late")


def test_a_power_that_is_not_known_is_none() -> None:
    rig = Rig(price_per_kwh=0.25)
    rig.live(sample(1.0, 0.5, None))
    state = rig.live.state()
    assert (state.power_w, state.energy_j, state.emissions_kg, state.cost) == (None,) * 4
    assert state.cpu_percent == 50.0


def test_the_cost_is_that_of_the_energy_so_far() -> None:
    rig = Rig(price_per_kwh=0.25, currency="EUR")
    rig.live(sample(1.0, 0.5, 3.6e6))
    state = rig.live.state()
    assert (state.cost, state.currency) == (0.5, "EUR")
    assert state.emissions_kg == pytest.approx(0.112)


def test_each_gpu_is_shown_with_what_its_driver_says() -> None:
    rig = Rig()
    details = {"utilisation_percent": 97.0, "memory_used_bytes": 4e10, "temperature_c": 64.0}
    gpu = Reading("gpu", "GPU-1", 5.0, "nvml-energy", "NVIDIA H100", 352.0, details=details)
    lost = Reading("gpu", "nvml", None, "none")
    rig.live(Sample(1.0, Usage(0.0, None, None), (gpu, lost)))
    assert rig.live.state().gpus == (("NVIDIA H100", 352.0, 97.0, 4e10, 64.0),)
