"""The keys of the configuration, declared once: a field of `Config` is a key.

The loader, `eco2ai config` and the template read these declarations and know no key by name: a
key that is added here is read, checked, shown and documented.
"""

# The declarations are read at run time, so annotations stay objects (no `annotations` future).
# Named tuples, because a data class costs every start of `eco2ai run` 0.5 to 1 ms.
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, NamedTuple

from eco2ai_cli import config_supply as supply
from eco2ai_cli.config_kinds import (
    Key,
    choice,
    flag,
    number,
    pairs,
    signal_name,
    text,
    words,
)

METERS = ("rapl", "tdp", "ram", "nvml", "hwmon", "amdsmi")
"""The words that `hardware.meters` may hold."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


def _limit(quantity: str, unit: str, example: float) -> Key:
    """Return the key of the most that a run may use of a quantity."""
    return Key(
        f"budget.{quantity}",
        number(1e-12, 1e12, unit),
        f"the {quantity} at which the run is stopped, with a warning at 80 %",
        option=f"--max-{quantity}",
        unit=unit,
        unset="there is no limit",
        example=example,
    )


class Config(NamedTuple):
    """The effective configuration: one attribute a key, its unit in its name.

    None: set nowhere, and what holds then is not the configuration's to say. The upper bounds
    are far above what is known to exist; they catch a slip of a unit or of the decimal point.
    """

    project: Annotated[
        str,
        Key(
            "run.project",
            text(empty=True),
            "the name under which reports add runs up",
            option="--project",
        ),
    ] = ""
    description: Annotated[
        str,
        Key(
            "run.description",
            text(empty=True),
            "what is special about this run",
            option="--description",
        ),
    ] = ""
    output: Annotated[
        str,
        Key(
            "run.output",
            text("the path of a file"),
            "the ledger; a relative path starts at the folder in which the run is started",
            option="--output",
        ),
    ] = "emission.csv"
    interval_s: Annotated[
        float,
        Key(
            "run.interval",
            number(0.05, 3600, "s"),
            "the time from one sample to the next",
            option="--interval",
            unit="s",
        ),
    ] = 1.0
    live: Annotated[
        bool,
        Key(
            "run.live",
            flag(),
            "whether the bottom rows of the terminal show the run while it goes on",
            option="--live",
        ),
    ] = True
    tags: Annotated[
        Mapping[str, str],
        Key(
            "run.tags",
            pairs(),
            'labels for the ledger: { team = "nlp" } here, team=nlp,seed=3 in a variable; '
            "those of a stronger place replace these",
            option="--tag",
        ),
    ] = _NOTHING
    region: supply.RegionCode = None
    intensity_kg_per_mwh: supply.Intensity = None
    profile: supply.Profile = None
    coefficients: supply.Coefficients = "current"
    locate: supply.Locate = "offline"
    pue: supply.Pue = None
    price_per_kwh: supply.Price = None
    currency: supply.Currency = None
    tariff: supply.Tariff = None
    timezone: supply.Timezone = None
    cpu_tdp_w: Annotated[
        float | None,
        Key(
            "hardware.cpu_tdp",
            number(0.1, 10_000, "W"),
            "the thermal design power of one processor (one socket)",
            option="--cpu-tdp",
            unit="W",
            unset="looked up by the name of the processor",
            example=65.0,
        ),
    ] = None
    cpu_table: Annotated[
        str | None,
        Key(
            "hardware.cpus",
            text("the path of a file"),
            "a table of processors of your own, a CSV with the columns name, tdp_w, cores and "
            "threads: what it has goes before ours; a relative path starts at the folder in "
            "which the run is started",
            unset="ours alone",
            example="cpus.csv",
        ),
    ] = None
    meters: Annotated[
        tuple[str, ...] | None,
        Key(
            "hardware.meters",
            words(*METERS),
            "the only sources of energy readings to use",
            option="--meters",
            unset="the best that this machine has",
            example=("tdp", "ram"),
        ),
    ] = None
    idle: Annotated[
        str,
        Key(
            "hardware.idle",
            choice("allocated", "share", "none"),
            "whose the idle power of a measured processor is: share, by the part of the busy CPU "
            "time; allocated, the same, but for no more than the part of the CPUs that the run "
            "may use; or none, nobody's",
        ),
    ] = "allocated"
    # Budennyy et al., eco2AI, Doklady Mathematics 2022, arXiv:2208.00406.
    ram_w_per_gb: Annotated[
        float,
        Key(
            "hardware.ram_w_per_gb",
            number(0, 100, "W/GB"),
            "the power of memory in use, per 2^30 bytes",
            unit="W/GB",
        ),
    ] = 0.375
    ledger_key_file: Annotated[
        str | None,
        Key(
            "ledger.key",
            text("the path of a file"),
            "the file with the secret that chains the rows of the ledger by HMAC-SHA-256, so that "
            "nobody without it can forge them; `eco2ai config init --ledger-key` makes one",
            unset="they are chained by SHA-256, which shows a change but not who can make one",
            example="/etc/eco2ai/ledger.key",
        ),
    ] = None
    ledger_command: Annotated[
        str,
        Key(
            "ledger.command",
            choice("full", "program", "none"),
            "how much of the command line is kept: full, program (its first word) or none; "
            "passwords, tokens and keys are taken out of it in any case",
        ),
    ] = "full"
    max_energy_kwh: Annotated[float | None, _limit("energy", "kWh", 1.5)] = None
    max_emissions_kg: Annotated[float | None, _limit("emissions", "kg", 0.5)] = None
    max_cost: Annotated[float | None, _limit("cost", "", 2.0)] = None
    grace_s: Annotated[
        float,
        Key(
            "budget.grace",
            number(0, 86_400, "s"),
            "the time from the signal that stops a run to SIGKILL, for it to save what it has",
            option="--grace",
            unit="s",
        ),
    ] = 30.0
    stop_signal: Annotated[
        str,
        Key(
            "budget.signal",
            signal_name(),
            "the signal that stops a run: SIGTERM, or what its program takes as the word to save "
            "and to end, such as SIGUSR1",
        ),
    ] = "SIGTERM"
    # How to say where a value came from; none: the default. Called rarely, for a line in a file
    # must be searched.
    origins: Mapping[str, Callable[[], str]] = MappingProxyType({})

    def origin(self, name: str) -> str:
        """Return in words where the value of the key `name` (`section.key`) comes from."""
        find = self.origins.get(name)
        return find() if find else "default"


KEYS: Mapping[str, Key] = {
    annotation.__metadata__[0].name: annotation.__metadata__[0]
    for annotation in Config.__annotations__.values()
    if hasattr(annotation, "__metadata__")
}
"""All keys by name, section by section, in the order of the template."""

ATTRIBUTES: Mapping[str, str] = dict(zip(KEYS, Config._fields, strict=False))
"""The attribute of `Config` that holds a key, by the name of the key; `origins`, last, is none."""
