"""Sealed ledgers: who has the key reads what was written, and nobody else changes a byte unseen."""

from __future__ import annotations

import base64
import csv
import errno
import fcntl
import hashlib
import hmac
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import ROOT, a_row, in_tiny_file_system, rows_of, run_python

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import key as ledger_key
from eco2ai_cli.ledger import lock, seal
from eco2ai_cli.ledger.sealed import (
    Flaw,
    Opened,
    append_sealed,
    check_sealed,
    is_sealed,
    open_sealed,
    sealed_path,
)

pytest.importorskip("cryptography", reason="the extra `seal` is not installed")

KEY = b"5d7a" * 16
OTHER = b"0123456789abcdef"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "encoded_emission.csv"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.key"
    file.write_bytes(KEY + b"\n")
    file.chmod(0o600)
    return file


def sealed(path: Path, count: int = 4) -> list[bytes]:
    """Seal some runs; return the lines of the file."""
    for number in range(count):
        assert append_sealed(str(path), [a_row(id=f"run-{number}")], KEY).notes == ()
    return path.read_bytes().splitlines(keepends=True)


def entries(path: Path, *keys: bytes) -> list[Opened | Flaw]:
    return list(open_sealed(str(path), keys or (KEY,)))


def flaws(path: Path) -> list[tuple[str, int]]:
    return [(entry.kind, entry.line) for entry in entries(path) if isinstance(entry, Flaw)]


def ids(path: Path) -> list[str]:
    return [row[0] for entry in entries(path) if isinstance(entry, Opened) for row in entry.rows]


