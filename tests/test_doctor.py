"""`eco2ai doctor`: what was found on machines that were recorded, why not better, and the cure."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nvml_rig
import pytest
from click.testing import CliRunner
from machines import unpack
from rapl_machine import SimulatedMachine
from terminal import Terminal
from wrapped import ECO2AI, PATIENCE_S

from eco2ai_cli import doctor
from eco2ai_cli.commands.doctor import _record
from eco2ai_cli.commands.doctor import doctor as command
from eco2ai_cli.doctor import Diagnosis, Shortcoming
from eco2ai_cli.ledger.lock import knows_locks
from eco2ai_cli.meters.gpu_job import INITIAL_PID_NAMESPACE
from eco2ai_cli.meters.nvml_survey import Device, NvmlSurvey

ROOT = Path(__file__).parent.parent
HOST_PIDS, OWN_PIDS = INITIAL_PID_NAMESPACE, "pid:[4026532561]"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine, empty."""
    folder = tmp_path / "machine"
    folder.mkdir()
    return folder


def examine(root: Path, **more: Any) -> Diagnosis:
    """Examine the machine below `root`, of which a test says what is not in files."""
    folder = root.parent / "folder"
    folder.mkdir(exist_ok=True)
    known: dict[str, Any] = {
        "environ": {"HOME": str(root.parent)},
        "cwd": str(folder),
        "perf_works": lambda: True,
        "ask_gpus": lambda: NvmlSurvey(False),
        "pause": lambda seconds: None,
    }
    return doctor.examine(root=str(root), **(known | more))


def namespace(root: Path, link: str) -> None:
    """Put the machine's processes into a PID namespace."""
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to(link)


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files below the root of a machine."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def grades(diagnosis: Diagnosis) -> dict[str, str]:
    return {grade.component: grade.grade for grade in diagnosis.grades}


def about(diagnosis: Diagnosis, section: str) -> list[Shortcoming]:
    return [short for short in diagnosis.shortcomings if short.about == section]


def lines(diagnosis: Diagnosis, section: str) -> str:
    return "\n".join(line for short in about(diagnosis, section) for line in short.lines)


def gpu(**changes: Any) -> Device:
    supports = dict.fromkeys(("energy_counter", "power", "processes", "process_utilisation"), True)
    device = Device(0, "NVIDIA L4", "GPU-1", 72.0, False, True, {**supports}, {})
    device.supports.update(changes)
    return device


# Whole machines.


def test_a_bare_container_is_told_its_quota_and_how_to_be_let_see_more(root: Path) -> None:
    unpack("docker-quota-v2", root)
    namespace(root, OWN_PIDS)
    write(root, {".dockerenv": "", "proc/sys/kernel/perf_event_paranoid": "2\n"})
    found = examine(root, perf_works=lambda: False)
    seen = _record(found)
    assert grades(found) == {
        "cpu": "modelled",
        "ram": "modelled",
        "gpu": "none here",
        "intensity": "guessed",
    }
    assert seen["processor"]["w_per_thread"] == 280 / 128  # AMD: 280 W, 128 threads
    assert (seen["limits"]["usable_cpus"], seen["limits"]["limited_by"]) == (1.5, "quota")
    assert (seen["cpu_time"]["container"], seen["cpu_time"]["perf_events"]) == (True, False)
    assert "docker run --cap-add PERFMON" in lines(found, "cpu_time")
    assert 'code = "FR"' in lines(found, "region")


def test_a_laptop_whose_counters_only_root_may_read_gets_the_rule_that_lets_its_user(
    root: Path,
) -> None:
    unpack("core-i7-1260p-laptop", root)
    namespace(root, HOST_PIDS)
    machine = SimulatedMachine(root, 16)
    counter = machine.zone("intel-rapl:0", "package-0").file
    counter.unlink()
    counter.mkdir()  # nobody can read it, root neither
    found = examine(root)
    assert grades(found)["cpu"] == "modelled"
    (short,) = about(found, "rapl")
    assert str(counter) in short.lacking
    now, later = short.lines
    folder = counter.parent.parent
    assert now.startswith("sudo chgrp $(id -gn) ")
    assert f"chmod g+r {folder}/*/energy_uj" in now
    assert later == (
        f'echo "z {folder}/*/energy_uj 0440 root $(id -gn) -" | sudo tee /etc/tmpfiles.d/rapl.conf'
    )
    # In a container /sys is read-only: who may read it is the host's to say.
    assert "on the host" not in short.cure
    write(root, {".dockerenv": ""})
    (inside,) = about(examine(root), "rapl")
    assert inside.cure.startswith("on the host, ")
    assert inside.lines == (now, later, "docker run --group-add $(id -g) …")


