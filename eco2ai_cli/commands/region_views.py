"""How regions look: for people on a screen, for programs in JSON and CSV."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import click

from eco2ai_cli.caveats import sentence
from eco2ai_cli.commands.tables import echo_fields, echo_table, echo_text
from eco2ai_cli.regions import Region, RegionNotFound
from eco2ai_cli.units import format_mass

Answer = tuple[str, Region | RegionNotFound]
"""A query, and what it was answered."""

_NUMBERS = frozenset({"KG/MWH", "YEAR", "PUE", "CO2", "MORE", "CHANGE"})
_SPARE = ("YEAR", "PLACE", "KG/MWH", "CHANGE", "MORE")
_BAR_WIDTH = 9


class Recorded(NamedTuple):
    """What a comparison takes its energy from: the runs in `files`, and what they emitted there.

    `runs_without_energy`: of which a row at least does not know its energy. None: not known.
    """

    files: tuple[str, ...]
    runs: int
    nested_runs: int
    rows: int
    skipped_rows: int
    runs_without_energy: int
    energy_kwh: float | None
    emissions_kg: float | None


def echo_answers(answers: Sequence[Answer]) -> None:
    """Print one region in full, several as a table; what was not found goes to stderr."""
    found = [(query, answer) for query, answer in answers if isinstance(answer, Region)]
    if len(answers) == 1:
        for _, region in found:
            _echo_region(region)
    elif found:
        _echo_found(found)
    for query, answer in answers:
        if isinstance(answer, RegionNotFound):
            click.echo(f"eco2ai: error: {answer}", err=True)
            click.echo(f"hint: {answer.hint}", err=True)
        elif len(answers) > 1:
            for word in sorted(answer.caveats):
                click.echo(f"note: `{query}`: {sentence(word)}", err=True)


def echo_list(found: Sequence[Region]) -> None:
    """Print regions as a table, with a column for the PUE if one of them has it."""
    has_pue = any(region.pue is not None for region in found)
    header = ("CODE", "PLACE", "KG/MWH", "YEAR", "METHOD") + (("PUE",) if has_pue else ())
    rows = [
        (*_cells(region), *((f"{region.pue:.2f}" if region.pue else "",) if has_pue else ()))
        for region in found
    ]
    echo_table(header, rows, right=_NUMBERS, fold="PLACE", spare=("METHOD", "YEAR"))


def echo_comparison(found: Sequence[Region], energy_kwh: float, recorded: Recorded | None) -> None:
    """Print what `energy_kwh` emits in each region, the difference from the first, and a bar."""
    most = max(region.kg_per_mwh for region in found) or 1.0
    emissions_kg = [energy_kwh * region.kg_per_mwh / 1000 for region in found]
    rows = [
        (
            *_cells(region)[:4],
            format_mass(kg),
            _difference(kg - emissions_kg[0]),
            _change(region.kg_per_mwh, found[0].kg_per_mwh),
            _bar(region.kg_per_mwh / most),
        )
        for region, kg in zip(found, emissions_kg, strict=True)
    ]
    header = ("CODE", "PLACE", "KG/MWH", "YEAR", "CO2", "MORE", "CHANGE", "")
    echo_table(header, rows, right=_NUMBERS, fold="PLACE", spare=_SPARE)
    echo_text(
        f"{energy_kwh:.6g} kWh at the facility's socket; MORE and CHANGE are from `{found[0].code}`"
    )
    if recorded is not None:
        echo_text(f"the energy of {_origin(recorded)}")
        if recorded.emissions_kg is not None:
            echo_text(f"recorded where it was used: {format_mass(recorded.emissions_kg)} CO2")


def _origin(recorded: Recorded) -> str:
    """Say of how many runs and rows the energy is."""
    text = f"{count(recorded.runs, 'run')} in {count(recorded.rows, 'row')}"
    text += f" of {', '.join(recorded.files)}"
    if recorded.nested_runs:
        text += f"; {count(recorded.nested_runs, 'run')} inside these: not added again"
    return text


def count(number: int, thing: str) -> str:
    """Write `1 run` or `2 runs`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def answer_json(query: str, answer: Region | RegionNotFound) -> dict[str, Any]:
    """Return the JSON object of one look-up."""
    if isinstance(answer, RegionNotFound):
        return {"query": query, "error": answer.kind, "suggestions": list(answer.suggestions)}
    facts = region_json(answer)
    caveats = facts.pop("caveats")
    return {"query": query, **facts, "matched_by": answer.matched_by, "caveats": caveats}


