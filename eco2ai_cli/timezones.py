"""Time zones, as functions from a Unix time to the offset of local time from UTC in seconds."""

from __future__ import annotations

import math
import time

from eco2ai_cli.config_kinds import Unfit, quoted
from eco2ai_cli.schedule import OffsetAt


def system_offset_s(unix_s: float) -> int:
    """Return the offset in the zone of this machine: that of `TZ`, or else of /etc/localtime."""
    return time.localtime(math.floor(unix_s)).tm_gmtoff


def system_has_zone() -> bool:
    """Tell whether this machine has a zone of its own, and not UTC for want of one.

    The zones that keep UTC all year are called `GMT` (Iceland) or `+00` by the IANA data.
    """
    return bool(time.timezone or time.daylight) or time.tzname[0] in ("GMT", "+00")


def named(name: str) -> OffsetAt:
    """Return the zone of an IANA name; raises Unfit where there is none, or no data of zones."""
    from datetime import datetime  # rarely needed, and slow to import
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of the data is an OSError
        if not _has_data():
            raise Unfit(
                f"is {quoted(name)}, and this machine has no data of time zones",
                hint="install `tzdata`, from the system or by pip",
            ) from None
        raise Unfit(
            f"is {quoted(name)}, which is no time zone",
            hint="write a name of the IANA database, such as `Europe/Berlin`",
        ) from None

    def offset_s(unix_s: float) -> int:
        offset = datetime.fromtimestamp(math.floor(unix_s), zone).utcoffset()
        assert offset is not None
        return offset.days * 86_400 + offset.seconds

    return offset_s


def _has_data() -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo("Europe/London")
    except (KeyError, OSError):
        return False
    return True
