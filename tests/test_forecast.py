"""The forecast: what the rest of a run will take, whatever its first epochs look like."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli.forecast import Forecast, forecast


def test_equal_epochs_are_forecast_exactly() -> None:
    assert forecast([2.0, 2.0, 2.0], 10).total == pytest.approx(20)


def test_before_the_first_epoch_there_is_none() -> None:
    with pytest.raises(ValueError, match="before the first epoch"):
        forecast([], 10)


def test_after_one_epoch_there_is_a_forecast_with_wide_bounds() -> None:
    seen = forecast([3.0], 10)
    assert seen.total == 30
    assert seen.low < 20
    assert seen.high > 30


def test_a_slow_first_epoch_counts_once() -> None:
    """Set-up and compilation of 50 s before epochs of 1 s: 50 + 100, not 12 x 100."""
    assert forecast([51.0, 1.0, 1.0, 1.0, 1.0], 100).total == pytest.approx(150)


@pytest.mark.parametrize("every", [2, 3, 4, 5])
def test_evaluation_epochs_are_counted_where_they_will_come(every: int) -> None:
    series = [3.0 if epoch % every == 0 else 1.0 for epoch in range(1, 41)]
    for seen in range(2 * every, 40):
        assert forecast(series[:seen], 40).total == pytest.approx(sum(series))


def test_epochs_that_grow_on_a_line_are_carried_on() -> None:
    series = [10.0 + epoch for epoch in range(1, 51)]
    assert forecast(series[:8], 50).total == pytest.approx(sum(series))


def test_epochs_that_shrink_are_never_forecast_below_nothing() -> None:
    seen = forecast([10.0 - epoch for epoch in range(9)], 1000)
    assert sum(10.0 - epoch for epoch in range(9)) <= seen.total < 60


def test_noise_is_no_slope() -> None:
    """+-10 % in no order: a line through it would lead up to three times too far."""
    series = [5, 10.9, 9.1, 10.4, 9.8, 10.8, 9.3, 10.7, 9.9, 11.0]
    assert forecast(series, 100).total == pytest.approx(1000, rel=0.05)


def test_one_outlier_moves_the_forecast_by_its_share_and_widens_the_bounds() -> None:
    calm, odd = [1.0] * 20, [1.0] * 20
    odd[10] = 3.0
    assert forecast(odd, 200).total < 1.15 * forecast(calm, 200).total
    wide, narrow = forecast(odd, 200), forecast(calm, 200)
    assert wide.high - wide.low > narrow.high - narrow.low


def test_a_finished_run_is_its_own_forecast() -> None:
    assert forecast([1.0, 2.0, 3.0], 3) == Forecast(6, 6, 6)
    assert forecast([1.0, 2.0, 3.0], 2) == Forecast(6, 6, 6)


def test_what_is_left_is_never_negative() -> None:
    assert forecast([1.0, 1.0], 4).left(3.5) == pytest.approx(0.5)
    assert forecast([1.0, 1.0], 4).left(9.0) == 0


def test_the_error_is_in_percent_of_the_truth() -> None:
    assert Forecast(110, 0, 0).error_percent(100) == pytest.approx(10)
    assert Forecast(110, 0, 0).error_percent(0) is None


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=80), st.integers(1, 200))
def test_bounds_hold_the_forecast_and_never_fall_below_what_is_taken(
    seen: list[float], epochs: int
) -> None:
    total, low, high = forecast(seen, epochs)
    assert all(map(math.isfinite, (total, low, high)))
    slack = 1e-9 * max(1.0, high)
    assert math.fsum(seen) <= low + slack
    assert low <= total + slack
    assert total <= high + slack


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=40), st.integers(1, 100))
def test_the_forecast_does_not_depend_on_the_unit(seen: list[float], epochs: int) -> None:
    """Of two units that differ by a power of two, so that nothing is rounded."""
    ours = forecast(seen, epochs)
    theirs = forecast([1024 * value for value in seen], epochs)
    assert theirs.total == pytest.approx(1024 * ours.total)
