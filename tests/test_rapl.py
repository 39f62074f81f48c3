"""RAPL counters: which of them count, what wraps and resets do, and whose the energy is then."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rapl_machine import SimulatedMachine

from eco2ai_cli.clock import Clock
from eco2ai_cli.cpus import Processor
from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.faults import Faults
from eco2ai_cli.meters import choice, rapl_survey
from eco2ai_cli.meters.rapl import RaplMeter, WrappingCounter, open_rapl
from eco2ai_cli.meters.rapl_survey import Survey, survey
from eco2ai_cli.model import Energy, Sample, Usage
from eco2ai_cli.recorder import Recorder

PROCESSOR = Processor("cpu", 1, 100.0, 5.0, "name", "vendor", frozenset(), ())


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    return SimulatedMachine(tmp_path)


def look_at(machine: SimulatedMachine) -> Survey:
    return survey(str(machine.root), machine.advance)


def meter_of(machine: SimulatedMachine, policy: str = "allocated") -> RaplMeter:
    found = look_at(machine)
    assert found.obstacle is None
    return open_rapl(found.zones, policy, root=str(machine.root))


def watts(machine: SimulatedMachine, span_s: float = 20.0) -> dict[str, float | None]:
    """Return the mean power by component while a tree of 2 CPUs has the machine for itself."""
    meter = meter_of(machine)
    machine.busy_cpus = 2.0
    began_s = machine.now_s
    meter.sample(Usage(0.0, None, None), began_s)
    readings = ()
    for _ in range(round(span_s)):
        machine.advance(1.0)
        readings = meter.sample(Usage(2 * (machine.now_s - began_s), None, None), machine.now_s)
    energy = Energy.since_start(Sample(span_s, Usage(0.0, None, None), readings))
    joules = {"cpu": energy.cpu_j, "ram": energy.ram_j}
    return {k: None if j is None else round(j / span_s, 3) for k, j in joules.items()}


def test_a_package_holds_its_parts_and_the_platform_is_not_added(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 15.0)
    machine.zone("intel-rapl:0:0", "core", 9.0)
    machine.zone("intel-rapl:0:1", "uncore", 2.0)
    machine.zone("intel-rapl:0:2", "dram", 3.0)
    machine.zone("intel-rapl:1", "psys", 26.5)
    assert watts(machine) == {"cpu": 15.0, "ram": 3.0}
    why = {zone.id: zone.why for zone in look_at(machine).passed}
    assert set(why) == {"intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1"}
    assert "platform" in why["intel-rapl:1"]


def test_zones_that_are_nested_in_folders_are_found_once(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 15.0)
    machine.zone("intel-rapl:0/intel-rapl:0:0", "dram", 3.0)
    control = machine.root / "sys/class/powercap/intel-rapl"
    control.mkdir()
    (control / "intel-rapl:0").symlink_to("../intel-rapl:0")
    assert watts(machine) == {"cpu": 15.0, "ram": 3.0}


def test_sockets_add_up(machine: SimulatedMachine) -> None:
    for socket, power in enumerate((180.0, 200.0)):
        machine.zone(f"intel-rapl:{socket}", f"package-{socket}", power)
        machine.zone(f"intel-rapl:{socket}:0", "dram", 7.5)
    assert watts(machine) == {"cpu": 380.0, "ram": 15.0}


def test_a_package_shown_by_registers_and_by_memory_counts_once(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl-mmio:0", "package-0", 29.5, start_uj=1e9)
    machine.zone("intel-rapl:0", "package-0", 30.0)
    assert watts(machine)["cpu"] == 30.0
    assert [zone.id for zone in look_at(machine).passed] == ["intel-rapl-mmio:0"]


def test_the_twin_in_memory_is_read_where_the_registers_may_not_be(
    machine: SimulatedMachine,
) -> None:
    machine.zone("intel-rapl-mmio:0", "package-0", 29.5)
    make_unreadable(machine, "intel-rapl:0", "package-0")
    assert watts(machine)["cpu"] == 29.5


def test_dies_that_show_one_counter_are_one(machine: SimulatedMachine) -> None:
    """As AMD processors of several dies do."""
    for socket, power in enumerate((33.0, 35.0)):
        for die in range(4):
            id = f"intel-rapl:{4 * socket + die}"
            # Each die's view is a millisecond behind the one before.
            start_uj = 1e9 * (socket + 1) - die * power * 1e3 / 2
            machine.zone(id, f"package-{socket}-die-{die}", power, start_uj=start_uj)
    assert watts(machine)["cpu"] == 68.0


@pytest.mark.parametrize("starts_uj", [(5e9, 7e9), (0.0, 0.0)])
def test_dies_with_counters_of_their_own_add_up(
    machine: SimulatedMachine, starts_uj: tuple[float, float]
) -> None:
    for die, power in enumerate((60.0, 90.0)):
        id, name = f"intel-rapl:{die}", f"package-0-die-{die}"
        machine.zone(id, name, power, start_uj=starts_uj[die])
    assert watts(machine)["cpu"] == 150.0


def test_the_sockets_of_the_driver_of_amd_are_read(machine: SimulatedMachine) -> None:
    folder = machine.root / "sys/class/hwmon/hwmon3"
    folder.mkdir(parents=True)
    (folder / "name").write_text("amd_energy\n")
    for number, (label, power) in enumerate(
        [("Ecore000", 4.0), ("Esocket0", 60.0), ("Esocket1", 50.0)], start=1
    ):
        (folder / f"energy{number}_label").write_text(f"{label}\n")
        counter = machine.zone(f"none:{number}", "none", power)
        counter.file = folder / f"energy{number}_input"
        counter.write()
    assert watts(machine)["cpu"] == 110.0


def test_memory_is_metered_only_where_every_package_shows_it(machine: SimulatedMachine) -> None:
    for socket in range(2):
        machine.zone(f"intel-rapl:{socket}", f"package-{socket}", 100.0)
    machine.zone("intel-rapl:0:0", "dram", 7.0)
    assert [zone.component for zone in look_at(machine).zones] == ["cpu", "cpu"]


def test_memory_that_stands_still_is_left_to_the_model(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 15.0)
    machine.zone("intel-rapl:0:0", "dram", 0.0, start_uj=0)
    assert [zone.id for zone in look_at(machine).zones] == ["intel-rapl:0"]


@pytest.mark.parametrize(
    ("every_s", "power_w"), [(1.0, 400.0), (10.0, 400.0), (30.0, 400.0), (60.0, 300.0)]
)
def test_a_counter_is_followed_over_its_wraps(
    machine: SimulatedMachine, every_s: float, power_w: float
) -> None:
    limit = {"constraint_0_power_limit_uw": "250000000\n"}
    zone = machine.zone("intel-rapl:0", "package-0", power_w, range_uj=65_532_610_987, files=limit)
    meter = meter_of(machine)
    machine.busy_cpus = 1.0
    began_s, used_j = machine.now_s, zone.used_j
    meter.sample(Usage(0.0, None, None), began_s)
    for _ in range(60):
        machine.advance(every_s)
        (reading,) = meter.sample(Usage(machine.now_s - began_s, None, None), machine.now_s)
    assert reading.energy_j == pytest.approx(zone.used_j - used_j, rel=1e-9)
    assert reading.caveats == frozenset()


def test_looking_more_rarely_than_a_wrap_takes_is_noted() -> None:
    counter = WrappingCounter(65_532.6, 500.0)
    counter.advance(100.0, 0.0)
    counter.advance(300.0, 3600.0)
    assert counter.late
    assert counter.total_j == pytest.approx(200.0)


def test_a_counter_that_starts_over_loses_only_what_was_not_seen() -> None:
    counter = WrappingCounter(262_143.3, 300.0)
    for second, shown_j in enumerate([40_000.0, 40_050.0, 20.0, 70.0]):
        counter.advance(shown_j, float(second))
    assert counter.reset
    assert counter.total_j == pytest.approx(50.0 + 20.0 + 50.0)


@pytest.mark.parametrize("jump_j", [90_000.0, 1e13])
def test_a_jump_that_no_processor_could_make_counts_nothing(jump_j: float) -> None:
    counter = WrappingCounter(None, 300.0)
    for second, shown_j in enumerate([40_000.0, 40_050.0, jump_j, jump_j + 50.0]):
        counter.advance(shown_j, float(second))
    assert counter.reset
    assert counter.total_j == pytest.approx(100.0)


def test_samples_come_more_often_than_half_a_wrap_at_full_power(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 500.0, range_uj=1_000_000_000)
    meter = meter_of(machine)
    recorder = Recorder(Idle(), 3600.0, began_s=0.0, clock=clock_of(machine), faults=Faults())
    recorder.meters = (meter,)
    recorder.longest_step_s = choice.longest_step_s(recorder.meters)
    for _ in range(30):
        now_s, machine.now_s = machine.now_s, recorder.beat()
        assert machine.now_s - now_s <= 1_000 / (2 * 500)


@pytest.mark.parametrize("told", ["-1", "0", "1", "1000000", "nan", "inf", "many", ""])
def test_a_range_that_no_counter_has_is_taken_for_the_smallest(
    machine: SimulatedMachine, told: str
) -> None:
    package = machine.zone("intel-rapl:0", "package-0", 60.0)
    (package.file.parent / "max_energy_range_uj").write_text(told)
    assert meter_of(machine).longest_step_s == 1.0
    assert watts(machine)["cpu"] == 60.0


def test_a_limit_that_is_no_number_bounds_nothing(machine: SimulatedMachine) -> None:
    files = {"constraint_0_max_power_uw": "nan"}
    machine.zone("intel-rapl:0", "package-0", 60.0, files=files)
    assert watts(machine)["cpu"] == 60.0


def test_runs_that_share_a_machine_look_at_the_same_moments(machine: SimulatedMachine) -> None:
    moments = []
    for began_s in (1000.0, 1000.37):
        machine.now_s = began_s
        recorder = Recorder(Idle(), 5.0, began_s=0.0, clock=clock_of(machine), faults=Faults())
        recorder.longest_step_s = 1.0
        for _ in range(12):
            machine.now_s = recorder.beat()
        moments.append(machine.now_s)
    assert moments[0] % 1.0 == moments[1] % 1.0 == 0.0


@pytest.mark.parametrize(("interval_s", "cost_s"), [(0.3, 0.0), (0.45, 0.001), (5.0, 0.008)])
def test_neither_a_short_interval_nor_dear_looks_take_the_common_moments_away(
    machine: SimulatedMachine, interval_s: float, cost_s: float
) -> None:
    used_s = iter(range(10**6))
    clock = clock_of(machine)._replace(used_s=lambda: (next(used_s) + 1) // 2 * cost_s)
    machine.now_s = 1000.37
    recorder = Recorder(Idle(), interval_s, began_s=0.0, clock=clock, faults=Faults())
    recorder.longest_step_s = 1.0
    moments = []
    for _ in range(120):
        machine.now_s = recorder.beat()
        moments.append(machine.now_s)
    whole = {moment for moment in moments if moment % 1.0 == 0.0}
    if interval_s < 1:
        assert {float(second) for second in range(1001, int(moments[-1]))} <= whole
    else:
        assert set(moments[20:]) <= whole  # rarer, but no other
        assert moments[-1] - moments[-2] > 1


def test_without_such_a_meter_the_interval_stands() -> None:
    assert choice.longest_step_s(()) == math.inf


def test_a_package_that_vanishes_keeps_what_it_had_shown(machine: SimulatedMachine) -> None:
    zone = machine.zone("intel-rapl:0", "package-0", 50.0)
    meter = meter_of(machine)
    machine.busy_cpus = 1.0
    began_s = machine.now_s
    shown = []
    for second in range(10):
        if second == 5:
            zone.file.rename(zone.file.with_name("gone"))
            zone.file = zone.file.with_name("gone")
        (reading,) = meter.sample(Usage(machine.now_s - began_s, None, None), machine.now_s)
        shown.append(reading)
        machine.advance(1.0)
    assert shown[-1].energy_j == pytest.approx(200.0)
    assert "rapl-lost" in shown[-1].caveats
    assert "rapl-lost" not in shown[4].caveats
    zone.file.rename(zone.file.with_name("energy_uj"))
    (reading,) = meter.sample(Usage(machine.now_s - began_s, None, None), machine.now_s)
    assert reading.energy_j == pytest.approx(500.0)  # a counter forgets nothing
    assert reading.caveats == frozenset()


@pytest.mark.parametrize("content", ["", "not a number\n"])
def test_a_counter_that_says_nothing_is_not_zero(machine: SimulatedMachine, content: str) -> None:
    zone = machine.zone("intel-rapl:0", "package-0", 50.0)
    meter = meter_of(machine)
    zone.file.write_text(content)
    for second in range(3):
        (reading,) = meter.sample(Usage(float(second), None, None), 2000.0 + second)
    assert reading.energy_j is None
    assert reading.method == "none"
    assert "rapl-lost" in reading.caveats


def test_a_counter_that_stops_moving_is_lost_and_not_zero(machine: SimulatedMachine) -> None:
    zone = machine.zone("intel-rapl:0", "package-0", 50.0)
    meter = meter_of(machine)
    zone.watts = 0.0
    for _ in range(8):
        machine.advance(1.0)
        (reading,) = meter.sample(Usage(machine.now_s, None, None), machine.now_s)
    assert reading.energy_j is None
    assert "rapl-lost" in reading.caveats


def test_a_load_that_cannot_be_read_is_not_a_share_of_zero(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 50.0)
    meter = meter_of(machine)
    machine.busy_cpus = 1.0
    began_s = machine.now_s
    meter.sample(Usage(0.0, None, None), began_s)
    stat = machine.root / "proc/stat"
    machine.advance(5.0)
    stat.rename(stat.with_name("gone"))
    (reading,) = meter.sample(Usage(5.0, None, None), machine.now_s)
    assert reading.energy_j is None
    assert "rapl-lost" in reading.caveats
    machine.advance(5.0)
    (reading,) = meter.sample(Usage(10.0, None, None), machine.now_s)
    assert reading.energy_j == pytest.approx(500.0)


def test_energy_counts_from_the_first_load_that_could_be_read(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 50.0)
    meter = meter_of(machine)
    stat = machine.root / "proc/stat"
    stat.rename(stat.with_name("gone"))
    meter.sample(Usage(0.0, None, None), machine.now_s)
    machine.busy_cpus = 2.0
    for cpu_s in (0.0, 10.0):  # at first it is others that are busy
        machine.advance(10.0)
        (reading,) = meter.sample(Usage(cpu_s, None, None), machine.now_s)
    assert reading.energy_j == pytest.approx(250.0)


def test_what_ran_before_the_first_look_is_missing_and_said_so(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 50.0)
    meter = meter_of(machine)
    machine.busy_cpus = 1.0
    began_s = machine.now_s
    shown = {}
    for second in range(200):
        (reading,) = meter.sample(Usage(1 + machine.now_s - began_s, None, None), machine.now_s)
        shown[second] = "rapl-start" in reading.caveats
        machine.advance(1.0)
    assert shown[0]
    assert shown[50]
    assert not shown[150]  # less than 1 %


def test_what_ran_before_the_first_look_is_modelled_where_a_model_is_allowed(
    machine: SimulatedMachine,
) -> None:
    machine.zone("intel-rapl:0", "package-0", 50.0)
    machine.zone("intel-rapl:0:0", "dram", 3.0)
    (meter, *_) = choice.open_meters(
        None, PROCESSOR, 0.375, {}, root=str(machine.root), pause=machine.advance
    )
    cpu, ram = meter.sample(Usage(2.0, 2**30, 4.0 * 2**30), machine.now_s)
    assert (cpu.method, cpu.energy_j) == ("tdp", 2.0 * PROCESSOR.w_per_thread)
    assert (ram.method, ram.energy_j) == ("model", 4.0 * 0.375)
    assert "rapl-start" in cpu.caveats & ram.caveats
    machine.busy_cpus = 1.0
    machine.advance(10.0)
    cpu, ram = meter.sample(Usage(12.0, 2**30, 14.0 * 2**30), machine.now_s)
    assert (cpu.method, cpu.energy_j) == ("rapl", pytest.approx(10.0 + 500.0))
    assert (ram.method, ram.energy_j) == ("rapl", pytest.approx(1.5 + 30.0))
    assert "rapl-start" in cpu.caveats  # a sixth of it


def test_memory_that_was_not_read_before_the_first_look_is_not_known(
    machine: SimulatedMachine,
) -> None:
    """As of `true`, which is over before anybody has looked at it."""
    machine.zone("intel-rapl:0", "package-0", 50.0)
    machine.zone("intel-rapl:0:0", "dram", 3.0)
    meter, *_ = choice.open_meters(
        None, PROCESSOR, 0.375, {}, root=str(machine.root), pause=machine.advance
    )
    for _ in range(2):
        _, ram = meter.sample(Usage(0.001, None, None), machine.now_s)
        assert (ram.energy_j, ram.method) == (None, "none")
        assert ram.caveats == {"memory-unknown", "rapl-start"}
    machine.advance(10.0)
    _, ram = meter.sample(Usage(1.0, None, None), machine.now_s)
    assert ram.energy_j is not None
    assert ram.caveats == frozenset()


class Idle:
    """A tree that does nothing."""

    def usage(self, now_s: float) -> Usage:
        return Usage(0.0, None, None)


def clock_of(machine: SimulatedMachine) -> Clock:
    def now() -> float:
        return machine.now_s

    return Clock(now, now, now, lambda: 0.0)


def make_unreadable(machine: SimulatedMachine, id: str, name: str) -> Path:
    """Add a zone whose counter nobody may read, root neither: it is a folder."""
    counter = machine.zone(id, name)
    del machine.counters[id]
    counter.file.unlink()
    counter.file.mkdir()
    return counter.file


# Arbitration: one owner a component, decided before the first sample.


def owners(machine: SimulatedMachine, words: tuple[str, ...] | None = None) -> Mapping[str, str]:
    meters = choice.open_meters(
        words, PROCESSOR, 0.375, {}, root=str(machine.root), pause=machine.advance
    )
    usage = Usage(1.0, 2**30, 2.0**30)
    names: dict[str, str] = {}
    for meter in meters:
        for reading in meter.sample(usage, machine.now_s):
            if reading.component != "gpu":
                assert (
                    names.setdefault(reading.component, type(meter).__name__)
                    == type(meter).__name__
                )
    return names


def full_machine(machine: SimulatedMachine) -> SimulatedMachine:
    machine.zone("intel-rapl:0", "package-0", 15.0)
    machine.zone("intel-rapl:0:0", "dram", 3.0)
    return machine


MODELS = {"cpu": "TdpMeter", "ram": "RamMeter"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (None, {"cpu": "RaplMeter", "ram": "RaplMeter"}),
        (("rapl",), {"cpu": "RaplMeter", "ram": "RaplMeter"}),
        (("rapl", "ram"), {"cpu": "RaplMeter", "ram": "RaplMeter"}),
        (("tdp", "ram"), MODELS),
        (("tdp",), {"cpu": "TdpMeter", "ram": "Unmetered"}),
    ],
)
def test_every_component_has_one_owner(
    machine: SimulatedMachine, words: tuple[str, ...] | None, expected: Mapping[str, str]
) -> None:
    assert owners(full_machine(machine), words) == expected


def test_memory_without_a_counter_is_modelled(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 15.0)
    assert owners(machine) == {"cpu": "RaplMeter", "ram": "RamMeter"}
    assert owners(machine, ("rapl",)) == {"cpu": "RaplMeter", "ram": "Unmetered"}


def test_a_machine_without_powercap_is_modelled(tmp_path: Path) -> None:
    machine = SimulatedMachine(tmp_path)
    (tmp_path / "sys/class/powercap").rmdir()
    assert owners(machine) == MODELS


@pytest.mark.parametrize("shown_uj", [0, 123_456_789])
def test_counters_that_stand_still_are_not_used_and_the_model_says_so(
    machine: SimulatedMachine, shown_uj: int
) -> None:
    machine.zone("intel-rapl:0", "package-0", 0.0, start_uj=shown_uj)
    meters = choice.open_meters(
        None, PROCESSOR, 0.375, {}, root=str(machine.root), pause=machine.advance
    )
    (reading,) = meters[0].sample(Usage(2.0, None, None), 0.0)
    assert (reading.method, reading.energy_j) == ("tdp", 10.0)
    assert "rapl-still" in reading.caveats


def test_one_of_two_packages_is_not_enough(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 15.0)
    make_unreadable(machine, "intel-rapl:1", "package-1")
    assert owners(machine) == MODELS


def test_a_load_that_is_the_containers_own_is_no_basis_for_a_share(
    machine: SimulatedMachine,
) -> None:
    full_machine(machine)
    with (machine.root / "proc/self/mountinfo").open("a") as mounts:
        mounts.write("99 1 0:50 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw\n")
    assert owners(machine) == MODELS


@pytest.mark.parametrize("content", ["", "cpu\n", "something else\n"])
def test_a_load_that_is_not_told_is_no_basis_for_a_share(
    machine: SimulatedMachine, content: str
) -> None:
    full_machine(machine).write_stat = lambda: None  # type: ignore[method-assign]
    (machine.root / "proc/stat").write_text(content)
    assert owners(machine) == MODELS


# A source that is forced: it is there, or nothing is started.


def refusal(machine: SimulatedMachine) -> MeterUnavailable:
    with pytest.raises(MeterUnavailable) as caught:
        rapl_survey.check(str(machine.root), machine.advance)
    assert caught.value.hint
    return caught.value


def test_a_file_that_cannot_be_read_is_named_with_its_cure(machine: SimulatedMachine) -> None:
    file = make_unreadable(machine, "intel-rapl:0", "package-0")
    error = refusal(machine)
    assert f"`{file}` cannot be read" in str(error)
    assert error.hint is not None
    assert "chmod g+r" in error.hint
    assert "/etc/tmpfiles.d/" in error.hint


def test_permission_is_what_is_asked_for(machine: SimulatedMachine) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    machine.zone("intel-rapl:0", "package-0", 15.0).file.chmod(0o000)
    assert "cannot be read by this user" in str(refusal(machine))


def test_counters_that_stand_still_cannot_be_forced(machine: SimulatedMachine) -> None:
    machine.zone("intel-rapl:0", "package-0", 0.0)
    assert "stand still" in str(refusal(machine))


def test_zones_that_a_container_hides_are_told_from_none(machine: SimulatedMachine) -> None:
    assert "no RAPL package" in str(refusal(machine))
    (machine.root / "sys/class/powercap/intel-rapl:0").symlink_to("/nowhere")
    assert "are hidden" in str(refusal(machine))


def test_what_can_be_read_may_be_forced(machine: SimulatedMachine) -> None:
    rapl_survey.check(str(full_machine(machine).root), machine.advance)


def test_a_forced_source_that_is_missing_starts_nothing(tmp_path: Path) -> None:
    if survey().obstacle is None:
        pytest.skip("this machine has RAPL")
    child = [sys.executable, "-c", "open('started', 'w')"]
    command = [sys.executable, "-m", "eco2ai_cli", "run", "--meters", "rapl", "--", *child]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 125
    assert "meter `rapl` was asked for" in done.stderr
    assert "hint:" in done.stderr
    assert not (tmp_path / "started").exists()
