"""How sure is a figure? The band in which the truth lies in nine runs of ten.

Pure: from how each component was metered, and the words that doubt it, to factors of its energy.
Every factor is an assumption with its reason in `docs/uncertainty.md`; `benchmarks/bands.py`
holds them against simulated machines whose truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

from eco2ai_cli.model import Component


class Band(NamedTuple):
    """A low and a high bound: of a figure in its own unit, or as factors of it."""

    low: float
    high: float

    def of(self, value: float) -> Band:
        """Return the bounds of `value`, this band being factors."""
        return Band(self.low * value, self.high * value)


EXACT = Band(1.0, 1.0)

_TDP = {
    "vendor": Band(0.65, 2.4),
    "catalogue": Band(0.6, 2.5),
    "derived": Band(0.5, 3.0),
    "fallback": Band(0.35, 4.5),
}
"""CPU seconds x TDP / threads, by the quality of the processor's match. Mostly not the TDP's
error but the load's: a thread alone on its core draws up to three times its part of the TDP."""
_METHODS = {
    # Khan et al., RAPL in Action, 2018; Schöne et al. on AMD's model of Zen 2, 2021.
    ("cpu", "rapl"): Band(0.9, 1.1),
    # Desrochers et al., A Validation of DRAM RAPL Power Measurements, 2016: within 20 %.
    ("ram", "rapl"): Band(0.8, 1.2),
    # 0.05 W/GB (large modules, LPDDR) to 0.4 (8 GB modules) against 0.375: see the docs.
    ("ram", "model"): Band(0.12, 1.3),
    # NVML: +-5 % by its reference; Yang et al., Part-time Power Measurements, 2023.
    ("gpu", "nvml-energy"): Band(0.92, 1.08),
    ("gpu", "nvml-power"): Band(0.8, 1.25),
    # No reference tells; AMD's sensors of consumer cards see the chip and not all of the board.
    ("gpu", "hwmon-energy"): Band(0.85, 1.2),
    ("gpu", "hwmon-power"): Band(0.75, 1.45),
    ("gpu", "amdsmi-energy"): Band(0.85, 1.2),
    ("gpu", "amdsmi-power"): Band(0.75, 1.45),
}
_SHARED: dict[Component, Band] = {
    "cpu": Band(0.7, 1.45),
    "gpu": Band(0.7, 1.45),
    "ram": Band(0.6, 1.7),
}
"""A busy second of ours against one of the neighbours': code differs in power by that much, and
in how it uses memory by more."""
_IDLE_ASSUMED = Band(0.75, 1.35)
"""Idle power was taken for a quarter of full power; packages have 0.05 to 0.4 of it."""
_MEMORY_ASSUMED = Band(0.5, 2.0)
"""Memory between late samples was taken for what it was at the last."""
_SLICED = Band(0.45, 2.5)
"""A slice pays its part of what the whole GPU draws, whoever is at work on the others."""

_UNTOLD = frozenset(
    {
        "cpu-unmetered",
        "end-unseen",
        "gpu-brief",
        "gpu-by-device",
        "gpu-in-package",
        "gpu-late",
        "gpu-lost",
        "gpu-order",
        "gpu-unavailable",
        "gpu-unknown",
        "gpu-unmetered",
        "gpu-unseen",
        "internal-error",
        "memory-unknown",
        "ram-unmetered",
        "rapl-late",
        "rapl-lost",
        "rapl-reset",
        "tree-escaped",
        "work-elsewhere",
    }
)
"""Doubts that leave energy out, or take another's, nobody knows how much: no band can be told."""


def energy_factors(
    component: Component, method: str, caveats: Collection[str], quality: str | None
) -> Band | None:
    """Return the factors of a component's energy; None where nothing is known of its error.

    `method`: the ledger's word, or several joined by `;`, of which the widest holds. `quality`:
    that of the processor's match, for `tdp`.
    """
    words = method.split(";")
    if "rapl-start" in caveats and any(word.startswith("rapl") for word in words):
        words.append("tdp" if component == "cpu" else "model")  # which pays for what came before
    bands: list[Band] = []
    for word in words:
        source, _, share = word.partition("+")
        band = _TDP.get(quality or "") if source == "tdp" else _METHODS.get((component, source))
        if band is None:
            return None
        bands.append(product(band, _SHARED[component]) if share else band)
    widest = Band(min(band.low for band in bands), max(band.high for band in bands))
    if component == "cpu" and "idle-assumed" in caveats:
        widest = product(widest, _IDLE_ASSUMED)
    if "model" in words and "sampling-late" in caveats:
        widest = product(widest, _MEMORY_ASSUMED)
    if component == "gpu" and "gpu-sliced" in caveats:
        widest = product(widest, _SLICED)
    return widest


def total(parts: Iterable[tuple[float, Band | None]], caveats: Collection[str]) -> Band | None:
    """Return the band of a sum of components, each with the factors of its own band.

    The error of a component is the same all run long, so it does not average out; the errors of
    two components have nothing to do with each other, so their squares add up (JCGM 100:2008,
    5.1.2). None where a part has no band, or where a caveat says that energy is missing.
    """
    if not _UNTOLD.isdisjoint(caveats):
        return None
    value, below, above = 0.0, 0.0, 0.0
    for part, band in parts:
        if part == 0:
            continue
        if band is None:
            return None
        value += part
        below += (part * (1 - band.low)) ** 2
        above += (part * (band.high - 1)) ** 2
    return Band(value - math.sqrt(below), value + math.sqrt(above))


def product(*bands: Band) -> Band:
    """Return the factors of a product whose factors err independently: squares of logs add up."""
    if any(band.low <= 0 for band in bands):
        low = 0.0
    else:
        low = math.exp(-math.sqrt(sum(math.log(band.low) ** 2 for band in bands)))
    return Band(low, math.exp(math.sqrt(sum(math.log(band.high) ** 2 for band in bands))))


_YEARLY = (0.1, 0.14)
"""Half a band of the log of a grid's annual mean: at once, and for each year that it is old.
Of 207 countries, nine in ten moved less from the paper's table (2021) to ours (2024, 2025)."""
_UNDATED_YEARS = 3
"""How old a figure without a year is taken for: as the oldest documented ones of our table."""
_COEFFICIENTS = {
    "coefficient-proxy": Band(0.5, 2.0),
    "coefficient-rough": Band(0.85, 1.18),
    "coefficient-undocumented": Band(0.6, 1.7),
    "region-by-ip": Band(0.8, 1.25),
    # What states, provinces and countries have against their country and the world: our tables.
    "region-coarse": Band(0.25, 1.8),
    "region-assumed": Band(0.5, 1.6),
}
_WORLD = Band(0.07, 1.8)
"""What countries have against the mean of the world, which stands in for them all."""


def intensity_factors(
    caveats: Collection[str],
    age_years: int | None,
    *,
    is_given: bool = False,
    is_world: bool = False,
) -> Band | None:
    """Return the factors of a carbon intensity, as the annual mean of the grid in the run's year.

    `age_years`: how much older than the run the figure is; None: not known. `is_given`: it is the
    user's own figure, and exact. `is_world`: the world's, because no place was found. None for a
    figure that is a known error.
    """
    if is_given:
        return EXACT
    if "coefficient-doubtful" in caveats:
        return None
    at_once, yearly = _YEARLY
    half = at_once + yearly * max(0, _UNDATED_YEARS if age_years is None else age_years)
    bands = [band for word, band in _COEFFICIENTS.items() if word in caveats]
    if is_world and "region-assumed" in caveats:
        bands = [_WORLD]
    return product(Band(math.exp(-half), math.exp(half)), *bands)