def test_a_server_with_readable_counters_is_attributed_zone_by_zone(root: Path) -> None:
    unpack("epyc-7763-two-sockets", root)
    machine = SimulatedMachine(root, 256)
    for socket in (0, 1):
        machine.zone(f"intel-rapl:{socket}", f"package-{socket}", 100.0)
        machine.zone(f"intel-rapl:{socket}:0", "core", 60.0)
        machine.zone(f"intel-rapl:{socket}:1", "dram", 9.0)
    found = examine(root, pause=machine.advance)
    seen = _record(found)
    assert (grades(found)["cpu"], grades(found)["ram"]) == ("attributed", "attributed")
    assert seen["rapl"]["used"]
    assert {zone["name"] for zone in seen["rapl"]["zones"]} == {
        *("package-0", "package-1", "package-0 dram", "package-1 dram")
    }
    assert {zone["name"] for zone in seen["rapl"]["zones_passed"]} == {"core"}
    assert about(found, "rapl") == about(found, "processor") == []


def test_a_guest_lacks_no_counters_that_it_could_have(root: Path) -> None:
    unpack("openstack-cascadelake", root)
    found = examine(root)
    assert _record(found)["processor"]["machine"] == "guest"
    assert not _record(found)["rapl"]["used"]
    assert about(found, "rapl") == []


def test_a_guest_of_an_unknown_processor_is_guessed_and_asked_for_its_watts(root: Path) -> None:
    unpack("qemu-cpu64", root)
    found = examine(root)
    assert grades(found)["cpu"] == "guessed"
    assert "cpu_tdp = " in lines(found, "processor")


def test_of_a_machine_that_shows_nothing_all_is_told_that_can_be(root: Path) -> None:
    found = examine(root, environ={})
    seen = _record(found)
    assert set(grades(found)) == {"cpu", "ram", "gpu", "intensity"}
    assert "error" not in json.dumps([list(section) for section in seen.values()])
    assert seen["cpu_time"]["own_pid_namespace"] is None
    assert "mount -t proc" in lines(found, "cpu_time")
    assert "XDG_STATE_HOME" in lines(found, "journal")


def test_a_process_that_may_not_read_its_namespace_is_told_that_it_is_not_known(
    root: Path,
) -> None:
    unpack("ryzen-5950x-desktop", root)
    assert _record(examine(root))["cpu_time"]["own_pid_namespace"] is None


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "tests/data/machines").iterdir()))
def test_every_recorded_machine_is_examined_without_a_fault(root: Path, name: str) -> None:
    unpack(name, root)
    found = examine(root)
    assert set(grades(found)) == {"cpu", "ram", "gpu", "intensity"}
    assert not [fact for section in found.sections for fact in section.facts if fact.key == "error"]
    assert json.loads(json.dumps(_record(found), allow_nan=False))
    assert all(short.lacking and short.cure for short in found.shortcomings)


# One thing at a time.


def test_ubuntus_refusal_of_perf_events_is_cured_by_its_sysctl(root: Path) -> None:
    write(root, {"proc/stat": "cpu", "proc/sys/kernel/perf_event_paranoid": "4\n"})
    found = examine(root, perf_works=lambda: False)
    assert "sudo sysctl kernel.perf_event_paranoid=2" in lines(found, "cpu_time").split("\n")


def test_a_kernel_with_lists_of_children_is_told_from_one_without(root: Path) -> None:
    write(root, {"proc/stat": "cpu", "proc/self/task/7/stat": ""})
    assert _record(examine(root))["cpu_time"]["children_files"] is False
    write(root, {"proc/self/task/7/children": ""})
    assert _record(examine(root))["cpu_time"]["children_files"] is True


def test_zones_that_a_container_hides_are_shown_by_its_runtimes_option(root: Path) -> None:
    unpack("ryzen-5950x-desktop", root)
    folder = root / "sys/class/powercap"
    folder.mkdir()
    (folder / "intel-rapl:0").symlink_to("/nowhere")
    assert "--security-opt systempaths=unconfined" in lines(examine(root), "rapl")


