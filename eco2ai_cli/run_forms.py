"""The forms in which a run is kept: the object of `--json`, the row of the ledger."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eco2ai_cli.cpus import Processor
from eco2ai_cli.ledger.columns import text
from eco2ai_cli.run_record import Run

if TYPE_CHECKING:
    from eco2ai_cli.run_parts import Part
from eco2ai_cli.units import BYTES_PER_GB, kwh

COLUMN_OF_KEY = {
    "id": "id",
    "project": "project_name",
    "description": "experiment_description",
    "start_time": "start_time",
    "duration_s": "duration(s)",
    "energy_kwh": "power_consumption(kWh)",
    "emissions_kg": "CO2_emissions(kg)",
    "region": "region/country",
    "cost": "cost",
    "parent_id": "parent_id",
    "command": "command",
    "exit_status": "exit_status",
    "stop_reason": "stop_reason",
    "end_time": "end_time",
    "host": "host",
    "user": "user",
    "job": "job",
    "rank": "rank",
    "cpu_time_s": "cpu_time(s)",
    "cpu_energy_kwh": "cpu_energy(kWh)",
    "gpu_energy_kwh": "gpu_energy(kWh)",
    "ram_energy_kwh": "ram_energy(kWh)",
    "cpu_method": "cpu_method",
    "gpu_method": "gpu_method",
    "ram_method": "ram_method",
    "cpu_tdp_w": "cpu_tdp(W)",
    "memory_mean_gb": "memory_mean(GB)",
    "memory_peak_gb": "memory_peak(GB)",
    "processes": "processes",
    "pue": "pue",
    "carbon_intensity_kg_per_mwh": "carbon_intensity(kg/MWh)",
    "intensity_year": "intensity_year",
    "intensity_source": "intensity_source",
    "region_source": "region_source",
    "price_per_kwh": "price_per_kwh",
    "currency": "currency",
    "samples": "samples",
    "overhead_s": "overhead(s)",
    "version": "version",
    "forecast_error_percent": "forecast_error(%)",
}
"""The columns whose cells are what `--json` says under another name."""


def stamp(seconds: float) -> str:
    """Write a Unix time as `YYYY-MM-DD HH:MM:SS+00:00`."""
    return time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(seconds))


def json_object(run: Run, parts: Sequence[Part] = ()) -> dict[str, Any]:
    """Return the run as the object of `--json`; the unit of each figure is in its key.

    Where the run has parts its figures are the sums of theirs, to the last digit.
    """
    added: Container[str] = ()
    if parts:  # most runs have none
        from eco2ai_cli.run_parts import ADDED, total

        added = ADDED
    band_j, band_kg = run.energy_band_j, run.emissions_band_kg
    values: dict[str, Any] = {}
    for key, value in figures(run).items():
        values[key] = total(parts, key) if key in added else value
        if key == "energy_kwh":
            values["energy_kwh_low"] = _in_kwh(band_j.low) if band_j else None
            values["energy_kwh_high"] = _in_kwh(band_j.high) if band_j else None
        elif key == "emissions_kg":
            values["emissions_kg_low"] = band_kg.low if band_kg else None
            values["emissions_kg_high"] = band_kg.high if band_kg else None
    if parts:
        values["epochs"] = [part._asdict() for part in parts]
    return values


def figures(run: Run) -> dict[str, Any]:
    """Return what is known of a run, or of a part of it, but for the bounds, by key of `--json`."""
    energy, footprint, region = run.energy, run.footprint, run.place.region
    price_per_kwh, kg_per_mwh = run.rates
    processor = run.processor
    return {
        "id": run.id,
        "parent_id": run.parent_id,
        "project": text(run.config.project),
        "description": text(run.config.description),
        "command": None if (command := run.command) is None else text(command),
        "exit_status": run.exit_status,
        "stop_reason": run.stop_reason,
        "start_time": stamp(run.began.wall_s),
        "end_time": stamp(run.ended.wall_s),
        "duration_s": run.duration_s,
        "host": run.origin.host,
        "user": run.origin.user,
        "job": run.origin.job,
        "rank": run.origin.rank,
        "tags": {text(key): text(value) for key, value in run.config.tags.items()},
        "cpu_time_s": run.cpu_s,
        "cpu_energy_kwh": _in_kwh(energy.cpu_j),
        "gpu_energy_kwh": _in_kwh(energy.gpu_j),
        "gpu_idle_energy_kwh": _in_kwh(run.gpu_idle_j),
        "ram_energy_kwh": _in_kwh(energy.ram_j),
        "energy_kwh": _in_kwh(footprint.energy_j),
        "emissions_kg": footprint.emissions_kg,
        "cost": footprint.cost,
        "price_per_kwh": price_per_kwh,
        "currency": run.config.currency,
        "pue": run.place.pue,
        "region": region.iso_code,
        "region_source": run.place.source,
        "carbon_intensity_kg_per_mwh": kg_per_mwh,
        "intensity_year": region.year,
        "intensity_source": region.source,
        "cpu_name": processor.name if processor else None,
        "cpu_tdp_w": processor.tdp_w if processor else None,
        "cpu_w_per_thread": processor.w_per_thread if processor else None,
        "cpu_method": run.method("cpu"),
        "gpu_name": run.gpu_name or None,
        "gpu_method": run.method("gpu"),
        "ram_method": run.method("ram"),
        "memory_mean_gb": _in_gb(run.memory_mean_bytes),
        "memory_peak_gb": _in_gb(run.memory_peak_bytes),
        "processes": run.processes,
        **_ahead(run),
        "samples": run.samples,
        "overhead_s": run.overhead_s,
        "caveats": list(run.caveats),
        "version": run.version,
    }


def _json_text(value: object, indent: int | None = None) -> str:
    import json  # seldom needed, and the end of a run is short

    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)


def _ahead(run: Run) -> dict[str, Any]:
    """Return the budget of the run and its first forecast."""
    config, by = run.config, run.first_forecast.by if run.first_forecast else {}
    energy = by.get("energy")
    return {
        "budget_energy_kwh": config.max_energy_kwh,
        "budget_emissions_kg": config.max_emissions_kg,
        "budget_cost": config.max_cost,
        "budget_stopped_by": run.stopped_by,
        "forecast_epochs": run.first_forecast.epochs if run.first_forecast else None,
        "forecast_duration_s": by["duration"].total if "duration" in by else None,
        "forecast_energy_kwh": _in_kwh(energy.total) if energy else None,
        "forecast_energy_kwh_low": _in_kwh(energy.low) if energy else None,
        "forecast_energy_kwh_high": _in_kwh(energy.high) if energy else None,
        "forecast_emissions_kg": by["emissions"].total if "emissions" in by else None,
        "forecast_cost": by["cost"].total if "cost" in by else None,
        "forecast_error_percent": run.forecast_error_percent,
    }


def ledger_cells(
    run: Run, values: Mapping[str, Any] | None = None
) -> dict[str, str | int | float | None]:
    """Return the run's row but for the hash, by column; None is an empty cell.

    `values`: its figures, where the caller has them already.
    """
    values = figures(run) if values is None else values
    cells = {column: values[key] for key, column in COLUMN_OF_KEY.items()}
    tags = run.config.tags
    return {
        **cells,
        "epoch": run.epoch,
        "CPU_name": _cpu_name(run.processor),
        "GPU_name": run.gpu_name,
        "OS": run.origin.operating_system,
        "tags": _json_text(values["tags"]) if tags else None,
        "caveats": ";".join(run.caveats),
    }


def _cpu_name(processor: Processor | None) -> str | None:
    """Name the processor, with count and TDP, as the eco2AI library does."""
    if processor is None:
        return None
    tdp = "" if processor.tdp_w is None else f", TDP:{processor.tdp_w:g}"
    return f"{processor.name}/{processor.sockets} device(s){tdp}"


def write_json(path: str, run: Run, parts: Sequence[Part] = ()) -> None:
    """Write the run to `path` as one JSON object; raises OSError."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(_json_text(json_object(run, parts), indent=2) + "\n")


def _in_kwh(joules: float | None) -> float | None:
    return None if joules is None else kwh(joules)


def _in_gb(count: float | None) -> float | None:
    return None if count is None else count / BYTES_PER_GB
