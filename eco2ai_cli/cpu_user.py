"""Read a user's own table of processors; what it has goes before the shipped tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from eco2ai_cli import cpu_names, user_csv
from eco2ai_cli.cpu_models import Match, lookup
from eco2ai_cli.errors import ResourceError

_HEADER = "name,tdp_w,cores,threads,vendor"
_MOST_W = 10_000
"""As `--cpu-tdp` allows: far above what is known to exist, below a slip of the unit."""


def find(path: str, name: str) -> Match | None:
    """Return what the table `path` says of the processor `name`, None where it has no such row.

    Raises ResourceError as `load` does.
    """
    table = load(path)
    own = next((table[key] for key in _keys(name) if key in table), None)
    maker = cpu_names.parse(name).vendor
    if own is None or (maker is not None and own.vendor not in (None, maker)):
        return None
    return own._replace(query=name)


@cache
def load(path: str) -> Mapping[str, Match]:
    """Read a table, once: what a processor is looked up by -> its figures.

    A CSV in UTF-8 with a header. `name` (as the machine reports it, or as people write the model)
    and `tdp_w` (of one socket) are needed; `cores`, `threads` (of one physical socket) and
    `vendor` are the shipped table's where they are empty; other columns are read past.
    Raises ResourceError with file and line for what cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ResourceError(
            f"cannot read the processors `{path}`: {(error.strerror or str(error)).lower()}",
            hint="`hardware.cpus` is the path of a CSV",
        ) from None
    found: dict[str, Match] = {}
    for where, cells in user_csv.rows(
        content, path, needed={"name", "tdp_w"}, kind="a table of processors", header=_HEADER
    ):
        row = _row(cells, where)
        for key in _keys(row.query):
            if found.setdefault(key, row) is not row:
                raise ResourceError(f"{where}: `{row.query}` has a row already")
    return found


def _keys(name: str) -> Iterator[str]:
    """Yield under what a name is filed: as it is written, and as the model that it tells.

    What we know no model of is a model all the same if it has a number.
    """
    yield " ".join(name.casefold().split())
    shipped = lookup(name)
    words = cpu_names.key(name)
    if shipped.model is not None:
        yield f"model {shipped.vendor} {shipped.model}"
    elif any(c.isdigit() for c in words):
        yield f"words {words}"


def _row(cells: Mapping[str, str], where: str) -> Match:
    """Check one row; `where` is its file and line for the error."""
    name = cells["name"]
    if not name:
        raise ResourceError(f"{where}: no name")
    shipped = lookup(name)
    tdp_w = _tdp_w(cells["tdp_w"], where)
    cores, threads = _count(cells, "cores", where), _count(cells, "threads", where)
    if shipped.model is not None:
        cores = cores or shipped.cores
        threads = threads or shipped.threads
    if cores and threads and cores > threads:
        raise ResourceError(f"{where}: {cores} cores with {threads} threads")
    return Match(
        query=name,
        vendor=cells.get("vendor") or shipped.vendor,
        model=shipped.model or name,
        tdp_w=tdp_w,
        cores=cores,
        threads=threads,
        w_per_thread=tdp_w / threads if threads else shipped.w_per_thread,
        matched_by="user",
        quality="vendor",
    )


def _tdp_w(text: str, where: str) -> float:
    value = user_csv.number(text)
    if not 0 < value <= _MOST_W:
        raise ResourceError(f"{where}: `{text}` is no TDP, a number of watts")
    return value


def _count(cells: Mapping[str, str], column: str, where: str) -> int | None:
    text = cells.get(column, "")
    if text and not (text.isdecimal() and 0 < int(text[:9]) <= 65536):
        raise ResourceError(f"{where}: `{text}` is no number of {column}")
    return int(text) if text else None
