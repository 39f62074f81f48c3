"""Look-ups judged by ISO 3166 and common sense: queries that were written without our tables.

`data/region_queries.csv` holds what people, scripts and systems write for a region and what is
right: a code, or `ambiguous`, `unknown`, `no_data`; several where reasonable people differ. The
place of a subdivision without a figure of its own is its country's.
"""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

import pytest

from eco2ai_cli import regions, spelling
from eco2ai_cli.regions import RegionNotFound

REFUSALS = {"ambiguous", "unknown", "no_data"}


def queries() -> list[tuple[str, set[str]]]:
    path = Path(__file__).parent / "data" / "region_queries.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["query"], set(row["expected"].split())) for row in csv.DictReader(file)]


def answer(query: str) -> str:
    try:
        return regions.lookup(query).code
    except RegionNotFound as error:
        return error.kind


def test_there_are_queries_of_every_kind() -> None:
    expected = [right for _, right in queries()]
    assert len(expected) >= 300
    for kind in REFUSALS:
        assert sum(kind in right for right in expected) >= 10
    assert sum(not right & REFUSALS for right in expected) >= 300


def test_no_query_is_answered_with_the_wrong_region() -> None:
    silent = {
        query: got
        for query, right in queries()
        if (got := answer(query)) not in right and got not in REFUSALS
    }
    assert silent == {}


def test_queries_are_answered_right_99_times_in_100() -> None:
    wrong = {query: got for query, right in queries() if (got := answer(query)) not in right}
    assert len(wrong) <= len(queries()) / 100, wrong


@pytest.mark.parametrize(
    "query",
    [
        *("", " ", "\0", "\n", "\r\n", "FR\nDE", "FR\0", "\x1b[31mFR", "\x7f", "\ud800"),
        *("x" * 10_000, "FR " * 3_000, "é" * 10_000, "/" * 10_000, "-" * 10_000, "," * 10_000),
        *("US/" * 3_000, ":" * 10_000, "\u202eRF", "\u200b", "a\u0300" * 5_000, "ﷺ" * 500),
    ],
)
def test_a_hostile_query_is_unknown(query: str) -> None:
    assert answer(query) == "unknown"


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        *(("Germny", "DE"), ("Fracne", "FR"), ("Massachusettes", "US-MA"), ("TX", "US-TX")),
        *(("Switzerlnd", "CH"), ("Grmany", "DE"), ("Onatrio", "CA-ON"), ("ON", "CA-ON")),
        *(("westeuropa", "azure:westeurope"), ("aws:us-east-9", "aws:us-east-1")),
    ],
)
def test_a_refusal_suggests_what_was_meant(query: str, meant: str) -> None:
    with pytest.raises(RegionNotFound) as caught:
        regions.lookup(query)
    assert meant in caught.value.suggestions


@pytest.mark.parametrize("query", ["frnace", "noth carolna", "sao palo", "bayer", "us est 1"])
def test_what_is_left_out_beforehand_would_not_have_been_suggested(query: str) -> None:
    """The counts of letters that are compared first must not cost a suggestion."""
    named = [entry for entries in spelling._names_by_letters().values() for entry in entries]
    letters = set(query)
    near = [name for name, _, _ in named if abs(len(name) - len(query)) <= 2]
    close = difflib.get_close_matches(query, near, n=1000, cutoff=0.8)
    assert close
    wanted = {name for name in close if len(letters ^ set(name)) <= 3}
    assert wanted <= set(dict(spelling._alike(query)))
