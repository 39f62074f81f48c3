"""The configuration: which place wins, what is refused in which words, what start-up pays."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from eco2ai_cli import config
from eco2ai_cli.commands.config import config as command
from eco2ai_cli.commands.config import template
from eco2ai_cli.config import Config
from eco2ai_cli.config_keys import ATTRIBUTES, KEYS
from eco2ai_cli.errors import ConfigError, Eco2aiError, WrongUsage

ROOT = Path(__file__).parent.parent
NOWHERE = "/nonexistent/eco2ai.toml"

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load with a project file in an empty folder, and nothing of this machine."""

    def load(
        options: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        toml: str = "",
    ) -> Config:
        (tmp_path / "eco2ai.toml").write_text(toml, encoding="utf-8")
        return config.load(
            options or {}, cwd=str(tmp_path), environ=environ or {}, system_file=NOWHERE
        )

    return load


# which place wins


def test_each_of_the_six_places_gives_way_to_the_one_above_it(tmp_path: Path) -> None:
    project, user, system = (tmp_path / name for name in ("project", "user", "system"))
    for folder in (project, user / "eco2ai", system):
        folder.mkdir(parents=True)
    files = (project / "eco2ai.toml", user / "eco2ai/config.toml", system / "eco2ai.toml")
    for pue, file in zip((3, 4, 5), files, strict=True):
        file.write_text(f"[facility]\npue = {pue}\n")
    options = {"facility.pue": "1.5"}
    environ = {"XDG_CONFIG_HOME": str(user), "ECO2AI_FACILITY_PUE": "2"}

    def pue() -> tuple[float | None, str]:
        found = config.load(
            options, cwd=str(project), environ=environ, system_file=str(system / "eco2ai.toml")
        )
        return found.pue, found.origin("facility.pue")

    assert pue() == (1.5, "option `--pue`")
    options.clear()
    assert pue() == (2.0, "environment variable `ECO2AI_FACILITY_PUE`")
    del environ["ECO2AI_FACILITY_PUE"]
    for value, file in zip((3.0, 4.0, 5.0), files, strict=True):
        assert pue() == (value, f"`{file}` line 2")
        file.unlink()
    assert pue() == (None, "default")


def test_places_are_merged_key_by_key(load: Load) -> None:
    found = load(
        {"run.interval": 0.5},
        {"ECO2AI_REGION_CODE": "FR"},
        "[run]\ninterval = 2\nproject = 'nlp'\n[region]\ncode = 'DE'\n",
    )
    assert (found.interval_s, found.region, found.project) == (0.5, "FR", "nlp")
    assert found.output == "emission.csv"


def test_a_parents_file_is_found_and_the_nearest_wins(tmp_path: Path) -> None:
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)

    def project() -> str:
        return config.load({}, cwd=str(deep), environ={}, system_file=NOWHERE).project

    (tmp_path / "eco2ai.toml").write_text("[run]\nproject = 'far'\noutput = 'far.csv'\n")
    assert project() == "far"
    (tmp_path / "a/eco2ai.toml").write_text("[run]\nproject = 'near'\n")
    found = config.load({}, cwd=str(deep), environ={}, system_file=NOWHERE)
    assert (found.project, found.output) == ("near", "emission.csv")


def test_the_search_ends_at_the_root() -> None:
    assert config.load({}, cwd="/", environ={}, system_file=NOWHERE) == Config()


def test_the_current_folder_is_searched_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eco2ai.toml").write_text("[run]\nproject = 'here'\n")
    monkeypatch.chdir(tmp_path)
    found = config.load({}, environ={}, system_file=NOWHERE)
    assert found.origin("run.project") == "`eco2ai.toml` line 2"
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert config.load({}, environ={}, system_file=NOWHERE).project == "here"


def test_a_current_folder_that_was_removed_has_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert config.load({}, environ={}, system_file=NOWHERE) == Config()


