"""Say in a few lines what a run has cost."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from eco2ai_cli import caveats, units
from eco2ai_cli.model import COMPONENTS
from eco2ai_cli.run_record import Finished, Run

if TYPE_CHECKING:
    from eco2ai_cli.run_parts import Part

_LABEL_WIDTH = 13


def receipt(finished: Finished, saved_to: str | None, width: int) -> list[str]:
    """Return the summary of a run: its headline, then lines of at most `width` columns."""
    lines = [_headline(finished.run, width)]
    for label, text in _entries(finished, saved_to):
        label_column = f"  {label:<{_LABEL_WIDTH - 2}}"
        lines += textwrap.wrap(
            text,
            width=max(width, 30),
            initial_indent=label_column,
            subsequent_indent=" " * _LABEL_WIDTH,
            break_on_hyphens=False,
        )
    return lines


def _headline(run: Run, width: int) -> str:
    status = run.exit_status
    ending = f"exit {status}" if isinstance(status, int) else f"ended by {status}"
    figures = f" · {units.format_duration(run.duration_s)} · {ending}"
    room = max(10, width - len("eco2ai ") - len(figures))
    command = "".join(c if c.isprintable() else " " for c in run.command or "run")
    if len(command) > room:
        command = command[: room - 1] + "…"
    return f"eco2ai {command}{figures}"


def _entries(finished: Finished, saved_to: str | None) -> Iterator[tuple[str, str]]:
    run = finished.run
    footprint, config = run.footprint, run.config
    if footprint.energy_j is None or footprint.emissions_kg is None:
        yield "energy", "not known"
    else:
        yield from _figures(run, footprint.energy_j, footprint.emissions_kg)
    price_per_kwh, _ = run.rates
    if footprint.cost is not None and price_per_kwh is not None:
        amount = units.format_money(footprint.cost, config.currency)
        price = units.format_money(price_per_kwh, config.currency)
        mean = " on average" if config.tariff is not None else ""
        yield "cost", f"{amount} · {price} per kWh{mean}"
    used = f"CPU time {units.format_duration(run.cpu_s)}"
    if run.memory_peak_bytes is not None:
        used += f" · memory up to {units.format_bytes(run.memory_peak_bytes)}"
    processes = "1 process" if run.processes == 1 else f"{run.processes} processes at once"
    yield "used", f"{used} · {processes}"
    if finished.parts:
        yield "epochs", _epochs(finished.parts[:-1])
    yield from _ahead(run)
    if saved_to is not None:
        yield "saved", saved_to
    for word in run.caveats:
        yield "note", f"{caveats.sentence(word)} [{word}]"


def _figures(run: Run, energy_j: float, emissions_kg: float) -> Iterator[tuple[str, str]]:
    region = run.place.region
    yield "energy", f"{units.format_energy(energy_j, run.energy_band_j)} = {_sum(run)}"
    place = region.name if region.name == region.code else f"{region.name} ({region.code})"
    year = f", {region.year}" if region.year else ""
    _, kg_per_mwh = run.rates
    mean = " on average" if run.config.profile is not None else ""
    yield (
        "emissions",
        f"{units.format_mass(emissions_kg, run.emissions_band_kg)} CO2 · {place}: "
        f"{kg_per_mwh:g} kg/MWh{mean}{year}, PUE {run.place.pue:g}",
    )


def _epochs(epochs: Sequence[Part]) -> str:
    """Say how many epochs there were, what one took, and what the last one was."""
    count = len(epochs)
    seconds = sum(epoch.duration_s for epoch in epochs) / count
    each = units.format_duration(seconds)
    known = [epoch.energy_kwh for epoch in epochs if epoch.energy_kwh is not None]
    if known:
        each += f", {units.format_energy(units.joules(sum(known) / len(known)))}"
    return f"{count} · {each}{' each' if count > 1 else ''} · {epochs[-1].epoch}"


def _ahead(run: Run) -> Iterator[tuple[str, str]]:
    """Say what was used of the budget, and how far the first forecast was off."""
    from eco2ai_cli import budget, prospect  # seldom there is one

    currency = run.config.currency
    for quantity, most in prospect.limits(run.config):
        used, limit = budget.amount(run.footprint, quantity), budget.words(quantity, most, currency)
        text = f"of {limit}, the {quantity} is not known"
        if used is not None:
            text = f"{100 * used / most:.0f} % of {limit} used"
        yield "budget", text + (", so it was stopped" if run.stopped_by == quantity else "")
    first = run.first_forecast
    if first is not None and (expected := first.by.get("energy")) is not None:
        when = "the first epoch" if first.after == 1 else f"{first.after} epochs"
        text = f"{units.format_energy(expected.total, expected[1:])} after {when}"
        if run.forecast_error_percent is not None:
            text += f", {run.forecast_error_percent:+.0f} % off"
        yield "forecast", text


def _sum(run: Run) -> str:
    """Write the components, each with its method, and the PUE that multiplies their sum."""
    parts = []
    for component in COMPONENTS:
        label = component.upper()
        joules = getattr(run.energy, f"{component}_j")
        method = run.method(component)
        if joules is None:
            parts.append(f"{label} not known")
        elif method != "none":
            if method == "tdp" and run.processor is not None:
                method += f", {run.processor.w_per_thread:.3g} W a thread"
            parts.append(f"{label} {units.format_energy(joules)} ({method})")
    text = " + ".join(parts)
    return f"PUE {run.place.pue:g} × ({text})" if run.place.pue != 1 else text
