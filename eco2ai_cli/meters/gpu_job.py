"""Whose a GPU is: the driver's PIDs held against the tree's, or the devices given to a job."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eco2ai_cli.processes.procfs import lineage, parse_stat, read_file

INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""Linux's PROC_PID_INIT_INO, 0xEFFFFFFC (include/linux/proc_ns.h, since 3.8)."""

WORKER = b"eco2ai-gpu"
"""The name of the processes that look at GPUs, for everybody to see."""
_DEVICE, _WINDOWS = "/dev/nvidia", "/dev/dxg"
"""The device files of GPUs, the second in the Windows Subsystem for Linux."""
_MOST_DIGITS = 9
"""Of an index: beyond some thousands Python refuses to read a number."""


class Job(NamedTuple):
    """Whose energy is asked for.

    `tree`: its processes by our PIDs. `comparable`: whether the driver speaks of the same PIDs.
    `given`: the UUIDs of the devices and slices that the environment leaves to it, and `doubts`
    about that. `proc`: where /proc is. `disputed`: other runs are measured on this machine.
    """

    tree: frozenset[int]
    comparable: bool
    given: frozenset[str]
    proc: str = "/proc"
    doubts: frozenset[str] = frozenset()
    disputed: bool = False

    def begot(self, pid: int) -> bool:
        """Tell whether an ancestor of `pid` is in the tree: it was born since that was read."""
        return any(ancestor in self.tree for ancestor in lineage(pid, self.proc))


class Slice(NamedTuple):
    """A MIG slice by its UUID; `place` is its older name, `MIG-<UUID of the device>/<GI>/<CI>`."""

    uuid: str
    place: str = ""


class Installed(NamedTuple):
    """A device as an environment may name it; with slices, only those can be used."""

    uuid: str
    name: str | None = None
    slices: tuple[Slice, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """The UUIDs of what a process can be on."""
        return tuple(piece.uuid for piece in self.slices) or (self.uuid,)


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


def unheard_of(pids: frozenset[int], tree: frozenset[int], proc: str = "/proc") -> frozenset[int]:
    """Return `pids` if none of them exists here while the tree has a GPU open, else none of them.

    Drivers go on to list some processes that have been killed: such a list alone proves nothing.
    Where even the first process is hidden from us (`hidepid`), nothing can be said.
    """
    here = any(os.path.exists(f"{proc}/{pid}") for pid in pids)
    if here or not pids or not os.path.exists(f"{proc}/1") or not _has_gpu_open(tree, proc):
        return frozenset()
    return pids


def _has_gpu_open(tree: frozenset[int], proc: str) -> bool:
    """Tell whether a process of the tree holds a device file of NVIDIA's, `/dev/nvidia0` or so."""
    for pid in tree:
        try:
            links = [os.readlink(f"{proc}/{pid}/fd/{n}") for n in os.listdir(f"{proc}/{pid}/fd")]
        except OSError:
            continue  # it has ended, or a file was closed meanwhile
        if any(link.removeprefix(_DEVICE).isdecimal() or link == _WINDOWS for link in links):
            return True
    return False


def others_look(proc: str = "/proc", parent: int | None = None) -> bool:
    """Tell whether another run looks at GPUs, and may pay for the same: its process is seen.

    `parent`: whose such processes are of our own run; None: our parent. One that was left behind,
    in the hands of a driver that hangs, has the first process for its parent.
    """
    passed = {1, os.getppid() if parent is None else parent}
    try:
        pids = [name for name in os.listdir(proc) if name.isdecimal()]
    except OSError:
        return False
    workers = (pid for pid in pids if _comm(pid, proc) == WORKER)
    return any(_looks(pid, passed, proc) for pid in workers)


def _looks(pid: str, passed: set[int], proc: str) -> bool:
    """Tell whether a worker is alive, and no child of those that are passed over."""
    try:
        stat = parse_stat(read_file(f"{proc}/{pid}/stat"))
    except OSError:
        return False
    return stat.state != b"Z" and stat.ppid not in passed


def _comm(pid: str, proc: str) -> bytes:
    try:
        return read_file(f"{proc}/{pid}/comm").strip()
    except OSError:
        return b""


def is_mps_server(pid: int, proc: str = "/proc") -> bool:
    """Tell whether `pid` is the server that runs the work of MPS clients: nobody's own work."""
    return _comm(str(pid), proc).startswith(b"nvidia-cuda-mps")


def visible(environ: Mapping[str, str], devices: Sequence[Installed]) -> frozenset[str]:
    """Return the units of `devices` (in NVML's order) that the environment leaves to a job.

    `CUDA_VISIBLE_DEVICES` ends at its first invalid word, as CUDA reads it (CUDA C++ Programming
    Guide, environment variables, 2024); an index is taken for NVML's, see `order_doubts`, and of a
    device in slices CUDA has the first alone (NVIDIA Multi-Instance GPU User Guide, 2024). Without
    it `NVIDIA_VISIBLE_DEVICES` counts, unless it names devices that are not here: then the
    container has already been cut to it, and the indices are the host's.
    """
    words = environ.get("CUDA_VISIBLE_DEVICES")
    if words is not None:
        return frozenset(units[0] for units in _leading(words, devices))
    everything = frozenset(unit for device in devices for unit in device.units)
    words = environ.get("NVIDIA_VISIBLE_DEVICES", "")
    if words == "none":
        return frozenset()
    given = _leading(words, devices)
    complete = len(given) == words.count(",") + 1
    return frozenset().union(*given) if complete else everything


def order_doubts(environ: Mapping[str, str], devices: Sequence[Installed]) -> frozenset[str]:
    """Return `gpu-order` where CUDA may count the devices in another order than NVML does.

    CUDA puts the fastest first unless `CUDA_DEVICE_ORDER` is `PCI_BUS_ID`, NVML goes by the bus:
    with several models an index may mean another device.
    """
    words = environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    by_bus = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    indexed = any(word.strip().isdecimal() for word in words)
    mixed = len({device.name for device in devices}) > 1
    return frozenset({"gpu-order"} if indexed and mixed and not by_bus else ())


def _leading(words: str, devices: Sequence[Installed]) -> list[tuple[str, ...]]:
    """Resolve a list of names up to the first that names no device, or more than one."""
    found: list[tuple[str, ...]] = []
    for word in words.split(","):
        named = _named(word.strip(), devices)
        if len(named) != 1:
            break
        found += named
    return found


def _named(word: str, devices: Sequence[Installed]) -> list[tuple[str, ...]]:
    """Return the units of each device or slice that goes by `word`: an index, a UUID, its start."""
    if word.isdecimal():
        if len(word) > _MOST_DIGITS:
            return []
        return [device.units for device in devices[int(word) : int(word) + 1]]
    if word.startswith("MIG-"):
        slices = [piece for device in devices for piece in device.slices]
        return [(s.uuid,) for s in slices if s.uuid.startswith(word) or s.place == word]
    if word.startswith("GPU-"):
        return [device.units for device in devices if device.uuid.startswith(word)]
    return []
