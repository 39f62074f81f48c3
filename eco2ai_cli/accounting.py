"""Account for a command that runs: watch it to its end, and make the record of the run.

Nothing in here may cost the command anything: what is raised is kept, and the row says so.
"""

from __future__ import annotations

import importlib
import math
import os
import resource
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from eco2ai_cli import __version__, cpus, ledger, observing, origin
from eco2ai_cli.clock import Clock, Moment, clock_was_set
from eco2ai_cli.cpus import Processor
from eco2ai_cli.faults import Faults
from eco2ai_cli.launch import descriptors
from eco2ai_cli.launch.start import Started
from eco2ai_cli.launch.wait import Waiter
from eco2ai_cli.machine import this_machine
from eco2ai_cli.meters import choice
from eco2ai_cli.model import Sample
from eco2ai_cli.place import Place
from eco2ai_cli.processes.linux import LinuxTree
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_record import Finished, Run
from eco2ai_cli.session import Plan

if TYPE_CHECKING:
    from eco2ai_cli.epochs import Intake
    from eco2ai_cli.journal.keeper import Journal
    from eco2ai_cli.marks.channel import Channel
    from eco2ai_cli.prospect import Prospect
    from eco2ai_cli.weighing import Weigher

_SENDS_WORK_AWAY = frozenset(
    b"at batch bsub docker flux kubectl nerdctl podman qsub sbatch srun ssh systemctl "
    b"systemd-run".split()
)
_NEEDED_AT_THE_END = (
    "shlex",
    "eco2ai_cli.run_forms",
    "eco2ai_cli.saving",
    "eco2ai_cli.receipt",
    "eco2ai_cli.ledger.writer",
    "eco2ai_cli.ledger.unsaved",
    "eco2ai_cli.ledger.extension",
    "eco2ai_cli.ledger.spool",
    "eco2ai_cli.ledger.search",
    "eco2ai_cli.ledger.torn",
    "eco2ai_cli.uncertainty",
    "csv",
    "hashlib",
    "eco2ai_cli.ledger.chain",
    "eco2ai_cli.journal.recovery",
    "eco2ai_cli.marks.line",
    "eco2ai_cli.forecast",
    "eco2ai_cli.marks.afterlife",
)
_STOPPED = 124 << 8
"""The wait(2) status of a run that its budget has stopped: 124, as of timeout(1)."""
_ATTEMPTS = 8
"""How often the waiting is taken up again after a fault; waiting plainly passes no signal on."""


class Watched(NamedTuple):
    """A command, watched since `began`; `status` is as of wait(2), None while it goes on."""

    status: int | None
    began: Moment
    ended: Moment
    recorder: Recorder
    processor: Processor | None
    place: Callable[[], Place]
    weigher: Weigher | None = None
    prospect: Prospect | None = None


def watch(
    plan: Plan,
    started: Started,
    tree: LinuxTree,
    clock: Clock,
    faults: Faults,
    channel: Channel | None = None,
) -> tuple[int, Finished | None]:
    """Watch the command to its end, passing signals on; return its status and what it has cost.

    `channel`: where its marks come from.
    """
    faults.guard(descriptors.let_go, None)
    recorder = Recorder(
        tree,
        plan.request.config.interval_s,
        began_s=started.began.awake_s,
        clock=clock,
        faults=faults,
    )
    weigher = faults.guard(partial(observing.weigh, plan, recorder, clock), None)
    recorder.sample()
    place = faults.guard(partial(_seek, plan), lambda: plan.place)
    waiter = Waiter(started.pid, tree, started.sentinel, beat=recorder.beat, clock=clock)
    processor = faults.guard(partial(_processor, plan), None)
    faults.guard(partial(_equip, recorder, plan, tree, processor), None)
    at_first = partial(Watched, None, started.began, started.began, recorder, processor)
    so_far = at_first(lambda: plan.place, weigher)
    journal = None
    if not faults.guard(waiter.has_ended, True):
        path = None if channel is None else channel.path
        journal = faults.guard(partial(_keep_journal, plan, so_far, clock, faults, path), None)
    prospect = faults.guard(partial(observing.look_ahead, plan, so_far, tree, waiter, clock), None)
    so_far = so_far._replace(prospect=prospect)
    own_end = partial(_own_end, plan, waiter, prospect)
    intake = None
    if _may_have_marks(plan, waiter, channel, faults):
        outline = partial(record, plan, so_far._replace(place=place), faults)
        parts = partial(observing.take_marks, plan, so_far, outline, partial(_append, plan))
        intake = faults.guard(partial(parts, channel, journal, own_end, clock, faults), None)
    if intake is not None:
        waiter.attend(intake)
    faults.guard(partial(_load_what_the_end_needs, waiter), None)
    doubts = partial(_doubts, plan, recorder, faults)
    show = partial(observing.show, plan, so_far, doubts, waiter, clock, faults)
    give_terminal_back = faults.guard(show, observing.nothing)

    try:
        status = None
        for _ in range(_ATTEMPTS):
            if status is None:
                status = faults.guard(waiter.wait, None)
        if status is None:
            give_terminal_back()
            status = waiter.wait_plainly()
        if prospect is None or not prospect.is_stopping:
            whole_tree = plan.request.wait_for_tree
            faults.guard(partial(waiter.settle, whole_tree=whole_tree), None)
        if prospect is not None:
            faults.guard(partial(prospect.finish, tree, waiter), None)
    finally:
        give_terminal_back()
    ended = own_end() or clock.now()
    if prospect is not None and prospect.is_stopping:
        status = _STOPPED
    if intake is not None:
        intake.take_all(ended)
    for meter in recorder.meters:
        faults.guard(meter.finish, None)
    recorder.sample()
    for meter in recorder.meters:
        faults.guard(meter.close, None)
    faults.guard(tree.close, None)
    watched = so_far._replace(status=status, ended=ended, place=place)
    return status, faults.guard(partial(_finished, plan, watched, intake, faults), None)


