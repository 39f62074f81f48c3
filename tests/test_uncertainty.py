"""The band of a run is honest: machines whose truth is known fall inside as often as is said."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_machine import SimulatedMachine
from wrapped import ECO2AI, load_json, run

from eco2ai_cli import uncertainty
from eco2ai_cli.caveats import SENTENCES
from eco2ai_cli.meters.powercap import zones_of
from eco2ai_cli.meters.rapl import open_rapl
from eco2ai_cli.model import Usage
from eco2ai_cli.uncertainty import Band
from eco2ai_cli.units import format_energy, format_mass

ROOT = Path(__file__).parent.parent
STATED = 0.9


def _bands() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bands", ROOT / "benchmarks" / "bands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bands = _bands()


def width(band: Band | None) -> float:
    assert band is not None
    return math.log(band.high / band.low)


# The rate.


@pytest.mark.parametrize("scenario", bands.SCENARIOS)
def test_the_truth_is_inside_as_often_as_stated(scenario: str) -> None:
    assert bands.rate(scenario, seed=2026, runs=3000) >= STATED


def test_the_grids_of_the_world_are_inside_as_often_as_stated() -> None:
    assert {name: rate for name, rate in bands.grid_rates().items() if rate < STATED} == {}


def test_a_band_that_leaves_out_the_load_would_not_hold_the_truth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As narrow as the example of a measured run: so the test above can fail.
    monkeypatch.setitem(uncertainty._TDP, "vendor", Band(0.88, 1.17))
    assert bands.rate("CPU by tdp, the vendor's", runs=500) < 0.5


def test_what_the_rapl_meter_gives_a_tree_is_inside(tmp_path: Path) -> None:
    """Through the real meter: the tree fills its CPUs, the neighbours come and go."""
    draw = random.Random(4)
    inside = [_is_inside(draw, tmp_path / str(number)) for number in range(40)]
    assert sum(inside) / len(inside) >= STATED


def _is_inside(draw: random.Random, root: Path) -> bool:
    socket = bands.Processor(draw, "server")
    cpus, ours = 16, draw.choice([1, 2, 4, 8])
    machine = SimulatedMachine(root, cpus, f"0-{ours - 1}")
    counter = machine.zone("intel-rapl:0", "package-0")
    meter = open_rapl(tuple(zones_of(str(root))[0]), "allocated", (), str(root))
    gain, heat = draw.gauss(1, 0.03), draw.uniform(0.7, 1.4)
    cpu_s = truth_j = 0.0
    readings = meter.sample(Usage(0.0, None, None), machine.now_s)
    for _ in range(20):
        others = draw.choice([0, draw.randint(1, cpus - ours)])
        load = (ours + others) / cpus
        dynamic_w = socket.dynamic_w(load)
        machine.busy_cpus = ours + others
        counter.watts = (socket.idle_w + dynamic_w) * gain
        machine.advance(1.0)
        cpu_s += ours
        truth_j += dynamic_w * ours * heat / (ours * heat + others) + socket.idle_w * ours / cpus
        readings = meter.sample(Usage(cpu_s, None, None), machine.now_s)
    (reading,) = readings
    assert reading.energy_j is not None
    factors = uncertainty.energy_factors("cpu", reading.method, reading.caveats, None)
    band = uncertainty.total([(reading.energy_j, factors)], reading.caveats)
    return band is not None and band.low <= truth_j <= band.high


# What makes it wide, and what makes it none.


def test_measured_is_narrower_than_shared_than_modelled_than_guessed() -> None:
    cpu = [
        uncertainty.energy_factors("cpu", "rapl", (), None),
        uncertainty.energy_factors("cpu", "rapl+share", (), None),
        *(uncertainty.energy_factors("cpu", "tdp", (), q) for q in ("vendor", "derived")),
        uncertainty.energy_factors("cpu", "tdp", (), "fallback"),
    ]
    widths = list(map(width, cpu))
    assert widths == sorted(set(widths))


@pytest.mark.parametrize(
    ("component", "method", "caveat"),
    [
        ("cpu", "rapl+share", "idle-assumed"),
        ("ram", "model", "sampling-late"),
        ("gpu", "nvml-energy+share", "gpu-sliced"),
    ],
)
def test_a_doubt_widens_the_band_of_what_it_doubts(
    component: Any, method: str, caveat: str
) -> None:
    without = uncertainty.energy_factors(component, method, (), "vendor")
    assert width(uncertainty.energy_factors(component, method, (caveat,), "vendor")) > width(
        without
    )


def test_what_ran_before_the_counters_is_as_sure_as_the_model_that_pays_for_it() -> None:
    band = uncertainty.energy_factors("cpu", "rapl", ("rapl-start",), "vendor")
    assert band == uncertainty.energy_factors("cpu", "tdp", (), "vendor")


def test_of_several_methods_the_widest_holds() -> None:
    both = uncertainty.energy_factors("gpu", "nvml-energy;nvml-power", (), None)
    assert both == uncertainty.energy_factors("gpu", "nvml-power", (), None)


@pytest.mark.parametrize("word", ["", "none", "magic", "tdp"])
def test_of_a_method_that_is_not_known_there_is_no_band(word: str) -> None:
    assert uncertainty.energy_factors("ram", word, (), None) is None


@pytest.mark.parametrize("word", sorted(uncertainty._UNTOLD))
def test_where_energy_is_missing_there_is_no_band(word: str) -> None:
    assert uncertainty.total([(1.0, Band(0.9, 1.1))], (word,)) is None


def test_a_part_of_whose_error_nothing_is_known_leaves_no_band_for_the_sum() -> None:
    assert uncertainty.total([(1.0, Band(0.9, 1.1)), (0.1, None)], ()) is None
    assert uncertainty.total([(1.0, Band(0.9, 1.1)), (0.0, None)], ()) == Band(0.9, 1.1)


joules = st.floats(1e-6, 1e9)
factors = st.builds(Band, st.floats(0, 1), st.floats(1, 10))


@given(st.lists(st.tuples(joules, factors), min_size=1))
def test_the_band_of_a_sum_holds_it_and_is_no_wider_than_its_parts(
    parts: list[tuple[float, Band | None]],
) -> None:
    band = uncertainty.total(parts, ())
    assert band is not None
    value = sum(part for part, _ in parts)
    lowest = sum(part * f.low for part, f in parts if f)
    highest = sum(part * f.high for part, f in parts if f)
    slack = 1e-9 * value
    assert lowest - slack <= band.low <= value + slack
    assert value - slack <= band.high <= highest + slack


def test_errors_of_two_components_add_up_as_squares() -> None:
    band = uncertainty.total([(30.0, Band(0.9, 1.1)), (40.0, Band(0.9, 1.1))], ())
    assert band == pytest.approx((65, 75))  # 3² + 4² = 5²


# Emissions.


def test_your_own_intensity_is_exact() -> None:
    assert uncertainty.intensity_factors(("region-assumed",), None, is_given=True) == Band(1, 1)


def test_a_known_error_of_a_table_has_no_band() -> None:
    assert uncertainty.intensity_factors(("coefficient-doubtful",), 1) is None


def test_an_older_figure_and_a_doubted_region_are_less_sure() -> None:
    fresh = uncertainty.intensity_factors((), 0)
    old = uncertainty.intensity_factors((), 4)
    coarse = uncertainty.intensity_factors(("region-coarse",), 0)
    world = uncertainty.intensity_factors(("region-assumed",), 0, is_world=True)
    assert width(fresh) < width(old) < width(coarse) < width(world)


# Words and documents.


def test_every_word_that_is_heeded_is_a_caveat_and_documented() -> None:
    documented = (ROOT / "docs/uncertainty.md").read_text(encoding="utf-8")
    words = {*uncertainty._UNTOLD, *uncertainty._COEFFICIENTS}
    words |= {"coefficient-doubtful", "idle-assumed", "sampling-late", "rapl-start", "gpu-sliced"}
    assert words <= set(SENTENCES)
    assert {word for word in words if f"`{word}`" not in documented} == set()


def test_every_factor_is_documented() -> None:
    documented = (ROOT / "docs/uncertainty.md").read_text(encoding="utf-8")
    all_factors = [
        *uncertainty._TDP.values(),
        *uncertainty._METHODS.values(),
        *uncertainty._COEFFICIENTS.values(),
        *uncertainty._SHARED.values(),
        *(uncertainty._SLICED, uncertainty._WORLD),
        *(uncertainty._IDLE_ASSUMED, uncertainty._MEMORY_ASSUMED),
    ]
    for band in all_factors:
        assert f"{band.low:g}–{band.high:g}" in documented


# What users see.


def test_a_band_is_written_in_the_unit_of_its_figure() -> None:
    assert format_energy(1.37 * 3.6e6, (1.2 * 3.6e6, 1.6 * 3.6e6)) == "1.37 kWh (1.2–1.6)"
    assert format_energy(0.95 * 3.6e6, (0.4 * 3.6e6, 2.34 * 3.6e6)) == "950 Wh (400–2,300)"
    assert format_mass(0.512, (0.0, 1.0)) == "512 g (0–1,000)"


def finished(tmp_path: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Run a command and return its JSON and its summary."""
    result = tmp_path / "run.json"
    command = [*ECO2AI, "run", "-o", tmp_path / "emission.csv", "--json", result, "--meters"]
    done = run([*command, "tdp,ram", *options, "--", sys.executable, "-c", "sum(range(10**6))"])
    assert done.returncode == 0
    return load_json(result), done.stderr.decode()


