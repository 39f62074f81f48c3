"""Laws of the GPU dial, and what the environment says about devices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eco2ai_cli.meters.gpu_dial import GpuDial, Look
from eco2ai_cli.meters.gpu_job import Installed, Job, Slice, order_doubts, visible
from eco2ai_cli.meters.gpus import Gpu, Residents, gpu_name
from eco2ai_cli.model import Reading

WATTS = st.one_of(st.none(), st.floats(0, 400))
MOVES_J = st.one_of(st.none(), st.sampled_from([0.0, -1e6, 1e6]), st.floats(0, 1000))
STEPS_S = st.floats(0.01, 30)

# What a device has drawn.


@given(st.lists(st.tuples(STEPS_S, MOVES_J, WATTS)))
def test_the_dial_never_runs_backwards(looks: list[tuple[float, float, float]]) -> None:
    dial, now_s, counter_j, shown_j = GpuDial(400), 0.0, 1e7, 0.0
    for step_s, move_j, power_w in looks:
        now_s += step_s
        counter_j += move_j or 0.0
        moved_j = dial.advance(Look(now_s, None if move_j is None else counter_j, power_w))
        assert moved_j >= 0
        assert (dial.energy_j is None) == (dial.method == "none")
        shown_j += moved_j
        assert dial.energy_j is None or dial.energy_j == pytest.approx(shown_j)


def test_what_power_promised_is_not_taken_back_by_the_counter() -> None:
    dial, shown_j = GpuDial(400), []
    for now_s, counter_j in ((0.0, 0.0), (0.4, 40.0), (0.6, 60.0), (2.0, 200.0)):
        dial.advance(Look(now_s, counter_j, 300.0))
        shown_j.append(dial.energy_j)
    assert shown_j == pytest.approx([0, 120, 120, 200])


@given(
    st.lists(st.tuples(st.floats(0.5, 10), st.floats(1, 390)), min_size=1),
    st.floats(0, 1e12),
)
def test_the_dial_shows_what_an_exact_counter_shows(
    stretches: list[tuple[float, float]], counter_j: float
) -> None:
    dial, now_s, drawn_j = GpuDial(400), 0.0, 0.0
    dial.advance(Look(now_s, counter_j, 0.0))
    for step_s, power_w in stretches:
        now_s += step_s + 0.01
        counter_j += power_w * step_s
        drawn_j += power_w * step_s
        dial.advance(Look(now_s, counter_j, 0.0))
    assert dial.energy_j == pytest.approx(drawn_j, abs=1e-2)


@given(st.lists(st.floats(0.01, 1.0), min_size=1), st.floats(1, 400))
def test_a_constant_power_comes_out_right_at_any_pace(steps_s: list[float], watts: float) -> None:
    dial, now_s = GpuDial(400), 0.0
    dial.advance(Look(now_s, None, watts))
    for step_s in steps_s:
        now_s += step_s
        dial.advance(Look(now_s, None, watts))
    assert dial.energy_j == pytest.approx(now_s * watts)


def test_a_counter_that_sticks_and_recovers_is_not_counted_twice() -> None:
    dial = GpuDial(400)
    for now_s, counter_j in ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 300.0)):
        dial.advance(Look(now_s, counter_j, 100.0))
    assert dial.energy_j == 300
    assert dial.method == "nvml-energy"


def test_a_counter_that_sticks_for_long_is_given_up_until_it_moves_again() -> None:
    dial = GpuDial(400)
    for second in range(41):
        dial.advance(Look(float(second), max(0.0, second - 20) * 100.0, 100.0))
    assert dial.energy_j == pytest.approx(4000)


def test_a_counter_that_restarts_with_no_power_beside_it_is_a_doubt() -> None:
    alone, beside = GpuDial(400), GpuDial(400)
    for now_s, counter_j in enumerate((1000.0, 1100.0, 3.0, 103.0)):
        alone.advance(Look(float(now_s), counter_j, None))
        beside.advance(Look(float(now_s), counter_j, 100.0))
        assert (alone.untold, beside.untold) == (now_s >= 2, False)
    assert (alone.energy_j, beside.energy_j) == (200, 300)


def test_only_a_dial_that_lives_on_power_asks_for_frequent_looks() -> None:
    dial = GpuDial(400)
    dial.advance(Look(0.0, 0.0, 100.0))
    assert dial.integrating
    dial.advance(Look(1.0, 100.0, 100.0))
    assert not dial.integrating
    dial.advance(Look(2.0, 100.0, 100.0))
    assert dial.integrating


# Whose it is. Runs are sets of PIDs; a moment is who is on the device, with how busy each kept it.

NAMED = frozenset({"GPU-1"})
RUNS = (frozenset({10, 11}), frozenset({20}), frozenset({30, 31, 32}))
PIDS = sorted({1, 2}.union(*RUNS))
MOMENTS = st.tuples(
    st.frozensets(st.sampled_from(PIDS)),
    st.dictionaries(st.sampled_from([*PIDS, 77]), st.floats(0, 100)),
    st.floats(0, 400),
)


def share_out(
    gpus: Sequence[Gpu],
    moments: Iterable[tuple[frozenset[int], dict[int, float], float]],
    part: float = 1.0,
) -> float:
    """Let each run look at each moment, the full seconds; return what the device drew in all."""
    drawn_j = 0.0
    for second, (pids, busy, watts) in enumerate(moments):
        joules = watts if second else 0.0
        drawn_j += joules
        for gpu, tree in zip(gpus, RUNS, strict=True):
            job = Job(tree, True, NAMED, "/nonexistent")
            gpu.take(joules, 1.0 if second else 0.0, Residents(pids), busy, job)
    return drawn_j


def used_j(gpu: Gpu) -> float:
    return gpu.reading(True, "nvml-energy", None, {}).energy_j or 0.0


@given(st.lists(MOMENTS), st.one_of(st.none(), st.floats(0, 100)))
def test_runs_that_share_a_device_never_sum_to_more_than_it_drew(
    moments: list[tuple[frozenset[int], dict[int, float], float]], idle_w: float | None
) -> None:
    gpus = [Gpu("GPU-1", None, idle_w=idle_w) for _ in RUNS]
    drawn_j = share_out(gpus, moments)
    idle_j = {gpu.idle_j for gpu in gpus}
    assert len(idle_j) == 1  # each run tells the same time apart
    assert sum(map(used_j, gpus)) + idle_j.pop() <= drawn_j * (1 + 1e-9)


@given(st.lists(MOMENTS, min_size=1), st.data())
def test_a_run_that_ends_between_two_moments_takes_nothing_from_the_others(
    moments: list[tuple[frozenset[int], dict[int, float], float]], data: st.DataObject
) -> None:
    """Each run stops looking at some moment, with a last look part of a second later."""
    gpus = [Gpu("GPU-1", None, idle_w=30.0) for _ in RUNS]
    ends = data.draw(st.tuples(*[st.integers(0, len(moments) - 1)] * len(RUNS)))
    drawn_j = 0.0
    for second, (pids, busy, watts) in enumerate(moments):
        drawn_j += watts if second else 0.0
        for gpu, tree, end in zip(gpus, RUNS, ends, strict=True):
            job = Job(tree, True, NAMED, "/nonexistent")
            if second <= end:
                joules, span_s = (watts, 1.0) if second else (0.0, 0.0)
                gpu.take(joules, span_s, Residents(pids), busy, job)
            elif second == end + 1:
                gpu.take(0.4 * watts, 0.4, None, busy, job)
    assert sum(map(used_j, gpus)) <= drawn_j * (1 + 1e-9)


@given(st.lists(MOMENTS), st.data())
def test_a_run_that_is_alone_pays_for_every_cell_it_begins_or_ends(
    moments: list[tuple[frozenset[int], dict[int, float], float]], data: st.DataObject
) -> None:
    on = [data.draw(st.booleans()) for _ in moments]
    mine = [
        (frozenset({10} if here else ()), {}, w)
        for here, (_, _, w) in zip(on, moments, strict=True)
    ]
    gpus = [Gpu("GPU-1", None, idle_w=30.0) for _ in RUNS]
    drawn_j = share_out(gpus, mine)
    expected_j = sum(
        w
        for (_, _, w), before, after in zip(mine[1:], on[:-1], on[1:], strict=True)
        if before or after
    )
    assert used_j(gpus[0]) == pytest.approx(expected_j)
    assert gpus[0].idle_j == pytest.approx(drawn_j - expected_j)


def test_idle_power_goes_by_heads_and_the_rest_by_who_was_busy() -> None:
    gpus = [Gpu("GPU-1", None, idle_w=50.0) for _ in RUNS]
    moment = (frozenset({10, 20}), {10: 30.0, 20: 90.0}, 250.0)
    share_out(gpus, [moment, moment])
    # 200 W above idle: a quarter and three quarters; 50 W idle: a half each.
    assert [used_j(gpu) for gpu in gpus] == [50 + 25, 150 + 25, 0]
    reading = gpus[0].reading(True, "nvml-energy", None, {})
    assert (reading.method, reading.caveats) == ("nvml-energy+share", {"gpu-shared"})


@pytest.mark.parametrize("busy", [{}, {77: 50.0}, {10: 0.0, 20: 0.0}])
def test_where_nobody_tells_who_was_busy_all_goes_by_heads(busy: dict[int, float]) -> None:
    gpus = [Gpu("GPU-1", None, idle_w=50.0) for _ in RUNS]
    moment = (frozenset({10, 11, 20}), busy, 300.0)
    share_out(gpus, [moment, moment])
    assert [used_j(gpu) for gpu in gpus] == [200, 100, 0]


def test_a_newcomer_pays_from_the_next_cell_on() -> None:
    gpus = [Gpu("GPU-1", None) for _ in RUNS]
    alone, both = (frozenset({10}), {}, 100.0), (frozenset({10, 20}), {}, 100.0)
    share_out(gpus, [alone, both, both])
    assert [used_j(gpu) for gpu in gpus] == [150, 50, 0]


def test_what_began_between_two_moments_counts_only_if_nobody_else_was_there() -> None:
    job = Job(RUNS[0], True, NAMED, "/nonexistent")
    for end, expected_j in (({10}, 40), ({10, 20}, 0)):
        gpu = Gpu("GPU-1", None)
        gpu.take(0.0, 0.0, Residents(frozenset({10}), aligned=False), {}, job)
        gpu.take(40.0, 0.4, Residents(frozenset(end)), {}, job)
        assert used_j(gpu) == expected_j


def test_beside_another_run_what_is_before_the_first_full_second_is_not_paid() -> None:
    job = Job(RUNS[0], True, NAMED, "/nonexistent", disputed=True)
    gpu = Gpu("GPU-1", None)
    gpu.take(0.0, 0.0, Residents(frozenset({10}), aligned=False), {}, job)
    gpu.take(40.0, 0.4, Residents(frozenset({10})), {}, job)
    reading = gpu.reading(True, "nvml-energy", None, {})
    assert (reading.energy_j, reading.method, reading.caveats) == (None, "none", {"gpu-brief"})
    gpu.take(100.0, 1.0, None, {}, job)
    reading = gpu.reading(True, "nvml-energy", None, {})
    assert (reading.energy_j, reading.caveats) == (100, {"gpu-brief"})  # of at least 140
    gpu.take(700.0, 7.0, None, {}, job)
    reading = gpu.reading(True, "nvml-energy", None, {})
    assert (reading.energy_j, reading.caveats) == (800, frozenset())  # 40 J are within its error


@pytest.mark.parametrize("on", [{10}, {10, 20}])
@pytest.mark.parametrize("disputed", [False, True])
def test_a_run_that_is_over_before_a_full_second_pays_for_what_was_surely_its_own(
    on: set[int], disputed: bool
) -> None:
    job = Job(RUNS[0], True, NAMED, "/nonexistent", disputed=disputed)
    gpu = Gpu("GPU-1", None, idle_w=30.0)
    gpu.take(0.0, 0.0, Residents(frozenset(on), aligned=False), {}, job)
    gpu.take(40.0, 0.4, None, {}, job)
    gpu.end()
    reading = gpu.reading(True, "nvml-power", None, {})
    alone = on == {10} and not disputed
    assert reading.energy_j == (40 if alone else None)
    assert ("gpu-brief" in reading.caveats) is not alone


class Stay(NamedTuple):
    """A run with one process on the device, all in tenths of a second; `busy`: while it is on."""

    begins: int
    ends: int
    comes: int
    leaves: int
    busy: float = 0.0


def stay(begins: int, lasts: int, waits: int, stays: int, busy: float) -> Stay:
    return Stay(begins, begins + lasts, begins + waits, begins + waits + stays, busy)


STAYS = st.builds(
    stay,
    st.integers(0, 14),
    st.integers(1, 22),
    st.integers(0, 6),
    st.integers(1, 20),
    st.sampled_from([0.0, 1.0, 7.0]),
)


@settings(max_examples=200)
@given(st.lists(STAYS, min_size=2, max_size=4), st.sampled_from([0.0, 10.0, 400.0]), st.booleans())
@example([Stay(0, 30, 0, 13), Stay(14, 30, 14, 30)], 0.0, False)  # one goes, another comes
@example([Stay(0, 13, 0, 13, 1.0), Stay(0, 30, 0, 30, 7.0)], 10.0, True)  # busy once it is gone
def test_runs_that_come_and_go_at_any_time_never_sum_to_more_than_was_drawn(
    runs: list[Stay], idle_w: float, late: bool
) -> None:
    """A run looks ten times a second until the first full one, then at each, and when it ends.

    The driver's list is of the moment, and its busy times are of all who were there since. `late`:
    those who are busy are so in the second half of each second alone.
    """
    shown_j = sum(measured(n, frozenset({n}), runs, idle_w, late) for n in range(len(runs)))
    drawn_tenths = {t for run in runs for t in range(run.begins, run.ends)}
    assert shown_j <= 10.0 * len(drawn_tenths) * (1 + 1e-9)


@given(st.lists(STAYS, min_size=2, max_size=4), st.sampled_from([0.0, 10.0, 400.0]), st.booleans())
def test_a_run_inside_another_never_has_more_than_that(
    runs: list[Stay], idle_w: float, late: bool
) -> None:
    """The first is inside the last, which also has a process of its own on the device."""
    outer = Stay(0, 60, runs[-1].comes, runs[-1].leaves, runs[-1].busy)
    runs = [run._replace(begins=run.begins + 1) for run in runs[:-1]] + [outer]
    number = len(runs) - 1
    inner_j = measured(0, frozenset({0}), runs, idle_w, late)
    assert inner_j <= measured(number, frozenset({0, number}), runs, idle_w, late) * (1 + 1e-9)


def measured(
    number: int, tree: frozenset[int], runs: list[Stay], idle_w: float, late: bool
) -> float:
    """Return the joules that run `number` is charged for its tree, on a device of 100 W."""
    run = runs[number]
    gpu, looked = Gpu("GPU-1", None, idle_w=idle_w), run.begins
    others = (one for n, one in enumerate(runs) if n != number)
    disputed = any(one.begins <= run.begins < one.ends for one in others)
    job = Job(tree, True, NAMED, "/nonexistent", disputed=disputed)
    for tenth in range(run.begins, run.ends + 1):
        aligned, last = tenth % 10 == 0, tenth == run.ends
        if not (aligned or last or tenth <= run.begins + -run.begins % 10):
            continue
        here = frozenset(n for n, one in enumerate(runs) if one.comes <= tenth < one.leaves)
        span = range(looked, tenth)
        worked = {n: [works(one, t, late) for t in span] for n, one in enumerate(runs)}
        busy = {n: runs[n].busy * sum(tenths) for n, tenths in worked.items() if any(tenths)}
        seen = None if last else Residents(here, aligned)
        gpu.take(10.0 * (tenth - looked), (tenth - looked) / 10, seen, busy, job)
        looked = tenth
    gpu.end()
    return used_j(gpu)


def works(run: Stay, tenth: int, late: bool) -> bool:
    """Tell whether a run keeps the device busy in a tenth."""
    return run.busy > 0 and run.comes <= tenth < run.leaves and (not late or tenth % 10 >= 5)


def test_slices_share_the_device_by_their_size() -> None:
    job = Job(RUNS[0], True, NAMED, "/nonexistent")
    gpu = Gpu("MIG-1", "1g", part=2 / 7)
    for _ in range(3):
        gpu.take(70.0, 1.0, Residents(frozenset({10})), {}, job)
    reading = gpu.reading(True, "nvml-power", 70.0, {})
    assert reading.energy_j == pytest.approx(40)
    assert reading.power_w == pytest.approx(20)
    assert (reading.method, reading.caveats) == ("nvml-power+share", {"gpu-sliced"})


@given(st.lists(st.tuples(MOMENTS, st.sampled_from(["full", "energy", "off", "last"]))))
def test_a_gpu_never_runs_backwards(
    looks: list[tuple[tuple[frozenset[int], dict[int, float], float], str]],
) -> None:
    gpu, shown_j = Gpu("GPU-1", None, idle_w=30.0), 0.0
    job = Job(RUNS[0], True, NAMED, "/nonexistent")
    for (pids, busy, watts), kind in looks:
        seen = Residents(pids, kind == "full") if kind in ("full", "off") else None
        gpu.take(watts, 1.0, seen, busy, job)
        if kind == "last":
            gpu.end()
        assert used_j(gpu) >= shown_j - 1e-9
        shown_j = used_j(gpu)


# Which devices a job was given.

UUIDS = ("GPU-aa11", "GPU-aa22", "GPU-bb33")
DEVICES = tuple(Installed(uuid, "A100") for uuid in UUIDS)
SLICED = (
    Installed("GPU-aa11", "A100", (Slice("MIG-11", "MIG-GPU-aa11/1/0"), Slice("MIG-12"))),
    Installed("GPU-bb33", "A100"),
)


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
        ("MIG-5c1e", ""),
        ("9" * 5000, ""),
        ("1," + "0" * 5000 + ",2", "1"),
    ],
    ids=lambda value: value[:20],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(words: str, seen: str) -> None:
    expected = {UUIDS[int(digit)] for digit in seen}
    assert visible({"CUDA_VISIBLE_DEVICES": words}, DEVICES) == expected


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
    assert visible({"NVIDIA_VISIBLE_DEVICES": words}, DEVICES) == expected


def test_cuda_visible_devices_goes_before_nvidia_visible_devices() -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "0", "NVIDIA_VISIBLE_DEVICES": "2"}
    assert visible(environ, DEVICES) == {"GPU-aa11"}
    assert visible({}, DEVICES) == set(UUIDS)


@pytest.mark.parametrize(
    ("words", "by_cuda", "by_container"),
    [
        ("MIG-11", {"MIG-11"}, {"MIG-11"}),
        ("MIG-12,GPU-bb33", {"MIG-12", "GPU-bb33"}, {"MIG-12", "GPU-bb33"}),
        ("MIG-GPU-aa11/1/0", {"MIG-11"}, {"MIG-11"}),
        ("MIG-1", set(), {"MIG-11", "MIG-12", "GPU-bb33"}),  # two begin so
        ("0", {"MIG-11"}, {"MIG-11", "MIG-12"}),
        ("GPU-aa,1", {"MIG-11", "GPU-bb33"}, {"MIG-11", "MIG-12", "GPU-bb33"}),
    ],
)
def test_slices_are_given_by_their_names_or_with_their_device(
    words: str, by_cuda: set[str], by_container: set[str]
) -> None:
    """A container is given all slices of a device; CUDA then has the first of them."""
    assert visible({"CUDA_VISIBLE_DEVICES": words}, SLICED) == by_cuda
    assert visible({"NVIDIA_VISIBLE_DEVICES": words}, SLICED) == by_container


@pytest.mark.parametrize(
    ("environ", "doubtful"),
    [
        ({}, False),
        ({"CUDA_VISIBLE_DEVICES": "0"}, True),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1"}, False),
        ({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        ({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, True),
    ],
)
def test_an_index_among_several_models_is_doubtful_unless_cuda_goes_by_the_bus(
    environ: dict[str, str], doubtful: bool
) -> None:
    mixed = (Installed("GPU-1", "T4"), Installed("GPU-2", "A100"))
    assert order_doubts(environ, mixed) == ({"gpu-order"} if doubtful else set())
    assert order_doubts(environ, DEVICES) == set()


def test_devices_are_named_as_an_eco2ai_file_names_them() -> None:
    def gpu(name: str | None) -> Reading:
        return Reading("gpu", "GPU-1", 1.0, "nvml-energy", name)

    a100, t4 = gpu("NVIDIA A100-SXM4-80GB"), gpu("Tesla T4")
    assert gpu_name([a100, a100]) == "NVIDIA A100-SXM4-80GB 2 device(s)"
    assert gpu_name([a100, t4]) == "NVIDIA A100-SXM4-80GB 1 device(s); Tesla T4 1 device(s)"
    assert gpu_name([Reading("cpu", "0", 1.0, "tdp", "AMD"), gpu(None)]) == ""
