"""GPU energy through the real `pynvml`, over a stand-in for the driver's library."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import nvml_rig
import pytest
from nvml_rig import Played, Step, fake_proc, machine

OURS, WORKER, THEIRS = 100, 101, 900
PROCESSES = {1: 0, 10: 1, OURS: 10, WORKER: OURS, THEIRS: 1}
TREE = (OURS,)
CONTAINER = 4026532999
"""The inode of a PID namespace that is not the machine's."""

Play = Callable[..., Played]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_rig.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def play(library: Path, tmp_path: Path) -> Play:
    """Play steps on a machine whose PIDs are the driver's, unless `namespace` says otherwise."""
    numbers = itertools.count()

    def play(
        steps: Sequence[Step],
        namespace: int = 4026531836,
        environ: dict[str, str] | None = None,
        library: Path = library,
        commands: Mapping[int, str] = MappingProxyType({}),
        processes: Mapping[int, int] = PROCESSES,
    ) -> Played:
        proc = fake_proc(tmp_path / f"proc-{next(numbers)}", processes, namespace, commands)
        return nvml_rig.play(library, tmp_path, steps, proc, environ or {})

    return play


def volta(joules: float, watts: float = 250, **values: object) -> dict[str, object]:
    """Describe a device with an energy counter, under a limit of 400 W."""
    fixed = {"energy_mj": int(joules * 1000), "power_mw": int(watts * 1000), "limit_mw": 400_000}
    return {**fixed, "compute": OURS, **values}


def pascal(watts: float, **values: object) -> dict[str, object]:
    """Describe a device from before the energy counter."""
    return {"power_mw": int(watts * 1000), "limit_mw": 400_000, "compute": OURS, **values}


def at_pace(states: Sequence[dict[str, object]], pace_s: float = 1.0) -> list[Step]:
    return [Step(index * pace_s, machine(state), TREE) for index, state in enumerate(states)]


# The energy of one device.


def test_an_energy_counter_is_read_as_a_difference(play: Play) -> None:
    # 250 W for a second is 250 J, whatever the counter stood at.
    first, _, last = play(at_pace([volta(5000), volta(5250), volta(5500)]))
    assert [r.energy_j for r in first] == [0]
    assert [(r.energy_j, r.method, r.caveats) for r in last] == [(500, "nvml-energy", frozenset())]


def test_the_counter_outvotes_the_power_beside_it(play: Play) -> None:
    last = play(at_pace([volta(0, watts=90), volta(250, watts=90), volta(500, watts=90)]))[-1]
    assert last[0].energy_j == 500


def test_without_a_counter_power_is_integrated(play: Play) -> None:
    # A triangle of 0 to 200 W and back over two seconds has 200 J.
    watts = [min(t, 20 - t) * 20 for t in range(21)]
    (reading,) = play(at_pace([pascal(w) for w in watts], pace_s=0.1))[-1]
    assert reading.energy_j == pytest.approx(200, rel=0.03)
    assert reading.method == "nvml-power"


def test_below_half_a_second_power_times_time_is_better_than_a_coarse_counter(play: Play) -> None:
    # 300 W for 0.3 s are 90 J; the counter made one step of 100 ms in that time.
    steps = [
        Step(0.0, machine(volta(0, watts=300)), TREE),
        Step(0.3, machine(volta(30, watts=300)), TREE),
    ]
    (reading,) = play(steps)[-1]
    assert reading.energy_j == pytest.approx(90)
    assert reading.method == "nvml-power"


@pytest.mark.parametrize(
    "counter",
    [
        pytest.param([70, 70, 70, 70, 70, 70, 70], id="sticks"),
        pytest.param([7e6, 7e6 + 1, 3, 2, 1, 0, 0], id="runs backwards"),
        pytest.param([0, 1e6, 2e6, 3e6, 4e6, 5e6, 6e6], id="runs at a megawatt"),
    ],
)
def test_a_counter_that_cannot_be_true_is_replaced_by_power(
    play: Play, counter: list[float]
) -> None:
    (reading,) = play(at_pace([volta(joules, watts=200) for joules in counter]))[-1]
    assert reading.energy_j == pytest.approx(6 * 200, rel=0.2)
    assert reading.method == "nvml-power"


