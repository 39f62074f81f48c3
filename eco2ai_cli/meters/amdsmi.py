"""AMD's own library, for the energy counter that some of its GPUs have and hwmon does not show.

The only door to `amdsmi`, of the extra `amd`. It was tested through a stand-in with the same
functions, and **not run on hardware**.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from eco2ai_cli.meters.gpu_dial import Look

_UJ_PER_J = 1e6
_COUNTS = ("energy_accumulator", "power")
"""The names that the counter has had; it is in units of `counter_resolution`, microjoules."""
_POWERS = ("current_socket_power", "average_socket_power", "socket_power")


def is_installed() -> bool:
    """Tell whether the library's module is here; it is not loaded by that."""
    return importlib.util.find_spec("amdsmi") is not None


class SmiCard:
    """One GPU behind its handle."""

    def __init__(self, smi: Any, handle: Any) -> None:
        self._smi = smi
        self._handle = handle

    def look(self, at_s: float) -> Look:
        """Read energy and power; what the library refuses, or calls `N/A`, is None."""
        count = self._ask("amdsmi_get_energy_count")
        units, unit_uj = _number(count, _COUNTS), _number(count, ("counter_resolution",))
        counter_j = units * unit_uj / _UJ_PER_J if units and unit_uj else None
        return Look(at_s, counter_j, _number(self._ask("amdsmi_get_power_info"), _POWERS))

    def _ask(self, call: str) -> dict[str, Any]:
        try:
            return dict(getattr(self._smi, call)(self._handle))
        except (AttributeError, self._smi.AmdSmiException):
            return {}


def sources() -> tuple[dict[str, SmiCard], Callable[[], object]]:
    """Start the library; return its GPUs by PCI address, and what ends it. None where it fails."""
    try:
        import amdsmi as smi  # type: ignore[import-not-found]

        smi.amdsmi_init()
        handles = smi.amdsmi_get_processor_handles()
    except Exception:  # it is not here, or not for this driver: hwmon does without
        return {}, lambda: None
    found = {}
    for handle in handles:
        try:
            found[str(smi.amdsmi_get_gpu_device_bdf(handle)).lower()] = SmiCard(smi, handle)
        except smi.AmdSmiException:
            continue
    return found, smi.amdsmi_shut_down


def _number(told: dict[str, Any], names: tuple[str, ...]) -> float | None:
    values = (told.get(name) for name in names)
    return next((float(v) for v in values if isinstance(v, int | float)), None)
