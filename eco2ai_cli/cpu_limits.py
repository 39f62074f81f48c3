"""Tell how many of a machine's CPUs we and what we start may use: by affinity, by a CPU quota."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eco2ai_cli.machine import cpu_list, read_start

_MOUNTS_BYTES = 1 << 20
"""More than any list of mounts; a host of containers has hundreds of them."""


class Allowance(NamedTuple):
    """How many CPUs' time may be used at once; a quota may allow a part of one.

    `limited_by`: `affinity`, `quota`, or None where all that the machine shows may be used.
    """

    cpus: float
    limited_by: str | None


def allowance(logical_cpus: int, root: str = "") -> Allowance:
    """Return what of `logical_cpus` may be used, by `/proc` and `/sys` under `root`.

    The set of CPUs that a container or `taskset` gives is the affinity. A quota is that of our
    control group or of one above it, the tightest, as far up as is shown to us.
    """
    limits = [Allowance(logical_cpus, None)]
    allowed = _affinity(logical_cpus, root)
    if allowed is not None:
        limits.append(Allowance(allowed, "affinity"))
    limits += [Allowance(quota, "quota") for quota in _quotas(root)]
    return min(limits, key=lambda limit: limit.cpus)


def _affinity(logical_cpus: int, root: str) -> int | None:
    """Return how many CPUs we may run on; the kernel's list has some that do not exist, too."""
    status = read_start(f"{root}/proc/self/status")
    listed = cpu_list(status.partition("Cpus_allowed_list:")[2].partition("\n")[0])
    if not listed:
        return None
    online = set(cpu_list(read_start(f"{root}/sys/devices/system/cpu/online")))
    return len(online.intersection(listed)) or min(len(listed), logical_cpus)


def _quotas(root: str) -> Iterator[float]:
    """Yield the quota, in CPUs, of every control group that we are in and can see."""
    for top, folder in _groups(root):
        while True:
            quota = _quota(folder)
            if quota is not None:
                yield quota
            if folder == top:
                break
            folder = folder.rpartition("/")[0]


def _groups(root: str) -> Iterator[tuple[str, str]]:
    """Yield where control groups are mounted that limit CPUs, and which folder there is ours.

    A container may see its own group as the top, by a namespace of groups or by what is mounted.
    """
    ours = {"cgroup2": "", "cgroup": ""}
    for line in read_start(f"{root}/proc/self/cgroup", _MOUNTS_BYTES).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            ours["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            ours["cgroup"] = path
    for line in read_start(f"{root}/proc/self/mountinfo", _MOUNTS_BYTES).splitlines():
        place, _, system = line.partition(" - ")
        fields, options = place.split(), system.split()
        if len(fields) < 5 or len(options) < 3 or options[0] not in ours:
            continue
        if options[0] == "cgroup" and "cpu" not in options[2].split(","):
            continue
        shown, path = fields[3].rstrip("/"), ours[options[0]].rstrip("/")
        inside = path.startswith(f"{shown}/") and "/../" not in f"{path}/"
        top = root + fields[4].replace("\\040", " ").rstrip("/")
        yield top, top + (path[len(shown) :] if inside else "")


def _quota(folder: str) -> float | None:
    """Return a group's quota in CPUs; None where it has none. Version 2 of groups, else 1."""
    text = read_start(f"{folder}/cpu.max") or " ".join(
        read_start(f"{folder}/cpu.cfs_{name}_us") for name in ("quota", "period")
    )
    try:
        time_us, period_us = map(int, text.split())  # `max` and -1 are no limit
    except ValueError:
        return None
    return time_us / period_us if time_us > 0 and period_us > 0 else None
