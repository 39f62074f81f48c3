"""Survey what RAPL can do on a machine: which counters count, why not the others, what cures it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.machine import read_start
from eco2ai_cli.meters import cpu_share
from eco2ai_cli.meters.powercap import ZONES, Passed, Zone, amd_sensors, read_j, zones_of

_PROBE_STEPS, _PROBE_STEP_S = 10, 0.002
"""20 ms: the counters are updated every millisecond (Documentation/hwmon/amd_energy.rst, 2020)."""
_PHASE = 0.1
"""Of what a counter moves in the probe: so far may two views of one counter lag, 2 ms."""


class Obstacle(NamedTuple):
    """Why the packages cannot be metered, and what would cure it, both without a full stop."""

    reason: str
    cure: str
    standing_still: bool = False


_STILL = Obstacle(
    "the RAPL counters stand still, as they do in most virtual machines",
    "measure on the host",
    standing_still=True,
)
_FOREIGN = Obstacle(
    "`/proc/stat` is the container's own here, or hidden, while RAPL is the whole machine's",
    "measure on the host",
)


class Survey(NamedTuple):
    """What RAPL can do here: the zones to read, each joule in one of them; or the obstacle."""

    zones: tuple[Zone, ...]
    passed: tuple[Passed, ...]
    obstacle: Obstacle | None


def survey(root: str = "", pause: Callable[[float], object] = time.sleep) -> Survey:
    """Look at all counters under `root`, twice within 20 ms at the most; `pause` waits between."""
    found, passed, hidden = zones_of(root)
    if not any(zone.component == "cpu" for zone in found):
        found += amd_sensors(root)
    groups: dict[tuple[str, str], list[Zone]] = {}
    for zone in found:
        groups.setdefault((zone.component, zone.socket), []).append(zone)
    chosen: list[Zone] = []
    unreadable: dict[str, list[Zone]] = {"cpu": [], "ram": []}
    for (component, _), zones in groups.items():
        readable, closed = _readable(zones, passed)
        chosen += readable
        unreadable[component] += closed
    if not any(zone.component == "cpu" for zone in found):
        return Survey((), tuple(passed), _none_there(root, hidden))
    if unreadable["cpu"]:
        return Survey((), tuple(passed), _closed(unreadable["cpu"] + unreadable["ram"]))
    if not _whole_load_is_shown(root):
        return Survey((), tuple(passed), _FOREIGN)
    chosen = _probe(chosen, passed, pause)
    packages = [zone for zone in chosen if zone.component == "cpu"]
    sockets = {socket for component, socket in groups if component == "cpu"}
    if {zone.socket for zone in packages} != sockets:
        return Survey((), tuple(passed), _STILL)
    memory = [zone for zone in chosen if zone.component == "ram"]
    if {zone.socket for zone in memory} != sockets:
        passed += [Passed(z.id, z.name, "not every package has such a counter") for z in memory]
        memory = []
    return Survey((*packages, *memory), tuple(passed), None)


def check(root: str = "", pause: Callable[[float], object] = time.sleep) -> None:
    """See before the spawn that RAPL, asked for by name, can be read.

    Raises MeterUnavailable with the reason and the cure.
    """
    obstacle = survey(root, pause).obstacle
    if obstacle is not None:
        raise MeterUnavailable(
            f"meter `rapl` was asked for, and {obstacle.reason}",
            hint=f"{obstacle.cure}, or leave `rapl` out of `--meters`",
        )


def _readable(zones: list[Zone], passed: list[Passed]) -> tuple[list[Zone], list[Zone]]:
    """Choose the driver that shows a socket: return its zones, or those that nobody lets us read.

    The same counters may be there by registers of the processor and by memory (`…-mmio`).
    """
    by_control: dict[str, list[Zone]] = {}
    for zone in sorted(zones, key=lambda zone: "mmio" in zone.control):
        by_control.setdefault(zone.control, []).append(zone)
    chosen: list[Zone] = []
    for alike in by_control.values():
        closed = [zone for zone in alike if not _can_read(zone)]
        for zone in alike:
            if zone in closed:
                passed.append(Passed(zone.id, zone.name, f"`{zone.counter}` cannot be read"))
            elif chosen:
                passed.append(Passed(zone.id, zone.name, f"the same as {chosen[0].id}"))
        if not closed and not chosen:
            chosen = alike
    return chosen, [] if chosen else next(iter(by_control.values()))


def _can_read(zone: Zone) -> bool:
    try:
        read_j(zone)
    except OSError:
        return False
    return True


def _probe(zones: list[Zone], passed: list[Passed], pause: Callable[[float], object]) -> list[Zone]:
    """Return the zones that move, each counter once: some kernels show one for every die."""
    alone = len({(zone.component, zone.socket) for zone in zones}) == len(zones)
    before = after = _look(zones)
    for _ in range(_PROBE_STEPS):
        pause(_PROBE_STEP_S)
        after = _look(zones)
        if alone and all(now != then for (then, _), (now, _) in zip(before, after, strict=True)):
            break
    chosen: list[int] = []
    for number, zone in enumerate(zones):
        twins = [
            other
            for other in chosen
            if (zones[other].component, zones[other].socket) == (zone.component, zone.socket)
            and _same_counter(other, number, before, after)
        ]
        if before[number][0] == after[number][0]:
            passed.append(Passed(zone.id, zone.name, "it stands still"))
        elif twins:
            passed.append(Passed(zone.id, zone.name, f"the same counter as {zones[twins[0]].id}"))
        else:
            chosen.append(number)
    return [zones[number] for number in chosen]


def _look(zones: list[Zone]) -> list[tuple[float, float]]:
    """Read all counters, and all once more, so that each stands between two reads of another."""

    def shown_j(zone: Zone) -> float:
        try:
            return read_j(zone)
        except OSError:
            return 0.0  # it went between two looks: that is for the meter to find

    first = [shown_j(zone) for zone in zones]
    return list(zip(first, map(shown_j, zones), strict=True))


def _same_counter(
    one: int, other: int, before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> bool:
    """Tell whether two zones showed the same at both looks, but for what moves meanwhile."""
    lag_j = _PHASE * abs(after[one][0] - before[one][0])
    return all(
        abs(look[other][0] - look[one][0]) <= lag_j + abs(look[one][1] - look[one][0])
        for look in (before, after)
    )


def _whole_load_is_shown(root: str) -> bool:
    """Tell whether `/proc/stat` is the machine's: lxcfs mounts one over it that is cut."""
    mounts = read_start(f"{root}/proc/self/mountinfo", 1 << 20)
    try:
        cpu_share.look(0.0, 0.0, f"{root}/proc")
    except OSError:
        return False
    return " /proc/stat " not in mounts


def _none_there(root: str, hidden: bool) -> Obstacle:
    if hidden:
        return Obstacle(
            f"the zones in `{root}{ZONES}` are hidden, as container runtimes do",
            "start the container with `--security-opt systempaths=unconfined`, or mount "
            "`/sys/devices/virtual/powercap` into it",
        )
    return Obstacle(
        f"the kernel shows no RAPL package in `{root}{ZONES}`",
        "load the driver (`sudo modprobe intel_rapl_msr`) if this is an Intel or AMD processor "
        "and no virtual machine",
    )


def _closed(zones: list[Zone]) -> Obstacle:
    first = zones[0].counter
    more = f" and {len(zones) - 1} more" if len(zones) > 1 else ""
    folders = first.rpartition("/")[0].rpartition("/")[0]
    files = f"{folders}/*/{'energy_uj' if first.endswith('energy_uj') else 'energy*_input'}"
    return Obstacle(
        f"`{first}`{more} cannot be read by this user",
        f"let a group of yours read it: `sudo chgrp $(id -gn) {files} && sudo chmod g+r {files}`, "
        f"and at every start of the machine by the line `z {files} 0440 root GROUP -` in "
        "`/etc/tmpfiles.d/rapl.conf`",
    )
