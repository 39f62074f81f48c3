"""The budget: one warning at 80 %, the word to stop at 100 %, nothing of what is not known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli.budget import Budget, Limit
from eco2ai_cli.forecast import Forecast
from eco2ai_cli.model import Footprint

ENERGY = Limit("energy", 3.6e6)  # 1 kWh


def used(energy_j: float | None) -> Footprint:
    return Footprint(energy_j, None, None)


def test_there_is_one_warning_at_80_percent() -> None:
    budget = Budget([ENERGY])
    said = [budget.take(used(share * 3.6e6), 100 * share).sentences for share in (0.79, 0.8, 0.9)]
    assert [len(sentences) for sentences in said] == [0, 1, 0]
    assert said[1][0].startswith("80 % of the energy budget is used: 800 Wh of 1.00 kWh; ")
    assert said[1][0].endswith("lasts 20.0 s more")  # 0.79 in 79 s, then 0.01 in 1 s


def test_the_limit_is_reached_at_100_percent_and_not_before() -> None:
    budget = Budget([ENERGY])
    assert budget.take(used(3.6e6 * 0.999999), 1).reached is None
    assert budget.take(used(3.6e6), 2).reached == ENERGY


def test_the_first_of_several_limits_stops() -> None:
    budget = Budget([ENERGY, Limit("emissions", 0.5), Limit("cost", 2.0)], "EUR")
    news = budget.take(Footprint(1e6, 0.1, 2.5), 10)
    assert news.reached == Limit("cost", 2.0)
    assert budget.stop_sentence(news.reached) == "the cost budget of 2.00 EUR is used up (2.50 EUR)"


def test_a_jump_over_both_marks_stops_without_a_warning() -> None:
    news = Budget([ENERGY]).take(used(5e6), 1)
    assert news.reached == ENERGY
    assert news.sentences == ()


def test_what_is_not_known_stops_nothing_and_is_said_once() -> None:
    budget = Budget([ENERGY])
    assert budget.take(used(None), 1).reached is None
    assert budget.unknown == {"energy"}
    assert budget.give_up_on_unknown() == (
        "the energy of this run is not known, so its budget cannot be kept",
    )
    assert budget.give_up_on_unknown() == ()


def test_a_forecast_over_the_budget_is_said_once_with_the_numbers() -> None:
    budget = Budget([ENERGY])
    budget.take(used(1e6), 10)
    over, under = Forecast(7.2e6, 5.4e6, 9e6), Forecast(3e6, 2e6, 4e6)
    assert budget.compare({"energy": under}) == ()
    (sentence,) = budget.compare({"energy": over})
    assert "2.00 kWh (1.50 kWh to 2.50 kWh), and the budget is 1.00 kWh" in sentence
    assert "at the present power it lasts 26.0 s more" in sentence  # 2.6 MJ at 100 kW
    assert budget.compare({"energy": over}) == ()


def test_the_panel_shows_the_limit_that_is_used_most() -> None:
    budget = Budget([ENERGY, Limit("cost", 2.0)], "EUR")
    assert budget.fullest() is None
    budget.take(Footprint(0.36e6, 0.1, 1.0), 10)
    assert budget.fullest() == (0.5, "50 % of 2.00 EUR")


def test_without_power_a_limit_is_never_reached() -> None:
    budget = Budget([ENERGY])
    assert budget.reached_in_s() == math.inf
    budget.take(used(1e6), 1)
    budget.take(used(1e6), 2)
    assert budget.reached_in_s() == math.inf


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=60), st.floats(0.05, 3600))
def test_at_steady_power_no_sample_comes_after_the_limit(
    powers_w: list[float], interval_s: float
) -> None:
    """And at any power the overshoot is what one interval at that power uses."""
    budget, now_s, energy_j = Budget([ENERGY]), 0.0, 0.0
    for power_w in powers_w:
        step_s = max(0.05, min(interval_s, budget.reached_in_s()))
        assert step_s <= max(0.05, interval_s)
        now_s += step_s
        energy_j += power_w * step_s
        if budget.take(used(energy_j), now_s).reached:
            assert energy_j - 3.6e6 <= power_w * max(0.05, interval_s)
            return


def test_with_an_interval_of_an_hour_a_steady_load_is_stopped_to_the_second() -> None:
    budget, now_s = Budget([ENERGY]), 0.05
    while budget.take(used(500 * now_s), now_s).reached is None:  # 500 W: 2 h for 1 kWh
        now_s += max(0.05, min(3600, budget.reached_in_s()))
    assert now_s == pytest.approx(7200, abs=0.1)
