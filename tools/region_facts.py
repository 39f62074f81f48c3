"""Read a folder of collected facts about regions into the form of the tables in `resources/`."""

from __future__ import annotations

import re
from collections.abc import Callable

from eco2ai_cli.gazetteer import normalise

Row = dict[str, str]
Tables = dict[str, list[Row]]

CAVEATS = {
    "ok": "",
    "dated": "coefficient-dated",
    "proxy": "coefficient-proxy",
    "rounding_artefact": "coefficient-proxy",
    "low_resolution": "coefficient-rough",
    "editions_differ": "coefficient-rough",
}
PAPER_LICENCE = "Apache-2.0"
DEFECT = re.compile("artefact|error")


def take_figures(tables: Tables, facts: list[Row]) -> None:
    """Take the figures and, for codes that we did not have, the names."""
    had = {row["code"] for row in tables["regions.csv"]}
    tables["regions.csv"] = []
    for fact in facts:
        tables["regions.csv"].append(figure(fact, fact["licence"], CAVEATS[fact["flag"]]))
        if fact["code"] not in had:
            add_names(tables, fact)


def take_paper(tables: Tables, facts: list[Row]) -> None:
    """Take the paper's values untouched; of the rows that share a code the canonical one."""
    tables["regions_paper_2022.csv"] = [
        figure(fact, PAPER_LICENCE, "coefficient-doubtful" if DEFECT.search(fact["note"]) else "")
        for fact in facts
        if fact["canonical"] == "1"
    ]


def figure(fact: Row, licence: str, caveats: str) -> Row:
    method, _, doubt = fact["method"].partition(" (")
    if doubt.startswith("undocumented"):
        caveats = f"coefficient-undocumented {caveats}".strip()
    return {
        "code": fact["code"],
        "country": plain(fact["country"]),
        "subdivision": plain(fact["subdivision"]),
        "kg_per_mwh": fact["kg_per_mwh"],
        "year": fact["year"],
        "method": method,
        "source": plain(fact["source"]),
        "licence": licence,
        "caveats": caveats,
        "note": plain(fact["note"]),
    }


def add_names(tables: Tables, fact: Row) -> None:
    rows = [(name, "name") for name in fact["alternative_names"].split(";") if name]
    if not fact["subdivision"]:
        rows += [(fact["alpha_3"].lower(), "alpha-3"), (fact["m49"], "m49")]
    have = {row["name"] for row in tables["region_names.csv"]}
    for name, rule in rows:
        key = normalise(name)
        if key and key not in have:
            have.add(key)
            tables["region_names.csv"].append({"name": key, "codes": fact["code"], "rule": rule})


def take_clouds(tables: Tables, facts: list[Row]) -> None:
    """Take the cloud regions; a figure that is the grid's stays in the grid's own row."""
    tables["cloud_regions.csv"] = []
    for fact in facts:
        own = not fact["source"].startswith("grid of ")
        tables["cloud_regions.csv"].append(
            {
                "code": f"{fact['provider']}:{fact['region']}",
                "location": plain(fact["location"]),
                "iso_code": fact["iso_code"],
                "grid_code": fact["grid_code"],
                "kg_per_mwh": fact["kg_per_mwh"] if own else "",
                "year": fact["year"] if own else "",
                # Google says `direct/operational;consumption (...)`: our words are the first two.
                "method": re.sub(r"/operational| \(.*", "", fact["method"]) if own else "",
                "source": plain(fact["source"]) if own else "",
                "licence": fact["licence"] if own else "",
                "pue": fact["pue"],
                "pue_year": fact["pue_year"],
                "pue_source": plain(fact["pue_source"]),
            }
        )


def add_zones(tables: Tables, facts: list[Row]) -> None:
    have = {row["zone"] for row in tables["timezones.csv"]}
    for fact in facts:
        if fact["timezone"] not in have:
            code = fact["subdivision_hint"] or fact["alpha_2"]
            tables["timezones.csv"].append({"zone": fact["timezone"], "code": code})


def plain(text: str) -> str:
    """Return `text` without comma and quote: a line must split without a CSV parser."""
    return " ".join(text.replace(", ", " ").replace(",", " ").replace('"', "'").split())


IMPORTS: dict[str, Callable[[Tables, list[Row]], None]] = {
    "regions_current.csv": take_figures,
    "regions_paper_2022.csv": take_paper,
    "cloud_regions.csv": take_clouds,
    "timezone_country.csv": add_zones,
}
"""The files of a folder of facts, and what takes each of them into the tables."""
