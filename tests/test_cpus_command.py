"""`eco2ai cpus`: data on stdout, talk on stderr, 1 where a name tells no model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from click.testing import CliRunner, Result
from machines import machine

from eco2ai_cli import cpus as table
from eco2ai_cli.commands.cpus import _machine_fields, cpus
from eco2ai_cli.cpu_limits import allowance

CONTRACT = [
    *("query", "vendor", "model", "tdp_w", "cores", "threads"),
    *("w_per_thread", "matched_by", "quality"),
]


def call(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cpus, arguments, input=stdin)


def data(result: Result) -> Any:
    return json.loads(result.stdout)


def test_lookup_prints_one_processor_in_full() -> None:
    result = call("lookup", "AMD EPYC 7763 64-Core Processor")
    assert (result.exit_code, result.stderr) == (0, "")
    for fact in ("AMD EPYC 7763", "280 W", "64, 128 threads", "2.19 W", "name (vendor)"):
        assert fact in result.stdout


def test_lookup_as_json_has_the_contracts_keys_first() -> None:
    answer = data(call("lookup", "--json", "AMD EPYC 7763 64-Core Processor"))
    assert list(answer)[: len(CONTRACT)] == CONTRACT
    assert [answer[key] for key in CONTRACT] == [
        *("AMD EPYC 7763 64-Core Processor", "AMD", "EPYC 7763", 280, 64, 128, 2.1875),
        *("name", "vendor"),
    ]


def test_a_name_that_tells_no_model_is_1_with_a_null_and_watts() -> None:
    result = call("lookup", "--json", "AMD EPYC")
    answer = data(result)
    assert (result.exit_code, answer["model"], answer["w_per_thread"]) == (1, None, 2.0)
    assert (answer["matched_by"], answer["quality"]) == ("fallback", "fallback")


def test_a_name_that_tells_no_model_is_said_on_stderr_with_what_is_near() -> None:
    result = call("lookup", "i7-8550Z")
    assert result.exit_code == 1
    assert "`i7-8550Z`" in result.stderr
    assert "`Core i7-8550U`" in result.stderr


def test_several_names_are_a_list_in_order_and_1_if_one_tells_no_model() -> None:
    result = call("lookup", "--json", "i7-8550U", "nonsense", "EPYC 7763")
    assert result.exit_code == 1
    assert [answer["model"] for answer in data(result)] == ["Core i7-8550U", None, "EPYC 7763"]


def test_several_names_are_a_table() -> None:
    result = call("lookup", "i7-8550U", "EPYC 7763")
    assert result.exit_code == 0
    header, first, second = result.stdout.splitlines()
    assert header.split()[:2] == ["NAME", "PROCESSOR"]
    assert ("Core i7-8550U" in first, "EPYC 7763" in second) == (True, True)


def test_names_from_stdin_are_one_a_line_and_an_empty_line_is_one() -> None:
    result = call("lookup", "-", "--json", stdin="i7-8550U\n\nEPYC 7763\n")
    assert result.exit_code == 1
    assert [answer["query"] for answer in data(result)] == ["i7-8550U", "", "EPYC 7763"]


def test_one_name_from_stdin_is_a_list_too() -> None:
    assert len(data(call("lookup", "-", "--json", stdin="i7-8550U"))) == 1


def test_an_empty_stdin_asks_for_nothing() -> None:
    result = call("lookup", "-", "--json", stdin="")
    assert (result.exit_code, data(result)) == (0, [])


def test_bytes_that_are_not_text_are_a_name_without_a_model() -> None:
    result = call("lookup", "-", "--json", stdin=b"\xff\xfe\x00\n")
    assert (result.exit_code, data(result)[0]["model"]) == (1, None)


@pytest.fixture
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_name_this_machine_is_told_with_the_reasoning(no_configuration: Path) -> None:
    result = call("lookup", "--json")
    answer = data(result)
    assert result.exit_code == 0
    assert list(answer)[: len(CONTRACT)] == CONTRACT
    assert answer["w_per_thread"] > 0
    assert answer["reasoning"]
    assert answer["machine"]["logical_cpus"] >= 1
    assert answer["full_load_w"] == pytest.approx(answer["usable_cpus"] * answer["w_per_thread"])


def test_without_a_name_people_read_the_same(no_configuration: Path) -> None:
    result = call("lookup")
    assert result.exit_code == 0
    for name in ("processor", "identity", "machine", "threads", "usable", "charged", "full load"):
        assert f"\n{name} " in f"\n{result.stdout}"
    assert "\nrule " in result.stdout
    assert "\nbecause " in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def told(name: str, root: Path) -> dict[str, str]:
    """What people read of a recorded machine."""
    here = machine(name, root)
    charged = table.charge(here)
    allowed = allowance(here.logical_cpus, str(root))
    fields = _machine_fields(here, table.recognise(here), charged, allowed)
    return {key: value for key, value in fields if key}


def test_a_quota_is_told_with_what_it_leaves_at_full_load(tmp_path: Path) -> None:
    fields = told("docker-quota-v2", tmp_path)
    assert fields["threads"] == "256 shown, 2 sockets of 128, SMT on"
    assert fields["usable"] == "1.5 of 256 CPUs, by the quota of a control group"
    assert fields["charged"] == "2.19 W a hardware thread"
    assert fields["full load"].startswith("3.28 W")


def test_a_slice_of_a_large_part_is_told_as_one(tmp_path: Path) -> None:
    fields = told("kvm-host-epyc-9654", tmp_path)
    assert fields["machine"] == "a guest of QEMU"
    assert fields["full load"].startswith("3.75 W")


def test_metal_is_told_with_all_its_sockets(tmp_path: Path) -> None:
    fields = told("epyc-7763-two-sockets", tmp_path)
    assert (fields["usable"], fields["TDP"]) == ("all", "280 W a socket")
    assert fields["full load"].startswith("560 W")


@pytest.mark.parametrize("name", ["s390x-lpar", "power9", "visionfive-2", "docker-on-mac"])
def test_a_machine_of_a_rare_kind_is_told_without_a_model(tmp_path: Path, name: str) -> None:
    assert told(name, tmp_path)["model"] == "not told by the name"


def test_the_users_tdp_wins_over_ours(no_configuration: Path) -> None:
    (no_configuration / "eco2ai.toml").write_text("[hardware]\ncpu_tdp = 123\n")
    answer = data(call("lookup", "--json"))
    assert (answer["tdp_w"], answer["matched_by"]) == (123, "user")


def test_list_filters_by_words_and_vendor() -> None:
    found = data(call("list", "7763", "--vendor", "amd", "--json"))
    assert {model["model"] for model in found} == {"EPYC 7763"}
    assert list(found[0]) == CONTRACT[1:]


def test_list_is_a_table_of_models() -> None:
    result = call("list", "threadripper pro 59")
    header, *lines = result.stdout.splitlines()
    assert header.split()[:3] == ["VENDOR", "MODEL", "TDP"]
    assert len(lines) == 5
    assert all("Threadripper PRO 59" in line for line in lines)


def test_list_without_text_has_every_model() -> None:
    assert len(data(call("list", "--json"))) > 5300


def test_list_of_nothing_is_1() -> None:
    result = call("list", "nonsense")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no processor matches" in result.stderr


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_what_is_looked_up_fits_the_terminal_and_breaks_between_words(columns: int) -> None:
    names = ("'AMD EPYC 7763 64-Core Processor'", "'Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz'")
    for arguments in ("", " ".join(names)):
        screen, _ = pexpect.run(
            f"{sys.executable} -m eco2ai_cli cpus lookup {arguments}",
            withexitstatus=True,
            encoding="utf-8",
            env={"TERM": "dumb", "LANG": "C.UTF-8", "COLUMNS": str(columns)},
        )
        assert max(map(len, screen.splitlines())) <= columns
        words = ("AMD", "hardware") if not arguments else ("i7-8550U", "W/THREAD", "Processor")
        assert set(words) <= set(screen.split())
