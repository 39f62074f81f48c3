"""The look-up judged on brand strings that no table was made from.

`data/cpu_strings.csv`: strings as machines report them, with the vendor's TDP from memory and
published specifications, and strings that name no model, with none. Not drawn from our tables,
nor from the collection that the matcher was developed on. When they were written, the look-up had
1,183 of the 1,199 with a figure right; `docs/processors.md` tells more.
"""

from __future__ import annotations

import csv
from pathlib import Path

from eco2ai_cli import cpus

STRINGS = Path(__file__).parent / "data" / "cpu_strings.csv"


def strings() -> list[tuple[str, float | None, str]]:
    with STRINGS.open(encoding="utf-8", newline="") as file:
        return [
            (row["brand"], float(row["tdp_w"]) if row["tdp_w"] else None, row["kind"])
            for row in csv.DictReader(file)
        ]


def is_right(tdp_w: float | None, expected_w: float) -> bool:
    return tdp_w is not None and abs(tdp_w - expected_w) <= 0.1 * expected_w


def test_there_are_enough_strings_of_every_kind() -> None:
    kinds = [kind for _, _, kind in strings()]
    assert len(kinds) >= 600
    assert kinds.count("no-model") + kinds.count("near-miss") >= 100
    assert {"server", "desktop", "laptop", "cloud", "arm"} <= set(kinds)


def test_98_in_100_are_within_a_tenth_of_the_vendors_tdp() -> None:
    named = [(brand, tdp_w) for brand, tdp_w, _ in strings() if tdp_w is not None]
    missed = [brand for brand, tdp_w in named if not is_right(cpus.lookup(brand).tdp_w, tdp_w)]
    assert len(missed) <= 0.02 * len(named), missed


def test_no_answer_is_wrong_and_sure_of_itself() -> None:
    wrong = []
    for brand, tdp_w, _ in strings():
        found = cpus.lookup(brand)
        sure = found.model is not None and found.quality in ("vendor", "catalogue")
        if sure and tdp_w is not None and not is_right(found.tdp_w, tdp_w):
            wrong.append((brand, found.model, found.tdp_w))
    assert wrong == []


def test_what_names_no_model_is_given_none() -> None:
    found = [cpus.lookup(brand) for brand, tdp_w, _ in strings() if tdp_w is None]
    assert [(match.query, match.model) for match in found if match.model is not None] == []
