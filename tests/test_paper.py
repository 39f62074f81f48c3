"""The eco2AI paper's own arithmetic (Budennyy et al. 2022, tables 2 to 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli import regions
from eco2ai_cli.footprint import footprint
from eco2ai_cli.model import Energy
from eco2ai_cli.units import joules


def emissions_kg(kwh: float, place: str) -> float:
    region = regions.lookup(place, "paper-2022")
    energy = Energy(cpu_j=joules(kwh), gpu_j=0.0, ram_j=0.0)
    return footprint(energy, pue=1.0, kg_per_mwh=region.kg_per_mwh, price_per_kwh=None).emissions_kg


@pytest.mark.parametrize(
    ("kwh", "kg", "digits"),
    [(1.37, 0.33, 2), (24.50, 5.89, 2), (29.1, 7.0, 1), (24.7, 5.94, 2)],
    ids=["Malevich, table 3", "Kandinsky, table 3", "GELU, table 4", "4-bit, table 4"],
)
def test_moscow_gives_the_emissions_of_the_papers_trainings(
    kwh: float, kg: float, digits: int
) -> None:
    assert round(emissions_kg(kwh, "RU-MOW"), digits) == kg


known = st.floats(0, 1e12)
unknown = st.one_of(st.none(), known)


@given(unknown, unknown, unknown, st.floats(1, 10), st.floats(0, 2000), st.floats(0, 100))
def test_the_total_is_the_sum_of_what_is_known_times_pue(
    cpu: float | None,
    gpu: float | None,
    ram: float | None,
    pue: float,
    intensity: float,
    price: float,
) -> None:
    energy = Energy(cpu, gpu, ram)
    result = footprint(energy, pue=pue, kg_per_mwh=intensity, price_per_kwh=price)
    parts = [part for part in (cpu, gpu, ram) if part is not None]
    if len(parts) < 3 and not any(parts):
        assert result == (None, None, None)  # nothing is known: not even that it was nothing
        return
    assert result.energy_j == pytest.approx(pue * sum(parts))
    assert result.emissions_kg == pytest.approx(pue * sum(parts) / 3.6e6 * intensity / 1000)
    assert result.cost == pytest.approx(pue * sum(parts) / 3.6e6 * price)


def test_without_a_price_there_is_no_cost() -> None:
    nothing = footprint(Energy(1.0, 0.0, 0.0), pue=1, kg_per_mwh=1, price_per_kwh=None)
    assert nothing.cost is None