@pytest.mark.parametrize("watts", [0, 4294967, 601])
def test_a_power_that_cannot_be_is_none(play: Play, watts: float) -> None:
    states = [pascal(100), pascal(watts), pascal(100)]
    last = play(at_pace(states))[-1]
    assert [r.energy_j for r in last] == pytest.approx([200])
    (reading,) = play(at_pace([pascal(watts)] * 3))[-1]
    assert (reading.energy_j, reading.power_w, reading.caveats) == (None, None, {"gpu-unknown"})


def test_a_counter_that_restarts_costs_one_interval(play: Play) -> None:
    counter = [9000, 9200, 9400, 50, 250, 450, 650]
    (reading,) = play(at_pace([volta(joules, watts=190) for joules in counter]))[-1]
    assert reading.energy_j == pytest.approx(5 * 200 + 190)
    assert reading.method == "nvml-energy"


def test_a_counter_that_fails_once_loses_nothing(play: Play) -> None:
    states = [volta(0), volta(250), {**volta(0), "error.DeviceGetTotalEnergyConsumption": 999}]
    states += [volta(750), volta(1000)]
    assert play(at_pace(states))[-1][0].energy_j == 1000


def test_a_device_that_says_nothing_is_unknown_and_not_zero(play: Play) -> None:
    (reading,) = play(at_pace([{"compute": OURS}, {"compute": OURS}]))[-1]
    assert (reading.energy_j, reading.method) == (None, "none")
    assert reading.caveats == {"gpu-unknown"}


def test_a_device_lost_on_the_way_keeps_its_last_value(play: Play) -> None:
    lost = {**volta(500), "error.DeviceGetTotalEnergyConsumption": 15}
    _, before, after, later = play(at_pace([volta(0), volta(250), lost, volta(750)]))
    assert before[0].caveats == frozenset()
    assert [(r.energy_j, r.caveats) for r in (after[0], later[0])] == [(250, {"gpu-lost"})] * 2


def test_a_device_lost_before_it_has_shown_anything_is_unknown_and_not_zero(play: Play) -> None:
    lost = machine({**volta(50), "error.DeviceGetTotalEnergyConsumption": 15})
    first = Step(10.3, machine(volta(0)), TREE, aligned=False)
    (reading,) = play([first, Step(10.5, lost, TREE, aligned=False), Step(11, lost, TREE)])[-1]
    assert (reading.energy_j, reading.method, reading.caveats) == (None, "none", {"gpu-lost"})


def test_a_device_that_was_silent_for_a_while_keeps_the_doubt(play: Play) -> None:
    fails = {"error.DeviceGetTotalEnergyConsumption": 999, "error.DeviceGetPowerUsage": 999}
    silent = volta(0, **fails)
    last = play(at_pace([silent, silent, volta(500), volta(750), volta(1000)]))[-1]
    assert [(r.energy_j, r.caveats) for r in last] == [(500, {"gpu-unknown"})]


def test_the_dashboard_gets_what_is_there_and_lacks_what_fails(play: Play) -> None:
    full = volta(0, watts=123, util=87, memory=5 * 10**9, temperature=61)
    (reading,) = play(at_pace([full, full]))[-1]
    assert reading.power_w == 123
    assert reading.details == {
        "utilisation_percent": 87,
        "memory_used_bytes": 5e9,
        "temperature_c": 61,
    }


@pytest.mark.parametrize("error", [3, 4, 10, 999])
def test_each_value_survives_the_error_of_another(play: Play, error: int) -> None:
    state = volta(0, util=87, memory=1, temperature=61)
    state["error.DeviceGetUtilizationRates"] = state["error.DeviceGetMemoryInfo"] = error
    state["error.DeviceGetEnforcedPowerLimit"] = state["error.DeviceGetName"] = error
    later = {**state, "energy_mj": 250_000}
    (reading,) = play(at_pace([state, later]))[-1]
    assert (reading.energy_j, reading.details) == (250, {"temperature_c": 61})
    assert reading.name is None


# Whose it is.


def test_only_the_devices_the_tree_is_on_count_and_by_their_uuid(play: Play) -> None:
    def eight(joules: float) -> str:
        return machine(
            *(
                volta(joules * n, compute={2: OURS, 5: WORKER}.get(n, ""), uuid=f"GPU-{n:04d}")
                for n in range(8)
            )
        )

    last = play([Step(t, eight(t * 50), (OURS, WORKER)) for t in (0.0, 1.0, 2.0)])[-1]
    assert [(r.device, r.energy_j) for r in last] == [("GPU-0002", 200), ("GPU-0005", 500)]


