"""`eco2ai doctor`: what can be measured here, by what, why not better, and what would cure it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Any

import click

from eco2ai_cli import __version__
from eco2ai_cli import doctor as examination
from eco2ai_cli.commands.tables import echo_table
from eco2ai_cli.doctor import Diagnosis, Grade, Section, Shortcoming
from eco2ai_cli.uncertainty import Band

_PLAIN_WIDTH = 80
_TABLE_WIDTH = 56
"""Columns below which a table has no room for reasons: they go below each grade then."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Examine this machine: how well can a run be measured here, and what would make it better?

    Each component gets a grade: measured (a meter that is the run's alone), attributed (a meter,
    shared out by use), modelled (from known figures) or guessed (from typical ones), with the
    factors between which the truth lies in nine runs of ten. Each shortcoming comes with the
    command or the setting that would cure it; nothing is changed, and no network is asked.
    """
    diagnosis = examination.examine()
    if as_json:
        import json

        click.echo(json.dumps(_record(diagnosis), ensure_ascii=False, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH
    _echo_grades(diagnosis.grades, width)
    for section in diagnosis.sections:
        _echo_section(section, width)
    _echo_shortcomings(diagnosis.shortcomings, width)


def _echo_grades(grades: tuple[Grade, ...], width: int) -> None:
    if width < _TABLE_WIDTH:
        for grade in grades:
            click.echo(f"{grade.component}: {grade.grade} {_factors(grade.band)}".rstrip(" -"))
            for line in _wrapped(grade.why, width, 2):
                click.echo(line)
        return
    rows = [
        (grade.component, grade.grade, grade.source, _factors(grade.band), grade.why)
        for grade in grades
    ]
    header = ("WHAT", "GRADE", "SOURCE", "TRUTH", "WHY")
    echo_table(header, rows, right=(), fold="WHY", spare=("SOURCE",))


def _factors(band: Band | None) -> str:
    """Write the factors of a figure: `× 0.65–2.4`."""
    if band is None:
        return "-"
    return "exact" if band.low == band.high == 1 else f"× {band.low:.2g}–{band.high:.2g}"


def _echo_section(section: Section, width: int) -> None:
    told = [
        (fact.label or fact.key.replace("_", " "), fact.words)
        for fact in section.facts
        if fact.words
    ]
    if not told:
        return
    click.echo(f"\n{section.name.replace('_', ' ')}")
    indent = 4 + max(len(label) for label, _ in told)
    for label, words in told:
        first, *others = [
            line for text in words.split("\n") for line in _wrapped(text, width, indent)
        ]
        click.echo(f"  {label}".ljust(indent) + first[indent:])
        for line in others:
            click.echo(line)


def _echo_shortcomings(shortcomings: tuple[Shortcoming, ...], width: int) -> None:
    if not shortcomings:
        click.echo("\nnothing is lacking")
        return
    click.echo()
    for line in _wrapped("what would make it better (nothing is changed by eco2ai)", width, 0):
        click.echo(line)
    for number, short in enumerate(shortcomings, 1):
        lines = _wrapped(f"{short.about.replace('_', ' ')}: {short.lacking}", width, 4)
        click.echo(f"\n{number:>2}. {lines[0][4:]}")
        for line in (*lines[1:], *_wrapped(f"cure: {short.cure}", width, 4)):
            click.echo(line)
        for line in short.lines:
            click.echo(f"      {line}")  # never broken: it is there to be copied


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    """Break a text from files and drivers into printable lines; a long word is left whole."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    lines = textwrap.wrap(
        clean,
        max(width, indent + 20),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [" " * indent]


def _record(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the object of `--json`: grades, every section's facts, shortcomings."""
    return {
        "version": __version__,
        "grades": {
            grade.component: {
                "grade": grade.grade,
                "source": grade.source,
                "low": grade.band.low if grade.band else None,
                "high": grade.band.high if grade.band else None,
                "why": grade.why,
            }
            for grade in diagnosis.grades
        },
        **{
            section.name: {fact.key: fact.value for fact in section.facts}
            for section in diagnosis.sections
        },
        "shortcomings": [
            {**short._asdict(), "lines": list(short.lines)} for short in diagnosis.shortcomings
        ],
    }
