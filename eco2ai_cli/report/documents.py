"""Write a report for papers and model cards: Markdown, LaTeX, and the block of Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from eco2ai_cli import __version__, caveats, units
from eco2ai_cli.report import Labels, Report
from eco2ai_cli.report.groups import Summary
from eco2ai_cli.report.notes import notes

MODEL_CARD_BY = ("region", "cpu", "gpu")
_UNKNOWN = "not known"
_NO_GPU = "0 device(s)"
"""What eco2AI (0.3.12) calls the GPU where there is none."""
_GRAMS_PER_KG = 1000
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def to_markdown(report: Report) -> str:
    """Return the sentence and the table of an impact statement in Markdown."""
    header, *rows = table(report)
    lines = [
        sentence(report.total, "CO₂"),
        "",
        _markdown_row(header),
        "|" + "|".join(["---"] * len(report.by) + ["--:"] * (len(header) - len(report.by))) + "|",
        *map(_markdown_row, rows),
    ]
    if said := list(remarks(report.total)):
        lines += ["", *(f"* {_markdown(remark)}" for remark in said)]
    return "\n".join(lines) + "\n"


def to_latex(report: Report) -> str:
    """Return the sentence and the table of an impact statement in LaTeX, without packages."""
    header, *rows = table(report)
    columns = "l" * len(report.by) + "r" * (len(header) - len(report.by))
    lines = [
        *(f"% {remark}" for remark in map(_one_line, remarks(report.total))),
        _latex(sentence(report.total, "CO2")).replace("CO2", "CO$_2$"),
        "",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        _latex_row(header),
        r"\hline",
        *map(_latex_row, rows[:-1]),
        r"\hline",
        *map(_latex_row, rows[-1:]),
        r"\hline",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def to_model_card(report: Report) -> str:
    """Return the block `co2_eq_emissions` of a model card, for a report by MODEL_CARD_BY.

    Grams, and the keys of https://huggingface.co/docs/hub/model-cards-co2 (2026). What nobody
    but the author knows, the kind of training, is left as a comment.
    """
    places, processors, devices = (_named(report, name) for name in MODEL_CARD_BY)
    grams = report.total.emissions_kg
    lines = [
        "co2_eq_emissions:",
        "  # emissions: not known"
        if grams is None
        else f"  emissions: {_plain(grams * _GRAMS_PER_KG)}",
        f"  source: {_yaml(f'eco2ai-cli {__version__}, measured')}",
        "  # training_type: pre-training or fine-tuning",
    ]
    if places:
        lines.append(f"  geographical_location: {_yaml(', '.join(places))}")
    if hardware := [*devices, *processors]:
        lines.append(f"  hardware_used: {_yaml('; '.join(hardware))}")
    return "\n".join(lines) + "\n"


def sentence(total: Summary, gas: str) -> str:
    """Return what all runs have cost, as a sentence of a paper."""
    runs = "1 run" if total.runs == 1 else f"{total.runs:,} runs"
    costs = [units.format_money(cost, currency) for currency, cost in total.cost.items()]
    return (
        f"{runs} took {_known(total.duration_s, units.format_duration)} and used "
        f"{_known(total.energy_kwh, _energy)} of electricity, which stands for "
        f"{_known(total.emissions_kg, units.format_mass)} of {gas}"
        + (f" and cost {' and '.join(costs)}" if costs else "")
        + f", measured by eco2ai-cli {__version__}."
    )


def table(report: Report) -> Iterator[list[str]]:
    """Yield header, groups and total as cells for people."""
    currencies = list(report.total.cost)
    yield [
        *report.by,
        "runs",
        "failed",
        "duration",
        "energy",
        "CO2",
        *(["cost"] * bool(currencies)),
    ]
    empty: Labels = ("total", *[""] * (len(report.by) - 1))
    for labels, summary in (*report.groups, (empty, report.total)):
        costs = [units.format_money(cost, currency) for currency, cost in summary.cost.items()]
        yield [
            *("(no name)" if label is None else label for label in labels),
            f"{summary.runs:,}",
            f"{summary.failed_runs:,}",
            _known(summary.duration_s, units.format_duration),
            _known(summary.energy_kwh, _energy),
            _known(summary.emissions_kg, units.format_mass),
            *([", ".join(costs)] if currencies else []),
        ]


def remarks(total: Summary) -> Iterator[str]:
    """Yield what the figures are like, and what is to be known of them."""
    yield from notes(total)
    for word, count in total.caveats.items():
        yield f"{word}, {count:,} of {total.runs:,} runs: {caveats.sentence(word)}"


def _energy(kwh: float) -> str:
    return units.format_energy(units.joules(kwh))


def _known(value: float | None, write: Callable[[float], str]) -> str:
    return _UNKNOWN if value is None else write(value)


def _named(report: Report, name: str) -> list[str]:
    at = report.by.index(name)
    named = {label for labels, _ in report.groups if (label := labels[at])}
    return sorted(label for label in named if label.strip() != _NO_GPU)


def _plain(value: float) -> str:
    """Write a number with four digits and without an exponent."""
    return f"{Decimal(f'{value:.4g}'):f}"


def _yaml(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)  # a string of JSON is one of YAML 1.2


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_markdown, cells)) + " |"


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", _one_line(text))


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
