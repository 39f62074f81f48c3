"""Account for a command that runs: watch it to its end, and make the record of the run.

Nothing in here may cost the command anything: what is raised is kept, and the row says so.
"""

from __future__ import annotations

import importlib
import math
import os
import resource
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from eco2ai_cli import __version__, cpus, origin
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
from eco2ai_cli.run_record import Run
from eco2ai_cli.session import Plan

if TYPE_CHECKING:
    from eco2ai_cli.screen import Screen

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
    "eco2ai_cli.ledger.spool",
    "eco2ai_cli.ledger.search",
    "eco2ai_cli.ledger.torn",
    "eco2ai_cli.uncertainty",
    "csv",
    "hashlib",
    "eco2ai_cli.ledger.chain",
    "eco2ai_cli.journal.recovery",
)
_ATTEMPTS = 8
"""How often the waiting is taken up again after a fault; waiting plainly passes no signal on."""


class Watched(NamedTuple):
    """What is left of a command that has ended; `status` is as of wait(2)."""

    status: int
    began: Moment
    ended: Moment
    recorder: Recorder
    processor: Processor | None
    place: Callable[[], Place]


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
    place = faults.guard(partial(_seek, plan), lambda: plan.place)
    waiter = Waiter(started.pid, tree, started.sentinel, beat=recorder.beat, clock=clock)
    processor = faults.guard(partial(_processor, plan), None)
    faults.guard(partial(_equip, recorder, plan, tree, processor), None)
    if not faults.guard(waiter.has_ended, True):
        so_far = Watched(0, started.began, started.began, recorder, processor, lambda: plan.place)
        faults.guard(partial(_keep_journal, plan, so_far, clock, faults), None)
    faults.guard(partial(_load_what_the_end_needs, waiter), None)
    show = partial(_show, plan, started, recorder, waiter, clock, faults)
    give_terminal_back = faults.guard(show, _nothing)

    try:
        status = None
        for _ in range(_ATTEMPTS):
            if status is None:
                status = faults.guard(waiter.wait, None)
        if status is None:
            give_terminal_back()
            status = waiter.wait_plainly()
        faults.guard(partial(waiter.settle, whole_tree=plan.request.wait_for_tree), None)
    finally:
        give_terminal_back()
    ended = clock.now()
    if waiter.ended is not None and not plan.request.wait_for_tree:
        ended = waiter.ended
    for meter in recorder.meters:
        faults.guard(meter.finish, None)
    recorder.sample()
    for meter in recorder.meters:
        faults.guard(meter.close, None)
    faults.guard(tree.close, None)
    return Watched(status, started.began, ended, recorder, processor, place)


def _nothing() -> None:
    pass


def _show(
    plan: Plan,
    started: Started,
    recorder: Recorder,
    waiter: Waiter,
    clock: Clock,
    faults: Faults,
) -> Callable[[], None]:
    """Have the run shown while it goes on, if that is wanted; return what ends that."""
    if not plan.request.live or not os.isatty(2) or waiter.has_ended():
        return _nothing
    from eco2ai_cli.live import Live, Subject

    doubts = partial(_doubts, plan, recorder, faults)
    subject = Subject(plan.request.config, plan.place, started.began, doubts)
    live = Live(subject, partial(_screen, plan), recorder.beat, clock=clock, faults=faults)
    recorder.observers.append(live)
    waiter.show_on(live)
    return live.give_back


def _screen(plan: Plan) -> Screen | None:
    from eco2ai_cli.screen import open_screen

    insists = plan.request.config.origin("run.live").startswith("option")
    return open_screen(plan.environ, insist=insists)


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


def _keep_journal(plan: Plan, so_far: Watched, clock: Clock, faults: Faults) -> None:
    from eco2ai_cli.journal.keeper import Journal

    recorder = so_far.recorder
    doubts = partial(_doubts, plan, recorder, faults)
    journal = Journal(record(plan, so_far, faults), recorder, clock, doubts)
    if journal.open(plan.environ):
        recorder.observers.append(journal)


def record(plan: Plan, watched: Watched, faults: Faults) -> Run:
    """Return the record of a run that has ended."""
    _, began, ended, recorder, processor, place = watched
    last = recorder.last
    own = resource.getrusage(resource.RUSAGE_SELF)
    suspended_s = (ended.elapsed_s - began.elapsed_s) - (ended.awake_s - began.awake_s)
    doubts = _doubts(plan, recorder, faults, last)
    if last.usage.pids:
        doubts |= {"left-running"}
    if suspended_s > 1:
        doubts |= {"suspended"}
    if clock_was_set(began, ended):
        doubts |= {"clock-set"}
    return Run(
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
    )


def _doubts(plan: Plan, recorder: Recorder, faults: Faults, last: Sample) -> frozenset[str]:
    """Return the caveats that hold at any time of a run, ended or not."""
    doubts = {
        "internal-error": faults.first is not None,
        "sampling-late": recorder.late,
        "work-elsewhere": _sends_work_away(plan.request.argv, last),
    }
    return frozenset(word for word, holds in doubts.items() if holds)


def _sends_work_away(argv: tuple[bytes, ...], last: Sample) -> bool:
    """Tell whether the command is one that has others do its work, and did next to none itself."""
    return os.path.basename(argv[0]) in _SENDS_WORK_AWAY and last.usage.cpu_s < 0.05 * last.t_s
