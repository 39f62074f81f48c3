"""The house as it was drawn: imports go down, each library has its door, start-up stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "eco2ai_cli"

FLOORS = [
    {"errors", "units", "talk", "faults", "clock", "dials", "caveats", "origin", "state"},
    {"model", "resources"},
    {
        "footprint",
        "forecast",
        "budget",
        "uncertainty",
        "coefficients",
        "gazetteer",
        "user_csv",
        "spelling",
        "config_kinds",
        "config_keys",
        "config_supply",
        "schedule",
        "timezones",
        "tariff",
        "profile",
        "rates",
        "weighing",
    },
    {"redaction", "dashboard"},
    {"regions", "location", "geoservice", "config", "machine", "cpu_names", "cpu_tables"},
    {"cpu_models", "cpu_user", "cpu_limits"},
    {"cpus", "place", "geolocation", "processes", "ledger"},
    {"meters", "launch", "marks", "report", "verify", "screen"},
    {"recorder", "session"},
    {"run_record", "trace", "live", "prospect"},
    {"run_forms", "run_parts", "accounting", "observing", "epochs", "journal"},
    {"saving", "receipt", "doctor", "watch"},
    {"tracker"},
    {"commands"},
    {"cli"},
    {"__main__", "__init__"},
]
"""The rooms from the ground up. A room may import from its own floor and from those below."""

DOORS = {
    "psutil": set(),
    "pynvml": {"meters"},
    "amdsmi": {"meters"},
    "tomllib": {"config"},
    "tomli": {"config"},
    "click": {"cli", "commands"},
    "rich": {"commands"},
    "matplotlib": {"report"},
    "cryptography": {"ledger"},
}
"""The rooms that may import a library."""


def modules() -> Iterator[tuple[Path, str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        yield path, room, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def type_checking_blocks(tree: ast.Module) -> Iterator[ast.If]:
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield node


def room_of(module: str) -> str | None:
    match = re.match(r"eco2ai_cli\.(\w+)", module)
    return match[1] if match else None


def floor_of(room: str) -> int:
    (floor,) = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    return floor


def test_every_room_is_on_one_floor() -> None:
    rooms = {room for _, room, _ in modules()}
    assert {room for floor in FLOORS for room in floor} == rooms


def test_imports_go_down_only() -> None:
    known = {room for floor in FLOORS for room in floor}
    for path, room, tree in modules():
        for block in type_checking_blocks(tree):
            tree.body.remove(block)
        for module in imports(tree):
            target = room_of(module)
            if target in known and target != room and not is_later(path, module):
                assert floor_of(target) <= floor_of(room), f"{path} imports {module}"


def is_later(path: Path, module: str) -> bool:
    """The one step up: what is loaded once the command runs."""
    return path.name == "session.py" and module.startswith("eco2ai_cli.accounting")


def test_each_library_has_its_door() -> None:
    for path, room, tree in modules():
        for module in imports(tree):
            library = module.split(".")[0]
            assert room in DOORS.get(library, {room}), f"{path} imports {library}"


def test_only_known_libraries_are_imported() -> None:
    known = {*sys.stdlib_module_names, "eco2ai_cli", *DOORS}
    for path, _, tree in modules():
        for module in imports(tree):
            assert module.split(".")[0] in known, f"{path} imports {module}"


def test_modules_stay_small() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path, _, _ in modules()}
    assert {path.name: size for path, size in sizes.items() if size > 300} == {}


def test_every_module_and_public_thing_says_what_it_is() -> None:
    for path, _, tree in modules():
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                parents = [n for n in ast.walk(tree) if node in ast.iter_child_nodes(n)]
                if all(isinstance(n, ast.Module | ast.ClassDef) for n in parents):
                    private = any(getattr(n, "name", "").startswith("_") for n in parents)
                    assert private or ast.get_docstring(node), f"{path}: {node.name}"


@pytest.mark.parametrize("library", ["psutil", "rich", "pynvml", "tomllib", "csv", "hashlib"])
def test_what_is_not_needed_before_the_command_starts_is_not_imported(library: str) -> None:
    code = f"import eco2ai_cli.commands.run, sys; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_sentence_is_of_a_caveat_that_can_arise() -> None:
    """As a word in the code, or as a mark in a table of coefficients."""
    from eco2ai_cli.caveats import SENTENCES

    kinds = ("cpu", "gpu", "ram", "duration", "energy", "emissions")
    words: set[str] = set()
    for path, _, tree in modules():
        for node in ast.walk(tree) if path.name != "caveats.py" else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [getattr(value, "value", None) for value in node.values]
                for kind in kinds:
                    words.add("".join(p if isinstance(p, str) else kind for p in parts))
    tables = "".join(path.read_text() for path in (ROOT / "resources").glob("*regions*.csv"))
    words.update(word for word in SENTENCES if f",{word}," in tables or f";{word}" in tables)
    assert set(SENTENCES) <= words
