"""Choose the meter of each component: the first source in the table that is there and allowed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from eco2ai_cli.cpus import Processor
from eco2ai_cli.meters import Meter, nvml_library
from eco2ai_cli.meters.ram import RamMeter
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.meters.unmetered import Unmetered
from eco2ai_cli.model import Reading

if TYPE_CHECKING:
    from eco2ai_cli.meters.drm_cards import Card
    from eco2ai_cli.meters.gpu_meter import GpuMeter
    from eco2ai_cli.meters.rapl_survey import Survey


def open_meters(
    words: Collection[str] | None,
    processor: Processor | None,
    ram_w_per_gb: float,
    environ: Mapping[str, str],
    *,
    idle: str = "allocated",
    root: str = "",
    pause: Callable[[float], object] = time.sleep,
    disown: Callable[[int], object] = int,
    apart: bool = True,
) -> tuple[Meter, ...]:
    """Open the meters, one source a component; `words` (None: all) are the sources allowed.

    `processor` is None where it could not be told: then only RAPL can meter the CPU. `idle` is
    the policy for idle power, see `cpu_share.idle_share`. `root` holds `/proc` and `/sys`, and
    `pause` waits. `disown` is told the PID of each child that we start for ourselves, for what can
    hang; if that is not to be `apart`, it is a thread of ours.

    No GPU here: no meter for it, because there is nothing that could use energy.
    """

    def allowed(word: str) -> bool:
        return words is None or word in words

    survey = _survey(root, pause) if allowed("rapl") else None
    still = survey is not None and survey.obstacle is not None and survey.obstacle.standing_still
    doubts = frozenset({"rapl-still"} if still else ())
    meters: list[Meter] = [
        TdpMeter(processor.w_per_thread, processor.name, processor.caveats | doubts)
        if processor is not None and allowed("tdp")
        else Unmetered("cpu"),
        RamMeter(ram_w_per_gb) if allowed("ram") else Unmetered("ram"),
    ]
    if survey is not None and survey.obstacle is None:
        from eco2ai_cli.meters.rapl import open_rapl

        measured = {zone.component for zone in survey.zones}
        models = [meter for meter in meters if meter.component in measured]
        meters = [meter for meter in meters if meter.component not in measured]
        meters.append(open_rapl(survey.zones, idle, models, root))
    meters += _gpu_meters(allowed, environ, root, disown, apart)
    return tuple(meters)


def _gpu_meters(
    allowed: Callable[[str], bool],
    environ: Mapping[str, str],
    root: str,
    disown: Callable[[int], object],
    apart: bool,
) -> Iterator[Meter]:
    """Start the meters of the GPUs that are here; what nobody reads is said to be unmetered."""
    library, cards = nvml_library.present(), _cards(root)
    sources = [word for word in ("hwmon", "amdsmi") if allowed(word)]
    gpus: list[GpuMeter] = []
    if library and allowed("nvml"):
        from eco2ai_cli.meters.nvml_meter import NvmlMeter  # only where there is a GPU

        gpus.append(NvmlMeter(environ))
    if cards and sources:
        from eco2ai_cli.meters.drm_meter import DrmMeter

        gpus.append(DrmMeter(cards, sources, root))
    failed = False
    for gpu in gpus:
        try:
            if pid := gpu.start(apart=apart):
                disown(pid)
        except OSError:  # no process left for it
            failed = True
        else:
            yield gpu
    nvidia = library or os.path.exists("/dev/nvidiactl")
    unread = nvidia and not (library and allowed("nvml"))
    unread = unread or (not cards and os.path.exists("/dev/kfd"))
    if cards and not sources:
        from eco2ai_cli.meters.drm_cards import is_integrated

        unread = unread or not all(map(is_integrated, cards))
    if failed or unread:
        yield Unmetered("gpu")


def _cards(root: str) -> tuple[Card, ...]:
    """Return the GPUs of AMD and Intel; where there is no display at all, for next to nothing."""
    try:
        if not any(name.startswith("card") for name in os.listdir(f"{root}/sys/class/drm")):
            return ()
    except OSError:
        return ()
    from eco2ai_cli.meters.drm_cards import cards

    return cards(root)


def _survey(root: str, pause: Callable[[float], object]) -> Survey | None:
    """Look for RAPL counters; None where the kernel does not know of any."""
    if not os.path.isdir(f"{root}/sys/class/powercap"):
        return None
    from eco2ai_cli.meters.rapl_survey import survey

    try:
        return survey(root, pause)
    except OSError:  # a driver was unloaded in between
        return None


def longest_step_s(meters: Sequence[Meter]) -> float:
    """Return how far apart samples may be at the most, for those meters that care."""
    return min((getattr(meter, "longest_step_s", math.inf) for meter in meters), default=math.inf)


def gpu_idle_j(meters: Sequence[Meter]) -> float | None:
    """Return the joules that GPUs drew while nobody used them; None where that is not known."""
    known = [joules for m in meters if (joules := getattr(m, "idle_j", None)) is not None]
    return sum(known) if known else None


def overhead_s(meters: Sequence[Meter]) -> float:
    """Return the CPU seconds that meters have used in processes of their own."""
    return sum(getattr(meter, "overhead_s", 0.0) for meter in meters)


def gpu_name(readings: Sequence[Reading]) -> str:
    """Name the GPUs that were metered, each model with its count; "" for none."""
    if not any(reading.name for reading in readings):
        return ""
    from eco2ai_cli.meters import gpus  # only where there is one

    return gpus.gpu_name(readings)
