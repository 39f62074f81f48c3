"""Rebuild and check the tables of regions in `resources/`.

    python tools/build_regions.py            tidy the tables after an edit, and check them
    python tools/build_regions.py FACTS      take this year's figures from a folder first
    python tools/build_regions.py --check    check only; exit 1 and say what is wrong

FACTS holds any of the files that `region_facts.py` reads. Figures are replaced by those of FACTS.
Names and time zones were reviewed by hand: FACTS only adds what is new.

By hand: a new figure or a new region is a row of `regions.csv`, anywhere in it; a new name is a row
`name,codes,rule` of `region_names.csv`, with a space between the codes of an ambiguous name. Run
this script afterwards: it files the names under their keys, sorts the tables and checks them.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# The program's own key, from this checkout.
from region_facts import IMPORTS, Row, Tables  # noqa: E402

from eco2ai_cli.gazetteer import normalise  # noqa: E402

FIGURE = ["kg_per_mwh", "year", "method", "source", "licence"]
REGION = ["code", "country", "subdivision", *FIGURE, "caveats", "note"]
CLOUD = ["code", "location", "iso_code", "grid_code", *FIGURE, "pue", "pue_year", "pue_source"]
COLUMNS = {
    "regions.csv": REGION,
    "regions_paper_2022.csv": REGION,
    "cloud_regions.csv": CLOUD,
    "places.csv": ["code", "country", "subdivision"],
    "region_names.csv": ["name", "codes", "rule"],
    "timezones.csv": ["zone", "code"],
}
RULES = {"name", "alpha-3", "m49", "iso-3166-2"}
# French and German for China, San Marino and Zambia: whoever writes these means them.
GENUINE = {"chine", "saint marin", "sambia"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facts", nargs="?", type=Path, metavar="FACTS")
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--resources", type=Path, default=ROOT / "resources")
    options = parser.parse_args()
    tables = {name: read(options.resources / name) for name in COLUMNS}
    for name, take in IMPORTS.items():
        if options.facts and (options.facts / name).exists():
            take(tables, read(options.facts / name))
    tidy(tables)
    faults = list(check(tables))
    for fault in faults:
        print(fault, file=sys.stderr)
    stale = [
        name
        for name in COLUMNS
        if text_of(name, tables[name]) != (options.resources / name).read_text(encoding="utf-8")
    ]
    if options.check:
        for name in stale:
            print(f"{name}: not as this script writes it; run it without --check", file=sys.stderr)
        return 1 if faults or stale else 0
    if faults:
        return 1
    for name in stale:
        (options.resources / name).write_text(text_of(name, tables[name]), encoding="utf-8")
        print(f"wrote {name}: {len(tables[name])} rows")
    return 0


def tidy(tables: Tables) -> None:
    """File names under their keys, add those of new regions, sort tables by their first cell."""
    names = tables["region_names.csv"]
    for row in names:
        row["name"] = normalise(row["name"])
        row["codes"] = " ".join(sorted(row["codes"].split()))
    filed = {row["name"] for row in names}
    for row in tables["regions.csv"]:
        key = normalise(row["subdivision"] or row["country"])
        if key not in filed:
            names.append({"name": key, "codes": row["code"], "rule": "name"})
    have = {row["code"] for row in tables["regions.csv"]}
    tables["places.csv"] = [row for row in tables["places.csv"] if row["code"] not in have]
    for name, rows in tables.items():
        rows.sort(key=lambda row: row[COLUMNS[name][0]])


def check(tables: Tables) -> Iterable[str]:
    """Yield what is wrong, in words, with the table and the key."""
    for name, rows in tables.items():
        seen = set()
        for row in rows:
            key = row[COLUMNS[name][0]]
            if not key or key in seen:
                yield f"{name}: `{key}` stands there twice" if key else f"{name}: a row without key"
            seen.add(key)
            if any(char in cell for cell in row.values() for char in ',"\n'):
                yield f"{name}: `{key}` has a comma, a quotation mark or a line end in a cell"
    known = {row["code"] for table in ("regions.csv", "places.csv") for row in tables[table]}
    yield from check_figures(tables, known)
    yield from check_clouds(tables["cloud_regions.csv"], known)
    yield from check_names(tables, known)
    yield from check_spellings(tables)
    for row in tables["timezones.csv"]:
        if row["code"] not in known:
            yield f"timezones.csv: `{row['zone']}` stands in `{row['code']}`, which is no code"


def check_figures(tables: Tables, known: set[str]) -> Iterable[str]:
    for name in ("regions.csv", "regions_paper_2022.csv"):
        codes = {row["code"] for row in tables[name]}
        if "WORLD" not in codes:
            yield f"{name}: no row `WORLD`"
        for row in tables[name]:
            code = row["code"]
            if not re.fullmatch("WORLD|[A-Z]{2}(-[A-Z0-9]{1,3})?", code) or code not in known:
                yield f"{name}: `{code}` is no code"
            if code[:2] not in known and code != "WORLD":
                yield f"{name}: the country of `{code}` is in neither regions.csv nor places.csv"
            if ("-" in code) != bool(row["subdivision"]):
                yield f"{name}: `{code}` and its subdivision do not agree"
            yield from check_provenance(name, row)


def check_clouds(rows: list[Row], known: set[str]) -> Iterable[str]:
    for row in rows:
        where = f"cloud_regions.csv: `{row['code']}`"
        if not re.fullmatch("[a-z]+:[a-z0-9-]+", row["code"]):
            yield f"{where} is not `provider:region`"
        if not {row["iso_code"], row["grid_code"]} <= known:
            yield f"{where}: iso_code or grid_code is no code"
        if row["kg_per_mwh"]:
            yield from check_provenance("cloud_regions.csv", row)
        if row["pue"] and not (
            1 <= float(row["pue"]) <= 2 and row["pue_year"] and row["pue_source"]
        ):
            yield f"{where}: a PUE lies between 1 and 2, and has a year and a source"


def check_provenance(table: str, row: Row) -> Iterable[str]:
    where = f"{table}: `{row['code']}`"
    # The highest that is published is Turkmenistan's: 1,306 in 2024 (Ember).
    kg_per_mwh = row["kg_per_mwh"]
    if not (re.fullmatch(r"\d+(\.\d+)?", kg_per_mwh) and float(kg_per_mwh) <= 1400):
        yield f"{where}: `{kg_per_mwh}` kg/MWh cannot be"
    if not re.fullmatch(r"20\d\d", row["year"]):
        yield f"{where}: the year `{row['year']}` cannot be"
    if not re.fullmatch("(lifecycle|direct);(generation|consumption)", row["method"]):
        yield f"{where}: the method `{row['method']}` is not one that we compare"
    if not (row["source"] and row["licence"]):
        yield f"{where}: a figure needs a source and a licence"


def check_names(tables: Tables, known: set[str]) -> Iterable[str]:
    names = {row["name"]: row for row in tables["region_names.csv"]}
    for key, row in names.items():
        codes = row["codes"].split()
        if not codes or not set(codes) <= known:
            yield f"region_names.csv: `{key}` names `{row['codes']}`, which is no code"
        if row["rule"] not in RULES or (row["rule"] in {"alpha-3", "m49"} and len(codes) != 1):
            yield f"region_names.csv: `{key}` has the rule `{row['rule']}`"
        if key.upper() in known and row["codes"] != key.upper():
            yield f"region_names.csv: `{key}` is the code of another place"
    for row in tables["regions.csv"] + tables["regions_paper_2022.csv"]:
        key = normalise(row["subdivision"] or row["country"])
        if row["code"] not in names.get(key, {"codes": ""})["codes"].split():
            yield f"region_names.csv: `{key}` does not find `{row['code']}`"


def check_spellings(tables: Tables) -> Iterable[str]:
    """Yield the names of a country that are one slip of the pen from another's in English."""
    countries = {
        normalise(row["country"]): row["code"]
        for table in ("regions.csv", "places.csv")
        for row in tables[table]
        if not row["subdivision"]
    }
    names = {row["name"]: row["codes"] for row in tables["region_names.csv"]}
    for country, code in countries.items():
        for slip in slips(country) if len(country) > 4 else ():
            meant = names.get(slip, code)
            if len(meant) == 2 and meant != code and slip not in {*countries, *GENUINE}:
                yield f"region_names.csv: `{slip}` ({meant}) is how one misspells `{country}`"


def slips(word: str) -> Iterable[str]:
    """Yield `word` with a letter too few, too many, another, or two letters the wrong way round."""
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        yield head + tail[1:]
        yield head + tail[1:2] + tail[:1] + tail[2:]
        for letter in "abcdefghijklmnopqrstuvwxyz ":
            yield head + letter + tail
            yield head + letter + tail[1:]


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = []
        for row in reader:
            if None in row or None in row.values():
                sys.exit(f"{path.name}, line {reader.line_num}: not as many cells as columns")
            rows.append(row)
        return rows


def text_of(name: str, rows: list[Row]) -> str:
    lines = [COLUMNS[name], *([row[column] for column in COLUMNS[name]] for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
