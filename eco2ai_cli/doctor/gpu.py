"""Which GPUs there are, who can ask them, and what each of them tells."""

from __future__ import annotations

import os
from collections import Counter

from eco2ai_cli import uncertainty
from eco2ai_cli.config import Config
from eco2ai_cli.doctor import cards
from eco2ai_cli.doctor.findings import (
    Fact,
    Grade,
    GradeWord,
    Section,
    Shortcoming,
    Surroundings,
    is_forced,
    names_in,
    without,
)
from eco2ai_cli.doctor.kernel import container, own_pids
from eco2ai_cli.machine import read_start
from eco2ai_cli.meters import drm_survey
from eco2ai_cli.meters.nvml_survey import Device, NvmlSurvey

_PCI_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
_PCI_CLASSES = ("0x03", "0x12")
"""Display controllers and processing accelerators (PCI Code and ID Assignment 1.16, 2023)."""
_DEVICES = ("nvidia0", "kfd")


def examine(at: Surroundings, config: Config) -> Section:
    """Tell which GPUs a run could be charged for."""
    seen = _on_the_bus(at)
    files = [name for name in _DEVICES if os.path.exists(f"{at.root}/dev/{name}")]
    forbidden = config.meters is not None and "nvml" not in config.meters
    survey = NvmlSurvey(False) if forbidden else at.ask_gpus()
    found = drm_survey.survey(at.root)
    facts = (
        Fact("on_pci_bus", seen, ", ".join(seen) or None),
        Fact("device_files", [f"/dev/{name}" for name in files]),
        Fact("nvml", survey.is_there, "here" if survey.is_there else "not here", "NVML"),
        Fact("driver", survey.driver or _driver(at), survey.driver),
        Fact("obstacle", survey.obstacle, survey.obstacle),
        Fact(
            "devices",
            [device._asdict() for device in survey.devices],
            "\n".join(_alike(survey.devices)),
        ),
        *cards.facts(found),
    )
    if found:
        files = [name for name in files if name != "kfd"]  # that is theirs
    grade, short = _graded(at, config, survey, seen, files)
    other, more = cards.examine(found, at, config)
    if other is None and found and grade.grade == "none here":
        grade = grade._replace(why="none beside the processor's own, whose energy is the package's")
    grades = [grade] if other is None else [other, grade]
    return Section("gpus", facts, (max(grades, key=_worse),), tuple(short + more))


def _worse(grade: Grade) -> int:
    """Rank a grade: a machine's GPUs are known as well as the least of them."""
    ranks: list[GradeWord] = ["none here", "measured", "attributed", "not metered"]
    return ranks.index(grade.grade)


def _graded(
    at: Surroundings, config: Config, survey: NvmlSurvey, seen: list[str], files: list[str]
) -> tuple[Grade, list[Shortcoming]]:
    """Grade the GPUs: `seen` on the bus, by `files` in /dev, by what the driver said."""
    inside = container(at) is not None
    nvidia = "nvidia0" in files or any(name.startswith("NVIDIA") for name in seen)
    if survey.devices:
        grade, short = _metered(survey.devices, own_pids(at))
        return grade, short + ([_silent(survey, inside)] if survey.obstacle else [])
    if is_forced("nvml", config) and not survey.timed_out:  # a run waits for longer
        why = without("nvml")
        lacks = _silent(survey, inside) if survey.is_there else _no_library(inside, why)
        lacks = lacks._replace(cure=f"{lacks.cure}, or leave `nvml` out of `hardware.meters`")
    elif config.meters is not None and "nvml" not in config.meters and (nvidia or files):
        return Grade("gpu", "not metered", "none", "`hardware.meters` leaves `nvml` out"), []
    elif survey.is_there and (survey.obstacle or nvidia):
        why = survey.obstacle or "the driver shows no GPU"
        lacks = _silent(survey, inside)
    elif nvidia or files:
        why = "there is a GPU, and nothing here reads it"
        lacks = _no_library(inside) if nvidia else _no_cards()
    else:
        return Grade("gpu", "none here", "none", "no GPU for computing was found"), []
    return Grade("gpu", "not metered", "none", why), [lacks]


