"""Read what a user writes of a week: tables, the paper's dictionary, or pairs in one text.

All of them become one form, the dictionary of the eco2AI paper with days where they matter:
`{"mon-fri 8:30-19:00": 0.3, "mon-fri 19:00-8:30": 0.15, …}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eco2ai_cli.config_kinds import Unfit, number, quoted, shown
from eco2ai_cli.schedule import DAY_S, DAYS, Period, Week, clock_time, week

PRICE = number(0, 1_000_000, "per kWh")
INTENSITY = number(0, 100_000, "kg/MWh")

_EVERY_DAY = tuple(range(len(DAYS)))
_NAMES = {name[:3].lower(): day for day, name in enumerate(DAYS)}
_NAMES |= {name.lower(): day for day, name in enumerate(DAYS)}
_GROUPS = {"weekdays": "mon-fri", "weekend": "sat-sun"}
_TIME = "write times of day as `8:30`, from `0:00` to `24:00`"
_DAYS = "write days as `mon-fri`, `sat,sun`, `weekdays` or `weekend`"
_PERIOD = "write `8:30-19:00`, or `mon-fri 8:30-19:00` where not every day is meant"


def read(value: object) -> dict[str, float]:
    """Return the prices per kWh of a week by period, whatever form they have.

    That is the paper's dictionary (`{"8:30-19:00": 0.3, …}`), tables with `from`, `to`, `price`
    and perhaps `days`, or one text, `8:30-19:00=0.3,19:00-8:30=0.15`. Raises Unfit with what is
    wrong in it, ValueError for anything else.
    """
    if isinstance(value, str):
        value = pairs(value)
    if isinstance(value, Mapping):
        return read_dictionary(value, "price")
    if not isinstance(value, list | tuple):
        raise ValueError
    return judged(
        [(read_table(entry, place, "price"), (place,)) for place, entry in enumerate(value)]
    )


def read_dictionary(values: Mapping[object, object], noun: str) -> dict[str, float]:
    """Return the paper's dictionary checked, its periods written in one way; raises Unfit."""
    return judged([(_item(name, value, noun), (str(name),)) for name, value in values.items()])


def judged(periods: Sequence[tuple[Period, tuple[str | int, ...]]]) -> dict[str, float]:
    """Return periods that make up a week as a dictionary; each has with it where it was written.

    Raises Unfit for such that do not, ValueError for none at all.
    """
    if not periods:
        raise ValueError
    try:
        week([period for period, _ in periods])
    except Unfit as error:
        within = periods[int(error.within[0])][1] if error.within else ()
        raise Unfit(str(error), error.hint, within) from None
    return {_written(period): period.value for period, _ in periods}


def as_week(values: Mapping[str, float]) -> Week:
    """Return the week of such a dictionary; raises Unfit where it is none."""
    return week([Period(*_period(name), value) for name, value in values.items()])


def pairs(text: str) -> dict[str, str]:
    """Part `8:30-19:00=0.3,19:00-8:30=0.15` into periods and numbers; raises Unfit."""
    found: dict[str, str] = {}
    for item in text.split(","):
        name, equals, scalar = item.partition("=")
        if not equals:
            raise Unfit(f"has {shown(item)} instead of a period and its value", hint=_PAIRS)
        if name.strip() in found:
            raise Unfit(f"has {quoted(name.strip())} twice", hint=_PAIRS)
        found[name.strip()] = scalar.strip()
    return found


_PAIRS = "write `8:30-19:00=0.3,19:00-8:30=0.15`"


