"""Whose a GPU is: the driver's PIDs held against the tree's, or the devices given to a job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from eco2ai_cli.processes.procfs import lineage

INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""Linux's PROC_PID_INIT_INO, 0xEFFFFFFC (include/linux/proc_ns.h, since 3.8)."""


class Job(NamedTuple):
    """Whose energy is asked for.

    `tree`: its processes by our PIDs. `comparable`: whether the driver speaks of the same PIDs.
    `given`: the UUIDs of the devices that the environment leaves to it. `proc`: where /proc is.
    """

    tree: frozenset[int]
    comparable: bool
    given: frozenset[str]
    proc: str = "/proc"

    def begot(self, pid: int) -> bool:
        """Tell whether an ancestor of `pid` is in the tree: it was born since that was read."""
        return any(ancestor in self.tree for ancestor in lineage(pid, self.proc))


def own_pid_namespace(proc: str = "/proc") -> bool:
    """Tell whether we live in a PID namespace of our own, where the driver's PIDs are not ours."""
    try:
        link = os.readlink(f"{proc}/self/ns/pid")
        return link != INITIAL_PID_NAMESPACE
    except OSError:
        return False


def translated(pids: frozenset[int], tree: frozenset[int], proc: str = "/proc") -> bool:
    """Tell whether the driver speaks the PIDs of our namespace, as newer open modules do.

    Only if it lists one of ours and nobody who does not exist here: a PID of the host that
    happens to be one of ours must not hide our real one (HAMi-core issue 112).
    """
    return bool(pids & tree) and all(os.path.exists(f"{proc}/{pid}") for pid in pids)


def visible(environ: Mapping[str, str], uuids: tuple[str, ...]) -> frozenset[str]:
    """Return those of `uuids` (in NVML's order) that the environment leaves to a job.

    `CUDA_VISIBLE_DEVICES` ends at its first invalid word, as CUDA reads it (CUDA C++ Programming
    Guide, environment variables, 2024); an index is taken for NVML's, which is CUDA's with
    `CUDA_DEVICE_ORDER=PCI_BUS_ID` and on machines with one model. Without it
    `NVIDIA_VISIBLE_DEVICES` counts, unless it names devices that are not here: then the
    container has already been cut to it, and the indices are the host's.
    """
    words = environ.get("CUDA_VISIBLE_DEVICES")
    if words is not None:
        if "MIG-" in words:
            return frozenset(uuids)  # a slice names no parent: any of them may be it
        return frozenset(_leading(words, uuids))
    words = environ.get("NVIDIA_VISIBLE_DEVICES", "")
    if words == "none":
        return frozenset()
    given = _leading(words, uuids)
    return frozenset(given if len(given) == words.count(",") + 1 else uuids)


def _leading(words: str, uuids: tuple[str, ...]) -> tuple[str, ...]:
    """Resolve a list of indices, UUIDs and UUID prefixes up to the first that names no device."""
    found: list[str] = []
    for word in words.split(","):
        word = word.strip()
        if word.isdecimal():
            named = uuids[int(word) : int(word) + 1]
        else:
            named = tuple(u for u in uuids if word.startswith("GPU-") and u.startswith(word))
        if len(named) != 1:
            break
        found += named
    return tuple(found)