def test_a_gpu_of_whom_the_driver_tells_all_is_measured(root: Path) -> None:
    namespace(root, HOST_PIDS)
    found = examine(root, ask_gpus=lambda: NvmlSurvey(True, "570.1", (gpu(),)))
    (grade,) = [grade for grade in found.grades if grade.component == "gpu"]
    assert (grade.grade, grade.source) == ("measured", "nvml-energy")
    assert about(found, "gpus") == []


def test_in_a_namespace_of_its_own_a_gpus_processes_may_not_be_told_apart(root: Path) -> None:
    namespace(root, OWN_PIDS)
    found = examine(root, ask_gpus=lambda: NvmlSurvey(True, "570.1", (gpu(),)))
    assert grades(found)["gpu"] == "attributed"
    assert "--pid=host" in lines(found, "gpus")


@pytest.mark.parametrize(
    ("lacks", "grade", "source"),
    [
        ({"energy_counter": False}, "measured", "nvml-power"),
        ({"energy_counter": False, "power": False}, "not metered", "none"),
        ({"processes": False}, "attributed", "nvml-energy"),
    ],
)
def test_a_gpu_is_graded_by_what_it_tells(
    root: Path, lacks: dict[str, bool], grade: str, source: str
) -> None:
    namespace(root, HOST_PIDS)
    survey = NvmlSurvey(True, "570.1", (gpu(**lacks),))
    found = examine(root, ask_gpus=lambda: survey)
    (graded,) = [grade for grade in found.grades if grade.component == "gpu"]
    assert (graded.grade, graded.source) == (grade, source)


def on_the_bus(root: Path, vendor: str) -> None:
    write(
        root,
        {
            "sys/bus/pci/devices/0000:65:00.0/vendor": f"{vendor}\n",
            "sys/bus/pci/devices/0000:65:00.0/class": "0x030200\n",
            "sys/bus/pci/devices/0000:00:1f.0/vendor": "0x8086\n",
            "sys/bus/pci/devices/0000:00:1f.0/class": "0x060100\n",
        },
    )


def test_a_container_without_its_hosts_gpu_is_told_how_to_be_given_it(root: Path) -> None:
    on_the_bus(root, "0x10de")
    write(root, {".dockerenv": ""})
    found = examine(root)
    assert _record(found)["gpus"]["on_pci_bus"] == ["NVIDIA at 0000:65:00.0"]
    assert grades(found)["gpu"] == "not metered"
    assert "docker run --gpus all" in lines(found, "gpus")


def test_a_gpu_without_a_driver_is_not_metered_and_no_container_is_to_blame(root: Path) -> None:
    on_the_bus(root, "0x10de")
    found = examine(root)
    assert grades(found)["gpu"] == "not metered"
    assert "docker" not in lines(found, "gpus")


def test_the_graphics_of_an_amd_processor_are_no_gpu_that_computes(root: Path) -> None:
    on_the_bus(root, "0x1002")
    assert grades(examine(root))["gpu"] == "none here"
    write(root, {"dev/kfd": ""})
    assert grades(examine(root))["gpu"] == "not metered"


def test_meters_that_are_left_out_are_not_metered(root: Path) -> None:
    unpack("ryzen-5950x-desktop", root)
    on_the_bus(root, "0x10de")
    found = examine(root, environ={"ECO2AI_HARDWARE_METERS": "ram"})
    assert (grades(found)["cpu"], grades(found)["gpu"]) == ("not metered", "not metered")
    assert grades(found)["ram"] == "modelled"


@pytest.mark.parametrize(("meter", "component"), [("rapl", "cpu"), ("nvml", "gpu")])
def test_a_meter_that_is_asked_for_and_not_there_lets_no_run_start(
    root: Path, meter: str, component: str
) -> None:
    unpack("openstack-cascadelake", root)
    found = examine(root, environ={"ECO2AI_HARDWARE_METERS": f"tdp,{meter}"})
    (grade,) = [grade for grade in found.grades if grade.component == component]
    assert (grade.grade, "no run starts" in grade.why) == ("not metered", True)
    section = {"rapl": "rapl", "nvml": "gpus"}[meter]
    assert f"leave `{meter}` out" in about(found, section)[0].cure