@pytest.mark.parametrize("xdg", [None, "", "relative/folder"])
def test_the_users_file_is_below_home_when_xdg_says_nothing_valid(
    tmp_path: Path, xdg: str | None
) -> None:
    file = tmp_path / ".config/eco2ai/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[run]\nproject = 'mine'\n")
    environ = {"HOME": str(tmp_path)} | ({} if xdg is None else {"XDG_CONFIG_HOME": xdg})
    assert config.load({}, cwd="/", environ=environ, system_file=NOWHERE).project == "mine"


def test_nothing_given_is_all_defaults(load: Load) -> None:
    found = load()
    assert found == Config()
    assert {found.origin(name) for name in KEYS} == {"default"}
    assert found.pue is None
    assert found.ram_w_per_gb == 0.375  # the paper's


# what each place may write


def test_every_key_is_read_from_the_environment(load: Load) -> None:
    environ = {
        "ECO2AI_RUN_PROJECT": "nlp",
        "ECO2AI_RUN_DESCRIPTION": "first, try",
        "ECO2AI_RUN_OUTPUT": "a.csv",
        "ECO2AI_RUN_INTERVAL": "0.5",
        "ECO2AI_RUN_LIVE": "no",
        "ECO2AI_RUN_TAGS": "team=nlp, seed=3",
        "ECO2AI_REGION_CODE": "FR",
        "ECO2AI_REGION_INTENSITY": "56",
        "ECO2AI_REGION_COEFFICIENTS": "paper-2022",
        "ECO2AI_REGION_LOCATE": "off",
        "ECO2AI_FACILITY_PUE": "1.2",
        "ECO2AI_ELECTRICITY_PRICE": "0",
        "ECO2AI_ELECTRICITY_CURRENCY": "eur",
        "ECO2AI_ELECTRICITY_TIMEZONE": "Europe/Berlin",
        "ECO2AI_HARDWARE_CPU_TDP": "65",
        "ECO2AI_HARDWARE_CPUS": "cpus.csv",
        "ECO2AI_HARDWARE_METERS": "ram, tdp",
        "ECO2AI_HARDWARE_IDLE": "share",
        "ECO2AI_HARDWARE_RAM_W_PER_GB": "0.4",
        "ECO2AI_BUDGET_ENERGY": "1.5",
        "ECO2AI_BUDGET_EMISSIONS": "0.5",
        "ECO2AI_BUDGET_COST": "2",
        "ECO2AI_BUDGET_GRACE": "10",
        "ECO2AI_BUDGET_SIGNAL": "SIGUSR1",
        "ECO2AI_LEDGER_KEY": "k",
        "ECO2AI_LEDGER_COMMAND": "program",
    }
    schedules = {
        "ECO2AI_ELECTRICITY_TARIFF": "7:00-22:00=0.3, 22:00-7:00=0.2",
        "ECO2AI_REGION_PROFILE": "profile.csv",
    }
    assert {*environ, *schedules} == {key.variable for key in KEYS.values()}
    scheduled = load({}, schedules)
    assert scheduled.tariff == {"7:00-22:00": 0.3, "22:00-7:00": 0.2}
    assert scheduled.profile == "profile.csv"
    assert load({}, environ)._replace(origins={}) == Config(
        project="nlp",
        description="first, try",
        output="a.csv",
        interval_s=0.5,
        live=False,
        tags={"team": "nlp", "seed": "3"},
        region="FR",
        intensity_kg_per_mwh=56.0,
        coefficients="paper-2022",
        locate="off",
        pue=1.2,
        price_per_kwh=0.0,
        currency="EUR",
        timezone="Europe/Berlin",
        cpu_tdp_w=65.0,
        cpu_table="cpus.csv",
        meters=("ram", "tdp"),
        idle="share",
        ram_w_per_gb=0.4,
        max_energy_kwh=1.5,
        max_emissions_kg=0.5,
        max_cost=2.0,
        grace_s=10.0,
        stop_signal="SIGUSR1",
        ledger_key_file="k",
        ledger_command="program",
    )


def test_an_empty_variable_counts_as_unset(load: Load) -> None:
    assert load({}, {"ECO2AI_FACILITY_PUE": ""}, "[facility]\npue = 1.3").pue == 1.3


