"""What the kernel lets us see of CPU time, and how much of it there may be."""

from __future__ import annotations

import os

from eco2ai_cli.config import Config
from eco2ai_cli.cpu_limits import allowance
from eco2ai_cli.doctor.findings import Fact, Section, Shortcoming, Surroundings, names_in
from eco2ai_cli.machine import read_start, this_machine
from eco2ai_cli.meters.gpu_job import INITIAL_PID_NAMESPACE

_PARANOID = "kernel.perf_event_paranoid"
_HIGHEST_ALLOWED = 2
"""Above it Debian's, Ubuntu's and Android's kernels refuse all perf events to users."""


def container(at: Surroundings) -> str | None:
    """Return what tells that we are in a container; None: nothing does."""
    for path in ("/.dockerenv", "/run/.containerenv"):
        if os.path.exists(at.root + path):
            return path
    if at.environ.get("KUBERNETES_SERVICE_HOST"):
        return "KUBERNETES_SERVICE_HOST"
    return "a PID namespace of its own" if own_pids(at) else None


def own_pids(at: Surroundings) -> bool | None:
    """Tell whether we live in a PID namespace of our own; None: that is not told."""
    try:
        return os.readlink(f"{at.proc}/self/ns/pid") != INITIAL_PID_NAMESPACE
    except OSError:
        return None


def examine_cpu_time(at: Surroundings, config: Config) -> Section:
    """Tell how exactly the CPU time of a tree of processes can be counted."""
    has_proc = bool(read_start(f"{at.proc}/stat", 8))
    paranoid = _paranoid(at)
    allowed = at.perf_works()
    children = _has_children_files(at)
    inside = container(at)
    facts = (
        Fact("container", inside is not None, f"yes, by {inside}" if inside else None),
        Fact("own_pid_namespace", own_pids(at)),
        Fact("proc_readable", has_proc, None if has_proc else "`/proc` cannot be read"),
        Fact("perf_events", allowed, _perf_words(allowed, paranoid)),
        Fact("perf_event_paranoid", paranoid),
        Fact("children_files", children, "found by the kernel's lists" if children else "by scans"),
    )
    short = []
    if not has_proc:
        short.append(
            Shortcoming(
                "cpu_time",
                "without `/proc` only processes that end are counted, and no memory is",
                "mount it",
                ("sudo mount -t proc proc /proc",),
            )
        )
    if not allowed:
        short.append(_no_perf(paranoid, inside is not None))
    if has_proc and not children:
        short.append(
            Shortcoming(
                "cpu_time",
                "the kernel has no `/proc/PID/task/TID/children`: processes are found by scans of "
                "`/proc`, which cost more where there are many",
                "a kernel built with `CONFIG_PROC_CHILDREN=y` has them; figures stay right without",
            )
        )
    return Section("cpu_time", facts, (), tuple(short))


def _paranoid(at: Surroundings) -> int | None:
    try:
        return int(read_start(f"{at.proc}/sys/kernel/perf_event_paranoid"))
    except ValueError:
        return None


def _has_children_files(at: Surroundings) -> bool:
    tasks = f"{at.proc}/self/task"
    return any(os.path.exists(f"{tasks}/{task}/children") for task in names_in(tasks)[:1])


def _perf_words(allowed: bool, paranoid: int | None) -> str:
    level = "" if paranoid is None else f" ({_PARANOID} is {paranoid})"
    return f"{'allowed' if allowed else 'refused'}{level}"


def _no_perf(paranoid: int | None, is_container: bool) -> Shortcoming:
    lacking = (
        "perf events are refused: where a program ignores SIGCHLD, the CPU time of its short-lived "
        "children cannot be recovered"
    )
    if paranoid is not None and paranoid > _HIGHEST_ALLOWED:
        where = "on the host, " if is_container else ""
        return Shortcoming(
            "cpu_time",
            lacking,
            f"{where}allow them to users, now and at every start",
            (
                f"sudo sysctl {_PARANOID}={_HIGHEST_ALLOWED}",
                f"echo '{_PARANOID} = {_HIGHEST_ALLOWED}' | sudo tee /etc/sysctl.d/60-perf.conf",
            ),
        )
    if is_container:
        cure = (
            "start the container with the capability (Kubernetes: `capabilities: {add: [PERFMON]}`)"
        )
        return Shortcoming("cpu_time", lacking, cure, ("docker run --cap-add PERFMON …",))
    return Shortcoming(
        "cpu_time", lacking, "a sandbox or an unusual kernel refuses them: ask who set it up"
    )


def examine_limits(at: Surroundings, config: Config) -> Section:
    """Tell how many CPUs a run may use, and what limits them."""
    machine = this_machine(at.proc, at.sys)
    allowed = allowance(machine.logical_cpus, at.root)
    by = {
        None: "all that are shown",
        "affinity": f"of {machine.logical_cpus}, by an affinity or a set of CPUs",
        "quota": f"of {machine.logical_cpus}, by the quota of a control group",
    }[allowed.limited_by]
    return Section(
        "limits",
        (
            Fact("usable_cpus", allowed.cpus, f"{allowed.cpus:.3g} CPUs, {by}"),
            Fact("limited_by", allowed.limited_by),
        ),
    )
