"""What a user writes of a tariff or a profile: the forms that are read, the words of a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli import config, profile, schedule, tariff
from eco2ai_cli.commands.config import config as command
from eco2ai_cli.config import Config
from eco2ai_cli.config_kinds import Unfit
from eco2ai_cli.errors import ConfigError, Eco2aiError, WrongUsage

NOWHERE = "/nonexistent/eco2ai.toml"
PAPER = {"8:30-19:00": 0.3, "19:00-6:00": 0.15, "6:00-8:30": 0.2}
HOURS = ", ".join(map(str, range(100, 124)))

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load with a project file in an empty folder, and nothing of this machine."""

    def load(
        toml: str, environ: dict[str, str] | None = None, options: dict[str, object] | None = None
    ) -> Config:
        (tmp_path / "eco2ai.toml").write_text(toml, encoding="utf-8")
        return config.load(
            options or {}, cwd=str(tmp_path), environ=environ or {}, system_file=NOWHERE
        )

    return load


# the forms


def test_the_dictionary_of_the_paper_is_read_as_it_stands_in_any_order() -> None:
    assert tariff.read(PAPER) == PAPER
    turned = dict(reversed(PAPER.items()))
    assert tariff.as_week(tariff.read(turned)) == tariff.as_week(PAPER)


TABLES = """\
[electricity]
currency = "EUR"
[[electricity.tariff]]
from = "8:30"
to = "19:00"
price = 0.3
[[electricity.tariff]]
from = "19:00"
to = "6:00"
price = 0.15
[[electricity.tariff]]
from = "06:00"
to = "8:30"
price = 0.2
"""


@pytest.mark.parametrize(
    "toml",
    [
        TABLES,
        "[electricity.tariff]\n'8:30-19:00' = 0.3\n'19:00-6:00' = 0.15\n'6:00 - 8:30' = 0.2\n",
        "[electricity]\ntariff = '8:30-19:00=0.3, 19:00-6:00=0.15, 6:00-8:30=0.2'\n",
    ],
)
def test_a_tariff_is_read_from_tables_a_dictionary_or_one_text(load: Load, toml: str) -> None:
    assert load(toml).tariff == PAPER