@pytest.mark.parametrize(
    "variable",
    ["ECO2AI_RUN_ID", "ECO2AI_PARENT_ID", "ECO2AI_MARK", "ECO2AI_OTHER_TOOL", "XECO2AI_RUN_PEU"],
)
def test_variables_that_are_no_configuration_are_left_alone(load: Load, variable: str) -> None:
    assert load({}, {variable: "x"}) == Config()


def test_tags_of_an_option_keep_their_commas_and_replace_those_of_a_file(load: Load) -> None:
    found = load({"run.tags": ("note=a,b=c", "seed=3")}, {}, "[run]\ntags = { team = 'nlp' }")
    assert found.tags == {"note": "a,b=c", "seed": "3"}


def test_scalars_of_toml_become_the_text_of_tags(load: Load) -> None:
    toml = "[run.tags]\nteam = 'nlp'\nseed = 3\nfinal = true\nday = 2024-05-01\n"
    assert load({}, {}, toml).tags == {
        "team": "nlp",
        "seed": "3",
        "final": "true",
        "day": "2024-05-01",
    }


def test_a_price_needs_no_currency(load: Load) -> None:
    found = load({}, {}, "[electricity]\nprice = 0.25")
    assert (found.price_per_kwh, found.currency) == (0.25, None)


def test_a_byte_order_mark_and_dos_line_ends_are_read(load: Load) -> None:
    found = load({}, {}, "\ufeff[run]\r\n\r\nproject = 'dos'\r\n")
    assert found.project == "dos"
    assert found.origin("run.project").endswith("` line 3")


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("[run]\nproject = 'a'", 2),
        ("# project = 'b'\n\n[run]\n# project\nproject = 'a'", 5),
        ("[run]\noutput = '''\nproject = 1\n'''\nproject = 'a'", 5),
        ("[run]\nproject = '''\nproject = 'b'\n'''", 2),
        ("run.output = 'x'\nrun.project = 'a'", 2),
        ('[run]\n"\\u0070roject" = "a"', 2),
    ],
)
def test_the_line_of_a_value_is_where_it_begins(load: Load, toml: str, line: int) -> None:
    assert load({}, {}, toml).origin("run.project").endswith(f"eco2ai.toml` line {line}")


# what is refused

BAD = [
    ("run.interval", "0", "a number from 0.05 to 3600 s"),
    ("run.interval", "-1", "a number from 0.05 to 3600 s"),
    ("run.interval", "nan", "a number from 0.05 to 3600 s"),
    ("run.interval", "1e9", "a number from 0.05 to 3600 s"),
    ("run.interval", "true", "a number from 0.05 to 3600 s"),
    ("facility.pue", "0.99", "a number from 1 to 10"),
    ("facility.pue", "inf", "a number from 1 to 10"),
    ("facility.pue", "nan", "a number from 1 to 10"),
    ("facility.pue", "10.5", "a number from 1 to 10"),
    ("electricity.price", "-0.01", "a number from 0 to 1000000 per kWh"),
    ("electricity.price", "inf", "a number from 0 to 1000000 per kWh"),
    ("region.intensity", "-1", "a number from 0 to 100000 kg/MWh"),
    ("hardware.cpu_tdp", "0", "a number from 0.1 to 10000 W"),
    ("hardware.cpu_tdp", "-65", "a number from 0.1 to 10000 W"),
    ("hardware.ram_w_per_gb", "-1", "a number from 0 to 100 W/GB"),
    ("region.code", '"  "', "the code or the name of a region"),
    ("region.coefficients", '" "', "`current`, `paper-2022` or the path of a file"),
    ("region.locate", '"gps"', "`offline` or `ip` or `off`"),
    ("run.output", '" "', "the path of a file"),
    ("run.tags", '"team"', "`NAME=TEXT` pairs"),
    ("run.tags", '"=nlp"', "`NAME=TEXT` pairs"),
    (
        "hardware.meters",
        '"tdp,tpd"',
        "a list of words from `rapl`, `tdp`, `ram`, `nvml`, `hwmon`, `amdsmi`",
    ),
    ("electricity.currency", '"EURO"', "a code of three letters, such as `EUR`"),
    ("electricity.currency", '"€€€"', "a code of three letters, such as `EUR`"),
]


