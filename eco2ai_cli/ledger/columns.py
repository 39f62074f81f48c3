"""The columns of the ledger, and how a row becomes a line of text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

Value = str | int | float | None
Cells = Mapping[str, Value]
"""A row to write: values by column. None, or no value at all: not known, an empty cell."""

PAPER_COLUMNS = (
    "id",
    "project_name",
    "experiment_description",
    "epoch",
    "start_time",
    "duration(s)",
    "power_consumption(kWh)",
    "CO2_emissions(kg)",
    "CPU_name",
    "GPU_name",
    "OS",
    "region/country",
    "cost",
)
"""The results file of the eco2AI paper (Budennyy et al. 2022, arXiv:2208.00406), verbatim."""

ROW_HASH = "row_hash"

COLUMNS = (
    *PAPER_COLUMNS,
    "parent_id",
    "command",
    "exit_status",
    "stop_reason",
    "end_time",
    "host",
    "user",
    "job",
    "rank",
    "tags",
    "cpu_time(s)",
    "cpu_energy(kWh)",
    "gpu_energy(kWh)",
    "ram_energy(kWh)",
    "cpu_method",
    "gpu_method",
    "ram_method",
    "cpu_tdp(W)",
    "memory_mean(GB)",
    "memory_peak(GB)",
    "processes",
    "pue",
    "carbon_intensity(kg/MWh)",
    "intensity_year",
    "intensity_source",
    "region_source",
    "price_per_kwh",
    "currency",
    "caveats",
    "samples",
    "overhead(s)",
    "version",
    ROW_HASH,
    "forecast_error(%)",
)
"""Every column, in order. Columns are only ever added, at the end."""

_FOR_THE_CALLER = frozenset(COLUMNS) - {ROW_HASH}


def text(value: str) -> str:
    r"""Return `value` as text that UTF-8 and every CSV reader can carry.

    Bytes of an argument or a path that are not UTF-8 reach Python as lone surrogates
    (PEP 383); they become `\xff` escapes, as do NUL characters. All else stays as it is.
    """
    if value.isascii() and "\0" not in value:
        return value
    return "".join(_escaped(character) for character in value)


def _escaped(character: str) -> str:
    code = ord(character)
    if code == 0:
        return "\\x00"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return f"\\u{code:04x}"
    return character


def cells(row: Cells, names: Iterable[str]) -> list[str]:
    """Return the cells of `row` in the order of `names`; what it lacks is an empty cell.

    Raises ValueError for a column that the ledger does not have and for a number that is not
    finite: both are mistakes of the program, not of its user.
    """
    if not row.keys() <= _FOR_THE_CALLER:
        raise ValueError(f"not the caller's columns: {sorted(row.keys() - _FOR_THE_CALLER)}")
    return [_cell(name, row.get(name)) for name in names]


def _cell(name: str, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return text(value)
    if not math.isfinite(value):
        raise ValueError(f"`{name}` is {value}")
    return repr(float(value)) if isinstance(value, float) else str(value)


def line(cells: Iterable[str]) -> bytes:
    """Return one line of CSV by RFC 4180, in UTF-8, ended by a newline."""
    return ",".join(map(_quoted, cells)).encode() + b"\n"


def _quoted(cell: str) -> str:
    if any(special in cell for special in ',"\n\r'):
        return '"' + cell.replace('"', '""') + '"'
    return cell
