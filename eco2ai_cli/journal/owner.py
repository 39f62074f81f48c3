"""Tell which process keeps a journal, and whether it can still live."""

from __future__ import annotations

import os
import zlib
from typing import Literal, NamedTuple

from eco2ai_cli.journal import SUFFIX
from eco2ai_cli.processes.procfs import parse_stat, read_file

ABANDONED_S = 30 * 86400.0
"""A journal of another machine that has had no sample for so long is nobody's any more; the
longest interval is an hour."""

Verdict = Literal["lives", "dead", "elsewhere"]


class Owner(NamedTuple):
    """A process, named so that no other on any machine at any time is meant.

    `machine`: of `/etc/machine-id` and the host's name; `boot`: the kernel's random id of this
    boot, "" if it has none; `pid_namespace`: the inode of the namespace in which `pid` counts;
    `start_ticks`: since boot (`/proc/<pid>/stat`, field 22).
    """

    machine: str
    boot: str
    pid_namespace: int
    pid: int
    start_ticks: int


def this_process(proc: str = "/proc", machine_id: str = "/etc/machine-id") -> Owner:
    """Return who we are; raises OSError where `/proc` is not to be read."""
    return Owner(
        machine=f"{_line(machine_id)} {os.uname().nodename}",
        boot=_line(f"{proc}/sys/kernel/random/boot_id"),
        pid_namespace=os.stat(f"{proc}/self/ns/pid").st_ino,
        pid=os.getpid(),
        start_ticks=parse_stat(read_file(f"{proc}/self/stat")).start_ticks,
    )


def file_name(run_id: str, owner: Owner) -> str:
    """Name the journal of a run so that other machines need not open it to leave it alone.

    A thousand ranks of one job may share a home.
    """
    return f"{run_id}.{_tag(owner.boot)}.{_tag(owner.machine)}{SUFFIX}"


def is_near(name: str, here: Owner) -> bool:
    """Tell whether a file may be of this boot or of this machine, by its name."""
    tags = name.split(".")[1:3]
    return len(tags) < 2 or _tag(here.boot) == tags[0] or _tag(here.machine) == tags[1]


def _tag(identity: str) -> str:
    return f"{zlib.crc32(identity.encode()):08x}"


def judge(
    owner: Owner, here: Owner, *, locked: bool, idle_s: float, proc: str = "/proc"
) -> Verdict:
    """Tell whether `owner` lives, whose journal nobody holds locked and was written `idle_s` ago.

    `locked`: it held the lock when it began. The kernel that has its processes takes the lock
    away when it dies, so on the same kernel that is proof enough, in whatever namespace. Where
    locks do not work the pid decides, if we count by the same. Another machine's are left to it,
    until nobody can have kept them for long.
    """
    same_kernel = owner.boot == here.boot and (owner.boot != "" or owner.machine == here.machine)
    if not same_kernel:
        rebooted = owner.machine == here.machine and "" not in (owner.boot, here.boot)
        return "dead" if rebooted or idle_s > ABANDONED_S else "elsewhere"
    if owner.pid_namespace == here.pid_namespace:
        # Asked even if the lock is free: what was found may be a copy of a living run's journal.
        return "lives" if _lives(owner, proc) else "dead"
    return "dead" if locked or idle_s > ABANDONED_S else "elsewhere"


def _lives(owner: Owner, proc: str) -> bool:
    """Tell whether the process is there; a zombie is dead, and so is one whose pid is another's."""
    try:
        stat = parse_stat(read_file(f"{proc}/{owner.pid}/stat"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return True  # there, and hidden from us
    return stat.start_ticks == owner.start_ticks and stat.state not in (b"Z", b"X")


def _line(path: str) -> str:
    try:
        return read_file(path).decode("ascii", "replace").strip()
    except OSError:
        return ""