def test_a_machine_with_foreign_work_only_has_no_reading(play: Play) -> None:
    states = [volta(joules, compute=THEIRS, graphics=1) for joules in (0, 250, 500)]
    assert play(at_pace(states)) == [[], [], []]


def test_a_machine_without_devices_has_no_reading(play: Play) -> None:
    assert play([Step(0.0, machine(), TREE)]) == [[]]


def test_what_a_device_draws_while_nobody_is_on_it_is_told_apart(play: Play) -> None:
    idle = [volta(joules, compute="") for joules in (0, 50, 100)]
    busy = [volta(350), volta(600), volta(850, compute="")]
    played = play(at_pace([*idle, *busy, volta(900, compute=""), volta(950, compute=THEIRS)]))
    # From the look before the first process to the one after the last is the tree's; the last
    # second is a stranger's.
    assert [r.energy_j for r in played[-1]] == [750]
    assert played.idle_j == 100 + 50


def test_idle_energy_is_that_of_the_devices_given_to_the_job(play: Play) -> None:
    steps = [
        Step(t, machine(volta(50 * t, compute=""), volta(60 * t, compute="")), TREE)
        for t in (0.0, 1.0, 2.0)
    ]
    assert play(steps).idle_j == 220
    assert play(steps, environ={"CUDA_VISIBLE_DEVICES": "1"}).idle_j == 120
    assert play(steps, environ={"CUDA_VISIBLE_DEVICES": ""}).idle_j == 0
    assert play(at_pace([{"compute": ""}, {"compute": ""}])).idle_j is None


def shared(joules: float, at_us: int, **values: object) -> dict[str, object]:
    """Describe a device that we keep busy for a quarter, and others for three."""
    fixed = {"compute": f"{OURS} {THEIRS}", "busy": f"{OURS}:20 {THEIRS}:60", "busy_us": at_us}
    return volta(joules, **{**fixed, **values})


def test_a_shared_device_is_split_by_heads_and_by_who_kept_it_busy(play: Play) -> None:
    # 250 W, of which an eighth of the limit of 400 W is idle power: 25 of 50 and 50 of 200 J.
    states = [shared(250 * t, at_us=10 + t) for t in range(5)]
    (reading,) = play(at_pace(states))[-1]
    assert reading.energy_j == pytest.approx(4 * 75)
    assert reading.method == "nvml-energy+share"
    assert reading.caveats == {"gpu-shared"}


@pytest.mark.parametrize(
    "refusal",
    [
        {"error.DeviceGetProcessUtilization": 3},
        {"error.DeviceGetProcessUtilization": 4},
        {"error.DeviceGetProcessUtilization": 6},
        {"busy": "70001:60 70002:20"},  # of the host, where the lists are translated
        {"busy": f"{OURS}:0 {THEIRS}:0"},
        {"busy": f"{OURS}:4294967295"},
    ],
    ids=str,
)
def test_where_the_driver_does_not_tell_who_was_busy_a_device_is_split_by_heads(
    play: Play, refusal: dict[str, object]
) -> None:
    states = [{**shared(250 * t, at_us=10 + t), **refusal} for t in range(3)]
    (reading,) = play(at_pace(states))[-1]
    assert (reading.energy_j, reading.method) == (250, "nvml-energy+share")


def test_samples_from_before_the_run_are_nobodys(play: Play) -> None:
    # The buffer of the driver goes back by a second or more: it is not the first cell's.
    states = [shared(250 * t, at_us=5) for t in range(3)]
    assert play(at_pace(states))[-1][0].energy_j == 250
    states[0]["compute"] = ""
    assert play(at_pace(states))[-1][0].energy_j == 250


def test_two_runs_on_one_device_get_all_of_it_and_no_more(play: Play) -> None:
    states = [shared(250 * t, at_us=10 + t) for t in range(6)]
    steps = at_pace(states)
    ours = play(steps)[-1][0].energy_j
    theirs = play([replace(step, tree=(THEIRS,)) for step in steps])[-1][0].energy_j
    assert ours + theirs == pytest.approx(5 * 250)