def read_table(entry: object, place: int, noun: str) -> Period:
    """Return the period of one table; raises Unfit, `place` being its number among them.

    `noun`, `price` or `intensity`, is the key of its value.
    """
    hint = f"a table has `from`, `to` and `{noun}`, and `days` where not every day is meant"
    if not isinstance(entry, Mapping):
        raise Unfit(f"has {shown(entry)} instead of a table", hint)
    for key in entry:
        if key not in ("from", "to", noun, "days"):
            message = f"has the key {quoted(str(key))}, which is not known"
            raise Unfit(message, hint, within=(place, key))
    for key in ("from", "to", noun):
        if key not in entry:
            raise Unfit(f"has a table without `{key}`", hint, within=(place,))
    key = "days"
    try:
        days = read_days(entry[key]) if key in entry else _EVERY_DAY
        key = "from"
        from_s = read_time(entry[key])
        key = "to"
        to_s = read_time(entry[key], is_end=True)
        key = noun
        return Period(days, from_s, to_s, read_value(entry[key], noun))
    except Unfit as error:
        raise Unfit(str(error), error.hint, within=(place, key)) from None


def _item(name: object, scalar: object, noun: str) -> Period:
    try:
        return Period(*_period(name), read_value(scalar, noun))
    except Unfit as error:
        raise Unfit(str(error), error.hint, within=(str(name),)) from None


def _period(name: object) -> tuple[tuple[int, ...], int, int]:
    """Read `8:30-19:00` or `mon-fri 8:30-19:00`."""
    if not isinstance(name, str):
        raise Unfit(f"has {shown(name)}, which is no period of the day", hint=_PERIOD)
    days, _, times = name.strip().replace(" -", "-").replace("- ", "-").rpartition(" ")
    first, hyphen, last = times.partition("-")
    if not hyphen:
        raise Unfit(f"has {shown(name)}, which is no period of the day", hint=_PERIOD)
    return (
        read_days(days) if days else _EVERY_DAY,
        read_time(first),
        read_time(last, is_end=True),
    )


def read_time(text: object, *, is_end: bool = False) -> int:
    """Return the seconds from midnight to `8:30`; `24:00` is a time where a period ends."""
    hours, colon, minutes = text.partition(":") if isinstance(text, str) else ("", "", "")
    digits = hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()
    if not (colon and digits and len(hours) <= 2 and len(minutes) == 2):
        raise Unfit(f"has {shown(text)}, which is no time of day", hint=_TIME)
    at_s = int(hours) * 3600 + int(minutes) * 60
    if int(minutes) > 59 or at_s > DAY_S or (at_s == DAY_S and not is_end):
        begins = "; a period begins at `0:00`, not at `24:00`" if at_s == DAY_S else ""
        raise Unfit(f"has {shown(text)}, which is no time of day", hint=_TIME + begins)
    return at_s


def read_days(value: object) -> tuple[int, ...]:
    """Return days, Monday being 0, of `mon-fri`, `sat,sun`, `weekend` or a list of such."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise Unfit(f"has the days {shown(value)}", hint=_DAYS)
    found: set[int] = set()
    for part in parts:
        word = part.strip().lower() if isinstance(part, str) else ""
        first, hyphen, last = _GROUPS.get(word, word).partition("-")
        try:
            begin, end = _NAMES[first.strip()], _NAMES[last.strip() if hyphen else first.strip()]
        except KeyError:
            raise Unfit(f"has {shown(part)}, which is no day of the week", hint=_DAYS) from None
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return tuple(sorted(found))


def read_value(value: object, noun: str) -> float:
    """Return a price or an intensity; raises Unfit where it is no such number."""
    kind = PRICE if noun == "price" else INTENSITY
    try:
        result = kind.check(value)
    except ValueError as error:
        hint = str(error) or "a number without quotes"
        message = f"has the {noun} {shown(value)}, which must be {kind.expected}"
        raise Unfit(message, hint) from None
    assert isinstance(result, float)
    return result


def _written(period: Period) -> str:
    times = f"{clock_time(period.from_s)}-{clock_time(period.to_s)}"
    return times if period.days == _EVERY_DAY else f"{_written_days(period.days)} {times}"


def _written_days(days: Sequence[int]) -> str:
    """Write days in order as `mon-wed,sat`."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [[DAYS[day][:3].lower() for day in (run[0], run[-1])] for run in runs]
    return ",".join(first if first == last else f"{first}-{last}" for first, last in names)
