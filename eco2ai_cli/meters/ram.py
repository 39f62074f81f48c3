"""RAM energy by the eco2AI paper's model: watts per GB x the memory of the tree."""

from __future__ import annotations

from eco2ai_cli.model import Component, Reading, Usage
from eco2ai_cli.units import BYTES_PER_GIB


class RamMeter:
    """Charges the memory of the tree, shared pages counted once, with a constant power per GB.

    `w_per_gb`: 0.375 W/GB for DDR3 and DDR4 (Budennyy et al. 2022); the paper's "GB" is 2^30 bytes,
    as in its code.
    """

    component: Component = "ram"

    def __init__(self, w_per_gb: float) -> None:
        self._w_per_byte = w_per_gb / BYTES_PER_GIB

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return the one reading of the tree; its energy is None while no memory was read."""
        byte_s = usage.memory_byte_s
        if byte_s is None:
            nothing = frozenset({"memory-unknown"})
            return (Reading("ram", "tree", None, method="none", caveats=nothing),)
        return (
            Reading(
                component="ram",
                device="tree",
                energy_j=self._w_per_byte * byte_s,
                method="model",
                power_w=self._w_per_byte * (usage.memory_bytes or 0),
            ),
        )

    def finish(self) -> None:
        """Nothing lags behind."""

    def close(self) -> None:
        """Nothing is open."""