@pytest.mark.parametrize(("name", "literal", "expected"), BAD)
def test_a_bad_value_is_refused_in_the_same_words_wherever_it_stands(
    load: Load, name: str, literal: str, expected: str
) -> None:
    key = KEYS[name]
    section, _, last = name.partition(".")
    text = literal.strip('"')
    complaint = f" must be {expected}, not {f'`{text}`' if text.strip() else 'nothing'}"

    with pytest.raises(ConfigError) as in_variable:
        load({}, {key.variable: text})
    assert str(in_variable.value) == f"environment variable `{key.variable}`{complaint}"
    toml = f"[{section}]\n{last} = {literal if literal != '1e9' else '1_000_000_000'}\n"
    with pytest.raises(ConfigError, match=r"eco2ai\.toml` line 2: `[a-z._]+` must be ") as in_file:
        load({}, {}, toml)
    assert f": `{name}` must be {expected}, not " in str(in_file.value)
    assert in_variable.value.hint
    assert in_variable.value.exit_status == in_file.value.exit_status == 125
    if key.option:
        with pytest.raises(WrongUsage) as in_option:
            load({name: text})
        assert str(in_option.value) == f"option `{key.option}`{complaint}"
        assert in_option.value.exit_status == 2


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[run]\nproject = 3", "`run.project` must be text, not `3`"),
        ("[run]\ntags = { a = [1] }", "`run.tags` must be `NAME=TEXT` pairs, not a table"),
        (
            "[hardware]\nmeters = []",
            "from `rapl`, `tdp`, `ram`, `nvml`, `hwmon`, `amdsmi`, not nothing",
        ),
        (
            "[hardware]\nmeters = [1]",
            "from `rapl`, `tdp`, `ram`, `nvml`, `hwmon`, `amdsmi`, not a list",
        ),
        ("[region]\ncode = 'x\\u0007'\nlocate = 1", "`offline` or `ip` or `off`, not `1`"),
        ("[facility]\npue = 0x" + "f" * 5000, "not a number beyond all bounds"),
        ("[facility]\npue = '" + "9" * 5000 + "'", "not `" + "9" * 79 + "…`"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(load: Load, toml: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load({}, {}, toml)


def test_a_decimal_comma_gets_a_hint(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {"ECO2AI_FACILITY_PUE": "1,58"})
    assert caught.value.hint == "the decimal sign is a point in every locale: write `1.58`"


def test_a_value_that_loses_is_still_checked(load: Load) -> None:
    with pytest.raises(ConfigError):
        load({"facility.pue": 1.1}, {}, "[facility]\npue = 0")


@pytest.mark.parametrize(
    ("toml", "said", "hint"),
    [
        ("[facility]\npeu = 1", "line 2: key `facility.peu` is not known", "`facility.pue`"),
        ("[run]\npue = 1", "line 2: key `run.pue` is not known", "`facility.pue`"),
        ("\n[facilty]\npue = 1", "line 2: section `facilty` is not known", "`[facility]`"),
        ("pue = 1.2", "line 1: key `pue` is in no section", "`pue` below `[facility]`"),
        ("region = 'FR'", "line 1: `region` is a section, not a key", "write `[region]`"),
        ("[[run]]\nproject = 'a'", "line 1: `run` is a section, not a key", "write `[run]`"),
        ('[run]\n"a\\nb" = 1', "line 2: key `run.a\\nb` is not known", "known one is"),
    ],
)
def test_an_unknown_name_in_a_file_is_refused_with_the_nearest_known_one(
    load: Load, toml: str, said: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {}, toml)
    assert str(caught.value).endswith(said)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("ECO2AI_FACILITY_PEU", "ECO2AI_FACILITY_PUE"),
        ("ECO2AI_RUN_TAG", "ECO2AI_RUN_TAGS"),
        ("ECO2AI_REGION", "ECO2AI_REGION_CODE"),
        ("ECO2AI_HARDWARE_TDP", "ECO2AI_HARDWARE_CPU_TDP"),
    ],
)
def test_a_variable_that_looks_like_a_key_is_refused_with_the_nearest_one(
    load: Load, variable: str, nearest: str
) -> None:
    with pytest.raises(ConfigError, match=f"environment variable `{variable}` names no") as caught:
        load({}, {variable: "1"})
    assert f"`{nearest}`" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("toml", "position", "reason"),
    [
        ("[run]\nproject = nlp\n", "2:11", "invalid value"),
        ("[run\n", "1:5", "expected ']' at the end of a table declaration"),
        ("[run]\ninterval = 1\ninterval = 2\n", "3:13", "cannot overwrite a value"),
        ('[run]\nproject = """a\n', "3:1", "unterminated string"),
        ("a = " + "[" * 5000, "1:5005", "nested too deeply"),
    ],
)
def test_malformed_toml_is_named_with_file_line_and_column(
    tmp_path: Path, load: Load, toml: str, position: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, {}, toml)
    assert str(caught.value) == f"`{tmp_path}/eco2ai.toml:{position}` is not TOML: {reason}"
    assert caught.value.hint


