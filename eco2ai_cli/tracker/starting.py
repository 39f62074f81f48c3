"""Start to measure this process: choose its meters, and take the first sample."""

from __future__ import annotations

from collections.abc import Callable

from eco2ai_cli import cpus
from eco2ai_cli.accounting import Watched
from eco2ai_cli.clock import Clock
from eco2ai_cli.faults import Faults
from eco2ai_cli.machine import this_machine
from eco2ai_cli.meters import choice
from eco2ai_cli.place import Place
from eco2ai_cli.processes.own import OwnUsage
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.tracker.arguments import Settled
from eco2ai_cli.tracker.measuring import Measuring
from eco2ai_cli.tracker.whole_machine import WholeMachine


def start(settled: Settled, warn: Callable[[str], None], *, first_epoch: int) -> Measuring:
    """Begin to measure this process and its children."""
    config, clock, faults = settled.plan.request.config, Clock(), Faults()
    place = _seek(settled)
    processor = cpus.charge(this_machine(), config.cpu_tdp_w, config.cpu_table)
    meters = choice.open_meters(
        config.meters,
        processor,
        config.ram_w_per_gb,
        settled.plan.environ,
        idle=config.idle,
        apart=False,
    )
    own = OwnUsage()
    began = clock.now()
    recorder = Recorder(
        WholeMachine(own) if settled.whole_machine else own,
        config.interval_s,
        began_s=began.awake_s,
        clock=clock,
        faults=faults,
    )
    weigher = None
    if settled.plan.rates is not None:
        from eco2ai_cli.weighing import Weigher

        weigher = Weigher(settled.plan.rates)
        recorder.observers.append(lambda sample: weigher(sample, clock.wall_s()))
    recorder.meters = meters
    recorder.longest_step_s = choice.longest_step_s(meters)
    measuring = Measuring(
        settled,
        recorder,
        Watched(None, began, began, recorder, processor, place, weigher),
        clock=clock,
        faults=faults,
        warn=warn,
        first_epoch=first_epoch,
    )
    measuring.go_on()
    return measuring


def _seek(settled: Settled) -> Callable[[], Place]:
    """Return what tells the place; where the user lets us, a service is asked in the meantime."""
    place = settled.plan.place
    if not place.may_ask:
        return lambda: place
    from eco2ai_cli.geolocation import seek

    return seek(place, settled.plan.request.config, settled.plan.environ)
