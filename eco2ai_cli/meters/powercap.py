"""Find the RAPL energy counters of a machine and read them.

The kernel shows them as powercap zones (Documentation/power/powercap): one for each package, with
its parts inside (core, uncore, dram), one for the whole platform (psys), some of them twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal, NamedTuple

from eco2ai_cli.machine import read_start

ZONES = "/sys/class/powercap"
SENSORS = "/sys/class/hwmon"

_UJ_PER_J = 1e6
_TIMES_STATED = 3.0
"""What a package may draw, in terms of the highest power that its limits state: limits hold for
a mean over seconds, and boards leave the short-term one away."""
_LEAST_RANGE_UJ = 2**32
"""Counters have 32 bits and count in units of 1 uJ or more, mostly 15.3: a range below that is
none, and would have us look without a pause."""
_LEAST_W, _MOST_W = 100.0, 2000.0
"""Bounds to that; the second stands in where no limit is told: the highest TDP of 2025 is 500 W."""


class Zone(NamedTuple):
    """One counter of energy. `counter`: its file, in microjoules; `socket`: whose it is.

    `range_j`: where it wraps around, None where that is not told; `max_w`: more power than this
    it can not have seen. `control`: the driver that shows it.
    """

    id: str
    name: str
    component: Literal["cpu", "ram"]
    socket: str
    counter: str
    control: str
    range_j: float | None
    max_w: float


class Passed(NamedTuple):
    """A zone that is there and not used, and why."""

    id: str
    name: str
    why: str


def read_j(zone: Zone) -> float:
    """Return what a counter shows, in joules; raises OSError where it cannot be read."""
    with open(zone.counter, "rb", buffering=0) as file:
        data = file.read(64) or b""
    try:
        return int(data) / _UJ_PER_J
    except ValueError:
        raise OSError(f"`{zone.counter}` holds no number") from None


def zones_of(root: str) -> tuple[list[Zone], list[Passed], bool]:
    """Return the zones that may count, those that never do, and whether some are hidden."""
    zones: list[Zone] = []
    passed: list[Passed] = []
    names: dict[str, tuple[str, str]] = {}
    for folder, name in sorted(_named(root + ZONES), key=lambda found: len(found[0])):
        names.setdefault(folder.rpartition("/")[2], (folder, name))
    for id, (folder, name) in sorted(names.items()):
        parent = names.get(id.rpartition(":")[0], ("", ""))[1]
        if name.startswith("package"):
            zones.append(_zone(id, name, "cpu", name, folder))
        elif name == "dram":
            zones.append(_zone(id, f"{parent} dram".strip(), "ram", parent or id, folder))
        elif name == "psys":
            passed.append(Passed(id, name, "the whole platform, which holds the packages again"))
        elif name:
            passed.append(Passed(id, name, "a part of its package, which holds it already"))
    return zones, passed, any(not name for _, name in names.values())


def _named(folder: str) -> Iterator[tuple[str, str]]:
    """Yield each zone's folder and name, "" for one that is hidden; also those within others."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return
    for entry in entries:
        if "rapl" not in entry:
            continue
        path = f"{folder}/{entry}"
        if ":" in entry:
            yield path, read_start(f"{path}/name").strip()
        yield from _named(path)


def _zone(id: str, name: str, component: Literal["cpu", "ram"], package: str, folder: str) -> Zone:
    stated_w = [
        (_number(f"{folder}/constraint_{which}_{what}_uw") or 0) / _UJ_PER_J
        for which in range(3)
        for what in ("max_power", "power_limit")
    ]
    max_w = max(stated_w) * _TIMES_STATED or _MOST_W
    range_uj = _number(f"{folder}/max_energy_range_uj") or 0
    return Zone(
        id=id,
        name=name,
        component=component,
        socket=package.partition("-die-")[0],
        counter=f"{folder}/energy_uj",
        control=id.partition(":")[0],
        range_j=range_uj / _UJ_PER_J if range_uj >= _LEAST_RANGE_UJ else None,
        max_w=min(max(max_w, _LEAST_W), _MOST_W),
    )


def _number(path: str) -> int | None:
    try:
        return int(read_start(path))
    except ValueError:
        return None


def amd_sensors(root: str) -> list[Zone]:
    """Return the sockets that the driver `amd_energy` shows (Linux 5.8 to 5.12, and by AMD).

    It adds its counters up to 64 bits (Documentation/hwmon/amd_energy.rst), so they never wrap.
    """
    zones: list[Zone] = []
    try:
        sensors = sorted(os.listdir(root + SENSORS))
    except OSError:
        return zones
    for sensor in sensors:
        folder = f"{root}{SENSORS}/{sensor}"
        if read_start(f"{folder}/name").strip() != "amd_energy":
            continue
        for file in sorted(os.listdir(folder)):
            label = read_start(f"{folder}/{file}").strip() if file.endswith("_label") else ""
            if label.startswith("Esocket"):
                counter = f"{folder}/{file.removesuffix('label')}input"
                name = f"package-{label.removeprefix('Esocket')}"
                id = f"{sensor}:{label}"
                zones.append(Zone(id, name, "cpu", name, counter, "amd_energy", None, _MOST_W))
    return zones
