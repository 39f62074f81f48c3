"""GPU energy through the real `pynvml`, over a stand-in for the driver's library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import nvml_rig
import pytest
from nvml_rig import Step, fake_proc, machine

from eco2ai_cli.model import Reading

OURS, WORKER, THEIRS = 100, 101, 900
PROCESSES = {1: 0, 10: 1, OURS: 10, WORKER: OURS, THEIRS: 1}
TREE = (OURS,)

Play = Callable[..., list[list[Reading]]]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_rig.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def play(library: Path, tmp_path: Path) -> Play:
    """Play steps on a machine whose PIDs are the driver's, unless `namespace` says otherwise."""

    def play(
        steps: Sequence[Step],
        namespace: int = 4026531836,
        environ: dict[str, str] | None = None,
        library: Path = library,
    ) -> list[list[Reading]]:
        proc = fake_proc(tmp_path / "proc", PROCESSES, namespace)
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

CONTAINER = 4026532999


def test_in_a_container_the_devices_given_to_the_job_count_whole(play: Play) -> None:
    def two(joules: float) -> str:
        return machine(volta(joules, compute=70001), volta(joules, compute=70002))

    steps = [Step(t, two(t * 200), TREE) for t in (0.0, 1.0, 2.0)]
    last = play(steps, namespace=CONTAINER, environ={"CUDA_VISIBLE_DEVICES": "1"})[-1]
    assert [(r.device[:12], r.energy_j) for r in last] == [("GPU-00000001", 400)]
    assert last[0].caveats == {"gpu-by-device"}


def test_a_driver_that_speaks_the_containers_pids_is_taken_at_its_word(play: Play) -> None:
    def two(joules: float) -> str:
        return machine(volta(joules), volta(joules, compute=""))

    last = play([Step(t, two(t * 200), TREE) for t in (0.0, 1.0)], namespace=CONTAINER)[-1]
    assert [(r.energy_j, r.caveats) for r in last] == [(200, frozenset())]


def test_a_pid_of_the_host_that_equals_one_of_ours_proves_nothing(play: Play) -> None:
    states = [volta(joules, compute=f"{OURS} 70001") for joules in (0, 200)]
    (reading,) = play(at_pace(states), namespace=CONTAINER)[-1]
    assert reading.caveats == {"gpu-by-device"}


@pytest.mark.parametrize("error", [3, 4, 13])
def test_a_driver_that_keeps_its_lists_to_itself_makes_devices_count_whole(
    play: Play, error: int
) -> None:
    refused = {"error.DeviceGetComputeRunningProcesses": error}
    (reading,) = play(at_pace([{**volta(joules), **refused} for joules in (0, 200)]))[-1]
    assert (reading.energy_j, reading.caveats) == (200, {"gpu-by-device"})


# The meter and its thread.

METER = """
import json, os, sys, time
from pathlib import Path
from eco2ai_cli.meters.nvml import NvmlMeter
from eco2ai_cli.model import Usage

proc = os.environ["FAKE_PROC"]
scenario = Path(os.environ["FAKE_NVML"])
living, gone = Usage(0.0, None, None, (100,)), Usage(0.0, None, None, ())
meter = NvmlMeter({}, proc)

def timed(call, *args):
    before_s = time.monotonic()
    result = call(*args)
    return time.monotonic() - before_s, result

def sample(usage=living, later_s=0.0):
    return meter.sample(usage, time.monotonic() + later_s)

def sampled_until(done):
    deadline_s = time.monotonic() + 20
    while not done(readings := sample()):
        assert time.monotonic() < deadline_s, readings
        time.sleep(0.01)
    return readings

def shown(readings):
    return [(r.device, r.energy_j, r.method, sorted(r.caveats)) for r in readings]
"""


@pytest.fixture
def meter(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], list[object]]:
    """Run a program about a meter over a scenario, and return the JSON it printed."""
    monkeypatch.setenv("FAKE_PROC", str(fake_proc(tmp_path / "proc", PROCESSES)))

    def meter(scenario: str, program: str) -> list[object]:
        (tmp_path / "scenario").write_text(scenario)
        return json.loads(nvml_rig.run(METER + program, library, tmp_path / "scenario"))

    return meter


Run = Callable[[str, str], list[object]]

TICKING = machine({"energy_mj": "clock", "power_mw": 200_000, "limit_mw": 400_000, "compute": OURS})


def test_the_last_sample_reaches_to_the_end_of_the_run(meter: Run) -> None:
    least_j, energy_j, most_j = meter(
        TICKING,
        """
began_s = time.monotonic()
meter.start()
sampled_until(lambda readings: readings)
seen_s = time.monotonic()
sampled_until(lambda readings: time.monotonic() > seen_s + 0.7)
ended_s = time.monotonic()
(reading,) = sample(gone)
assert not reading.caveats, reading
meter.close()
print(json.dumps([200 * (ended_s - seen_s), reading.energy_j, 200 * (time.monotonic() - began_s)]))
""",
    )
    step_j = 200 * 0.02  # of the counter
    assert least_j - step_j <= energy_j <= most_j + step_j


