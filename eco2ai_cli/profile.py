"""The carbon intensity over the day or the week: by the hour, by periods, or from a CSV."""

from __future__ import annotations

from collections.abc import Mapping

from eco2ai_cli import tariff
from eco2ai_cli.config_kinds import Unfit, quoted, shown
from eco2ai_cli.errors import ResourceError
from eco2ai_cli.schedule import DAYS, Period, Week, week

_EVERY_DAY = tuple(range(len(DAYS)))
_HOUR_S = 3600


def read(value: object) -> dict[str, float] | str:
    """Return the kg/MWh of a week by period, whatever form they have, or the path of a CSV.

    Numbers, one an hour: 24 for every day, or 168 from Monday 0:00 on; tables with `from`, `to`,
    `intensity`, or with 24 `values`, and perhaps `days`; a dictionary of periods; one text, of
    numbers with commas, of pairs as `0:00-24:00=56`, or a path. Raises Unfit with what is wrong
    in it, ValueError for anything else.
    """
    if isinstance(value, str):
        if "=" in value:
            value = tariff.pairs(value)
        elif "," in value and not value.strip("0123456789., \t"):
            value = value.split(",")
        elif value.strip():
            return value
    if isinstance(value, Mapping):
        return tariff.read_dictionary(value, "intensity")
    if not isinstance(value, list | tuple):
        raise ValueError
    if not any(isinstance(entry, Mapping) for entry in value):
        return tariff.judged([(period, ()) for period in _hours(value)])
    return tariff.judged(
        [(period, (place,)) for place, entry in enumerate(value) for period in _table(entry, place)]
    )


def _table(entry: object, place: int) -> list[Period]:
    """Return the periods of one table, `place` being its number among them."""
    if not isinstance(entry, Mapping) or "values" not in entry:
        return [tariff.read_table(entry, place, "intensity")]
    key = "values"
    try:
        periods = _hours(entry[key])
        for key in entry.keys() - {"values"}:
            if key != "days" or len(periods) != 24:
                raise Unfit(f"has {quoted(str(key))} beside {len(periods)} `values`", _VALUES)
            periods = [p._replace(days=tariff.read_days(entry[key])) for p in periods]
    except Unfit as error:
        raise Unfit(str(error), error.hint, within=(place, key)) from None
    return periods


def _hours(values: object) -> list[Period]:
    """Return the periods of 24 or 168 numbers."""
    if not isinstance(values, list | tuple) or len(values) not in (24, 168):
        count = f"{len(values)} values" if isinstance(values, list | tuple) else shown(values)
        raise Unfit(f"has {count}", _VALUES)
    return [
        Period(
            _EVERY_DAY if len(values) == 24 else (hour // 24,),
            hour % 24 * _HOUR_S,
            (hour % 24 + 1) * _HOUR_S,
            tariff.read_value(value, "intensity"),
        )
        for hour, value in enumerate(values)
    ]


_VALUES = (
    "give 24 values, one an hour, and perhaps their `days`; or 168, one an hour from Monday 0:00 on"
)


def load(path: str) -> Week:
    """Read a profile from a CSV with the columns `hour` and `kg_per_mwh`, and perhaps `weekday`.

    `hour` is that which begins, 0 to 23 in local time; `weekday` a name such as `mon`, or several
    as `mon-fri`. Raises ResourceError with file and line.
    """
    from eco2ai_cli import user_csv  # few have a profile in a file

    try:
        with open(path, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ResourceError(
            f"cannot read the profile `{path}`: {reason}",
            hint="`region.profile` is 24 or 168 numbers, tables, or the path of a CSV",
        ) from None
    rows = user_csv.rows(
        content,
        path,
        needed={"hour", "kg_per_mwh"},
        kind="a profile",
        header="weekday,hour,kg_per_mwh",
    )
    periods: list[Period] = []
    places: list[str] = []
    for where, cells in rows:
        try:
            periods.append(_row(cells))
        except Unfit as error:
            raise ResourceError(f"{where} {error}", hint=error.hint) from None
        places.append(where)
    try:
        return week(periods)
    except Unfit as error:
        where = places[int(error.within[0])] if error.within else f"`{path}`"
        raise ResourceError(f"{where} {error}", hint="a profile has one row an hour") from None


def _row(cells: Mapping[str, str]) -> Period:
    hour = cells["hour"]
    if not (hour.isascii() and hour.isdigit() and len(hour) <= 2 and int(hour) < 24):
        raise Unfit(f"has {shown(hour)}, which is no hour", hint="write 0 to 23")
    days = tariff.read_days(cells["weekday"]) if "weekday" in cells else _EVERY_DAY
    from_s = int(hour) * _HOUR_S
    return Period(
        days, from_s, from_s + _HOUR_S, tariff.read_value(cells["kg_per_mwh"], "intensity")
    )
