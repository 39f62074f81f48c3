"""`eco2ai doctor` on machines with GPUs of AMD and Intel, and what is asked of them by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from drm_rig import Machine, write

from eco2ai_cli import doctor
from eco2ai_cli.commands.doctor import _record
from eco2ai_cli.doctor import Diagnosis, Grade
from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters import amdsmi, drm_survey
from eco2ai_cli.meters.nvml_survey import Device, NvmlSurvey

AMD, ARC, INSIDE = "0000:03:00.0", "0000:0a:00.0", "0000:00:02.0"
COUNTER = {"energy1_input": 5, "power1_max": 200_000_000}
POWER = {"power1_average": 30_000_000}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "root").mkdir()
    return Machine(tmp_path / "root")


def examine(machine: Machine, nvidia: tuple[Device, ...] = (), meters: str = "") -> Diagnosis:
    folder = machine.root.parent
    environ = {"HOME": str(folder)} | ({"ECO2AI_HARDWARE_METERS": meters} if meters else {})
    return doctor.examine(
        environ,
        root=str(machine.root),
        cwd=str(folder),
        perf_works=lambda: True,
        ask_gpus=lambda: NvmlSurvey(bool(nvidia), "570.1" if nvidia else None, nvidia),
        pause=lambda seconds: None,
    )


def graded(found: Diagnosis) -> Grade:
    (grade,) = [grade for grade in found.grades if grade.component == "gpu"]
    return grade


def cures(found: Diagnosis) -> str:
    return "\n".join(
        line for short in found.shortcomings if short.about == "gpus" for line in short.lines
    )


def test_a_card_with_a_counter_is_measured(machine: Machine) -> None:
    machine.card(0, ARC, "Intel", hwmon=COUNTER, device="0x56a0")
    found = examine(machine)
    grade = graded(found)
    assert (grade.grade, grade.source) == ("measured", "hwmon-energy")
    assert grade.band is not None
    assert cures(found) == ""
    (card,) = _record(found)["gpus"]["cards"]
    assert (card["address"], card["name"], card["is_metered"]) == (ARC, "Intel GPU 56a0", True)


def test_a_card_that_shows_power_only_may_have_a_counter_in_its_makers_library(
    machine: Machine,
) -> None:
    machine.card(0, AMD, hwmon=POWER)
    found = examine(machine)
    assert (graded(found).grade, graded(found).source) == ("measured", "hwmon-power")
    assert "pip install 'eco2ai-cli[amd]'" in cures(found)


def test_a_card_without_sensors_is_not_metered_and_not_none(machine: Machine) -> None:
    machine.card(0, AMD, hwmon=COUNTER)
    machine.card(1, ARC, "Intel")
    found = examine(machine)
    assert graded(found).grade == "not metered"
    (short,) = [short for short in found.shortcomings if short.about == "gpus"]
    assert ARC in short.lacking
    assert "Linux 6.2" in short.cure


def test_where_others_cannot_be_seen_a_card_is_shared_in_doubt(machine: Machine) -> None:
    machine.card(0, ARC, "Intel", hwmon=COUNTER)
    machine.end(1)
    machine.process(1)
    link = machine.root / "proc/self/ns/pid"
    link.unlink()
    link.symlink_to("pid:[4026532561]")
    found = examine(machine)
    assert (graded(found).grade, graded(found).band) == ("attributed", None)
    assert "gpu-unseen" in graded(found).why
    assert "sudo eco2ai run" in cures(found)


def test_the_graphics_of_a_processor_are_told_and_are_no_gpu_of_their_own(
    machine: Machine,
) -> None:
    machine.card(0, INSIDE, "Intel")
    found = examine(machine)
    assert graded(found).grade == "none here"
    assert "package" in graded(found).why
    assert _record(found)["gpus"]["cards"][0]["is_integrated"] is True
    assert cures(found) == ""


def test_a_card_that_sleeps_is_not_woken(machine: Machine) -> None:
    card = machine.card(0, ARC, "Intel", hwmon={**COUNTER, "power1_input": 5})
    write(card, {"power/runtime_status": "suspended"})
    (seen,) = _record(examine(machine))["gpus"]["cards"]
    assert (seen["asleep"], seen["is_metered"], seen["power"]) == (True, True, False)


def test_the_gpus_of_a_machine_are_known_as_well_as_the_least_of_them(machine: Machine) -> None:
    machine.card(0, ARC, "Intel")
    supports = dict.fromkeys(("energy_counter", "power", "processes", "process_utilisation"), True)
    l4 = Device(0, "NVIDIA L4", "GPU-1", 72.0, False, True, supports, {})
    assert graded(examine(machine, (l4,))).grade == "not metered"
    write(machine.root / "sys/bus/pci/devices" / ARC / "hwmon/hwmon1", {"name": "xe", **COUNTER})
    assert graded(examine(machine, (l4,))).grade == "measured"


def test_sources_that_are_left_out_are_not_used(machine: Machine) -> None:
    machine.card(0, ARC, "Intel", hwmon=COUNTER)
    found = examine(machine, meters="tdp,ram")
    assert (graded(found).grade, "hwmon" in graded(found).why) == ("not metered", True)


@pytest.mark.parametrize("word", ["hwmon", "amdsmi"])
def test_a_source_that_is_asked_for_and_not_there_lets_no_run_start(
    machine: Machine, word: str
) -> None:
    machine.card(0, INSIDE, "Intel")
    grade = graded(examine(machine, meters=f"tdp,{word}"))
    assert (grade.grade, "no run starts" in grade.why) == ("not metered", True)
    with pytest.raises(MeterUnavailable, match=f"meter `{word}` was asked for") as caught:
        drm_survey.check(word, str(machine.root))
    assert f"leave `{word}` out" in (caught.value.hint or "")


def test_a_card_of_another_maker_is_none_for_amds_library(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.card(0, ARC, "Intel", hwmon=COUNTER)
    drm_survey.check("hwmon", str(machine.root))
    with pytest.raises(MeterUnavailable, match="no GPU of AMD"):
        drm_survey.check("amdsmi", str(machine.root))
    machine.card(1, AMD, hwmon=POWER)
    monkeypatch.setattr(amdsmi, "is_installed", lambda: False)
    with pytest.raises(MeterUnavailable, match="not installed"):
        drm_survey.check("amdsmi", str(machine.root))
    monkeypatch.setattr(amdsmi, "is_installed", lambda: True)
    drm_survey.check("amdsmi", str(machine.root))


def test_a_card_without_sensors_cannot_be_asked_for(machine: Machine) -> None:
    machine.card(0, ARC, "Intel")
    with pytest.raises(MeterUnavailable, match="shows energy or power"):
        drm_survey.check("hwmon", str(machine.root))


def test_a_container_that_computes_without_the_cards_files_is_told_what_it_lacks(
    machine: Machine,
) -> None:
    write(machine.root / "dev", {"kfd": ""})
    found: Any = examine(machine)
    assert graded(found).grade == "not metered"
    assert "--device /dev/kfd" in cures(found)
    assert os.path.exists(machine.root / "dev/kfd")
