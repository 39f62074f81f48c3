"""Key, sort and check the shipped tables of processors; merge collected facts into them.

    python tools/build_cpus.py            # after an edit of resources/cpus.csv or cpu_hints.csv
    python tools/build_cpus.py FACTS      # and merge FACTS/cpu_tdp.csv and FACTS/cpu_alias.csv

`resources/cpus.csv` and `resources/cpu_hints.csv` are the reviewed source. To add a processor,
append a row (its key may be left empty) and run this script. Collected facts replace a row unless
its basis is `review`: a figure that we set ourselves. What the facts get wrong and we only drop,
rename or complete is in `tools/cpu_review.csv`: one row a decision, with its reason.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from eco2ai_cli import cpu_names  # noqa: E402 (the checkout, not an installed copy)

RESOURCES = ROOT / "resources"
MODELS, HINTS = "cpus.csv", "cpu_hints.csv"
REVIEW = ROOT / "tools" / "cpu_review.csv"
MODEL_COLUMNS = (
    *("key", "vendor", "model", "tdp_w", "cores", "threads"),
    *("year", "basis", "confidence", "sources"),
)
HINT_COLUMNS = ("key", "rule", "vendor", "stands_for", "tdp_w", "cores", "threads", "sources")
BASES = {"vendor", "majority", "single", "acp", "estimate", "review", "cloud", "cloud-estimate"}
VENDOR_SOURCES = ("ark", "amd", "ampere", "nvdoc")
OPENINGS = {
    "Penryn Class Core 2": "Intel Core 2 Duo P9xxx",
    "Conroe/Merom Class Core 2": "Intel Celeron_4x0",
}
"""How QEMU's names begin for which the collected aliases have a part in the middle."""
CLOCK = re.compile(r"\d\.\d\dGHz$")

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """Return the rows of a CSV file as dictionaries."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    """Write rows as plain CSV, sorted by key: no field of ours ever needs a quote."""
    rows = sorted(rows, key=lambda row: row["key"])
    lines = [columns, *(tuple(row[column] for column in columns) for row in rows)]
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")


def threads_of(row: Row) -> str:
    """Return the hardware threads of a model, from its cores where the facts leave them out.

    Only families that all have, or all lack, simultaneous multithreading are filled.
    """
    if row["threads"] or not row["cores"]:
        return row["threads"]
    name = row["name"]
    if name.startswith("Xeon Phi"):
        return str(4 * int(row["cores"]))
    two = re.match(r"Xeon 6\d\d\dP|Core i9|Ryzen Threadripper", name)
    return str((2 if two else 1) * int(row["cores"]))


def model_of(fact: Row) -> Row:
    """Shape one row of the collected TDP table like the shipped one."""
    basis = {"override": "majority", "acp->tdp": "acp"}.get(fact["basis"], fact["basis"])
    sources = fact["sources"].split(";")
    if basis == "vendor":
        sources = [s for s in sources if s.startswith(VENDOR_SOURCES)] or sources
    return {
        "key": "",
        "vendor": fact["vendor"],
        "model": fact["name"],
        "tdp_w": fact["tdp_w"],
        "cores": fact["cores"],
        "threads": threads_of(fact),
        "year": fact["launch_year"],
        "basis": basis,
        "confidence": fact["confidence"][0],
        "sources": ";".join(sources),
    }


def cloud_model_of(alias: Row, model: str) -> Row:
    """Shape one cloud SKU of the collected aliases like a model; a derived one is an estimate."""
    derived = alias["confidence"] == "low"
    return {
        "key": "",
        "vendor": alias["vendor"],
        "model": model,
        "tdp_w": alias["tdp_w"],
        "cores": alias["cores_per_socket"],
        "threads": alias["threads_per_socket"],
        "year": "",
        "basis": "cloud-estimate" if derived else "cloud",
        "confidence": {"high": "A", "medium": "B", "low": "C"}[alias["confidence"]],
        "sources": f"{alias['cloud']}: {alias['source']}".replace(",", ";"),
    }


def hint_of(alias: Row, key: str, rule: str) -> Row:
    """Shape one collected alias that names no model like a hint."""
    return {
        "key": key,
        "rule": rule,
        "vendor": alias["vendor"],
        "stands_for": re.sub(r" \((\d+ c|usage power)\)", "", alias["representative"]),
        "tdp_w": alias["tdp_w"],
        "cores": alias["cores_per_socket"],
        "threads": alias["threads_per_socket"],
        "sources": alias["source"].replace(",", ";"),
    }


def hint_keys(alias: Row) -> list[str]:
    """Return the keys of an alias: one for each stepping that it names."""
    if alias["match_type"] == "midr":
        return ["arm-" + "-".join(hex(int(part, 16)) for part in alias["pattern"].split("-"))]
    key = f"{alias['vendor']}-{alias['family']}-{alias['model']}".lower()
    if alias["stepping"]:
        first, _, last = alias["stepping"].partition("-")
        return [f"{key}-{s}" for s in range(int(first), int(last or first) + 1)]
    return [key]


def merged(facts: Path, models: list[Row], hints: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return the tables with collected facts in them, as reviewed."""
    models_by_key = {row["key"]: row for row in models}
    hints_by_key = {row["key"]: row for row in hints}
    merge_models(facts, models_by_key)
    merge_aliases(facts, models_by_key, hints_by_key)
    return list(models_by_key.values()), list(hints_by_key.values())


