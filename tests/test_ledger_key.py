"""The secret that chains rows: who may read its file, how it is made, and where it never goes."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from ledger_rows import ROOT, a_row, rows_of

from eco2ai_cli import ledger
from eco2ai_cli.commands.config import config as command
from eco2ai_cli.config import load as load_config
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import key
from eco2ai_cli.ledger.chain import row_hash

SECRET = b"5d7a" * 16


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.key"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    return path


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


def test_hash_with_a_key_is_the_hmac_of_the_same_bytes() -> None:
    message = b"2:ab,2:id,1:x,4:cost,3:1.5,"
    found = row_hash("ab", ["id", "user", "cost", "row_hash"], ["x", "", "1.5", "h"], SECRET)
    assert found == hmac.new(SECRET, message, hashlib.sha256).hexdigest()
    assert found != hashlib.sha256(message).hexdigest()


def test_white_space_around_the_secret_is_not_part_of_it(key_file: Path) -> None:
    assert key.load(str(key_file)) == SECRET
    key_file.write_bytes(b"\n  " + SECRET + b"\r\n\n")
    assert key.load(str(key_file)) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_key_that_others_may_open_is_refused_with_the_way_out(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(LedgerError, match="open to other users") as caught:
        key.load(str(key_file))
    assert caught.value.hint == f"`chmod 600 {key_file}`"


def test_key_that_is_gone_is_told_with_every_way_to_have_one_again(tmp_path: Path) -> None:
    path = tmp_path / "gone.key"
    with pytest.raises(LedgerError, match="No such file") as caught:
        key.load(str(path))
    hint = str(caught.value.hint)
    for way in ("put your copy", "`[ledger] key`", "ECO2AI_LEDGER_KEY", "`eco2ai config init"):
        assert way in hint


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_key_of_this_user_alone_is_taken(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    assert key.load(str(key_file)) == SECRET


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_key_of_another_user_is_refused_but_one_of_root_is_not(key_file: Path) -> None:
    os.chown(key_file, 12345, -1)
    with pytest.raises(LedgerError, match="belongs to another user"):
        key.load(str(key_file))


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"x" * 15 + b"   \n"])
def test_secret_that_could_be_tried_out_is_refused(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    with pytest.raises(LedgerError, match="fewer than 16") as caught:
        key.load(str(key_file))
    assert "short" not in str(caught.value)


def test_what_is_no_file_is_refused_and_nothing_waits(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        key.load(str(tmp_path / "missing"))
    with pytest.raises(LedgerError, match="not a regular file"):
        key.load(str(tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(LedgerError, match="not a regular file"):
        key.load(str(tmp_path / "pipe"))
    with pytest.raises(LedgerError, match="null"):
        key.load("a\0b")


def test_new_key_is_random_private_and_never_over_anything(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "ledger.key"
    before = os.umask(0)
    try:
        key.make(str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    secret = key.load(str(path))
    assert len(bytes.fromhex(secret.decode())) == 32
    with pytest.raises(FileExistsError):
        key.make(str(path))
    assert key.load(str(path)) == secret
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        key.make(str(link))
    assert not (tmp_path / "nowhere").exists()
    key.make(str(tmp_path / "second"))
    assert key.load(str(tmp_path / "second")) != secret


def test_init_makes_a_key_and_a_configuration_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Path(os.environ["XDG_CONFIG_HOME"]) / "eco2ai" / "ledger.key"
    done = CliRunner().invoke(command, ["init", "--ledger-key"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert load_config({}).ledger_key_file == str(made)
    secret = key.load(str(made))

    (tmp_path / "eco2ai.toml").write_text("[ledger]\n")
    done = CliRunner().invoke(command, ["init", "--ledger-key"])
    assert done.exit_code == 0
    assert (tmp_path / "eco2ai.toml").read_text() == "[ledger]\n"
    line = done.stderr.splitlines()[-1]
    (tmp_path / "eco2ai.toml").write_text(f"[ledger]\n{line}\n")
    assert load_config({}).ledger_key_file == str(made)
    assert key.load(str(made)) == secret
    assert secret.decode() not in done.output


def test_run_chains_its_row_with_the_key_and_lets_it_go_nowhere(
    tmp_path: Path, key_file: Path
) -> None:
    (tmp_path / "eco2ai.toml").write_text(f'[ledger]\nkey = "{key_file.name}"\n')
    done = eco2ai("run", "--json", "r.json", "--trace", "t.jsonl", "--", "env", folder=tmp_path)
    assert done.returncode == 0
    (row,) = rows_of(tmp_path / "emission.csv")
    names, cells = list(row), list(row.values())
    assert row["row_hash"] == row_hash("", names, cells, SECRET)
    shown = eco2ai("config", "show", folder=tmp_path).stdout
    assert key_file.name in shown
    texts = [done.stdout, done.stderr, shown]
    texts += [p.read_text() for p in tmp_path.rglob("*") if p.is_file() and p != key_file]
    state = Path(os.environ["XDG_STATE_HOME"])
    texts += [p.read_bytes().decode(errors="replace") for p in state.rglob("*") if p.is_file()]
    assert not any(SECRET.decode() in text for text in texts)


def test_key_that_cannot_be_used_stops_the_run_before_the_command(
    tmp_path: Path, key_file: Path
) -> None:
    key_file.chmod(0o644)
    done = eco2ai("run", "--", "touch", "started", folder=tmp_path, ECO2AI_LEDGER_KEY=str(key_file))
    assert done.returncode == 125
    assert "hint: `chmod 600" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.key"]


def test_row_that_is_rescued_is_chained_with_the_key(tmp_path: Path) -> None:
    path = ledger.rescue([a_row()], key=SECRET, environ={"TMPDIR": str(tmp_path)})
    (row,) = rows_of(Path(path))
    assert row["row_hash"] == row_hash("", list(row), list(row.values()), SECRET)


def test_row_added_to_the_file_of_eco2ai_is_chained_with_the_key(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(ledger.COLUMNS[:13])
    ledger.append(str(path), [a_row()], key=SECRET)
    (row,) = rows_of(path)
    assert row["row_hash"] == row_hash("", list(row), list(row.values()), SECRET)


def test_show_json_says_the_path_and_not_the_secret(tmp_path: Path, key_file: Path) -> None:
    done = eco2ai("config", "show", "--json", folder=tmp_path, ECO2AI_LEDGER_KEY=str(key_file))
    values = {record["key"]: record["value"] for record in json.loads(done.stdout)}
    assert values["ledger.key"] == str(key_file)
