"""GPUs of AMD and Intel: what their drivers show, and whether others on them can be seen."""

from __future__ import annotations

from collections import Counter

from eco2ai_cli import uncertainty
from eco2ai_cli.config import Config
from eco2ai_cli.doctor.findings import (
    Fact,
    Grade,
    Shortcoming,
    Surroundings,
    is_forced,
    without,
)
from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters import amdsmi, drm_clients, drm_survey
from eco2ai_cli.meters.drm_survey import CardSurvey
from eco2ai_cli.meters.gpu_job import own_pid_namespace

SOURCES = ("hwmon", "amdsmi")
_ROOTLESS = (
    "nothing where the GPU is the run's alone; else run as root, or ask for a GPU that others do "
    "not use"
)


def facts(cards: tuple[CardSurvey, ...]) -> tuple[Fact, ...]:
    """Return what is told of the cards."""
    counts = Counter(map(_told, cards))
    words = [told if count == 1 else f"{count} × {told}" for told, count in counts.items()]
    known = [{**card._asdict(), "is_metered": card.is_metered} for card in cards]
    return (
        Fact("cards", known, "\n".join(words) or None, "AMD and Intel"),
        Fact("amdsmi", amdsmi.is_installed()),
    )


def examine(
    cards: tuple[CardSurvey, ...], at: Surroundings, config: Config
) -> tuple[Grade | None, list[Shortcoming]]:
    """Grade the cards that are no part of the processor; None: there are none, nor asked for."""
    discrete = [card for card in cards if not card.is_integrated]
    for word in SOURCES:
        if is_forced(word, config):
            try:
                drm_survey.check(word, at.root)
            except MeterUnavailable as error:
                why = without(word)
                return _not_metered(why), [Shortcoming("gpus", str(error), error.hint or why)]
    if not discrete:
        return None, []
    if config.meters is not None and not any(word in config.meters for word in SOURCES):
        return _not_metered("`hardware.meters` leaves `hwmon` out"), []
    blind = [card for card in discrete if not card.is_metered]
    if blind:
        return _not_metered("a driver shows neither energy nor power"), [_blind(blind[0])]
    counters = all(card.energy_counter for card in discrete)
    method = "hwmon-energy" if counters else "hwmon-power"
    band = uncertainty.energy_factors("gpu", method, (), None)
    short = []
    if any(card.vendor == "AMD" and not card.energy_counter for card in discrete):
        short += [] if amdsmi.is_installed() else [_no_counter()]
    if _sees_all(at):
        return Grade("gpu", "measured", method, "the kernel's sensors", band), short
    lacking = "processes of others cannot be looked at: they are taken not to use the run's GPU"
    short.append(Shortcoming("gpus", lacking, _ROOTLESS, ("sudo eco2ai run …",)))
    why = "the kernel's sensors; what others do on the same GPU cannot be seen [gpu-unseen]"
    return Grade("gpu", "attributed", method, why), short


def _told(card: CardSurvey) -> str:
    if card.is_integrated:
        return f"{card.name}; inside the processor: its energy is that of the package"
    if card.asleep:
        return f"{card.name}; asleep, and not woken to be asked"
    told = {True: "yes", False: "no"}
    return f"{card.name}; energy counter: {told[card.energy_counter]}, power: {told[card.power]}"


def _sees_all(at: Surroundings) -> bool:
    """Tell whether the files of every process on this machine may be looked at."""
    if own_pid_namespace(at.proc):
        return False
    try:
        return not drm_clients.look(drm_clients.everybody(at.proc), at.proc).closed
    except OSError:
        return False


def _not_metered(why: str) -> Grade:
    return Grade("gpu", "not metered", "none", why)


def _blind(card: CardSurvey) -> Shortcoming:
    driver = "`amdgpu`" if card.vendor == "AMD" else "`i915` (Linux 6.2) or `xe` (Linux 6.8)"
    return Shortcoming(
        "gpus",
        f"the driver of {card.name} at {card.address} shows neither energy nor power",
        f"a kernel whose {driver} has sensors for it; in a virtual machine, measure on the host",
        ("uname -r",),
    )


def _no_counter() -> Shortcoming:
    return Shortcoming(
        "gpus",
        "an AMD GPU shows its power and no energy counter, so that what it draws between looks is "
        "taken from its power",
        "install AMD's library: GPUs for computing have a counter that only it shows",
        ("pip install 'eco2ai-cli[amd]'",),
    )