def test_the_last_look_shares_out_idle_power_alone(play: Play) -> None:
    # Others may be busy for the rest of the second, and have a part in what was drawn until now.
    steps = at_pace([shared(0, at_us=10), shared(250, at_us=11)])
    state = machine(shared(375, at_us=12, compute=THEIRS))
    steps.append(Step(1.5, state, (), full=False, last=True))
    assert play(steps)[-1][0].energy_j == pytest.approx(75 + 12.5)
    # The run goes on: the second is settled at its end, by who was there when it began.
    steps.append(Step(2.0, machine(shared(500, at_us=13, compute=OURS)), TREE))
    assert play(steps)[-1][0].energy_j == pytest.approx(75 + 75)


def test_what_was_settled_before_the_end_is_not_paid_again(play: Play) -> None:
    steps = at_pace([volta(250 * t) for t in range(5)])
    steps.insert(3, Step(2.5, machine(volta(625)), TREE, full=False, last=True))
    assert [readings[0].energy_j for readings in play(steps)] == [0, 250, 500, 625, 750, 1000]


def test_clients_of_mps_are_on_the_device_and_their_server_is_not(
    play: Play, tmp_path: Path
) -> None:
    states = [volta(250 * t, compute=THEIRS, mps=OURS, busy=f"{THEIRS}:90") for t in range(3)]
    (reading,) = play(at_pace(states), commands={THEIRS: "nvidia-cuda-mps"})[-1]
    assert (reading.energy_j, reading.caveats) == (500, frozenset())


def test_a_device_that_hides_its_uuid_is_known_by_its_place_on_the_bus(play: Play) -> None:
    states = [
        {**volta(250 * t), "error.DeviceGetUUID": 4, "bus": "00000000:3B:00.0"} for t in (0, 1)
    ]
    assert [(r.device, r.energy_j) for r in play(at_pace(states))[-1]] == [
        ("00000000:3B:00.0", 250)
    ]


# MIG: slices with processes of their own, and one meter for all.


def sliced(joules: float, *on: object, of: int = 7, sizes: tuple[int, ...] = (3, 2)) -> str:
    """Describe a device in two slices; `on`: who is on each."""
    slices = {
        f"{m}.{key}": value
        for m, size in enumerate(sizes)
        for key, value in {
            "uuid": f"MIG-{m}{m}",
            "name": f"NVIDIA A100 MIG {size}g",
            "slices": size,
            "compute": on[m],
        }.items()
    }
    values = volta(joules, compute=" ".join(filter(None, map(str, on))), mig=len(sizes), **slices)
    return machine({**values, "slices": of, "error.DeviceGetProcessUtilization": 3})


def test_a_slice_has_its_part_of_what_the_device_draws(play: Play) -> None:
    steps = [Step(t, sliced(280 * t, OURS, THEIRS), TREE) for t in (0.0, 1.0, 2.0)]
    (reading,) = play(steps)[-1]
    assert (reading.device, reading.name) == ("MIG-00", "NVIDIA A100 MIG 3g")
    assert reading.energy_j == pytest.approx(560 * 3 / 7)
    assert (reading.method, reading.caveats) == ("nvml-energy+share", {"gpu-sliced"})


def test_a_device_of_four_slices_is_split_in_four(play: Play) -> None:
    steps = [Step(t, sliced(100 * t, "", OURS, of=4, sizes=(1, 2)), TREE) for t in (0.0, 1.0)]
    assert [(r.device, r.energy_j) for r in play(steps)[-1]] == [("MIG-11", 50)]


def test_in_a_slice_that_is_shared_its_part_is_split_by_heads(play: Play) -> None:
    steps = [Step(t, sliced(280 * t, f"{OURS} {THEIRS}", ""), TREE) for t in (0.0, 1.0)]
    (reading,) = play(steps)[-1]
    assert reading.energy_j == pytest.approx(280 * 3 / 7 / 2)
    assert reading.caveats == {"gpu-sliced", "gpu-shared"}


@pytest.mark.parametrize(
    "name", ["MIG-11", "MIG-1", "MIG-GPU-00000000-0000-0000-0000-000000000000/2/0"]
)
def test_in_a_container_the_slice_given_to_the_job_counts(play: Play, name: str) -> None:
    steps = [Step(t, sliced(70 * t, 70001, 70002), TREE) for t in (0.0, 1.0, 2.0)]
    (reading,) = play(steps, namespace=CONTAINER, environ={"CUDA_VISIBLE_DEVICES": name})[-1]
    assert (reading.device, reading.energy_j) == ("MIG-11", pytest.approx(140 * 2 / 7))
    assert reading.caveats == {"gpu-sliced", "gpu-by-device"}


