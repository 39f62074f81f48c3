"""Account for a command that runs: watch it to its end, and make the record of the run.

Nothing in here may cost the command anything: what is raised is kept, and the row says so.
"""

from __future__ import annotations

import importlib
import os
import resource
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from eco2ai_cli import __version__, cpus
from eco2ai_cli.clock import Clock, Moment
from eco2ai_cli.cpus import Processor
from eco2ai_cli.faults import Faults
from eco2ai_cli.launch import descriptors
from eco2ai_cli.launch.start import Started
from eco2ai_cli.launch.wait import Waiter
from eco2ai_cli.machine import this_machine
from eco2ai_cli.meters import choice
from eco2ai_cli.model import Sample
from eco2ai_cli.processes.linux import LinuxTree
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_record import Origin, Run
from eco2ai_cli.session import Plan

_SENDS_WORK_AWAY = frozenset(
    b"at batch bsub docker flux kubectl nerdctl podman qsub sbatch srun ssh systemctl "
    b"systemd-run".split()
)
_NEEDED_AT_THE_END = (
    "shlex",
    "eco2ai_cli.run_forms",
    "eco2ai_cli.saving",
    "eco2ai_cli.summary",
    "eco2ai_cli.ledger.writer",
    "eco2ai_cli.ledger.unsaved",
    "eco2ai_cli.ledger.extension",
    "hashlib",
    "eco2ai_cli.ledger.chain",
)
_JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "JOB_ID")
_RANK_VARIABLES = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "RANK")


class Watched(NamedTuple):
    """What is left of a command that has ended; `status` is as of wait(2)."""

    status: int
    began: Moment
    ended: Moment
    recorder: Recorder
    processor: Processor | None


def watch(plan: Plan, started: Started, tree: LinuxTree, clock: Clock, faults: Faults) -> Watched:
    """Watch the command to its end, passing signals on, and take the last sample."""
    faults.guard(descriptors.let_go, None)
    recorder = Recorder(
        tree,
        plan.request.config.interval_s,
        began_s=started.began.awake_s,
        clock=clock,
        faults=faults,
    )
    recorder.sample()
    waiter = Waiter(started.pid, tree, started.sentinel, beat=recorder.beat, clock=clock)
    processor = faults.guard(partial(_processor, plan), None)
    faults.guard(partial(_equip, recorder, plan, processor), None)
    faults.guard(partial(_load_what_the_end_needs, waiter), None)

    status = faults.guard(waiter.wait, None)
    if status is None:
        status = waiter.wait_plainly()
    faults.guard(partial(waiter.settle, whole_tree=plan.request.wait_for_tree), None)
    ended = clock.now()
    if waiter.ended is not None and not plan.request.wait_for_tree:
        ended = waiter.ended
    for meter in recorder.meters:
        faults.guard(meter.finish, None)
    recorder.sample()
    for meter in recorder.meters:
        faults.guard(meter.close, None)
    faults.guard(tree.close, None)
    return Watched(status, started.began, ended, recorder, processor)


def _load_what_the_end_needs(waiter: Waiter) -> None:
    """Import the rest while the command runs: three weeks later it may have been upgraded away."""
    for module in _NEEDED_AT_THE_END:
        if waiter.has_ended():
            return
        importlib.import_module(module)


def _processor(plan: Plan) -> Processor:
    return cpus.charge(this_machine(), plan.request.config.cpu_tdp_w)


def _equip(recorder: Recorder, plan: Plan, processor: Processor | None) -> None:
    config = plan.request.config
    recorder.meters = choice.open_meters(
        config.meters, processor, config.ram_w_per_gb, plan.environ
    )
    if plan.request.trace_file is not None:
        from eco2ai_cli.trace import Trace

        recorder.observers.append(Trace(plan.request.trace_file, plan.run_id))


def record(plan: Plan, watched: Watched, faults: Faults) -> Run:
    """Return the record of a run that has ended."""
    _, began, ended, recorder, processor = watched
    last = recorder.last
    own = resource.getrusage(resource.RUSAGE_SELF)
    suspended_s = (ended.elapsed_s - began.elapsed_s) - (ended.awake_s - began.awake_s)
    doubts = {
        "internal-error": faults.first is not None,
        "left-running": bool(last.usage.pids),
        "sampling-late": recorder.late,
        "suspended": suspended_s > 1,
        "work-elsewhere": _sends_work_away(plan.request.argv, last),
    }
    return Run(
        id=plan.run_id,
        parent_id=plan.environ.get("ECO2AI_RUN_ID") or None,
        argv=plan.request.argv,
        config=plan.request.config,
        place=plan.place,
        processor=processor,
        origin=_origin(plan.environ),
        status=watched.status,
        began=began,
        ended=ended,
        sample=last,
        samples=recorder.samples,
        memory_peak_bytes=recorder.memory_peak_bytes,
        processes=recorder.processes_peak,
        gpu_name=choice.gpu_name(last.of("gpu")),
        overhead_s=own.ru_utime + own.ru_stime,
        doubts=frozenset(word for word, holds in doubts.items() if holds),
        version=__version__,
    )


def _sends_work_away(argv: tuple[bytes, ...], last: Sample) -> bool:
    """Tell whether the command is one that has others do its work, and did next to none itself."""
    return os.path.basename(argv[0]) in _SENDS_WORK_AWAY and last.usage.cpu_s < 0.05 * last.t_s


def _origin(environ: Mapping[str, str]) -> Origin:
    def first_of(names: tuple[str, ...]) -> str | None:
        return next((environ[name] for name in names if environ.get(name)), None)

    system = os.uname()
    return Origin(
        operating_system=system.sysname,
        host=system.nodename,
        user=first_of(("LOGNAME", "USER")) or _user_by_id(),
        job=first_of(_JOB_VARIABLES),
        rank=first_of(_RANK_VARIABLES),
    )


def _user_by_id() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
