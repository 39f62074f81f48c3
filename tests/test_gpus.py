"""Laws of the GPU dial, and what the environment says about devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli.meters.gpu_job import visible
from eco2ai_cli.meters.gpus import GpuDial, Look, gpu_name
from eco2ai_cli.model import Reading

WATTS = st.one_of(st.none(), st.floats(0, 400))
MOVES_J = st.one_of(st.none(), st.sampled_from([0.0, -1e6, 1e6]), st.floats(0, 1000))
STEPS_S = st.floats(0.01, 30)


@given(st.lists(st.tuples(STEPS_S, MOVES_J, WATTS, st.booleans())))
def test_the_dial_never_runs_backwards(looks: list[tuple[float, float, float, bool]]) -> None:
    dial, now_s, counter_j, shown_j = GpuDial(400), 0.0, 1e7, 0.0
    for step_s, move_j, power_w, counts in looks:
        now_s += step_s
        counter_j += move_j or 0.0
        dial.advance(Look(now_s, None if move_j is None else counter_j, power_w), counts)
        assert (dial.energy_j is None) == (dial.method == "none")
        assert dial.energy_j is None or dial.energy_j >= shown_j
        shown_j = dial.energy_j or shown_j


def test_what_power_promised_is_not_taken_back_by_the_counter() -> None:
    dial, shown_j = GpuDial(400), []
    for now_s, counter_j in ((0.0, 0.0), (0.4, 40.0), (0.6, 60.0), (2.0, 200.0)):
        dial.advance(Look(now_s, counter_j, 300.0), counts=now_s > 0)
        shown_j.append(dial.energy_j)
    assert shown_j == pytest.approx([0, 120, 120, 200])


@given(
    st.lists(st.tuples(st.floats(0.05, 10), st.floats(1, 390), st.booleans()), min_size=1),
    st.floats(0, 1e12),
)
def test_the_dial_shows_what_was_drawn_in_the_time_that_counts(
    stretches: list[tuple[float, float, bool]], counter_j: float
) -> None:
    # Constant power in each stretch, by a counter that is exact and a sensor that is, too: what
    # is paid by power is off by half a step at each change of it, here never taken.
    dial, now_s, drawn_j = GpuDial(400), 0.0, 0.0
    dial.advance(Look(now_s, counter_j, 200.0), counts=False)
    for step_s, power_w, counts in stretches:
        step_s += 0.5
        now_s += step_s
        counter_j += power_w * step_s
        drawn_j += power_w * step_s * counts
        dial.advance(Look(now_s, counter_j, 0.0), counts)
    assert dial.energy_j == pytest.approx(drawn_j, abs=1e-3)


@given(st.lists(st.floats(0.01, 1.0), min_size=1), st.floats(1, 400))
def test_a_constant_power_comes_out_right_at_any_pace(steps_s: list[float], watts: float) -> None:
    dial, now_s = GpuDial(400), 0.0
    dial.advance(Look(now_s, None, watts), counts=False)
    for step_s in steps_s:
        now_s += step_s
        dial.advance(Look(now_s, None, watts), counts=True)
    assert dial.energy_j == pytest.approx(now_s * watts)


def test_a_counter_that_sticks_and_recovers_is_not_counted_twice() -> None:
    dial = GpuDial(400)
    dial.advance(Look(0.0, 0.0, 100.0), counts=False)
    for now_s, counter_j in ((1.0, 0.0), (2.0, 0.0), (3.0, 300.0)):
        dial.advance(Look(now_s, counter_j, 100.0), counts=True)
    assert dial.energy_j == 300
    assert dial.method == "nvml-energy"


def test_a_counter_that_sticks_for_long_is_given_up_until_it_moves_again() -> None:
    dial = GpuDial(400)
    dial.advance(Look(0.0, 0.0, 100.0), counts=False)
    for second in range(1, 41):
        dial.advance(Look(float(second), max(0.0, second - 20) * 100.0, 100.0), counts=True)
    assert dial.energy_j == pytest.approx(4000)


def test_only_a_dial_that_lives_on_power_asks_for_frequent_looks() -> None:
    dial = GpuDial(400)
    dial.advance(Look(0.0, 0.0, 100.0), counts=False)
    assert dial.integrating
    dial.advance(Look(1.0, 100.0, 100.0), counts=True)
    assert not dial.integrating
    dial.advance(Look(2.0, 100.0, 100.0), counts=True)
    assert dial.integrating


UUIDS = ("GPU-aa11", "GPU-aa22", "GPU-bb33")


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("0", "0"),
        ("2,0", "02"),
        (" 1 , 2 ", "12"),
        ("", ""),
        ("-1", ""),
        ("0,-1,1", "0"),
        ("0,7,1", "0"),
        ("GPU-bb33", "2"),
        ("GPU-b", "2"),
        ("GPU-bb33,GPU-aa1", "02"),
        ("GPU-aa", ""),  # CUDA wants a prefix to be unique
        ("GPU-cc", ""),
        ("aa11", ""),
        ("NoDevFiles", ""),
        ("MIG-5c1e", "012"),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(words: str, seen: str) -> None:
    expected = {UUIDS[int(digit)] for digit in seen}
    assert visible({"CUDA_VISIBLE_DEVICES": words}, UUIDS) == expected


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("all", "012"),
        ("void", "012"),
        ("", "012"),
        ("none", ""),
        ("0,1,2", "012"),
        ("1", "1"),
        ("GPU-bb33,GPU-aa11", "02"),
        ("5,6,7", "012"),  # of the host: the container shows these three and no others
        ("0,4,6", "012"),
        ("nvidia.com/gpu=1", "012"),
    ],
)
def test_nvidia_visible_devices_is_held_against_the_devices_here(words: str, seen: str) -> None:
    expected = {UUIDS[int(digit)] for digit in seen}
    assert visible({"NVIDIA_VISIBLE_DEVICES": words}, UUIDS) == expected


def test_cuda_visible_devices_goes_before_nvidia_visible_devices() -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "2"}
    assert visible(environ, UUIDS) == {"GPU-aa11"}
    assert visible({}, UUIDS) == set(UUIDS)


def test_devices_are_named_as_an_eco2ai_file_names_them() -> None:
    def gpu(name: str | None) -> Reading:
        return Reading("gpu", "GPU-1", 1.0, "nvml-energy", name)

    a100, t4 = gpu("NVIDIA A100-SXM4-80GB"), gpu("Tesla T4")
    assert gpu_name([a100, a100]) == "NVIDIA A100-SXM4-80GB 2 device(s)"
    assert gpu_name([a100, t4]) == "NVIDIA A100-SXM4-80GB 1 device(s); Tesla T4 1 device(s)"
    assert gpu_name([Reading("cpu", "0", 1.0, "tdp", "AMD"), gpu(None)]) == ""