def test_a_variable_and_an_option_hold_a_tariff_as_well(load: Load) -> None:
    pairs = "8:30-19:00=0.3,19:00-6:00=0.15,6:00-8:30=0.2"
    assert load("", {"ECO2AI_ELECTRICITY_TARIFF": pairs}).tariff == PAPER
    assert load("", {}, {"electricity.tariff": PAPER}).tariff == PAPER


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("weekdays", (0, 1, 2, 3, 4)),
        ("weekend", (5, 6)),
        ("sat,sun", (5, 6)),
        ("fri-mon", (0, 4, 5, 6)),
        ("Monday, wed-thursday", (0, 2, 3)),
        (["tue", "weekend"], (1, 5, 6)),
        ("mon-sun", (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_days_are_names_ranges_or_lists(written: object, days: tuple[int, ...]) -> None:
    assert tariff.read_days(written) == days


def test_days_that_are_not_every_day_stand_in_the_dictionary(load: Load) -> None:
    toml = """
[[electricity.tariff]]
from = "0:00"
to = "24:00"
price = 0.1
days = "weekend"
[[electricity.tariff]]
from = "0:00"
to = "8:00"
price = 0.2
days = ["mon-fri"]
[[electricity.tariff]]
from = "8:00"
to = "0:00"
price = 0.3
days = "weekdays"
"""
    found = load(toml).tariff
    assert found == {
        "sat-sun 0:00-24:00": 0.1,
        "mon-fri 0:00-8:00": 0.2,
        "mon-fri 8:00-0:00": 0.3,
    }
    assert tariff.read(found) == found


@pytest.mark.parametrize("day", ["8:30-8:30", "0:00-24:00", "0:00-0:00"])
def test_one_period_may_be_the_whole_day(day: str) -> None:
    assert set(tariff.as_week(tariff.read({day: 0.3})).values) == {0.3}


@pytest.mark.parametrize(
    "toml",
    [
        f"[region]\nprofile = [{HOURS}]\n",
        f"[[region.profile]]\nvalues = [{HOURS}]\n",
        f"[[region.profile]]\nvalues = [{HOURS}]\ndays = 'weekdays'\n"
        f"[[region.profile]]\nvalues = [{HOURS}]\ndays = 'sat-sun'\n",
        f"[region]\nprofile = [{', '.join([HOURS] * 7)}]\n",
        "".join(
            f"[[region.profile]]\nfrom = '{h}:00'\nto = '{h + 1}:00'\nintensity = {100 + h}\n"
            for h in range(24)
        ),
    ],
)
def test_a_profile_is_read_from_numbers_or_tables(load: Load, toml: str) -> None:
    found = load(toml).profile
    assert isinstance(found, dict)
    week = tariff.as_week(found)
    assert [week.values[hour] for hour in range(168)] == [100 + hour % 24 for hour in range(168)]


def test_a_profile_of_a_week_begins_on_monday() -> None:
    found = profile.read(list(range(168)))
    assert isinstance(found, dict)
    assert (found["mon 0:00-1:00"], found["sun 23:00-24:00"]) == (0, 167)


def test_a_variable_holds_the_numbers_of_a_profile_its_periods_or_its_path(load: Load) -> None:
    def read(text: str) -> object:
        return load("", {"ECO2AI_REGION_PROFILE": text}).profile

    assert read(HOURS) == profile.read(list(range(100, 124)))
    assert read("0:00-12:00=100,12:00-0:00=200") == {"0:00-12:00": 100, "12:00-0:00": 200}
    assert read("my,own.csv") == "my,own.csv"


# which holds


PRICE = "[electricity]\nprice = 0.5\n"


def test_the_stronger_of_a_price_and_a_tariff_holds(load: Load) -> None:
    found = load(TABLES, {"ECO2AI_ELECTRICITY_PRICE": "0.5"})
    assert (found.price_per_kwh, found.tariff) == (0.5, None)
    assert found.origin("electricity.tariff") == "default"
    found = load(TABLES, {}, {"electricity.price": "0.5"})
    assert (found.price_per_kwh, found.tariff) == (0.5, None)
    found = load(PRICE, {"ECO2AI_ELECTRICITY_TARIFF": "0:00-0:00=0.1"})
    assert (found.price_per_kwh, found.tariff) == (None, {"0:00-0:00": 0.1})


def test_the_stronger_of_two_files_holds(tmp_path: Path) -> None:
    (tmp_path / "eco2ai.toml").write_text(PRICE)
    system = tmp_path / "system.toml"
    system.write_text(TABLES)
    found = config.load({}, cwd=str(tmp_path), environ={}, system_file=str(system))
    assert (found.price_per_kwh, found.tariff, found.currency) == (0.5, None, "EUR")


def test_both_in_one_place_are_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="cannot hold beside") as caught:
        load(TABLES.replace("currency", "price = 1\ncurrency"))
    assert str(caught.value).endswith(
        "eco2ai.toml` line 4: `electricity.tariff` cannot hold beside `electricity.price`"
    )
    with pytest.raises(ConfigError, match="`ECO2AI_REGION_INTENSITY` cannot hold beside"):
        load("", {"ECO2AI_REGION_PROFILE": "p.csv", "ECO2AI_REGION_INTENSITY": "5"})


def test_a_profile_gives_way_to_a_stronger_intensity_or_region_alone(load: Load) -> None:
    toml = "[region]\ncode = 'DE'\nprofile = 'de.csv'\n"
    assert (load(toml).profile, load(toml).region) == ("de.csv", "DE")
    assert load(toml, {"ECO2AI_REGION_INTENSITY": "5"}).profile is None
    assert load(toml, {}, {"region.code": "FR"}).profile is None
    assert load(toml, {}, {"facility.pue": "1.2"}).profile == "de.csv"
    stronger = {"ECO2AI_REGION_PROFILE": "fr.csv"}
    assert (load(toml, stronger).profile, load(toml, stronger).region) == ("fr.csv", "DE")
    assert load(toml, {**stronger, "ECO2AI_REGION_CODE": "FR"}).profile == "fr.csv"


# the refusals


BAD_TABLES = [
    ("price = 0.3", "price = nan", 6, "has the price `nan`, which must be a number from 0 to"),
    ("price = 0.3", "price = -1", 6, "has the price `-1`, which must be a number from 0 to"),
    ("price = 0.3", "price = true", 6, "has the price `true`, which must be a number from 0"),
    ('to = "6:00"', 'to = "25:00"', 9, "has `25:00`, which is no time of day"),
    ('to = "6:00"', 'to = "6:60"', 9, "has `6:60`, which is no time of day"),
    ('to = "6:00"', 'to = "6"', 9, "has `6`, which is no time of day"),
    ('to = "6:00"', "to = 6", 9, "has `6`, which is no time of day"),
    ('to = "6:00"', "to = 06:00:00", 9, "has `06:00:00`, which is no time of day"),
    ('from = "19:00"', 'from = "24:00"', 8, "has `24:00`, which is no time of day"),
    ('from = "19:00"', 'form = "19:00"', 8, "has the key `form`, which is not known"),
    ('to = "6:00"\n', "", 7, "has a table without `to`"),
    ('to = "6:00"', 'to = "5:00"', 3, "has no value from 5:00 to 6:00"),
    ('to = "6:00"', 'to = "6:30"', 11, "has two values from 6:00 to 6:30"),
    ("price = 0.15", "price = 0.15\ndays = 'mon-fry'", 11, "has `mon-fry`, which is no day"),
    ("price = 0.15", "price = 0.15\ndays = []", 11, "has the days nothing"),
    (
        "price = 0.15",
        "price = 0.15\ndays = 'mon-fri'",
        3,
        "has no value from Sunday 19:00 to Monday",
    ),
]


@pytest.mark.parametrize(("good", "bad", "line", "complaint"), BAD_TABLES)
def test_a_table_that_is_wrong_is_named_by_file_and_line(
    load: Load, good: str, bad: str, line: int, complaint: str
) -> None:
    assert TABLES.count(good) == 1
    with pytest.raises(ConfigError) as caught:
        load(TABLES.replace(good, bad))
    assert f"eco2ai.toml` line {line}: `electricity.tariff` {complaint}" in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_status == 125


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("[electricity]\ntariff = 3\n", "2: `electricity.tariff` must be tables with `from`"),
        ("[electricity]\ntariff = []\n", "2: `electricity.tariff` must be tables with `from`"),
        ("[electricity]\ntariff = [1]\n", "2: `electricity.tariff` has `1` instead of a table"),
        ("[electricity.tariff]\n\n", "1: `electricity.tariff` must be tables with `from`"),
        (
            "[electricity.tariff]\n'8:00-8:00' = 1\n'8-9' = 1\n",
            "3: `electricity.tariff` has `8`, which is no time",
        ),
        (
            "[electricity.tariff]\n'8:00-8:00' = 1\n'8:30-9:00' = 1\n",
            "3: `electricity.tariff` has two values from 8:30 to 9:00",
        ),
        ("[electricity]\ntariff = 'cheap'\n", "2: `electricity.tariff` has `cheap` instead of"),
        ("[electricity]\ntimezone = 'Berlin'\n", "2: `electricity.timezone` is `Berlin`, which"),
        ("[electricity]\ntimezone = 2\n", "2: `electricity.timezone` must be the IANA name"),
        ("[region]\nprofile = [1, 2]\n", "2: `region.profile` has 2 values"),
        ("[region]\nprofile = 7\n", "2: `region.profile` must be 24 or 168 numbers"),
        (
            f"[region]\nprofile = [{HOURS.replace('105', '-1')}]\n",
            "2: `region.profile` has the intensity `-1`",
        ),
        (
            f"[[region.profile]]\nvalues = [{HOURS}]\nfrom = '1:00'\n",
            "3: `region.profile` has `from` beside 24 `values`",
        ),
        (
            f"[[region.profile]]\nvalues = [{HOURS}]\n[[region.profile]]\nvalues = [{HOURS}]\n",
            "3: `region.profile` has two values from 0:00 to 1:00",
        ),
        ("[[region.profile]]\nvalues = 5\n", "2: `region.profile` has `5`"),
    ],
)
def test_what_is_no_schedule_at_all_is_refused(load: Load, toml: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(toml)
    assert f"eco2ai.toml` line {complaint}" in str(caught.value)
    assert caught.value.hint


def test_a_variable_and_an_option_that_are_wrong_are_named(load: Load) -> None:
    with pytest.raises(ConfigError) as in_variable:
        load("", {"ECO2AI_ELECTRICITY_TARIFF": "8:00-20:00=1,8:00-20:00=2"})
    assert str(in_variable.value) == (
        "environment variable `ECO2AI_ELECTRICITY_TARIFF` has `8:00-20:00` twice"
    )
    with pytest.raises(WrongUsage, match=r"`electricity\.tariff` has no value from 20:00 to 8:00"):
        load("", {}, {"electricity.tariff": {"8:00-20:00": 1}})


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
_clocks = st.sampled_from(["0:00", "24:00", "8:30", "19:00", "7", "-1:00"])
_tables = st.dictionaries(
    st.sampled_from(["from", "to", "price", "intensity", "days", "values", "x"]),
    _clocks | _scalars | st.sampled_from(["mon-fri", "weekend", 0.3]),
)
_anything = st.recursive(
    _scalars | _clocks,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(_tables, max_size=4)
        | st.dictionaries(st.text(max_size=9) | st.just("8:30-8:30"), inner, max_size=3)
    ),
)


