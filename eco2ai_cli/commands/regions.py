"""`eco2ai regions`: look up, list and compare emission coefficients."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

import click

from eco2ai_cli import gazetteer
from eco2ai_cli import regions as table
from eco2ai_cli.coefficients import CURRENT
from eco2ai_cli.commands import region_views as views
from eco2ai_cli.commands.tables import echo_text
from eco2ai_cli.errors import Eco2aiError, NoAnswer, WrongUsage
from eco2ai_cli.regions import Region, RegionNotFound

_coefficients_option = click.option(
    "--coefficients",
    metavar="SET",
    default=CURRENT,
    show_default=True,
    help="`current`, `paper-2022`, or a CSV of your own with the columns `code` and `kg_per_mwh`,"
    " and `year`, `method`, `source` if you like.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def regions() -> None:
    """Inspect the emission coefficients: kg of CO2 per MWh of electricity."""


@regions.command(short_help="Show the coefficient of a region.")
@click.argument("queries", metavar="QUERY...", nargs=-1, required=True)
@_coefficients_option
@_json_option
def lookup(queries: tuple[str, ...], coefficients: str, as_json: bool) -> None:
    """Show the coefficient of each QUERY, and by which rule it was found.

    A QUERY is a country or a subdivision, by code or by name in many languages (FR, FRA, 250,
    Frankreich, US-CA, US/California, Québec), or a cloud region (aws:eu-west-3, europe-west9).
    `-` reads queries from standard input, one a line. Exit status 1: one at least was not found.
    """
    from_stdin = queries == ("-",)
    if from_stdin:
        lines = sys.stdin.buffer.read().decode(errors="replace").split("\n")
        queries = tuple(line.strip() for line in lines if line.strip())
    answers = [(_printable(query), _answer(query, coefficients)) for query in queries]
    if as_json:
        objects = [views.answer_json(query, answer) for query, answer in answers]
        views.echo_json(objects if from_stdin or len(objects) != 1 else objects[0])
    else:
        views.echo_answers(answers)
    if any(isinstance(answer, RegionNotFound) for _, answer in answers):
        click.get_current_context().exit(1)


@regions.command("list", short_help="List the regions of a set.")
@click.argument("text", required=False)
@click.option("--country", metavar="CC", help="Only this country and its subdivisions.")
@click.option("--cloud", metavar="PROVIDER", help="The regions of a cloud: aws, gcp …, or `all`.")
@_coefficients_option
@_json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def list_(
    text: str | None,
    country: str | None,
    cloud: str | None,
    coefficients: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """List the regions of a set, the cleanest first; TEXT is a part of the code or the name.

    Exit status 1: there are none.
    """
    if as_json and as_csv:
        raise WrongUsage("`--json` and `--csv` are two answers to one question")
    found = list(table.every_cloud(coefficients) if cloud else table.every(coefficients))
    if cloud and cloud != "all":
        found = _of_provider(found, cloud)
    if country:
        code = table.country(country)
        found = [region for region in found if region.iso_code.partition("-")[0] == code]
    if text:
        key = gazetteer.normalise(text)
        found = [r for r in found if key in gazetteer.normalise(f"{r.code} {r.name}")]
    found.sort(key=lambda region: (region.kg_per_mwh, region.code))
    if as_json:
        views.echo_json([views.region_json(region) for region in found])
    elif as_csv:
        views.echo_csv(found)
    elif found:
        views.echo_list(found)
    if not found:
        click.echo("no region matches", err=True)
        click.get_current_context().exit(1)


@regions.command(short_help="Compare what an energy emits here and there.")
@click.argument("codes", metavar="CODE...", nargs=-1, required=True)
@click.option(
    "--energy",
    metavar="KWH",
    type=float,
    help="Energy at the socket of the facility, PUE included.  [default: 1]",
)
@click.option(
    "--file",
    "files",
    metavar="LEDGER",
    multiple=True,
    help="Take the energy of the runs in a ledger; may be repeated.",
)
@_coefficients_option
@_json_option
def compare(
    codes: tuple[str, ...],
    energy: float | None,
    files: tuple[str, ...],
    coefficients: str,
    as_json: bool,
) -> None:
    """Compare what the same energy emits in each CODE with what it emits in the first.

    A CODE is whatever `lookup` understands. The energy of a ledger is counted as `eco2ai report`
    counts it, and is that at the socket of the facility: it includes the PUE of where it was used.
    """
    if files and energy is not None:
        raise WrongUsage("`--energy` and `--file` are two answers to one question")
    recorded = _recorded(files) if files else None
    energy_kwh = recorded.energy_kwh if recorded else 1.0 if energy is None else energy
    if energy_kwh is None or not 0 < energy_kwh < float("inf"):
        raise _no_energy(energy_kwh, files)
    found = [table.lookup(code, coefficients) for code in codes]
    warnings = [*_unlike(found), *(_left_out(recorded) if recorded else ())]
    if as_json:
        views.echo_json(views.comparison_json(found, energy_kwh, recorded, warnings))
        return
    views.echo_comparison(found, energy_kwh, recorded)
    for warning in warnings:
        echo_text(f"warning: {warning}", err=True)


def _recorded(files: Sequence[str]) -> views.Recorded:
    """Sum up what the ledgers hold; raises LedgerError for what is none."""
    from eco2ai_cli.ledger.reader import read
    from eco2ai_cli.report import summarise

    # A file that is named twice is still one file.
    paths = {os.path.realpath(file): file for file in files}
    report = summarise(entry for path in paths.values() for entry in read(path))
    total = report.total
    return views.Recorded(
        files=tuple(paths.values()),
        runs=total.runs,
        nested_runs=total.nested_runs,
        rows=total.rows,
        skipped_rows=len(report.skipped),
        runs_without_energy=total.caveats.get("energy-unknown", 0),
        energy_kwh=total.energy_kwh,
        emissions_kg=total.emissions_kg,
    )


def _no_energy(energy_kwh: float | None, files: Sequence[str]) -> Eco2aiError:
    if files:
        where = ", ".join(f"`{file}`" for file in files)
        return NoAnswer(f"no energy is recorded in {where}", "`eco2ai report` shows what is there")
    return WrongUsage(
        f"`{energy_kwh:g}` is no energy to compare", hint="give a number of kWh above 0"
    )


def _left_out(recorded: views.Recorded) -> Iterable[str]:
    """Yield what of the ledgers the energy lacks."""
    others = "the sum is of the others; `eco2ai report` tells more"
    if recorded.skipped_rows:
        yield f"{views.count(recorded.skipped_rows, 'row')} cannot be read: {others}"
    if recorded.runs_without_energy:
        runs = views.count(recorded.runs_without_energy, "run")
        yield f"the energy of {runs} is not known of all its rows: {others}"


def _printable(query: str) -> str:
    """Return `query` without what stands for the bytes of an argument that is not UTF-8."""
    return query.encode(errors="replace").decode()


def _answer(query: str, coefficients: str) -> Region | RegionNotFound:
    try:
        return table.lookup(query, coefficients)
    except RegionNotFound as error:
        return error


def _of_provider(found: list[Region], provider: str) -> list[Region]:
    providers = sorted({region.code.partition(":")[0] for region in found})
    if provider not in providers:
        raise WrongUsage(
            f"no cloud is called `{provider}`", hint=f"say one of {', '.join(providers)}, all"
        )
    return [region for region in found if region.code.startswith(f"{provider}:")]


def _unlike(found: Sequence[Region]) -> Iterable[str]:
    """Yield why the coefficients are not quite comparable, if they are not."""
    methods = views.grouped((region.method, region.code) for region in found)
    if len(methods) > 1:
        yield f"the methods differ: {_listed(methods)}"
        if len({method.partition(";")[0] for method in methods}) > 1:
            yield "`direct` leaves out building the plants and supplying the fuel: it is lower"
    years = views.grouped((region.year, region.code) for region in found)
    if len(years) > 1:
        yield f"the years differ: {_listed(years)}"


def _listed(groups: dict[str, list[str]]) -> str:
    return ", ".join(f"{value} ({' '.join(codes)})" for value, codes in groups.items())
