"""Read the time stamps of ledgers: ours, eco2AI's without an offset, CodeCarbon's with a `T`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache

_FORM = "%Y-%m-%d %H:%M:%S"
_SKEW_S = 3600.0
"""By as much may the clocks of two machines differ before a row is taken for one of the future."""
_FARTHEST_EAST = timedelta(hours=14)
"""Local time is at most that much ahead of UTC (Kiribati); eco2AI writes it without an offset."""


@lru_cache(4096)
def utc(stamp: str) -> str | None:
    """Return a stamp as `YYYY-MM-DD HH:MM:SS` in UTC; None if it is none.

    A stamp without an offset is taken as it is: nobody can tell where it was written.
    """
    moment = _moment(stamp)
    if moment is None:
        return None
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(timezone.utc)
        except OverflowError:
            return None
    return moment.replace(microsecond=0, tzinfo=None).isoformat(" ")


def latest_start(now_s: float) -> str:
    """Return the last second at which a row may begin that is read at `now_s` since the epoch."""
    return datetime.fromtimestamp(now_s + _SKEW_S, timezone.utc).strftime(_FORM)


def day_before(moment: str) -> str:
    """Return the moment a day before one that `latest_start` returned.

    A stamp that is no later as text is none of a moment later than that, wherever it was written:
    offsets are less than a day.
    """
    return str(datetime.fromisoformat(moment) - timedelta(days=1))


def begins_after(stamp: str, latest: str) -> bool:
    """Tell whether a stamp is later than `latest`, wherever it may have been written."""
    began = utc(stamp)
    if began is None or began <= latest:
        return False
    moment = _moment(stamp)
    if moment is None or moment.tzinfo is not None:
        return True
    return moment - _FARTHEST_EAST > datetime.fromisoformat(latest)


def _moment(stamp: str) -> datetime | None:
    # `Z` is known to fromisoformat from Python 3.11 on.
    text = stamp[:-1] + "+00:00" if stamp.endswith("Z") else stamp
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


@lru_cache(4096)
def week(day: str) -> str:
    """Return the ISO 8601 week of `YYYY-MM-DD`, as `2026-W48`."""
    year, number, _ = datetime.fromisoformat(day).isocalendar()
    return f"{year}-W{number:02d}"
