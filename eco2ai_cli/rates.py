"""What a joule costs and emits by the time of day: the tariff and the profile of a run."""

from __future__ import annotations

from typing import NamedTuple

from eco2ai_cli.config_keys import Config
from eco2ai_cli.schedule import OffsetAt, Week


class Rates(NamedTuple):
    """The prices per kWh and the intensities in kg/MWh of a week, in local time.

    None: the configuration has no schedule of it, and one price or the region's intensity holds.
    """

    price: Week | None
    intensity: Week | None
    offset_at: OffsetAt
    caveats: frozenset[str] = frozenset()


def settle(config: Config) -> Rates | None:
    """Return the tariff and the profile that are configured; None where neither is.

    Raises ResourceError for a profile in a file that cannot be read, ConfigError for a zone.
    """
    if config.tariff is None and config.profile is None:
        return None
    from eco2ai_cli import profile, tariff, timezones  # few have one

    if config.profile is None:
        intensity = None
    elif isinstance(config.profile, str):
        intensity = profile.load(config.profile)
    else:
        intensity = tariff.as_week(config.profile)
    zoned = config.timezone is not None or timezones.system_has_zone()
    return Rates(
        price=None if config.tariff is None else tariff.as_week(config.tariff),
        intensity=intensity,
        offset_at=timezones.system_offset_s
        if config.timezone is None
        else timezones.named(config.timezone),
        caveats=frozenset() if zoned else frozenset({"times-in-utc"}),
    )