def _own_end(plan: Plan, waiter: Waiter, prospect: Prospect | None) -> Moment | None:
    """Return when the run has ended with its command; None while it goes on, or outlasts that."""
    is_stopping = prospect is not None and prospect.is_stopping
    return None if is_stopping or plan.request.wait_for_tree else waiter.ended


def _may_have_marks(plan: Plan, waiter: Waiter, channel: Channel | None, faults: Faults) -> bool:
    """Tell whether there are marks, or may be; a command that is over has made all of its own."""
    if plan.request.wait_for_tree or plan.log is not None:
        return True
    return not faults.guard(waiter.has_ended, True) or (channel is not None and channel.has_data())


def _finished(plan: Plan, watched: Watched, intake: Intake | None, faults: Faults) -> Finished:
    run = record(plan, watched, faults)
    if intake is None:
        return Finished(run, run)
    complaints = intake.source.complaints
    if complaints:
        run = run._replace(doubts=run.doubts | {"marks-lost"})
    finished = intake.epochs.finish(run)
    return finished._replace(notes=finished.notes + complaints)


def _append(plan: Plan, rows: Sequence[ledger.Cells]) -> Sequence[str]:
    from eco2ai_cli.ledger.writer import append_now

    return append_now(plan.request.config.output, rows, key=plan.ledger_key)


def _seek(plan: Plan) -> Callable[[], Place]:
    """Return what tells the place; where the user lets us, a service is asked in the meantime."""
    if not plan.place.may_ask:
        return lambda: plan.place
    from eco2ai_cli.geolocation import seek

    return seek(plan.place, plan.request.config, plan.environ)


def _load_what_the_end_needs(waiter: Waiter) -> None:
    """Import the rest while the command runs: three weeks later it may have been upgraded away."""
    for module in _NEEDED_AT_THE_END:
        if waiter.has_ended():
            return
        importlib.import_module(module)


def _processor(plan: Plan) -> Processor:
    config = plan.request.config
    return cpus.charge(this_machine(), config.cpu_tdp_w, config.cpu_table)


def _equip(recorder: Recorder, plan: Plan, tree: LinuxTree, processor: Processor | None) -> None:
    config = plan.request.config
    recorder.meters = choice.open_meters(
        config.meters,
        processor,
        config.ram_w_per_gb,
        plan.environ,
        idle=config.idle,
        disown=tree.ignore,
    )
    recorder.longest_step_s = choice.longest_step_s(recorder.meters)
    if recorder.longest_step_s < math.inf:
        recorder.sample()  # counters start with their first look
    if plan.request.trace_file is not None:
        from eco2ai_cli.trace import Trace

        recorder.observers.append(Trace(plan.request.trace_file, plan.run_id))


def _keep_journal(
    plan: Plan, so_far: Watched, clock: Clock, faults: Faults, mark_path: str | None
) -> Journal:
    from eco2ai_cli.journal.keeper import Journal

    recorder = so_far.recorder
    doubts = partial(_doubts, plan, recorder, faults)
    run = record(plan, so_far, faults)
    journal = Journal(run, recorder, clock, doubts, weigher=so_far.weigher, mark_path=mark_path)
    if journal.open(plan.environ):
        recorder.observers.append(journal)
    return journal


def record(plan: Plan, watched: Watched, faults: Faults) -> Run:
    """Return the record of a run, as it stands or as it has ended."""
    _, began, ended, recorder, processor, place, weigher, prospect = watched
    last = recorder.last
    own = resource.getrusage(resource.RUSAGE_SELF)
    suspended_s = (ended.elapsed_s - began.elapsed_s) - (ended.awake_s - began.awake_s)
    doubts = _doubts(plan, recorder, faults, last)
    if last.usage.pids and watched.status is not None:
        doubts |= {"left-running"}
    if suspended_s > 1:
        doubts |= {"suspended"}
    if clock_was_set(began, ended):
        doubts |= {"clock-set"}
    run = Run(
        id=plan.run_id,
        parent_id=plan.environ.get("ECO2AI_RUN_ID") or None,
        argv=plan.request.argv,
        config=plan.request.config,
        place=faults.guard(place, plan.place),
        processor=processor,
        origin=origin.here(plan.environ),
        status=watched.status,
        began=began,
        ended=ended,
        sample=last,
        samples=recorder.samples,
        memory_peak_bytes=recorder.memory_peak_bytes,
        processes=recorder.processes_peak,
        gpu_name=choice.gpu_name(last.of("gpu")),
        gpu_idle_j=choice.gpu_idle_j(recorder.meters),
        overhead_s=own.ru_utime + own.ru_stime + choice.overhead_s(recorder.meters),
        doubts=doubts,
        version=__version__,
        weighed=None if weigher is None else weigher.snapshot(),
    )
    return run if prospect is None else prospect.completed(run)


def _doubts(plan: Plan, recorder: Recorder, faults: Faults, last: Sample) -> frozenset[str]:
    """Return the caveats that hold at any time of a run, ended or not."""
    doubts = {
        "internal-error": faults.first is not None,
        "sampling-late": recorder.late,
        "work-elsewhere": _sends_work_away(plan.request.argv, last),
    }
    words = frozenset(word for word, holds in doubts.items() if holds)
    return words if plan.rates is None else words | plan.rates.caveats


def _sends_work_away(argv: tuple[bytes, ...], last: Sample) -> bool:
    """Tell whether the command is one that has others do its work, and did next to none itself."""
    return os.path.basename(argv[0]) in _SENDS_WORK_AWAY and last.usage.cpu_s < 0.05 * last.t_s
