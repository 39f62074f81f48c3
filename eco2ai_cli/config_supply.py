"""The keys of the electricity: where it is used, what it emits, what it costs.

Those of the sections `[region]`, `[facility]` and `[electricity]`, each as the type of its field
in `Config`; see `config_keys`.
"""

# The declarations are read at run time, so annotations stay objects (no `annotations` future).
from collections.abc import Mapping
from typing import Annotated

from eco2ai_cli.config_kinds import (
    Key,
    choice,
    currency_code,
    intensities,
    number,
    prices,
    text,
    time_zone,
)

RegionCode = Annotated[
    str | None,
    Key(
        "region.code",
        text("the code or the name of a region"),
        "where the electricity is used: a country, a part of one, or the region of a cloud, "
        "such as aws:eu-west-3",
        option="--region",
        unset="what this machine knows without the network, else the world's average",
        example="FR",
    ),
]
Intensity = Annotated[
    float | None,
    Key(
        "region.intensity",
        number(0, 100_000, "kg/MWh"),
        "the carbon intensity of the electricity, instead of the region's",
        option="--intensity",
        unit="kg/MWh",
        unset="that of the region",
        example=56.0,
    ),
]
Profile = Annotated[
    Mapping[str, float] | str | None,
    Key(
        "region.profile",
        intensities(),
        "the carbon intensity over the day, instead of the region's: 24 numbers, one for each "
        "hour of local time, or 168 from Monday 0:00 on; or tables `[[region.profile]]` with "
        "`from`, `to` and `intensity`, and `days` such as mon-fri where not every day is "
        "meant; or the path of a CSV with the columns hour and kg_per_mwh, and perhaps weekday",
        unit="kg/MWh",
        unset="one figure holds at any time",
        example="profile.csv",
    ),
]
Coefficients = Annotated[
    str,
    Key(
        "region.coefficients",
        text("`current`, `paper-2022` or the path of a file"),
        "the table of carbon intensities: current, paper-2022 or a file of your own",
        option="--coefficients",
    ),
]
Locate = Annotated[
    str,
    Key(
        "region.locate",
        choice("offline", "ip", "off"),
        "how to find a region when none is given: offline, by what this machine knows; ip, "
        "also by asking get.geojs.io; or off",
    ),
]
Pue = Annotated[
    float | None,
    Key(
        "facility.pue",
        number(1, 10),
        "power usage effectiveness: the energy of the whole data centre over that of its computers",
        option="--pue",
        unset="1, or what is known of the region of a cloud",
        example=1.0,
    ),
]
Price = Annotated[
    float | None,
    Key(
        "electricity.price",
        number(0, 1_000_000, "per kWh"),
        "the price of electricity",
        option="--price",
        unit="per kWh",
        unset="no cost is computed without a tariff",
        example=0.25,
    ),
]
Currency = Annotated[
    str | None,
    Key(
        "electricity.currency",
        currency_code(),
        "the currency of the price, by its ISO 4217 code",
        option="--currency",
        unset="costs name no currency",
        example="EUR",
    ),
]
Tariff = Annotated[
    Mapping[str, float] | None,
    Key(
        "electricity.tariff",
        prices(),
        "prices by the time of day, instead of one: as here, or as tables "
        "`[[electricity.tariff]]`, with `days` such as mon-fri where not every day is meant; "
        "in a variable, 7:00-22:00=0.3,22:00-7:00=0.2",
        unit="per kWh",
        unset="one price holds at any time",
        example=(
            {"from": "7:00", "to": "22:00", "price": 0.3},
            {"from": "22:00", "to": "7:00", "price": 0.2},
        ),
    ),
]
Timezone = Annotated[
    str | None,
    Key(
        "electricity.timezone",
        time_zone(),
        "the time zone, by its IANA name, in which the times of day of the tariff and of "
        "`region.profile` are meant",
        unset="that of this machine",
        example="Europe/Berlin",
    ),
]

RIVALS = (("electricity.price", "electricity.tariff"), ("region.intensity", "region.profile"))
"""Pairs of keys that say the same: that of the stronger place holds, and no place gives both."""

BOUND = (("region.profile", "region.code"),)
"""Pairs of a key and the one that it is made for: another one of a stronger place ends it."""