def _on_the_bus(at: Surroundings) -> list[str]:
    """Name the GPUs of NVIDIA and AMD that the PCI bus shows, with or without a driver."""
    bus = f"{at.sys}/bus/pci/devices"
    found = []
    for address in names_in(bus):
        vendor = _PCI_VENDORS.get(read_start(f"{bus}/{address}/vendor", 16).strip())
        if vendor and read_start(f"{bus}/{address}/class", 16).startswith(_PCI_CLASSES):
            found.append(f"{vendor} at {address}")
    return found


def _driver(at: Surroundings) -> str | None:
    """Return the version of the kernel's module, which is told without NVML."""
    words = read_start(f"{at.proc}/driver/nvidia/version").partition("\n")[0].split()
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def _alike(devices: tuple[Device, ...]) -> list[str]:
    """Describe the devices, those that are alike with their count."""
    counts = Counter(map(_told, devices))
    return [told if count == 1 else f"{count} × {told}" for told, count in counts.items()]


def _told(device: Device) -> str:
    told = {True: "yes", False: "no", None: "an error"}
    parts = [f"{what.replace('_', ' ')}: {told[has]}" for what, has in device.supports.items()]
    if device.is_mig:
        parts.append("MIG is on")
    return f"{device.name or 'unnamed'}; {', '.join(parts)}"


def _metered(
    devices: tuple[Device, ...], own_namespace: bool | None
) -> tuple[Grade, list[Shortcoming]]:
    """Grade GPUs that the driver shows: as good as the least of them."""
    short = []
    supports = [device.supports for device in devices]
    counters = all(has.get("energy_counter") for has in supports)
    if not all(has.get("energy_counter") or has.get("power") for has in supports):
        why = "a GPU tells neither energy nor power"
        cure = "give the virtual machine the whole GPU, or measure on the host"
        return Grade("gpu", "not metered", "none", why), [Shortcoming("gpus", why, cure)]
    method = "nvml-energy" if counters else "nvml-power"
    band = uncertainty.energy_factors("gpu", method, (), None)
    if own_namespace:
        short.append(
            Shortcoming(
                "gpus",
                "in a PID namespace of its own the driver's processes may not be told from others: "
                "the GPUs visible to the run then count whole",
                "start the container in the host's namespace, or give it GPUs of its own",
                ("docker run --gpus all --pid=host …",),
            )
        )
        why = "the driver's meters; devices that are visible to the run may count whole"
        return Grade("gpu", "attributed", method, why, band), short
    if any(device.is_mig for device in devices):
        why = "the driver's meters of the whole GPU, of which a MIG slice pays its part"
        caveats = ("gpu-sliced",)
        band = uncertainty.energy_factors("gpu", f"{method}+share", caveats, None)
        return Grade("gpu", "attributed", f"{method}+share", why, band), short
    if not all(has.get("processes") for has in supports):
        why = "the driver's meters; who is on a GPU it does not tell, so that it counts whole"
        return Grade("gpu", "attributed", method, why, band), short
    return Grade("gpu", "measured", method, "the driver's meters", band), short


def _silent(survey: NvmlSurvey, inside: bool) -> Shortcoming:
    reason = survey.obstacle or "the NVIDIA driver shows no GPU"
    if survey.timed_out:
        return Shortcoming(
            "gpus",
            reason,
            "keep the driver awake between runs; if `nvidia-smi` hangs too, restart the machine",
            ("sudo nvidia-smi -pm 1",),
        )
    if inside:
        return _no_library(inside, reason)
    return Shortcoming(
        "gpus",
        reason,
        "see what NVIDIA's own tool says; after an update of the driver the machine must be "
        "restarted to load it",
        ("nvidia-smi",),
    )


def _no_library(inside: bool, reason: str = "") -> Shortcoming:
    lacking = reason or "there is an NVIDIA GPU, and the driver's library cannot be loaded"
    if inside:
        cure = "start the container with its GPUs (needs NVIDIA's container toolkit on the host)"
        return Shortcoming("gpus", lacking, cure, ("docker run --gpus all …",))
    return Shortcoming("gpus", lacking, "install NVIDIA's driver", ("sudo ubuntu-drivers install",))


def _no_cards() -> Shortcoming:
    return Shortcoming(
        "gpus",
        "there is an AMD GPU that computes (`/dev/kfd`), and its sensors do not show",
        "start the container with the GPU's files and with `/sys`",
        ("docker run --device /dev/kfd --device /dev/dri …",),
    )