@pytest.mark.parametrize("kind", ["compute", "graphics", "mps"])
def test_a_device_is_used_by_any_kind_of_process(play: Play, kind: str) -> None:
    states = [volta(joules, **{"compute": "", kind: OURS}) for joules in (0, 250)]
    assert [r.energy_j for r in play(at_pace(states))[-1]] == [250]


def test_time_counts_from_the_poll_before_the_first_to_the_one_after_the_last(play: Play) -> None:
    here = [False, True, True, False, False]
    states = [volta(250 * t, compute=OURS if on else "") for t, on in enumerate(here)]
    assert play(at_pace(states))[-1][0].energy_j == 750


def test_a_process_seen_at_one_poll_alone_counts_on_both_sides(play: Play) -> None:
    states = [volta(0, compute=""), volta(250), volta(500, compute=""), volta(750, compute="")]
    assert play(at_pace(states))[-1][0].energy_j == 500


def test_others_on_our_device_are_told(play: Play) -> None:
    alone, together = volta(250), volta(500, graphics=THEIRS)
    _, before, after = play(at_pace([volta(0), alone, together]))
    assert before[0].caveats == frozenset()
    assert (after[0].energy_j, after[0].caveats) == (500, {"gpu-shared"})


def test_a_worker_younger_than_the_list_of_the_tree_is_known_by_its_parent(play: Play) -> None:
    states = [volta(0, compute=""), volta(250, compute=f"{OURS} {WORKER}")]
    last = play(at_pace(states))[-1]
    assert [(r.energy_j, r.caveats) for r in last] == [(250, frozenset())]


def test_a_process_that_has_left_the_tree_and_not_yet_the_device_is_no_stranger(
    play: Play,
) -> None:
    state = machine(volta(0, compute=f"{OURS} 555"))
    later = machine(volta(250, compute=f"{OURS} 555"))
    last = play([Step(0.0, state, (OURS, 555)), Step(1.0, later, (OURS,))])[-1]
    assert last[0].caveats == frozenset()


def test_a_list_that_fails_once_leaves_the_residents_where_they_were(play: Play) -> None:
    failing = {**volta(250), "error.DeviceGetComputeRunningProcesses": 999}
    last = play(at_pace([volta(0), failing, volta(500)]))[-1]
    assert [(r.energy_j, r.caveats) for r in last] == [(500, frozenset())]


def test_a_look_at_energy_alone_keeps_the_residents(play: Play) -> None:
    steps = at_pace([volta(0), volta(250)])
    steps.append(Step(2.0, machine(volta(500, compute="")), TREE, full=False))
    assert play(steps)[-1][0].energy_j == 500


def test_drivers_with_the_second_version_of_the_lists_are_understood(
    play: Play, tmp_path: Path
) -> None:
    import pynvml

    if not hasattr(pynvml, "nvmlDeviceGetComputeRunningProcesses_v2"):
        pytest.skip("this nvidia-ml-py speaks the third version only")
    old = nvml_rig.build(tmp_path, "-DLISTS=_v2")
    states = [volta(joules, compute=THEIRS) for joules in (0, 250)]
    assert play(at_pace(states), library=old)[-1] == []


# PIDs that cannot be compared.


def test_in_a_container_the_devices_given_to_the_job_count_whole(play: Play) -> None:
    def two(joules: float) -> str:
        return machine(volta(joules, compute=70001), volta(joules, compute=70002))

    steps = [Step(t, two(t * 200), TREE) for t in (0.0, 1.0, 2.0)]
    last = play(steps, namespace=CONTAINER, environ={"CUDA_VISIBLE_DEVICES": "1"})[-1]
    assert [(r.device[:12], r.energy_j) for r in last] == [("GPU-00000001", 400)]
    assert last[0].caveats == {"gpu-by-device"}


def test_an_index_among_several_models_is_a_doubt(play: Play) -> None:
    def two(joules: float) -> str:
        t4, a100 = (volta(joules, name=name, compute=70001) for name in ("T4", "A100"))
        return machine(t4, a100)

    steps = [Step(t, two(t * 200), TREE) for t in (0.0, 1.0)]
    environ = {"CUDA_VISIBLE_DEVICES": "1"}
    (reading,) = play(steps, namespace=CONTAINER, environ=environ)[-1]
    assert reading.caveats == {"gpu-by-device", "gpu-order"}
    environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    (reading,) = play(steps, namespace=CONTAINER, environ=environ)[-1]
    assert (reading.name, reading.caveats) == ("A100", {"gpu-by-device"})


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_in_a_container_a_job_that_was_given_no_device_uses_none(play: Play, hidden: str) -> None:
    steps = at_pace([volta(joules, compute=70001) for joules in (0, 250)])
    assert play(steps, namespace=CONTAINER, environ={"CUDA_VISIBLE_DEVICES": hidden})[-1] == []


