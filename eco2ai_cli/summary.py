"""Say in a few lines what a run has cost."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from eco2ai_cli import caveats, units
from eco2ai_cli.model import COMPONENTS
from eco2ai_cli.run_record import Run

_LABEL_WIDTH = 13


def summary(run: Run, saved_to: str | None, width: int) -> list[str]:
    """Return the summary as lines of at most `width` columns, the first being its headline."""
    lines = [_headline(run, width)]
    for label, text in _entries(run, saved_to):
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


def _entries(run: Run, saved_to: str | None) -> Iterator[tuple[str, str]]:
    footprint, config = run.footprint, run.config
    if footprint.energy_j is None or footprint.emissions_kg is None:
        yield "energy", "not known"
    else:
        yield from _figures(run, footprint.energy_j, footprint.emissions_kg)
    if footprint.cost is not None and config.price_per_kwh is not None:
        amount = units.format_money(footprint.cost, config.currency)
        price = units.format_money(config.price_per_kwh, config.currency)
        yield "cost", f"{amount} · {price} per kWh"
    usage = run.sample.usage
    used = f"CPU time {units.format_duration(usage.cpu_s)}"
    if run.memory_peak_bytes is not None:
        used += f" · memory up to {units.format_bytes(run.memory_peak_bytes)}"
    processes = "1 process" if run.processes == 1 else f"{run.processes} processes at once"
    yield "used", f"{used} · {processes}"
    if saved_to is not None:
        yield "saved", saved_to
    for word in run.caveats:
        yield "note", f"{caveats.sentence(word)} [{word}]"


def _figures(run: Run, energy_j: float, emissions_kg: float) -> Iterator[tuple[str, str]]:
    region = run.place.region
    yield "energy", f"{units.format_energy(energy_j, run.energy_band_j)} = {_sum(run)}"
    place = region.name if region.name == region.code else f"{region.name} ({region.code})"
    year = f", {region.year}" if region.year else ""
    yield (
        "emissions",
        f"{units.format_mass(emissions_kg, run.emissions_band_kg)} CO2 · {place}: "
        f"{region.kg_per_mwh:g} kg/MWh{year}, PUE {run.place.pue:g}",
    )


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
