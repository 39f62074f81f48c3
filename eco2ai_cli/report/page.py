"""Write a report as one page of HTML that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from html import escape
from itertools import pairwise

from eco2ai_cli import resources
from eco2ai_cli.errors import Eco2aiError
from eco2ai_cli.report import Question, Report, charts, dimension
from eco2ai_cli.report.documents import remarks, sentence, table
from eco2ai_cli.report.groups import Summary

_TEMPLATE = "report_page.html"
_MOST_BARS = 15
_MOST_PERIODS = 120
_MOST_DAYS = 120 * 366
"""Over a longer time, as of a clock that was wrong, periods without runs are left out."""
_COMPONENTS = {"CPU": "cpu_energy(kWh)", "GPU": "gpu_energy(kWh)", "memory": "ram_energy(kWh)"}
_PERIODS = ("day", "week", "month", "year")


def to_html(
    report: Report,
    question: Question,
    summed_up: Callable[[Question], Report],
    trace: str | None = None,
) -> str:
    """Return the page for a report; `summed_up` answers what its charts ask besides.

    Raises Eco2aiError where matplotlib is missing or the trace cannot be read.
    """
    parts = [
        f"<p class=lead>{escape(sentence(report.total, 'CO₂'))}</p>",
        *_charts(question, summed_up),
        *([_section("Power", power_curve(trace))] if trace else []),
        _section(f"By {', '.join(report.by)}", _table(report)),
        _section("To be known", "<ul>" + "".join(map(_item, _said(report))) + "</ul>"),
    ]
    page = resources.read(_TEMPLATE).decode()
    return page.replace("<!--report-->", "\n".join(parts))


def _charts(question: Question, summed_up: Callable[[Question], Report]) -> Iterator[str]:
    by_day = summed_up(replace(question, by=(dimension("day"),)))
    known = {
        day: summary.energy_kwh
        for (day,), summary in by_day.groups
        if day is not None and summary.energy_kwh is not None
    }
    if known:
        period, kwh = over_time(known)
        yield _section(f"Energy by {period}", charts.bars_over_time(list(kwh), list(kwh.values())))
    by_project = summed_up(
        replace(question, by=(dimension("project"),), figures=tuple(_COMPONENTS.values()))
    )
    shown = [
        (_short(labels[0] or "(no name)"), summary.energy_kwh)
        for labels, summary in by_project.groups[:_MOST_BARS]
        if summary.energy_kwh
    ]
    if shown:
        chart = charts.bars([name for name, _ in shown], [kwh for _, kwh in shown])
        yield _section("Energy by project", chart)
    sums = zip(_COMPONENTS, by_project.total.more, strict=True)
    parts = {name: kwh for name, kwh in sums if kwh is not None}
    if parts:
        chart = charts.bars(list(parts), list(parts.values()))
        yield _section("Energy by component, before PUE", chart)


def over_time(by_day: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """Return the shortest period of which there are not too many, and the sum of each.

    `by_day` are amounts by `YYYY-MM-DD`. Periods in which there was nothing have their place too.
    """
    first, last = (date.fromisoformat(pick(by_day)).toordinal() for pick in (min, max))
    days = sorted(by_day)
    if last - first < _MOST_DAYS:
        days = [date.fromordinal(day).isoformat() for day in range(first, last + 1)]
    for period in _PERIODS:
        label = dimension(period).label
        sums: defaultdict[str, float] = defaultdict(float)
        for day in days:
            sums[label(day) or day] += by_day.get(day, 0.0)
        if len(sums) <= _MOST_PERIODS:
            break
    return period, dict(sums)


def power_curve(path: str) -> str:
    """Return the power of each component over the time of a run, from its trace."""
    samples = []
    try:
        with open(path, encoding="utf-8") as file:
            samples = [json.loads(line) for line in file if line.endswith("\n")]
        seconds = [float(sample["t_s"]) for sample in samples]
        joules = {
            name: [float(sample[f"{key}_energy_j"] or 0.0) for sample in samples]
            for name, key in (("CPU", "cpu"), ("GPU", "gpu"), ("memory", "ram"))
        }
    except OSError as error:
        raise Eco2aiError(f"cannot read the trace `{path}`: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise Eco2aiError(f"`{path}` is no trace of `eco2ai run --trace`") from None
    watts = {
        name: [
            (after - before) / (end - begin) if end > begin else 0.0
            for (before, after), (begin, end) in zip(
                pairwise(values), pairwise(seconds), strict=True
            )
        ]
        for name, values in joules.items()
        if any(values)
    }
    if not watts or len(seconds) < 2:
        return "<p>The trace has no power.</p>"
    return charts.powers(seconds[1:], watts)


def _table(report: Report) -> str:
    header, *rows = table(report)
    width = len(report.by)
    head = "".join(f"<th scope=col><button>{escape(name)}</button></th>" for name in header)
    summaries: Sequence[Summary] = [*(s for _, s in report.groups), report.total]
    lines = []
    for cells, summary in zip(rows, summaries, strict=True):
        # Between two amounts a line may break, within one it may not.
        cells[width:] = [c.replace(" ", "\xa0").replace(",\xa0", ", ") for c in cells[width:]]
        keys = [*cells[:width], *_sort_keys(summary)][: len(cells)]
        line = "".join(
            f'<td data-key="{escape(str(key))}">{escape(cell)}</td>'
            for cell, key in zip(cells, keys, strict=True)
        )
        lines.append(f"<tr>{line}</tr>")
    body, foot = "".join(lines[:-1]), lines[-1]
    return (
        f'<table data-labels="{width}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"
    )


def _sort_keys(summary: Summary) -> tuple[float, ...]:
    return (
        summary.runs,
        summary.failed_runs,
        summary.duration_s or 0.0,
        summary.energy_kwh or 0.0,
        summary.emissions_kg or 0.0,
        max(summary.cost.values(), default=0.0),
    )


def _said(report: Report) -> Iterator[str]:
    yield from remarks(report.total)
    if report.skipped:
        yield f"{len(report.skipped)} rows that cannot be trusted were skipped"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _item(text: str) -> str:
    return f"<li>{escape(text)}</li>"


def _short(name: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in name)
    return shown if len(shown) <= 32 else f"{shown[:31]}…"