def merge_models(facts: Path, models: dict[str, Row]) -> None:
    """Bring the collected TDP table into `models`."""
    review = {(r["vendor"], r["model"]): r for r in read(REVIEW)}
    for fact in read(facts / "cpu_tdp.csv"):
        decision = review.get((fact["vendor"], fact["name"]))
        if CLOCK.search(fact["name"]) or (decision and decision["verdict"] == "drop"):
            continue  # a clock is not a model: several parts of different TDP share each
        row = model_of(fact)
        if decision:
            row["model"] = decision["new_model"] or row["model"]
            row["cores"] = decision["cores"] or row["cores"]
            row["threads"] = decision["threads"] or row["threads"]
        row["key"] = key_of(row)
        known = models.get(row["key"])
        if known is None or known["basis"] not in ("review", "cloud", "cloud-estimate"):
            models[row["key"]] = row


def merge_aliases(facts: Path, models: dict[str, Row], hints: dict[str, Row]) -> None:
    """Bring cloud SKUs into `models`, and what names no model into `hints` unless it is there."""
    for alias in read(facts / "cpu_alias.csv"):
        kind = alias["match_type"]
        if kind == "token":
            merge_cloud(alias, models)
        elif kind == "substring" and alias["pattern"] != "AMD EPYC Processor":
            # That name is Naples by QEMU's book, and every later EPYC by other hypervisors'.
            pattern = OPENINGS.get(alias["pattern"], alias["pattern"]).casefold()
            key = " ".join(re.sub(r"[()\-_,/]", " ", pattern).split())
            hints.setdefault(key, hint_of(alias, key, "hypervisor"))
        elif kind in ("cpuid", "midr", "brand+cpuid"):
            clock = "@" + alias["pattern"].split("@ ")[1].lower() if "@" in alias["pattern"] else ""
            for key in hint_keys(alias):
                hints.setdefault(key + clock, hint_of(alias, key + clock, "cpuid"))


def merge_cloud(alias: Row, models: dict[str, Row]) -> None:
    """Bring a cloud SKU in, under the full name of the same number where the table has one."""
    number = cpu_names.key(alias["pattern"])
    same = [row for key, row in models.items() if key == number or key.endswith(" " + number)]
    if any(row["basis"] in ("vendor", "review") for row in same):
        return
    if alias["vendor"] == "AMD":
        name = alias["pattern"]
    elif alias["pattern"].startswith("E5") or alias["pattern"][4:6] == "P-":
        name = "Xeon " + alias["pattern"]
    else:
        name = ("Xeon Gold " if alias["pattern"][0] == "6" else "Xeon Platinum ") + alias["pattern"]
    row = cloud_model_of(alias, same[0]["model"] if same else name)
    row["key"] = key_of(row)
    models[row["key"]] = row


def key_of(row: Row) -> str:
    """Return the key under which look-ups will find a model."""
    return cpu_names.key(f"{row['vendor']} {row['model']}")


def check(models: list[Row], hints: list[Row]) -> list[str]:
    """Return what is wrong with the tables, one sentence a fault."""
    faults = [fault for row in models for fault in faults_of(row, MODELS, MODEL_COLUMNS)]
    faults += [fault for row in hints for fault in faults_of(row, HINTS, HINT_COLUMNS)]
    for table, rows in ((MODELS, models), (HINTS, hints)):
        keys = Counter(row["key"] for row in rows)
        faults += [f"{table}: `{key}` twice" for key, count in keys.items() if count > 1]
    for row in models:
        if row["basis"] not in BASES:
            faults.append(f"{MODELS}: `{row['model']}` has the unknown basis `{row['basis']}`")
    return faults


def faults_of(row: Row, table: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with one row, whichever the table."""
    where = f"{table}: `{row['key']}`"
    if set(row) != set(columns) or None in row.values():
        yield f"{where} has not the columns {', '.join(columns)}"
        return
    if any(mark in field for field in row.values() for mark in ',"\n\r'):
        yield f"{where}: a comma, a quote or a line break in a field"
    if not row["key"] or not row["vendor"] or not row["sources"]:
        yield f"{where}: no name, no vendor or no source"
    if not re.fullmatch(r"\d+(\.\d+)?", row["tdp_w"]) or not 0 < float(row["tdp_w"]) <= 600:
        yield f"{where}: `{row['tdp_w']}` is no TDP in watts"
    cores, threads = row["cores"], row["threads"]
    known = cores.isdecimal() and threads.isdecimal() and 0 < int(cores) <= int(threads)
    if not known and (cores or threads or table == HINTS):
        yield f"{where}: `{cores}` cores with `{threads}` threads"


def main(arguments: list[str], resources: Path = RESOURCES) -> int:
    """Merge, key, sort, check and write; return the exit status."""
    models, hints = read(resources / MODELS), read(resources / HINTS)
    for row in models:
        row["key"] = key_of(row)
    faults = check(models, hints)
    if arguments and not faults:
        before = {row["key"]: row for row in models}
        models, hints = merged(Path(arguments[0]), models, hints)
        for row in models:
            old = before.get(row["key"])
            if old is None:
                print(f"new: {row['vendor']} {row['model']}, {row['tdp_w']} W")
            elif old["tdp_w"] != row["tdp_w"]:
                print(f"changed: {row['model']}, {old['tdp_w']} W, now {row['tdp_w']} W")
        faults = check(models, hints)
    print("\n".join(faults) or f"{len(models)} models and {len(hints)} hints, no fault")
    if not faults:
        write(resources / MODELS, MODEL_COLUMNS, models)
        write(resources / HINTS, HINT_COLUMNS, hints)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