def eco2ai(*args: object, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", *map(str, args)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# -- what goes in comes out


def opened_by_a_stranger(path: Path, secret: bytes) -> list[bytes]:
    """Open a file by `docs/ledger.md` and the RFCs alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header, *lines = path.read_bytes().splitlines()
    parts = base64.b64decode(header.split(b" ")[1])
    extracted = hmac.digest(parts[:32], secret, "sha256")
    info = b"eco2ai sealed ledger 1"
    first = hmac.digest(extracted, info + b"\x01", "sha256")
    second = hmac.digest(extracted, first + info + b"\x02", "sha256")
    assert parts[32:] == second[:16]
    found, link = [], bytes(16)
    for number, line in enumerate(lines, 1):
        data = base64.b64decode(line.split(b" ")[1])
        about = header + b"\n" + str(number).encode() + b" " + link
        assert data[:16] == link
        found.append(AESGCM(first).decrypt(data[16:28], data[28:], about))
        link = data[-16:]
    return found


def test_who_has_the_documentation_and_the_key_can_open_it(path: Path) -> None:
    sealed(path)
    contents = opened_by_a_stranger(path, KEY)
    rows = [next(csv.DictReader(io.StringIO(content.decode()))) for content in contents]
    assert [row["id"] for row in rows] == ["run-0", "run-1", "run-2", "run-3"]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_what_is_opened_is_the_ledger_that_would_have_been_written(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    for number, texts in enumerate(runs):
        rows = [a_row(id=str(number), experiment_description=text) for text in texts]
        append_sealed(str(folder / "s.csv"), rows, KEY)
        ledger.append(str(folder / "l.csv"), rows, key=KEY)
    from eco2ai_cli.verify import sealed as view

    names = view.survey(open_sealed(str(folder / "s.csv"), [KEY])).names
    told = b"".join(view.lines(str(folder / "s.csv"), [KEY], names))
    assert told == (folder / "l.csv").read_bytes()


def test_nothing_of_a_row_can_be_read_in_it(path: Path) -> None:
    sealed(path)
    data = path.read_bytes()
    raw = b"".join(base64.b64decode(line.split(b" ")[1]) for line in data.splitlines())
    for text in (b"kandinsky", b"train.py", b"project_name", b"24.5"):
        assert text not in data
        assert text not in raw


def test_two_files_of_one_key_and_one_row_have_nothing_in_common(tmp_path: Path) -> None:
    (first, second) = (sealed(tmp_path / name, 1) for name in ("a", "b"))
    assert not set(first) & set(second)


def test_it_is_text_that_every_mailer_and_git_leave_alone(path: Path) -> None:
    lines = sealed(path)
    assert re.fullmatch(rb"eco2ai-sealed-1 [A-Za-z0-9+/=]+\n", lines[0])
    assert all(re.fullmatch(rb"\d+ [A-Za-z0-9+/=]+\n", line) for line in lines[1:])
    path.write_bytes(b"".join(lines).replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert flaws(path) == []
    append_sealed(str(path), [a_row(id="more")], KEY)
    assert flaws(path) == []
    assert ids(path) == ["run-0", "run-1", "run-2", "run-3", "more"]


def test_records_of_a_version_with_other_columns_stand_under_one_header(
    path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eco2ai_cli.ledger import sealed as room

    old = tuple(name for name in ledger.COLUMNS if name != "version")
    monkeypatch.setattr(room, "COLUMNS", old)
    append_sealed(str(path), [{**a_row(id="old"), "version": None}], KEY)
    monkeypatch.undo()
    append_sealed(str(path), [a_row(id="new")], KEY)
    done = eco2ai("verify", "--open", path, "--key", key_file, folder=path.parent)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["id"], row["version"]) for row in rows] == [("old", ""), ("new", "0.1.0")]
    (path.parent / "opened.csv").write_text(done.stdout)
    assert eco2ai("verify", "opened.csv", "--key", key_file, folder=path.parent).returncode == 0


# -- nobody changes it unseen


@settings(deadline=None)
@given(st.data())
def test_no_character_changes_unseen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flip") / "s.csv"
    sealed(path, 3)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 2))  # the last line end says nothing
    other = data.draw(st.integers(32, 126).filter(lambda code: code != content[place]))
    content[place] = other
    path.write_bytes(content)
    try:
        found = bool(flaws(path))
    except LedgerError:  # the name of the format was hit
        found = place < len(seal.MAGIC) + 1
    assert found


def swap(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def renumber(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], re.sub(rb"^3", b"2", lines[3]), re.sub(rb"^4", b"3", lines[4])]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: [lines[0], *lines[2:]], [("seal-order", 2)]),
        (lambda lines: [*lines[:3], *lines[4:]], [("seal-order", 4)]),
        (swap, [("seal-order", 2), ("seal-order", 3), ("seal-order", 4)]),
        (lambda lines: [*lines, lines[-1]], [("seal-order", 6)]),
        (lambda lines: [*lines[:3], lines[1], *lines[3:]], [("seal-order", 4), ("seal-order", 5)]),
        (renumber, [("seal", 3), ("seal", 4)]),
        (lambda lines: [*lines[:2], b"forged\n", *lines[3:]], [("seal", 3)]),
        (lambda lines: [lines[0].replace(b"1 ", b"1 A", 1), *lines[1:]], [("seal-key", 1)]),
    ],
)
def test_a_record_that_is_dropped_moved_copied_or_renumbered_is_named(
    path: Path, change: Callable[[list[bytes]], list[bytes]], expected: list[tuple[str, int]]
) -> None:
    path.write_bytes(b"".join(change(sealed(path))))
    assert flaws(path) == expected


def test_who_removes_records_is_told_how_far_the_numbers_jump(path: Path) -> None:
    lines = sealed(path)
    path.write_bytes(b"".join([*lines[:2], lines[4]]))
    (_, flaw, _) = entries(path)
    assert isinstance(flaw, Flaw)
    assert flaw.why.startswith("record 4 stands where record 2 should")


def test_a_character_whose_bits_say_nothing_does_not_change_unseen(path: Path) -> None:
    """The last one before the `=` of base64 has two or four bits to spare."""
    for name in ("a", "aa", "aaa"):
        append_sealed(str(path), [a_row(id=name)], KEY)
    lines = path.read_bytes().splitlines(keepends=True)
    number, line = next((n, line) for n, line in enumerate(lines) if line.endswith(b"=\n"))
    place = len(line.rstrip(b"=\n")) - 1
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(line[place]) ^ 1]
    lines[number] = line[:place] + bytes([other]) + line[place + 1 :]
    assert base64.b64decode(lines[number][2:]) == base64.b64decode(line[2:])
    path.write_bytes(b"".join(lines))
    assert flaws(path) == [("seal", number + 1)]


def test_no_two_records_share_a_nonce(path: Path) -> None:
    """Two texts under one nonce give each other away (NIST SP 800-38D, appendix A)."""
    lines = sealed(path, 20)[1:]
    nonces = {base64.b64decode(line.split(b" ")[1])[16:28] for line in lines}
    assert len(nonces) == 20


def test_a_file_that_gets_shorter_while_it_is_read_ends_where_it_ends(path: Path) -> None:
    lines = sealed(path)
    reading = open_sealed(str(path), [KEY], until_bytes=10**6)
    assert isinstance(next(reading), Opened)
    os.truncate(path, len(b"".join(lines[:3])))
    assert len(list(reading)) <= 3  # as much as was read ahead, and an end


def test_a_record_that_is_written_while_the_file_is_read_is_not_taken_for_a_torn_one(
    path: Path,
) -> None:
    sealed(path)
    reading = open_sealed(str(path), [KEY])
    next(reading)
    with path.open("ab") as file:
        file.write(b"5 abc")
    assert [(type(entry), entry.line) for entry in reading] == [(Opened, n) for n in (3, 4, 5)]


def test_a_record_of_another_copy_of_the_file_does_not_pass_for_one_of_this(path: Path) -> None:
    """Both are genuine, have the same number, and were sealed with the same keys."""
    begun = sealed(path, 2)
    append_sealed(str(path), [a_row(id="cheap")], KEY)
    cheap = path.read_bytes().splitlines(keepends=True)[3]
    path.write_bytes(b"".join(begun))
    append_sealed(str(path), [a_row(id="dear")], KEY)
    append_sealed(str(path), [a_row(id="last")], KEY)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], cheap, lines[4]]))
    assert flaws(path) == [("seal-order", 5)]


def test_a_record_of_another_file_of_the_same_key_is_none_of_this(
    path: Path, tmp_path: Path
) -> None:
    lines, others = sealed(path), sealed(tmp_path / "other.csv")
    path.write_bytes(b"".join([*lines[:3], others[3], *lines[4:]]))
    assert flaws(path) == [("seal", 4)]


def test_what_is_left_whole_can_still_be_opened(path: Path) -> None:
    lines = sealed(path)
    path.write_bytes(b"".join([*lines[:2], b"2 " + lines[1].split(b" ")[1], *lines[3:]]))
    assert ids(path) == ["run-0", "run-2", "run-3"]


def test_another_key_opens_nothing(path: Path) -> None:
    sealed(path)
    (flaw,) = entries(path, OTHER)
    assert isinstance(flaw, Flaw)
    assert flaw.kind == "seal-key"
    assert len(entries(path, OTHER, KEY)) == 4


# -- what stands in the way of writing


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("before", [0, 2])
def test_a_torn_last_record_is_named_set_aside_and_stands_in_nobodys_way(
    path: Path, before: int, kept: float
) -> None:
    """As SIGKILL or a power cut amid the write leaves it."""
    lines = sealed(path, before + 1)
    whole = b"".join(lines[: before + 1]) if before else b""
    torn = b"".join(lines)[len(whole) :].rstrip(b"\n")
    torn = torn[: int(kept * len(torn))]
    path.write_bytes(whole + torn)
    if before and torn:
        assert flaws(path) == [("torn", before + 2)]
    check_sealed(str(path), KEY)
    kept_at = append_sealed(str(path), [a_row(id="next")], KEY)
    assert kept_at.path == str(path)
    assert flaws(path) == []
    assert ids(path) == [f"run-{n}" for n in range(before)] + ["next"]
    aside = Path(f"{path}.torn")
    torn = torn.removeprefix(b"" if before else lines[0])  # a whole header stays
    if torn:
        assert f"`{aside}`" in kept_at.notes[0]
        assert aside.read_bytes().rstrip(b"\n") == torn.rstrip(b"\n")


def test_zeros_that_a_power_cut_leaves_are_torn_off(path: Path) -> None:
    lines = sealed(path, 2)
    path.write_bytes(b"".join(lines) + b"3 Ab" + bytes(900))
    append_sealed(str(path), [a_row(id="next")], KEY)
    assert (flaws(path), ids(path)) == ([], ["run-0", "run-1", "next"])


def test_a_whole_record_that_lacks_its_line_end_alone_is_kept(path: Path) -> None:
    path.write_bytes(b"".join(sealed(path, 2))[:-1])
    assert append_sealed(str(path), [a_row(id="next")], KEY).notes == ()
    assert ids(path) == ["run-0", "run-1", "next"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [*lines[:-1], lines[-1].replace(b"2 ", b"2 A", 1)], "was altered"),
        (lambda lines: [b"id,project_name\n", b"1,x\n"], "no sealed ledger"),
        (lambda lines: [b"eco2ai-sealed-2 x\n"], "newer version"),
    ],
)
def test_what_cannot_be_added_to_is_said_before_the_start_and_the_row_is_sealed_beside_it(
    path: Path, damage: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    path.write_bytes(b"".join(damage(sealed(path, 2))))
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=said):
        check_sealed(str(path), KEY)
    kept = append_sealed(str(path), [a_row(id="5f1d")], KEY)
    assert kept.path == str(path.with_name("encoded_emission-5f1d.csv"))
    assert said in kept.notes[0]
    assert kept.path in kept.notes[0]
    assert ids(Path(kept.path)) == ["5f1d"]
    assert path.read_bytes() == before


def test_a_file_of_another_key_is_said_before_the_start(path: Path) -> None:
    sealed(path, 1)
    with pytest.raises(LedgerError, match="another key"):
        check_sealed(str(path), OTHER)


def test_a_check_makes_and_changes_nothing(path: Path) -> None:
    check_sealed(str(path), KEY)
    assert not path.exists()
    lines = sealed(path)
    check_sealed(str(path), KEY)
    assert path.read_bytes() == b"".join(lines)
    with pytest.raises(LedgerError, match="no folder"):
        check_sealed(str(path.parent / "nowhere" / "s.csv"), KEY)
    with pytest.raises(LedgerError, match="directory"):
        check_sealed(str(path.parent), KEY)


def test_a_locked_file_is_not_waited_for_for_ever(path: Path) -> None:
    sealed(path, 1)
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        kept = append_sealed(str(path), [a_row(id="5f1d")], KEY, lock_timeout_s=0.01)
    assert kept.path.endswith("-5f1d.csv")
    assert ids(Path(kept.path)) == ["5f1d"]


def test_a_file_system_without_locks_gets_a_file_a_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    for epoch in ("1", "2"):
        kept = append_sealed(str(path), [a_row(id="5f1d", epoch=epoch)], KEY)
    assert ids(Path(kept.path)) == ["5f1d", "5f1d"]
    assert flaws(Path(kept.path)) == []


def test_a_write_that_is_cut_short_leaves_the_file_as_it_was(path: Path) -> None:
    before = b"".join(sealed(path))
    with pytest.raises(LedgerError, match="bytes could be written"):
        append_sealed(str(path), [a_row()], KEY, write=lambda fd, data: os.write(fd, data[:99]))
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from ledger_rows import a_row
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.sealed import append_sealed, open_sealed
path, count = sys.argv[1] + "/s.csv", 0
try:
    while True:
        append_sealed(path, [a_row(command="x" * 2000)], {KEY!r})
        count += 1
except LedgerError as error:
    assert "No space left" in str(error) or "could be written" in str(error), error
found = list(open_sealed(path, [{KEY!r}]))
assert [entry.number for entry in found] == list(range(1, count + 1)), found
assert count > 3
"""
    in_tiny_file_system(script, folder, "size=64k")


def test_runs_that_end_at_once_and_are_killed_lose_no_record_that_was_told(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    script = f"""
import os, signal, sys, time
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli.ledger.sealed import append_sealed
append_sealed(sys.argv[1], [a_row(id="first")], {KEY!r})
children = []
for number in range(6):
    child = os.fork()
    if child == 0:
        for turn in range(10**9):
            append_sealed(sys.argv[1], [a_row(id=f"{{number}}.{{turn}}")], {KEY!r})
            os.write(1, f"{{number}}.{{turn}}\\n".encode())
    children.append(child)
time.sleep(0.15)
for child in children:
    os.kill(child, {int(signal.SIGKILL)})
    os.waitpid(child, 0)
"""
    told = run_python(script, path).split()
    append_sealed(str(path), [a_row(id="last")], KEY)
    assert flaws(path) == []
    found = ids(path)
    assert set(told) <= set(found)
    assert len(found) == len(set(found))
    assert len(told) > 6


# -- the command


def test_open_prints_a_ledger_that_verifies(path: Path, key_file: Path) -> None:
    sealed(path)
    done = eco2ai("verify", "--open", path, "--key", key_file, folder=path.parent)
    assert (done.returncode, done.stderr) == (0, "")
    opened = path.with_name("opened.csv")
    opened.write_text(done.stdout)
    assert [row["id"] for row in rows_of(opened)] == ["run-0", "run-1", "run-2", "run-3"]
    again = eco2ai("verify", opened, "--key", key_file, folder=path.parent)
    assert (again.returncode, "4 by the key" in again.stdout) == (0, True)
    assert eco2ai("report", opened, folder=path.parent).returncode == 0


def test_open_takes_the_file_beside_the_default_ledger_and_the_users_own_key(path: Path) -> None:
    own = ledger_key.of_user()
    append_sealed(str(path), [a_row()], ledger_key.load(own.path))
    done = eco2ai("verify", "--open", folder=path.parent)
    assert done.returncode == 0
    assert "kandinsky" in done.stdout


def test_verify_says_that_it_holds_and_prints_no_row(path: Path, key_file: Path) -> None:
    sealed(path)
    done = eco2ai("verify", path, folder=path.parent, ECO2AI_LEDGER_KEY=str(key_file))
    assert done.returncode == 0
    assert "4 sealed records are as they were sealed" in done.stdout
    assert "kandinsky" not in done.stdout
    found = json.loads(
        eco2ai("verify", path, "--json", "--key", key_file, folder=path.parent).stdout
    )
    assert (found["holds"], found["sealed_records"], found["rows"]) == (True, 4, 4)


def test_verify_names_the_record_that_was_altered(path: Path, key_file: Path) -> None:
    lines = sealed(path)
    place = len(lines[3]) // 2
    lines[3] = (
        lines[3][:place]
        + (b"A" if lines[3][place : place + 1] != b"A" else b"B")
        + (lines[3][place + 1 :])
    )
    path.write_bytes(b"".join(lines))
    done = eco2ai("verify", path, "--key", key_file, folder=path.parent)
    assert done.returncode == 1
    assert f"{path}:4: record 3 is not as it was sealed" in done.stdout
    opened = eco2ai("verify", "--open", path, "--key", key_file, folder=path.parent)
    assert opened.returncode == 1
    assert ":4: record 3 is not as it was sealed" in opened.stderr
    assert len(list(csv.DictReader(io.StringIO(opened.stdout)))) == 3


def test_the_wrong_key_is_an_answer_and_no_key_is_an_error(path: Path, tmp_path: Path) -> None:
    sealed(path)
    wrong = tmp_path / "wrong.key"
    wrong.write_bytes(OTHER)
    wrong.chmod(0o600)
    done = eco2ai("verify", path, "--key", wrong, folder=tmp_path)
    assert (done.returncode, "another key" in done.stdout) == (1, True)
    opened = eco2ai("verify", "--open", path, "--key", wrong, folder=tmp_path)
    assert (opened.returncode, opened.stdout) == (1, "")
    nothing = eco2ai("verify", path, folder=tmp_path)
    assert nothing.returncode == 125
    assert "hint: name its file with `--key FILE`" in nothing.stderr


@pytest.mark.parametrize("more", [("--json",), ("other.csv",)])
def test_open_is_for_one_file_and_for_csv(path: Path, more: tuple[str, ...]) -> None:
    assert eco2ai("verify", "--open", path, *more, folder=path.parent).returncode == 2


def test_what_is_no_sealed_ledger_is_not_opened(tmp_path: Path, key_file: Path) -> None:
    ledger.append(str(tmp_path / "l.csv"), [a_row()], key=KEY)
    done = eco2ai("verify", "--open", "l.csv", "--key", key_file, folder=tmp_path)
    assert (done.returncode, "no sealed ledger" in done.stderr) == (125, True)
    assert not is_sealed(str(tmp_path / "l.csv"))
    assert not is_sealed(str(tmp_path))
    assert not is_sealed("/dev/null")


def test_a_run_does_not_append_to_a_sealed_ledger(path: Path) -> None:
    before = sealed(path)
    done = eco2ai("run", "-o", path, "--", "touch", "started", folder=path.parent)
    assert done.returncode == 125
    assert "it is a sealed one, which `eco2ai verify --open` opens" in done.stderr
    assert path.read_bytes() == b"".join(before)
    assert not (path.parent / "started").exists()


# -- the key and the package


def test_the_users_own_key_is_made_once_for_him_alone(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "new")}
    first, second = ledger_key.of_user(environ), ledger_key.of_user(environ)
    assert first.path == second.path == f"{tmp_path}/new/eco2ai/ledger.key"
    assert (first.is_new, second.is_new) == (True, False)
    assert "wrote the ledger key" in first.sentence
    assert stat.S_IMODE(os.stat(first.path).st_mode) == 0o600
    assert len(ledger_key.load(first.path)) == 64
    with pytest.raises(LedgerError, match="no home"):
        ledger_key.of_user({})


def test_a_missing_package_is_one_sentence_before_anything_is_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for act in (
        lambda: check_sealed(str(path), KEY),
        lambda: append_sealed(str(path), [a_row()], KEY),
        lambda: list(open_sealed(str(path), [KEY])),
    ):
        with pytest.raises(LedgerError, match="`cryptography`") as caught:
            act()
        assert caught.value.hint == "`pip install 'eco2ai-cli[seal]'`"
    assert not path.exists()


def test_the_name_is_that_of_the_paper() -> None:
    assert sealed_path("emission.csv") == "encoded_emission.csv"
    assert sealed_path("runs/x.csv") == "runs/encoded_x.csv"


def test_the_keys_of_a_file_are_those_of_hkdf() -> None:
    """RFC 5869, by its two formulas; 48 bytes of output are two blocks of SHA-256."""
    salt, info = bytes(range(32)), b"eco2ai sealed ledger 1"
    extracted = hmac.digest(salt, KEY, "sha256")
    first = hmac.digest(extracted, info + b"\x01", hashlib.sha256)
    second = hmac.digest(extracted, first + info + b"\x02", hashlib.sha256)
    assert seal._derived(KEY, salt) == first + second[:16]
