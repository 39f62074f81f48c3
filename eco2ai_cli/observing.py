"""Who looks on while a command runs: the panel, the weigher of joules, budget and forecast."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eco2ai_cli.accounting import Watched
    from eco2ai_cli.clock import Clock, Moment
    from eco2ai_cli.epochs import Intake
    from eco2ai_cli.faults import Faults
    from eco2ai_cli.journal.keeper import Journal
    from eco2ai_cli.launch.wait import Waiter
    from eco2ai_cli.ledger import Cells
    from eco2ai_cli.marks.channel import Channel
    from eco2ai_cli.model import Sample
    from eco2ai_cli.processes.linux import LinuxTree
    from eco2ai_cli.prospect import Prospect
    from eco2ai_cli.recorder import Recorder
    from eco2ai_cli.run_record import Run
    from eco2ai_cli.screen import Screen
    from eco2ai_cli.session import Plan
    from eco2ai_cli.weighing import Weigher

_LOG_LOOK_S = 0.2
"""How soon the end of an epoch is read from a log; a look costs 0.06 ms."""


def look_ahead(
    plan: Plan, so_far: Watched, tree: LinuxTree, waiter: Waiter, clock: Clock
) -> Prospect | None:
    """Have budget and forecast looked after; None where the command has ended and nobody asked.

    How many epochs there will be, a mark may tell.
    """
    config = plan.request.config
    asked = (plan.request.epochs, config.max_energy_kwh, config.max_emissions_kg, config.max_cost)
    if all(value is None for value in asked) and waiter.has_ended():
        return None
    from eco2ai_cli.live import Subject
    from eco2ai_cli.prospect import look_ahead

    request = plan.request
    subject = Subject(
        request.config, plan.place, so_far.began, lambda _: frozenset(), so_far.weigher
    )
    return look_ahead(request, subject.footprint, so_far.recorder, tree, waiter, clock)


def take_marks(
    plan: Plan,
    so_far: Watched,
    outline: Callable[[], Run],
    append: Callable[[Sequence[Cells]], Sequence[str]],
    channel: Channel | None,
    journal: Journal | None,
    own_end: Callable[[], Moment | None],
    clock: Clock,
    faults: Faults,
) -> Intake:
    """Have the run parted at its marks; tell the journal and the prospect of its epochs."""
    from eco2ai_cli.epochs import Epochs, Intake
    from eco2ai_cli.marks.sources import Sources

    prospect = so_far.prospect
    epochs = Epochs(so_far.recorder, outline, append, began=so_far.began, clock=clock)
    if journal is not None:
        journal.saved = lambda: epochs.saved
    if prospect is not None:
        epochs.observers.append(lambda part: prospect.end_epoch(part, epochs.total))
        if journal is not None:
            journal.outlook = prospect.outlook
    look_s = min(plan.request.config.interval_s, _LOG_LOOK_S)
    sources = Sources(channel, plan.log, look_s, clock.awake_s)
    return Intake(sources, epochs, clock=clock, faults=faults, ended=own_end)


def nothing() -> None:
    """Do nothing: what ends a view that was not begun."""


def show(
    plan: Plan,
    so_far: Watched,
    doubts: Callable[[Sample], frozenset[str]],
    waiter: Waiter,
    clock: Clock,
    faults: Faults,
) -> Callable[[], None]:
    """Have the run shown while it goes on, if that is wanted; return what ends that."""
    if not plan.request.live or not os.isatty(2) or waiter.has_ended():
        return nothing
    from eco2ai_cli.live import Live, Subject

    recorder = so_far.recorder
    subject = Subject(plan.request.config, plan.place, so_far.began, doubts, so_far.weigher)
    live = Live(
        subject,
        partial(_screen, plan),
        recorder.beat,
        clock=clock,
        faults=faults,
        prospect=so_far.prospect,
    )
    recorder.observers.append(live)
    waiter.show_on(live)
    return live.give_back


def _screen(plan: Plan) -> Screen | None:
    from eco2ai_cli.screen import open_screen

    insists = plan.request.config.origin("run.live").startswith("option")
    return open_screen(plan.environ, insist=insists)


def weigh(plan: Plan, recorder: Recorder, clock: Clock) -> Weigher | None:
    """Have each sample weighed by the time of day, where price or intensity go by it."""
    if plan.rates is None:
        return None
    from eco2ai_cli.weighing import Weigher

    weigher = Weigher(plan.rates)
    recorder.observers.append(lambda sample: weigher(sample, clock.wall_s()))
    return weigher