@pytest.mark.parametrize(
    ("survey", "stops"),
    [
        (NvmlSurvey(True, obstacle="NVML cannot be opened: mismatch"), True),
        (NvmlSurvey(True), True),
        (NvmlSurvey(True, obstacle="too late", timed_out=True), False),  # a run waits for longer
    ],
)
def test_a_driver_that_is_asked_for_and_shows_no_gpu_lets_no_run_start(
    root: Path, survey: NvmlSurvey, stops: bool
) -> None:
    found = examine(root, environ={"ECO2AI_HARDWARE_METERS": "tdp,nvml"}, ask_gpus=lambda: survey)
    (grade,) = [grade for grade in found.grades if grade.component == "gpu"]
    assert (grade.grade, "no run starts" in grade.why) == ("not metered", stops)
    assert ("leave `nvml` out" in about(found, "gpus")[0].cure) is stops


def test_a_mig_slice_pays_its_part(root: Path) -> None:
    namespace(root, HOST_PIDS)
    found = examine(root, ask_gpus=lambda: NvmlSurvey(True, "1", (gpu()._replace(is_mig=True),)))
    assert grades(found)["gpu"] == "attributed"


def test_a_configuration_that_cannot_be_used_is_named_and_the_rest_is_examined(
    root: Path,
) -> None:
    (root.parent / "folder").mkdir()
    (root.parent / "folder/eco2ai.toml").write_text("[hardware]\ncpu_tpd = 3\n")
    found = examine(root)
    (short,) = about(found, "config")
    assert "`hardware.cpu_tpd` is not known" in short.lacking
    assert "`hardware.cpu_tdp`" in short.cure
    assert set(grades(found)) == {"cpu", "ram", "gpu", "intensity"}


def test_what_is_configured_comes_with_its_origin(root: Path) -> None:
    found = _record(examine(root, environ={"ECO2AI_REGION_CODE": "FR"}))
    assert found["config"]["given"] == [
        {
            "key": "region.code",
            "value": "FR",
            "origin": "environment variable `ECO2AI_REGION_CODE`",
        }
    ]
    assert (found["region"]["code"], found["region"]["source"]) == ("FR", "environment")
    assert found["grades"]["intensity"]["grade"] == "modelled"


def test_a_ledger_that_cannot_be_written_is_said_to_be_so(root: Path) -> None:
    (root.parent / "folder/emission.csv").mkdir(parents=True)
    found = examine(root)
    assert _record(found)["ledger"]["writable"] is False
    assert "is a directory" in about(found, "ledger")[0].lacking


