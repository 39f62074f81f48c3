"""Convert units and write quantities for people. Inside, everything is SI; here is the edge."""

from __future__ import annotations

import math

JOULES_PER_KWH = 3.6e6
BYTES_PER_GB = 10**9
"""The gigabyte of our columns, options and screens."""
BYTES_PER_GIB = 2**30
"""The "GB" of the eco2AI paper's RAM term (0.375 W/GB), as its code computes it."""


def kwh(joules: float) -> float:
    """Return `joules` in kilowatt-hours."""
    return joules / JOULES_PER_KWH


def joules(kwh: float) -> float:
    """Return `kwh` in joules."""
    return kwh * JOULES_PER_KWH


def _scaled(
    value: float, steps: tuple[tuple[float, str], ...], band: tuple[float, float] | None = None
) -> str:
    """Write `value` with three significant digits in the first unit that keeps it >= 1.

    The bounds of its `band` follow in the same unit, with two digits.
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {steps[-1][1]}"
    for factor, unit in steps:
        if abs(value) >= factor * 0.9995:
            return f"{_three_digits(value / factor)} {unit}{_bounds(band, factor)}"
    factor, unit = steps[-1]
    return f"{value / factor:.3g} {unit}{_bounds(band, factor)}"


def _bounds(band: tuple[float, float] | None, factor: float) -> str:
    if band is None:
        return ""
    low, high = (f"{float(f'{bound / factor:.2g}'):,g}" for bound in band)
    return f" ({low}–{high})"


def _three_digits(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(abs(value) * 1.0005)))
    return f"{value:,.{digits}f}"


def format_energy(joules: float, band_j: tuple[float, float] | None = None) -> str:
    """Write an energy in the unit of electricity bills, kWh, or a part of it; three digits."""
    steps = ((1e3, "MWh"), (1.0, "kWh"), (1e-3, "Wh"), (1e-6, "mWh"), (1e-9, "µWh"), (1e-12, "nWh"))
    band = None if band_j is None else (kwh(band_j[0]), kwh(band_j[1]))
    return _scaled(kwh(joules), steps, band)


def format_mass(kg: float, band_kg: tuple[float, float] | None = None) -> str:
    """Write a mass of CO2 in t, kg, g or a part of it; three digits."""
    return _scaled(kg, ((1e3, "t"), (1.0, "kg"), (1e-3, "g"), (1e-6, "mg"), (1e-9, "µg")), band_kg)


def format_power(watts: float) -> str:
    """Write a power in W, a multiple or a part of it; three digits."""
    return _scaled(watts, ((1e6, "MW"), (1e3, "kW"), (1.0, "W"), (1e-3, "mW")))


def format_bytes(count: float) -> str:
    """Write a memory size in decimal units (1 GB is 10^9 bytes); three digits."""
    return _scaled(count, ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")))


def format_duration(seconds: float) -> str:
    """Write a duration: `12 ms`, `1.31 s`, `4 min 05 s`, `3 h 12 min`, `12 d 04 h`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def format_money(amount: float, currency: str | None) -> str:
    """Write an amount with its currency code, with more digits the smaller it is."""
    if amount == 0 or abs(amount) >= 1:
        text = f"{amount:,.2f}"
    elif abs(amount) < 1e-6:
        text = f"{amount:.1e}"
    else:
        text = f"{amount:.{1 - math.floor(math.log10(abs(amount)))}f}"
    return f"{text} {currency}" if currency else text
