"""What a run is billed by the time of day, in every row and to the last of its joules."""

from __future__ import annotations

import calendar
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from wrapped import ECO2AI, load_json, rows, run, wrapped

from eco2ai_cli import config
from eco2ai_cli.accounting import Watched, record
from eco2ai_cli.clock import Clock
from eco2ai_cli.epochs import Epochs
from eco2ai_cli.faults import Faults
from eco2ai_cli.ledger import Cells
from eco2ai_cli.marks.line import Mark
from eco2ai_cli.meters.tdp import TdpMeter
from eco2ai_cli.model import Usage
from eco2ai_cli.recorder import Recorder
from eco2ai_cli.run_forms import json_object, ledger_cells
from eco2ai_cli.session import Request, prepare
from eco2ai_cli.weighing import Weigher

PAPER = {"8:30-19:00": 0.3, "19:00-6:00": 0.15, "6:00-8:30": 0.2}
BY_HOUR = [300.0 + 10 * hour for hour in range(24)]


def simulate(tmp_path: Path, begins: tuple[int, ...], steps_s: Sequence[float]) -> Any:
    """Run at 1 kW from `begins` (UTC), in epochs of `steps_s`; return the rows and the JSON."""
    now_s = [0.0]
    start_s = calendar.timegm(begins)
    clock = Clock(lambda: now_s[0], lambda: now_s[0], lambda: start_s + now_s[0], lambda: 0.0)
    options = {
        "run.output": str(tmp_path / "l.csv"),
        "electricity.tariff": PAPER,
        "electricity.timezone": "Europe/Berlin",
        "region.profile": BY_HOUR,
        "facility.pue": "2",
    }
    plan = prepare(Request(argv=(b"train",), config=config.load(options)))
    assert plan.rates is not None

    class Tree:
        def usage(self, at_s: float) -> Usage:
            return Usage(at_s, None, None)

    began, faults = clock.now(), Faults()
    recorder = Recorder(Tree(), 1.0, began_s=0.0, clock=clock, faults=faults)
    recorder.meters = (TdpMeter(1000.0, "cpu", frozenset()),)
    weigher = Weigher(plan.rates)
    recorder.observers.append(lambda sample: weigher(sample, clock.wall_s()))

    def outline(status: int | None = None) -> Any:
        watched = Watched(status, began, clock.now(), recorder, None, lambda: plan.place, weigher)
        return record(plan, watched, faults)

    written: list[Cells] = []
    epochs = Epochs(
        recorder, outline, lambda cells: written.extend(cells) or (), began=began, clock=clock
    )
    for step_s in steps_s:
        now_s[0] += step_s
        epochs.end([Mark(None)])
    recorder.sample()
    finished = epochs.finish(outline(0))
    written += [*finished.unsaved, ledger_cells(finished.rest)]
    assert faults.first is None
    return written, json_object(finished.run, finished.parts)


def due(begins: tuple[int, ...], seconds: float) -> tuple[float, float]:
    """Return what a kW costs and emits, minute by minute: the truth; local time is UTC + 1 or 2."""
    start_s = calendar.timegm(begins)
    change_s = calendar.timegm((2026, 10, 25, 1, 0, 0))  # the end of summer time in Berlin
    cost = kg = 0.0
    for minute in range(round(seconds / 60)):
        at_s = start_s + 60 * minute
        local_s = at_s + (7200 if at_s < change_s else 3600)
        hour, of_day = local_s // 3600 % 24, local_s // 60 % 1440
        price = 0.3 if 510 <= of_day < 1140 else 0.2 if 360 <= of_day < 510 else 0.15
        cost += price / 60 * 2
        kg += BY_HOUR[hour] / 1000 / 60 * 2
    return cost, kg


@pytest.mark.parametrize(
    "begins", [(2026, 7, 1, 0, 0, 0), (2026, 7, 1, 21, 13, 0), (2026, 10, 24, 20, 0, 0)]
)
@pytest.mark.parametrize("step_s", [1800, 5400, 36000, 86400])
def test_every_joule_is_billed_at_its_time_of_day(
    tmp_path: Path, begins: tuple[int, ...], step_s: int
) -> None:
    steps_s = [step_s] * (172800 // step_s)
    written, whole = simulate(tmp_path, begins, steps_s)
    cost, kg = due(begins, sum(steps_s))
    assert whole["cost"] == pytest.approx(cost, rel=1e-9)
    assert whole["emissions_kg"] == pytest.approx(kg, rel=1e-9)
    assert math.fsum(row["cost"] or 0.0 for row in written) == whole["cost"]
    for row in written:
        energy_kwh = row["power_consumption(kWh)"]
        assert row["cost"] == pytest.approx(energy_kwh * row["price_per_kwh"], rel=1e-12)
        kg_by_mean = energy_kwh * row["carbon_intensity(kg/MWh)"] / 1000
        assert row["CO2_emissions(kg)"] == pytest.approx(kg_by_mean, rel=1e-12)
    first_cost, _ = due(begins, step_s)
    assert written[0]["cost"] == pytest.approx(first_cost, rel=1e-9)


TARIFF = """
[electricity]
currency = "EUR"
timezone = "Asia/Kolkata"
[[electricity.tariff]]
from = "8:00"
to = "20:00"
price = 0.4
[[electricity.tariff]]
from = "20:00"
to = "8:00"
price = 0.4
"""


def test_a_run_under_a_tariff_has_rows_that_verify(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "eco2ai.toml").write_text(TARIFF)
    busy = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo > "$ECO2AI_MARK"'
    result = tmp_path / "run.json"
    command = wrapped(["sh", "-c", f"{busy}; {busy}"], ledger, "--json", str(result))
    done = run(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(rows(ledger)) == 3
    whole = load_json(result)
    assert whole["cost"] == pytest.approx(0.4 * whole["energy_kwh"])
    assert whole["price_per_kwh"] == 0.4
    verified = run([*ECO2AI, "verify", ledger])
    assert verified.returncode == 0, verified.stdout


def test_a_tariff_with_a_gap_is_refused_before_the_command_starts(
    ledger: Path, tmp_path: Path
) -> None:
    (tmp_path / "eco2ai.toml").write_text(TARIFF.replace('from = "20:00"', 'from = "21:00"'))
    done = run(wrapped(["touch", tmp_path / "ran"], ledger), cwd=tmp_path)
    assert done.returncode == 125
    assert b"eco2ai.toml" in done.stderr
    assert not (tmp_path / "ran").exists()