def test_a_driver_that_speaks_the_containers_pids_is_taken_at_its_word(play: Play) -> None:
    def two(joules: float) -> str:
        return machine(volta(joules), volta(joules, compute=""))

    last = play([Step(t, two(t * 200), TREE) for t in (0.0, 1.0)], namespace=CONTAINER)[-1]
    assert [(r.energy_j, r.caveats) for r in last] == [(200, frozenset())]


def test_a_driver_that_names_nobody_we_know_of_is_not_taken_at_its_word(play: Play) -> None:
    # As in a virtual machine whose driver lives in its host.
    states = [volta(200 * t, compute=70001) for t in range(4)]
    played = play(at_pace(states), commands={OURS: "python /dev/null /dev/nvidia0"})
    assert played[0] == []  # a process may end before it is looked up
    assert [(r.energy_j, r.caveats) for r in played[-1]] == [(600, {"gpu-by-device"})]


@pytest.mark.parametrize("ours_from", [9, 2])
def test_a_process_that_was_killed_and_is_listed_on_proves_nothing(
    play: Play, ours_from: int
) -> None:
    """The driver names 70001, who is gone: no reason to count the device whole."""
    states = [
        volta(200 * t, compute=f"70001 {OURS}" if t >= ours_from else 70001) for t in range(5)
    ]
    last = play(at_pace(states), commands={OURS: "python /dev/nvidiactl"})[-1]
    shown = [(r.energy_j, r.caveats) for r in last]
    # Whom the driver names has a part, by heads: nobody told who was busy.
    assert shown == ([] if ours_from > 4 else [(200, {"gpu-shared"})])


def test_a_driver_that_comes_to_name_ours_is_believed_again(play: Play) -> None:
    who = [70001, 70001, 70001, OURS, THEIRS, THEIRS, THEIRS]
    states = [volta(200 * t, compute=pid) for t, pid in enumerate(who)]
    last = play(at_pace(states), commands={OURS: "python /dev/nvidia0"})[-1]
    assert [(r.energy_j, r.caveats) for r in last] == [(800, {"gpu-by-device"})]


def test_of_two_devices_one_that_keeps_its_list_to_itself_counts_whole_and_the_other_by_use(
    play: Play,
) -> None:
    def two(joules: float) -> str:
        refused = {"error.DeviceGetComputeRunningProcesses": 4}
        return machine({**volta(joules), **refused}, volta(joules, compute=THEIRS))

    steps = [Step(t, two(t * 200), TREE) for t in (0.0, 1.0, 2.0)]
    last = play(steps)[-1]
    assert [(r.device[:12], r.energy_j, r.caveats) for r in last] == [
        ("GPU-00000000", 400, {"gpu-by-device"})
    ]
    assert play(steps, environ={"CUDA_VISIBLE_DEVICES": "1"})[-1] == []


def test_where_processes_of_others_are_hidden_they_stay_others(play: Play) -> None:
    states = [volta(200 * t, compute=70001) for t in range(4)]
    assert play(at_pace(states), processes={OURS: 10})[-1] == []


def test_a_pid_of_the_host_that_equals_one_of_ours_proves_nothing(play: Play) -> None:
    states = [volta(joules, compute=f"{OURS} 70001") for joules in (0, 200)]
    (reading,) = play(at_pace(states), namespace=CONTAINER)[-1]
    assert reading.caveats == {"gpu-by-device"}


@pytest.mark.parametrize("error", [3, 4, 13])
def test_a_driver_that_keeps_its_lists_to_itself_makes_devices_count_whole(
    play: Play, error: int
) -> None:
    refused = {"error.DeviceGetComputeRunningProcesses": error}
    played = play(at_pace([{**volta(joules), **refused} for joules in (0, 200)]))
    (reading,) = played[-1]
    assert (reading.energy_j, reading.caveats) == (200, {"gpu-by-device"})
    assert played.idle_j is None  # somebody may have been there, or nobody