def region_json(region: Region) -> dict[str, Any]:
    """Return the JSON object of a region; a cloud region has `iso_code` and `pue` too."""
    facts = {
        "code": region.code,
        "country": region.country,
        "subdivision": region.subdivision,
        "kg_per_mwh": region.kg_per_mwh,
        "year": region.year,
        "method": region.method,
        "source": region.source,
    }
    if region.site:
        facts |= {"iso_code": region.iso_code, "site": region.site, "pue": region.pue}
    return facts | {"caveats": sorted(region.caveats)}


def comparison_json(
    found: Sequence[Region],
    energy_kwh: float,
    recorded: Recorded | None,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the JSON object of a comparison; differences are from the first region."""
    emissions_kg = [energy_kwh * region.kg_per_mwh / 1000 for region in found]
    return {
        "energy_kwh": energy_kwh,
        **({"recorded": recorded._asdict()} if recorded else {}),
        "regions": [
            {**region_json(region), "emissions_kg": kg, "difference_kg": kg - emissions_kg[0]}
            for region, kg in zip(found, emissions_kg, strict=True)
        ],
        "warnings": list(warnings),
    }


def echo_json(value: object) -> None:
    """Print `value` as JSON on stdout."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def echo_csv(found: Sequence[Region]) -> None:
    """Print regions as CSV on stdout."""
    import csv

    columns = (
        *("code", "iso_code", "country", "subdivision", "site"),
        *("kg_per_mwh", "year", "method", "source", "pue"),
    )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(region, column) for column in columns] for region in found)


def grouped(pairs: Iterable[tuple[object, str]]) -> dict[str, list[str]]:
    """Group the second of each pair under the first, in the order of appearance."""
    groups: dict[str, list[str]] = {}
    for value, code in pairs:
        codes = groups.setdefault("not known" if value is None else str(value), [])
        if code not in codes:
            codes.append(code)
    return groups


def _echo_region(region: Region) -> None:
    facts = [
        ("coefficient", f"{region.kg_per_mwh:g} kg of CO2 per MWh"),
        ("year", region.year),
        ("method", region.method),
        ("source", region.source),
        ("found by", region.matched_by),
        ("PUE", region.pue),
        *(("note", sentence(word)) for word in sorted(region.caveats)),
    ]
    click.echo(f"{region.code}  {region.name}")
    echo_fields(((name, fact) for name, fact in facts if fact is not None), indent="  ")


def _echo_found(found: Sequence[tuple[str, Region]]) -> None:
    echo_table(
        ("QUERY", "CODE", "PLACE", "KG/MWH", "YEAR", "METHOD", "RULE"),
        [(query, *_cells(region), region.matched_by) for query, region in found],
        right=_NUMBERS,
        fold="PLACE",
        spare=("METHOD", "RULE", "YEAR", "PLACE"),
    )
    for source, codes in grouped((region.source, region.code) for _, region in found).items():
        echo_text(f"{' '.join(codes)}: {source}")


def _cells(region: Region) -> tuple[str, str, str, str, str]:
    """Return code, place, coefficient, year, and the word of the method that matters most."""
    if region.site:
        place = f"{region.site}, {region.iso_code[:2]}"
    else:
        place = region.subdivision or region.country or ""
    year = "" if region.year is None else str(region.year)
    scope = (region.method or "").partition(";")[0]
    return region.code, place, f"{region.kg_per_mwh:.2f}", year, scope


def _change(kg_per_mwh: float, first: float) -> str:
    """Write a change from the first: `-12 %`, or `x 16` where percents say nothing."""
    if kg_per_mwh == first:
        return "="
    if first == 0:
        return "+"
    ratio = kg_per_mwh / first
    return f"x {ratio:.1f}" if ratio >= 3 else f"{100 * (ratio - 1):+.0f} %"


def _difference(kg: float) -> str:
    return "=" if kg == 0 else ("+" if kg > 0 else "-") + format_mass(abs(kg))


def _bar(share: float) -> str:
    """Draw a share of one, with blocks where the output can write them."""
    encoding = (sys.stdout.encoding or "").lower()
    return ("█" if encoding.startswith("utf") else "#") * round(_BAR_WIDTH * share)
