"""AMD's and Intel's GPUs as the kernel shows them in sysfs: which there are, and their sensors.

Nothing but files is read. A card is known by its place on the PCI bus: `card0` and `hwmon3` are
numbers in the order in which drivers came, and change when one is loaded anew.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from eco2ai_cli.machine import read_start
from eco2ai_cli.meters.gpu_dial import Look

CARDS = "/sys/class/drm"
_DEVICES = "/sys/bus/pci/devices"
VENDORS = {"0x1002": "AMD", "0x8086": "Intel"}
"""PCI vendor IDs (pci-ids.ucw.cz)."""
_SENSORS = ("amdgpu", "xe", "i915")
"""The drivers' names in hwmon; `i915_gt0` and the like are parts of `i915`."""
_AMD_INTEGRATED = "vddnb"
"""The label of a voltage that amdgpu shows for GPUs inside a processor, and for no other
(amdgpu_pm.c, Linux 6.16)."""
_MICRO = 1e6


class Card(NamedTuple):
    """A GPU by its `address` on the PCI bus; `folder`: its files in sysfs."""

    address: str
    vendor: str
    folder: str


def cards(root: str = "") -> tuple[Card, ...]:
    """Return the GPUs of AMD and Intel that have a driver, by their addresses."""
    try:
        names = os.listdir(root + CARDS)
    except OSError:
        return ()
    found = []
    for name in names:
        device = f"{root}{CARDS}/{name}/device"
        if name.startswith("card") and name[4:].isdecimal():
            vendor = VENDORS.get(read_start(f"{device}/vendor", 16).strip())
            if vendor is not None:
                address = os.path.basename(os.path.realpath(device))
                found.append(Card(address, vendor, f"{root}{_DEVICES}/{address}"))
    return tuple(sorted(found))


def sensors_folder(card: Card) -> str | None:
    """Return the folder of a card's sensors, None where it has none."""
    try:
        names = sorted(os.listdir(f"{card.folder}/hwmon"))
    except OSError:
        return None
    folders = [f"{card.folder}/hwmon/{name}" for name in names]
    named = [f for f in folders if read_start(f"{f}/name", 64).strip() in _SENSORS]
    return next(iter(named or folders), None)


def is_integrated(card: Card) -> bool:
    """Tell whether a GPU is a part of the processor, whose package meter holds its energy too.

    Intel's sit on the processor's own bus, the first, and have no sensors: a card handed to a
    virtual machine may sit there too, and has some. AMD's driver shows them by a voltage.
    """
    folder = sensors_folder(card)
    if card.vendor == "Intel":
        return folder is None and card.address.split(":")[-2:-1] == ["00"]
    return folder is not None and _AMD_INTEGRATED in read_start(f"{folder}/in1_label", 64)


class Sensors:
    """What hwmon shows of one card (Documentation/hwmon/sysfs-interface, and the drivers' own).

    `energy1` is all of the card, `energy2` its chip alone: the first that is there counts, and so
    for the power. What cannot be read is looked for anew, for its folder may have another number.
    """

    def __init__(self, card: Card) -> None:
        self._card = card
        self._folder = sensors_folder(card)
        cap, default = ("cap", "cap_default") if card.vendor == "AMD" else ("max", "rated_max")
        self.limit_w = self._limit_w(cap) or self._limit_w(default)
        self.default_limit_w = self._limit_w(default) or self.limit_w

    @property
    def has_energy(self) -> bool:
        """Whether there is a counter of energy."""
        return self._joules() is not None

    @property
    def is_there(self) -> bool:
        """Whether the card is still on the bus."""
        return os.path.isdir(self._card.folder)

    @property
    def asleep(self) -> bool:
        """Whether the card is switched off: then it draws next to nothing, and asking wakes it."""
        return read_start(f"{self._card.folder}/power/runtime_status", 32).strip() == "suspended"

    def look(self, at_s: float) -> Look:
        """Read energy and power."""
        look = Look(at_s, self._joules(), self._watts())
        if look.counter_j is None and look.power_w is None:
            self._folder = sensors_folder(self._card)
            look = Look(at_s, self._joules(), self._watts())
        return look

    def dashboard(self) -> dict[str, float]:
        """Return what screens show of it."""
        values = {
            "utilisation_percent": self._number(f"{self._card.folder}/gpu_busy_percent"),
            "memory_used_bytes": self._number(f"{self._card.folder}/mem_info_vram_used"),
            "temperature_c": self._shown("temp1_input", 1e3) or self._shown("temp2_input", 1e3),
        }
        return {name: value for name, value in values.items() if value is not None}

    def _joules(self) -> float | None:
        card_j = self._shown("energy1_input")
        return self._shown("energy2_input") if card_j is None else card_j

    def _watts(self) -> float | None:
        for name in ("power1_average", "power1_input"):
            if (watts := self._shown(name)) is not None:
                return watts
        return None

    def _limit_w(self, what: str) -> float | None:
        return self._shown(f"power1_{what}") or self._shown(f"power2_{what}") or None

    def _shown(self, file: str, unit: float = _MICRO) -> float | None:
        value = None if self._folder is None else self._number(f"{self._folder}/{file}")
        return None if value is None else value / unit

    def _number(self, path: str) -> float | None:
        try:
            return float(int(read_start(path, 32)))
        except ValueError:
            return None