def test_a_file_system_without_locks_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert knows_locks(str(tmp_path / "emission.csv")) is True

    def refuse(fd: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert knows_locks(str(tmp_path / "emission.csv")) is False


def test_a_ledger_that_somebody_writes_has_locks(tmp_path: Path) -> None:
    ledger = tmp_path / "emission.csv"
    with ledger.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert knows_locks(str(ledger)) is True


def test_a_ledger_without_locks_is_better_kept_elsewhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eco2ai_cli.doctor.files.knows_locks", lambda path: False)
    found = examine(root)
    assert _record(found)["ledger"]["locks"] is False
    assert "output = " in lines(found, "ledger")


def test_a_journals_folder_that_cannot_be_written_is_said_to_be_so(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _record(examine(root))["journal"]["writable"] is True
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    found = examine(root)
    assert _record(found)["journal"]["writable"] is False
    assert "export XDG_STATE_HOME=" in lines(found, "journal")


def test_a_fault_in_one_section_leaves_the_others(root: Path) -> None:
    def fail() -> NvmlSurvey:
        raise RuntimeError("the driver bites")

    found = examine(root, ask_gpus=fail)
    (short,) = about(found, "gpus")
    assert "the driver bites" in short.lacking
    assert {"cpu", "ram", "intensity"} <= set(grades(found))


def test_nothing_is_changed(root: Path) -> None:
    unpack("core-i7-1260p-laptop", root)
    before = sorted(root.parent.rglob("*"))
    examine(root)
    assert set(root.parent.rglob("*")) - set(before) == {root.parent / "folder"}


# The command.


def test_every_key_of_the_json_is_documented_and_snake_case(root: Path) -> None:
    documented = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    unpack("core-i7-1260p-laptop", root)
    seen = _record(examine(root, ask_gpus=lambda: NvmlSurvey(True, "1.2", (gpu(),))))
    keys = {key for section in seen.values() if isinstance(section, dict) for key in section}
    keys |= {*seen, *seen["shortcomings"][0], *seen["grades"]["cpu"], *seen["gpus"]["devices"][0]}
    for key in keys:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", key)
        assert f"`{key}`" in documented, key


def test_the_command_prints_json_alone(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert set(json.loads(result.stdout)["grades"]) == {"cpu", "ram", "gpu", "intensity"}


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_row_is_wider_than_the_terminal_but_those_to_copy(columns: int) -> None:
    terminal = Terminal([*ECO2AI, "doctor"], columns=columns, rows=24)
    assert terminal.finish() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.output.decode())
    assert "cure:" in text
    for row in text.split("\r\n"):
        one_word = re.fullmatch(r" +(\S+ {2,})?\S+", row)  # a path is left whole, too
        assert len(row) <= columns or row.startswith("      ") or one_word, row


# The driver, through the real `pynvml` over the stand-in.


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_rig.build(tmp_path_factory.mktemp("nvml"))


def with_driver(library: Path, scenario: Path, text: str) -> Any:
    scenario.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "doctor", "--json"],
        env=nvml_rig.environment(library, scenario),
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return json.loads(done.stdout)


def test_what_each_gpu_supports_is_asked_of_its_driver(library: Path, tmp_path: Path) -> None:
    volta = {"name": "Tesla V100", "power_mw": 250000, "energy_mj": 7, "compute": "12"}
    pascal = {"name": "GTX 1080", "power_mw": 90000, "compute": "", "limit_mw": 180000}
    seen = with_driver(library, tmp_path / "gpus", nvml_rig.machine(volta, pascal))
    first, second = seen["gpus"]["devices"]
    assert (first["name"], first["supports"]["energy_counter"]) == ("Tesla V100", True)
    assert (second["supports"]["energy_counter"], second["supports"]["power"]) == (False, True)
    assert second["power_limit_w"] == 180
    assert first["supports"]["process_utilisation"] is True  # nobody is there: `not found`
    assert seen["grades"]["gpu"]["source"] == "nvml-power"


def test_a_gpu_cut_into_slices_is_told_with_its_drivers_version(
    library: Path, tmp_path: Path
) -> None:
    cut = {"name": "A100", "power_mw": 100000, "energy_mj": 7, "mig": 3}
    seen = with_driver(library, tmp_path / "gpus", nvml_rig.machine(cut, driver="570.86.10"))
    assert seen["gpus"]["driver"] == "570.86.10"
    assert seen["gpus"]["devices"][0]["is_mig"] is True
    assert seen["grades"]["gpu"]["source"] == "nvml-energy+share"


def test_an_error_that_may_pass_is_told_from_what_is_not_supported(
    library: Path, tmp_path: Path
) -> None:
    unsure = {"power_mw": 100000, "compute": "", "error.DeviceGetTotalEnergyConsumption": 999}
    seen = with_driver(library, tmp_path / "gpus", nvml_rig.machine(unsure))
    (device,) = seen["gpus"]["devices"]
    assert device["supports"]["energy_counter"] is None
    assert list(device["errors"]) == ["energy_counter"]


def test_a_driver_that_hangs_is_left_behind(library: Path, tmp_path: Path) -> None:
    seen = with_driver(library, tmp_path / "gpus", "count 1\nhang.Init 120\n")
    assert "did not answer" in seen["gpus"]["obstacle"]
    assert seen["grades"]["gpu"]["grade"] == "not metered"


def test_a_driver_whose_library_does_not_fit_says_so(library: Path, tmp_path: Path) -> None:
    mismatch = 18  # NVML_ERROR_LIB_RM_VERSION_MISMATCH
    seen = with_driver(library, tmp_path / "gpus", f"count 1\nerror.Init {mismatch}\n")
    assert "NVML cannot be opened" in seen["gpus"]["obstacle"]
    assert [short for short in seen["shortcomings"] if short["about"] == "gpus"]


def test_a_gpu_that_is_lost_does_not_hide_the_others(library: Path, tmp_path: Path) -> None:
    well = {"name": "A100", "power_mw": 1, "energy_mj": 7, "compute": ""}
    lost = {"error.DeviceGetHandleByIndex": 15}
    seen = with_driver(library, tmp_path / "gpus", nvml_rig.machine(well, lost))
    assert [device["name"] for device in seen["gpus"]["devices"]] == ["A100"]
    assert "GPU 1 cannot be opened" in seen["gpus"]["obstacle"]
