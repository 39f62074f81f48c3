"""Survey what the kernel tells of GPUs of AMD and Intel, for those who want to know beforehand."""

from __future__ import annotations

from typing import NamedTuple

from eco2ai_cli.errors import MeterUnavailable
from eco2ai_cli.meters import amdsmi, pci_names
from eco2ai_cli.meters.drm_cards import Sensors, cards, is_integrated


class CardSurvey(NamedTuple):
    """One GPU: whether it is a part of the processor, and what its sensors tell.

    `asleep`: it is switched off, and was not asked, for that wakes it.
    """

    address: str
    vendor: str
    name: str
    is_integrated: bool
    asleep: bool
    energy_counter: bool
    power: bool

    @property
    def is_metered(self) -> bool:
        """Whether its energy can be known by hwmon; one that sleeps is taken to be able to."""
        return not self.is_integrated and (self.energy_counter or self.power or self.asleep)


def survey(root: str = "") -> tuple[CardSurvey, ...]:
    """Look at the cards and their sensors; wakes none."""
    found = []
    for card in cards(root):
        sensors = Sensors(card)
        look = None if sensors.asleep else sensors.look(0.0)
        found.append(
            CardSurvey(
                address=card.address,
                vendor=card.vendor,
                name=pci_names.name(card, root),
                is_integrated=is_integrated(card),
                asleep=look is None,
                energy_counter=look is not None and look.counter_j is not None,
                power=look is not None and look.power_w is not None,
            )
        )
    return tuple(found)


def check(word: str, root: str = "") -> None:
    """See before the spawn that `hwmon` or `amdsmi`, asked for by name, has a GPU to read.

    Raises MeterUnavailable with the reason and the cure.
    """
    discrete = [card for card in survey(root) if not card.is_integrated]
    if word == "amdsmi":
        discrete = [card for card in discrete if card.vendor == "AMD"]
    reason = cure = ""
    if not discrete:
        whose = "AMD" if word == "amdsmi" else "AMD or Intel"
        reason = f"the kernel shows no GPU of {whose} beside the processor's own"
        cure = "load its driver, start the container with `--device /dev/dri`"
    elif word == "amdsmi" and not amdsmi.is_installed():
        reason, cure = "its module is not installed", "`pip install 'eco2ai-cli[amd]'`"
    elif word == "hwmon" and not any(card.is_metered for card in discrete):
        reason = "no driver of a GPU here shows energy or power"
        cure = "update the kernel (Linux 6.2 for i915, 6.8 for xe)"
    if reason:
        raise MeterUnavailable(
            f"meter `{word}` was asked for, and {reason}",
            hint=f"{cure}, or leave `{word}` out of `--meters`",
        )
