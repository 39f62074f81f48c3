"""The README is true: every command, option, configuration key and exit status is in it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from eco2ai_cli.cli import eco2ai
from eco2ai_cli.config_keys import KEYS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(group: click.Group = eco2ai, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
        else:
            found.append((*path, name))
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_is_in_the_readme_and_has_help(path: tuple[str, ...]) -> None:
    assert " ".join(path) in README
    group: click.Command = eco2ai
    for name in path:
        assert isinstance(group, click.Group)
        found = group.get_command(click.Context(group), name)
        assert found is not None
        group = found
    assert group.help
    for option in group.params:
        if isinstance(option, click.Option):
            assert option.help, option.name


def test_every_option_of_run_is_in_the_readme_and_no_other() -> None:
    run = eco2ai.get_command(click.Context(eco2ai), "run")
    assert run is not None
    options = {
        name
        for p in run.params
        if isinstance(p, click.Option)
        for name in (*p.opts, *p.secondary_opts)
    }
    section = README.split("### Options of `run`")[1].split("###")[0]
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section)) == options


def test_every_exit_status_is_in_the_readme() -> None:
    section = README.split("### Exit status of `run`")[1].split("\n## ")[0]
    for status in ("127", "126", "125", "2", "0", "1"):
        assert re.search(rf"\b{status}\b", section)


def test_every_configuration_key_is_in_the_example() -> None:
    example = (ROOT / "eco2ai.toml.example").read_text(encoding="utf-8")
    for name in KEYS:
        assert re.search(rf"^#? ?{name.split('.')[1]} =", example, re.M), name


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/measuring.md",
        "docs/ledger.md",
        "docs/processors.md",
        "docs/regions.md",
        "docs/journal.md",
        "docs/energy.md",
        "docs/gpu.md",
        "docs/uncertainty.md",
        "docs/doctor.md",
        "docs/live.md",
        "docs/report.md",
        "docs/tariffs.md",
        "docs/watch.md",
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_no_machine_or_registry_is_named_in_the_repository() -> None:
    places = re.compile(r"(^|[\s\"'`=(])/(root|work|home/\w+)/|pypi[.]org|pythonhosted[.]org")
    for folder in ("eco2ai_cli", "tests", "docs", "examples", "benchmarks", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            if path != Path(__file__):
                assert not places.search(path.read_text(encoding="utf-8")), path