def _folder(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _latin_1(path: Path) -> None:
    path.write_bytes(b"[run]\nproject = '\xe9'\n")


@pytest.mark.parametrize("make", [_folder, _fifo, _latin_1])
def test_a_file_that_cannot_be_read_is_named_and_nothing_waits(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "eco2ai.toml")
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/eco2ai.toml")) as caught:
        config.load({}, cwd=str(tmp_path), environ={}, system_file=NOWHERE)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "eco2ai.toml").touch(mode=0)
    with pytest.raises(ConfigError, match="cannot be read: permission denied"):
        config.load({}, cwd=str(tmp_path), environ={}, system_file=NOWHERE)


# nothing but Config or an error of ours


def _toml_files() -> st.SearchStrategy[str]:
    names = [*KEYS, "run", "facility", "facility.peu", "other.key"]
    values = st.one_of(
        st.text().map(json.dumps),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(["true", "2024-05-01", "[[1], {}]", "{ a = 1 }", "['tdp']", "x", "1,5"]),
    )
    lines = st.tuples(st.sampled_from(names), values).map(" = ".join)
    return st.lists(st.one_of(lines, st.just("[run]"), st.text(max_size=9))).map("\n".join)


@given(toml=st.one_of(st.text(), _toml_files()))
def test_any_file_is_a_configuration_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, toml: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(toml.encode("utf-8", "surrogatepass"))
    _either({}, {}, str(file))


@given(file=st.binary())
def test_any_bytes_are_a_configuration_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, file: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(file)
    _either({}, {}, str(path))


_texts = st.one_of(st.text(), st.floats().map(str), st.binary().map(os.fsdecode))


@given(name=st.sampled_from(list(KEYS)), value=_texts, tail=_texts)
def test_any_text_in_the_environment_or_an_option_is_a_value_or_an_error_of_ours(
    name: str, value: str, tail: str
) -> None:
    _either({}, {KEYS[name].variable: value}, NOWHERE)
    _either({}, {KEYS[name].variable + tail: value}, NOWHERE)
    _either({name: (value, tail)}, {}, NOWHERE)


def _either(options: Mapping[str, object], environ: Mapping[str, str], system_file: str) -> None:
    try:
        found = config.load(options, cwd="/", environ=environ, system_file=system_file)
        said = [found.origin(name) for name in KEYS]
    except Eco2aiError as error:
        said = [str(error), error.hint or ""]
    assert all(said)
    assert "\n" not in "".join(said)


# start-up


