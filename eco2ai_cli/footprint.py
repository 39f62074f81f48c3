"""The eco2AI paper's formula, once: emissions = intensity x PUE x (CPU + GPU + RAM)."""

from __future__ import annotations

from eco2ai_cli.model import Energy, Footprint
from eco2ai_cli.units import kwh


def footprint(
    energy: Energy, *, pue: float, kg_per_mwh: float, price_per_kwh: float | None
) -> Footprint:
    """Return what `energy` means at the facility's socket, in kg of CO2 and in money.

    CF = gamma * PUE * (E_CPU + E_GPU + E_RAM), with gamma in kg/MWh and PUE >= 1
    (Budennyy et al., eco2AI, Doklady Mathematics 2022, arXiv:2208.00406). The cost is that
    same energy, PUE included, times the price; None without a price. Of an unknown energy nothing
    is known.
    """
    if energy.total_j is None:
        return Footprint(None, None, None)
    energy_j = pue * energy.total_j
    energy_kwh = kwh(energy_j)
    return Footprint(
        energy_j=energy_j,
        emissions_kg=energy_kwh * kg_per_mwh / 1000,
        cost=None if price_per_kwh is None else energy_kwh * price_per_kwh,
    )