def test_a_run_carries_its_band_in_json_and_summary(tmp_path: Path) -> None:
    record, summary = finished(tmp_path, "--region", "FR")
    for figure in ("energy_kwh", "emissions_kg"):
        assert record[f"{figure}_low"] < record[figure] < record[f"{figure}_high"]
    assert " (" in summary.split("energy ")[1].split(" = ")[0]
    relative = [record[f"{f}_high"] / record[f] for f in ("energy_kwh", "emissions_kg")]
    assert relative[0] < relative[1]  # the grid adds to it


def test_a_known_intensity_adds_nothing_to_the_band(tmp_path: Path) -> None:
    record, _ = finished(tmp_path, "--intensity", "100", "--pue", "1.5")
    ratios = [
        [record[f"{figure}_{end}"] / record[figure] for end in ("low", "high")]
        for figure in ("energy_kwh", "emissions_kg")
    ]
    assert ratios[0] == pytest.approx(ratios[1])


def test_the_band_is_of_the_energy_with_pue(tmp_path: Path) -> None:
    alone, cooled = (finished(tmp_path, "--pue", pue)[0] for pue in ("1", "3"))
    for end in ("energy_kwh_low", "energy_kwh_high"):
        expected = alone[end] / alone["energy_kwh"]
        assert cooled[end] / cooled["energy_kwh"] == pytest.approx(expected, rel=0.1)


def test_a_run_of_which_a_part_is_not_known_has_no_band(tmp_path: Path) -> None:
    result = tmp_path / "run.json"
    command = [*ECO2AI, "run", "-q", "-o", tmp_path / "emission.csv", "--json", result]
    run([*command, "--meters", "tdp", "--", "true"])
    record = json.loads(result.read_text())
    assert record["energy_kwh"] is not None
    assert (record["energy_kwh_low"], record["emissions_kg_high"]) == (None, None)