@given(value=_anything)
def test_anything_is_a_schedule_or_refused(value: object) -> None:
    for read in (tariff.read, profile.read):
        said, found = "has ", None
        try:
            found = read(value)
        except Unfit as error:
            said = str(error)
        except ValueError:
            pass
        assert said.startswith("has ")
        assert "\n" not in said
        if found is not None:
            assert (
                isinstance(found, str)
                or schedule.value_at(tariff.as_week(found), 0, lambda unix_s: 0) >= 0
            )


# shown


def test_a_schedule_is_shown_short_and_in_full_by_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eco2ai.toml").write_text(f"[region]\nprofile = [{HOURS}]\n{TABLES}")
    rows = CliRunner().invoke(command, ["show"]).stdout.splitlines()
    (shown,) = [row for row in rows if row.startswith("region.profile")]
    assert "0:00-1:00=100,1:00-2:00=101,… (24) kg/MWh" in shown
    (shown,) = [row for row in rows if row.startswith("electricity.tariff")]
    assert "8:30-19:00=0.3,19:00-6:00=0.15,6:00-8:30=0.2 per kWh" in shown
    records = json.loads(CliRunner().invoke(command, ["show", "--json"]).stdout)
    values = {record["key"]: record["value"] for record in records}
    assert values["electricity.tariff"] == PAPER
    assert len(values["region.profile"]) == 24


def test_an_error_of_a_schedule_is_one_line(load: Load) -> None:
    with pytest.raises(Eco2aiError) as caught:
        load("[electricity.tariff]\n'8:00\\n-9:00' = 1\n\"8:00\\n-9:00\" = 1\n")
    assert "\n" not in str(caught.value)