def test_a_driver_that_hangs_holds_up_neither_the_sample_nor_the_end(meter: Run) -> None:
    living_s, gone_s, close_s, again_s, known, last = meter(
        TICKING,
        """
meter.start()
sampled_until(lambda readings: readings and readings[0].energy_j)
with scenario.open("a") as file:
    file.write("hang.DeviceGetPowerUsage 300\\n")
gone_s, readings = timed(sample, gone)
living_s, _ = timed(sample)
close_s, _ = timed(meter.close)
again_s, _ = timed(meter.close)
(reading,) = readings
print(json.dumps([living_s, gone_s, close_s, again_s, reading.energy_j, sorted(reading.caveats)]))
""",
    )
    assert living_s < 0.15
    assert gone_s < 0.5
    assert max(close_s, again_s) <= 0.5
    assert known > 0
    assert last == ["gpu-late"]


def test_a_device_that_stops_answering_in_mid_run_is_told(meter: Run) -> None:
    before, after = meter(
        TICKING,
        """
meter.start()
before = sampled_until(lambda readings: readings and readings[0].energy_j)
with scenario.open("a") as file:
    file.write("hang.DeviceGetPowerUsage 300\\n")
after = sample(later_s=10.0)
print(json.dumps([sorted(before[0].caveats), sorted(after[0].caveats)]))
""",
    )
    assert (before, after) == ([], ["gpu-late"])


UNAVAILABLE = [["nvml", None, "none", ["gpu-unavailable"]]]


@pytest.mark.parametrize("error", [4, 9, 18, 999])
def test_a_library_that_cannot_start_leaves_the_energy_unknown(meter: Run, error: int) -> None:
    readings = meter(
        machine(volta(0), error_Init=error),
        """
meter.start()
print(json.dumps(shown(sampled_until(lambda readings: readings))))
meter.close()
""",
    )
    assert readings == UNAVAILABLE


def test_a_machine_whose_devices_are_all_closed_to_us_is_unknown(meter: Run) -> None:
    readings = meter(
        machine(volta(0), error_DeviceGetHandleByIndex=4),
        "meter.start(); print(json.dumps(shown(sampled_until(lambda readings: readings))))",
    )
    assert readings == UNAVAILABLE


@pytest.mark.parametrize("function", ["Init", "DeviceGetComputeRunningProcesses"])
def test_a_driver_that_hangs_from_the_start_is_unknown_and_not_zero(
    meter: Run, function: str
) -> None:
    early, last, close_s = meter(
        machine(volta(0), **{f"hang_{function}": 300}),
        """
meter.start()
early = sample()
began_s = time.monotonic()
sampled_until(lambda readings: time.monotonic() > began_s + 0.5)  # NVML is open by then
last = sample(later_s=10.0) and sample(gone, later_s=10.0)
close_s, _ = timed(meter.close)
print(json.dumps([shown(early), shown(last), close_s]))
""",
    )
    assert early == []
    assert last == UNAVAILABLE
    assert close_s <= 0.5


def test_an_idle_machine_costs_a_run_nothing_and_leaves_no_doubt(meter: Run) -> None:
    wait_s, readings = meter(
        machine(volta(0, compute="")),
        """
meter.start()
began_s = time.monotonic()
sampled_until(lambda readings: time.monotonic() > began_s + 0.5)
wait_s, readings = timed(sample, gone)
meter.close()
print(json.dumps([wait_s, shown(readings)]))
""",
    )
    assert readings == []
    assert wait_s < 0.2


def test_a_meter_that_was_never_started_can_be_closed(meter: Run) -> None:
    assert meter(machine(), "meter.close(); meter.close(); print('[]')") == []


def test_a_run_over_before_its_first_sample_never_opens_the_driver(meter: Run) -> None:
    assert meter(
        machine(volta(0), hang_Init=300),
        """
meter.start()
readings = sample(gone)
close_s, _ = timed(meter.close)
print(json.dumps([shown(readings), close_s < 0.2, "pynvml" in sys.modules]))
""",
    ) == [[], True, False]


def test_a_fault_in_the_thread_stays_off_the_terminal(meter: Run) -> None:
    # `nvml_rig.run` asserts that standard error is empty.
    readings = meter(
        machine(volta(0)),
        """
sys.modules["pynvml"] = None  # as where `nvidia-ml-py` is not installed
meter.start()
print(json.dumps(shown(sampled_until(lambda readings: readings))))
""",
    )
    assert readings == UNAVAILABLE


def test_the_library_is_found_without_importing_pynvml(library: Path, tmp_path: Path) -> None:
    code = "import sys; from eco2ai_cli.meters import nvml_library; print(nvml_library.present())"
    code += "; assert 'pynvml' not in sys.modules"
    assert nvml_rig.run(code, library, tmp_path / "none") == "True\n"
    (tmp_path / "libnvidia-ml.so.1").write_text("")
    assert nvml_rig.run(code, tmp_path, tmp_path / "none") == "False\n"


def test_without_a_compiler_the_stand_in_is_missed_aloud_in_ci(tmp_path: Path) -> None:
    code = "import nvml_rig, pathlib; nvml_rig.build(pathlib.Path('.'))"
    done = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": "", "PYTHONPATH": f"{nvml_rig.ROOT}:{nvml_rig.ROOT}/tests", **ci},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        for ci in ({}, {"CI": "true"})
    ]
    assert ["Skipped: no C compiler" in run.stderr for run in done] == [True, False]
    assert "Failed: no C compiler" in done[1].stderr