def test_without_files_nothing_rarely_needed_is_imported() -> None:
    code = (
        "import sys\n"
        "from eco2ai_cli import config\n"
        f"config.load({{}}, cwd='/', environ={{}}, system_file={NOWHERE!r})\n"
        "heavy = {'tomllib', 'tomli', 'difflib', 'json', 'dataclasses', 'pathlib', 'click'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ran.stdout == "[]\n"


# the template and the command


def test_the_template_sets_nothing_as_it_is(load: Load) -> None:
    assert load({}, {}, template()) == Config()


def test_a_key_of_the_template_uncommented_is_set_to_its_default_or_example(load: Load) -> None:
    for name, key in KEYS.items():
        section, _, last = name.partition(".")
        before, header, after = template().partition(f"[{section}]\n")
        found = load({}, {}, before + header + after.replace(f"\n#{last} = ", f"\n{last} = ", 1))
        assert list(found.origins) == [name]
        default = getattr(Config(), ATTRIBUTES[name])
        value = getattr(found, ATTRIBUTES[name])
        assert value == (key.kind.check(key.example) if default is None else default), name
        assert key.unset if default is None else not key.unset, name


def test_the_template_names_every_variable_and_option() -> None:
    for key in KEYS.values():
        assert key.variable in template()
        assert (key.option or "") in template()


def test_the_example_at_the_root_is_the_template() -> None:
    example = (ROOT / "eco2ai.toml.example").read_text(encoding="utf-8")
    assert example == template(), "run `eco2ai config init --force --output eco2ai.toml.example`"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_the_template_and_never_over_a_file(folder: Path) -> None:
    first = CliRunner().invoke(command, ["init"])
    assert (first.exit_code, first.stdout) == (0, "")
    assert (folder / "eco2ai.toml").read_text(encoding="utf-8") == template()
    (folder / "eco2ai.toml").write_text("mine")
    second = CliRunner().invoke(command, ["init"])
    assert isinstance(second.exception, Eco2aiError)
    assert second.exception.exit_status == 125
    assert str(second.exception) == "`eco2ai.toml` is there already"
    assert "--force" in str(second.exception.hint)
    assert (folder / "eco2ai.toml").read_text() == "mine"
    assert CliRunner().invoke(command, ["init", "--force"]).exit_code == 0
    assert (folder / "eco2ai.toml").read_text(encoding="utf-8") == template()


def test_init_writes_elsewhere_or_says_why_not(folder: Path) -> None:
    assert CliRunner().invoke(command, ["init", "--output", "other.toml"]).exit_code == 0
    assert [file.name for file in folder.iterdir()] == ["other.toml"]
    failed = CliRunner().invoke(command, ["init", "--output", "no/such/folder.toml"])
    assert isinstance(failed.exception, Eco2aiError)
    assert "no such file or directory" in str(failed.exception)


def test_show_prints_every_key_with_its_value_and_origin(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "eco2ai.toml").write_text('[run]\nproject = "a\\nb"\ninterval = 2.5\n')
    monkeypatch.setenv("ECO2AI_RUN_TAGS", "team=nlp,seed=3")
    lines = CliRunner().invoke(command, ["show"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["KEY", *KEYS]
    shown = {line.split()[0]: re.split(r"  +", line)[1:] for line in lines}
    assert shown["run.project"] == ['"a\\nb"', "`eco2ai.toml` line 2"]
    assert shown["run.interval"] == ["2.5 s", "`eco2ai.toml` line 3"]
    assert shown["run.tags"] == ["team=nlp,seed=3", "environment variable `ECO2AI_RUN_TAGS`"]
    origin_columns = {line.index(shown[line.split()[0]][-1]) for line in lines}
    assert len(origin_columns) == 1


def test_show_json_is_one_list_with_units_and_nulls(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECO2AI_HARDWARE_METERS", "tdp,ram")
    monkeypatch.setenv("ECO2AI_RUN_PROJECT", os.fsdecode(b"\xff"))
    records = json.loads(CliRunner().invoke(command, ["show", "--json"]).stdout)
    assert [record["key"] for record in records] == list(KEYS)
    by_key = {record.pop("key"): record for record in records}
    variable = "environment variable `ECO2AI_HARDWARE_METERS`"
    assert by_key["hardware.meters"] == {
        "value": ["tdp", "ram"],
        "unit": None,
        "origin": variable,
    }
    assert by_key["run.interval"] == {"value": 1.0, "unit": "s", "origin": "default"}
    assert by_key["region.code"]["value"] is None
    assert by_key["run.tags"]["value"] == {}
    assert CliRunner().invoke(command, ["show"]).exit_code == 0


def test_show_lets_a_bad_configuration_be_told_by_the_caller(folder: Path) -> None:
    (folder / "eco2ai.toml").write_text("[facility]\npeu = 1\n")
    assert isinstance(CliRunner().invoke(command, ["show"]).exception, ConfigError)
