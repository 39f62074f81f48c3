"""What can go wrong with a ledger: found before the command, undone after it, kept elsewhere."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import stat
from pathlib import Path

import pytest
from ledger_rows import LEDGERS, a_row, contents, in_tiny_file_system, rows_of, run_python

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError

PREAMBLE = """
import os, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import chain, extension, unsaved, writer  # nobody cannot read our folder
folder = sys.argv[1]
path = os.path.join(folder, "l.csv")
def refused(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except LedgerError as error:
        return str(error)
    raise SystemExit("not refused")
"""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("written", [None, 0, 1, 100])
@pytest.mark.parametrize("existing", [0, 3])
def test_write_that_fails_or_is_cut_short_leaves_the_file_as_it_was(
    tmp_path: Path, existing: int, written: int | None, number: int
) -> None:
    path = tmp_path / "l.csv"
    ledger.append(str(path), [a_row()] * existing) if existing else path.touch()
    before = path.read_bytes()

    def write(fd: int, data: bytes) -> int:
        if written is None:
            raise OSError(number, os.strerror(number))
        return os.write(fd, data[:written])

    with pytest.raises(LedgerError, match="cannot write the ledger"):
        ledger.append(str(path), [a_row()], write=write)
    assert path.read_bytes() == before


def test_file_size_limit_in_the_middle_of_a_row_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    script = """
import resource
ledger.append(path, [a_row()])
before = open(path, "rb").read()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, len(before) + 50))
refused(ledger.append, path, [a_row()])
assert open(path, "rb").read() == before
"""
    run_python(PREAMBLE + script, tmp_path)


def test_disk_that_fills_up_in_the_middle_of_a_row_leaves_the_file_as_it_was(
    tmp_path: Path,
) -> None:
    script = """
ledger.append(path, [a_row()])
before = open(path, "rb").read()
print(refused(ledger.append, path, [a_row(command="x" * 100_000)]))
assert open(path, "rb").read() == before
ledger.append(path, [a_row()])
print(refused(ledger.append, path, [a_row(command="x" * 100_000)]))
"""
    said = in_tiny_file_system(PREAMBLE + script, tmp_path, "size=64k")
    assert "bytes could be written" in said


def test_disk_that_is_full_when_an_eco2ai_file_is_extended_leaves_it_alone(tmp_path: Path) -> None:
    script = """
header = b",".join(name.encode() for name in ledger.COLUMNS[:13])
original = header + b"\\n" + (b"x" * 60_000 + b"," * 12 + b"\\n")
open(path, "wb").write(original)
ledger.check(path)
refused(ledger.append, path, [a_row()])
assert os.listdir(folder) == ["l.csv"], os.listdir(folder)
assert open(path, "rb").read() == original
"""
    in_tiny_file_system(PREAMBLE + script, tmp_path, "size=100k")


def test_read_only_file_system_is_found_before_the_command_starts(tmp_path: Path) -> None:
    script = """
print(refused(ledger.check, path))
"""
    assert "not writable" in in_tiny_file_system(PREAMBLE + script, tmp_path, "ro")


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("open(path, 'w').close(); os.chmod(path, 0o444)", "Permission denied"),
        ("open(path, 'w').close(); os.chmod(path, 0o222)", "Permission denied"),
        ("os.chmod(folder, 0o555)", "is not writable"),
        (
            "open(path, 'w').write(','.join(ledger.COLUMNS[:13]) + '\\n');"
            "os.chmod(path, 0o666);"
            "os.chmod(folder, 0o555)",
            "is not writable",  # columns cannot be added without a new file
        ),
    ],
)
def test_missing_permission_is_found_before_the_command_starts(
    tmp_path: Path, prepare: str, said: str
) -> None:
    tmp_path.chmod(0o777)
    script = f"""
os.chdir(folder)
folder, path = ".", "l.csv"
{prepare}
if os.geteuid() == 0:  # who may do anything is no test of permissions
    os.setgid(65534)
    os.setuid(65534)
print(refused(ledger.check, path))
refused(ledger.append, path, [a_row()])
"""
    assert said in run_python(PREAMBLE + script, tmp_path)
    tmp_path.chmod(0o700)


CODECARBON = b"timestamp,project_name,run_id,experiment_id,duration,emissions\n"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (CODECARBON, "its first line is `timestamp,project_name,run_id,"),
        (b"\xef\xbb\xbfa;b\r\n1;2\r\n", "its first line is `a;b`"),
        (b"\n", "its first line is ``"),
        (b'"id"\r"1"\r', "a carriage return stands amid its first line"),
        (b"id,project_name\n", "its first line is `id,project_name`"),
        (b"\x1b[31m\n", r"`\?\[31m`"),
        (b"\xff\xfei\x00d\x00,\x00", "it is UTF-16 text"),
        (gzip.compress(b"id,project_name\n", mtime=0), "it is compressed by gzip"),
        (bytes(range(256)) * 8, "it is not a text file"),
        ("prénom,âge\n".encode("latin-1"), "not UTF-8"),
        (b"x" * 200_000, "its first line is `xxxx"),
    ],
)
def test_file_of_others_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, found: str
) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(content)
    for refuse in (ledger.check, lambda path: ledger.append(path, [a_row()])):
        with pytest.raises(LedgerError, match=found) as refused:
            refuse(str(path))
        assert refused.value.exit_status == 125
        assert refused.value.hint
    assert contents(tmp_path) == {"l.csv": content}


def test_what_is_not_a_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    refusals = {
        tmp_path: "is a directory",
        f"{tmp_path}/new/": "names a directory",
        "": "names a directory",
        tmp_path / "fifo": "is a FIFO",
        tmp_path / "socket": "is a socket",
        "/dev/null": "is a device",
        "/dev/full": "is a device",
        tmp_path / "nowhere" / "l.csv": "there is no folder",
        tmp_path / "fifo" / "l.csv": "Not a directory",
        tmp_path / ("x" * 300): "too long",
        "a\0b": "null",
    }
    for path, said in refusals.items():
        with pytest.raises(LedgerError, match=said) as refused:
            ledger.check(str(path))
        assert refused.value.hint
    assert sorted(os.listdir(tmp_path)) == ["fifo", "socket"]


@pytest.mark.parametrize("content", [None, b"", b"\xef\xbb\xbf", "ours", "eco2AI's"])
def test_check_of_a_good_ledger_changes_nothing(
    tmp_path: Path, content: bytes | str | None
) -> None:
    path = tmp_path / "l.csv"
    if content == "ours":
        ledger.append(str(path), [a_row()])
    elif content == "eco2AI's":
        path.write_bytes((LEDGERS / "eco2ai.csv").read_bytes())
    elif isinstance(content, bytes):
        path.write_bytes(content)
    before = contents(tmp_path), path.exists() and path.stat().st_mtime_ns
    ledger.check(str(path))
    assert (contents(tmp_path), path.exists() and path.stat().st_mtime_ns) == before


def test_link_to_a_file_that_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "l.csv").symlink_to("real/ledger.csv")
    ledger.check(str(tmp_path / "l.csv"))
    ledger.append(str(tmp_path / "l.csv"), [a_row()])
    assert len(rows_of(tmp_path / "real" / "ledger.csv")) == 1
    (tmp_path / "broken.csv").symlink_to("nowhere/ledger.csv")
    with pytest.raises(LedgerError, match="nowhere"):
        ledger.check(str(tmp_path / "broken.csv"))


def test_folder_that_vanished_during_the_run_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        ledger.append(str(tmp_path / "gone" / "l.csv"), [a_row()])


def test_rescued_row_is_a_private_ledger_in_the_state_directory(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    path = ledger.rescue([a_row(id="5f1d")], environ={"XDG_STATE_HOME": str(state)})
    assert path == f"{state}/eco2ai/unsaved/5f1d.csv"
    assert rows_of(Path(path))[0]["project_name"] == "kandinsky"
    for private in (state / "eco2ai", state / "eco2ai" / "unsaved"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    ledger.check(path)


@pytest.mark.parametrize("state", [None, "", "relative"])
def test_state_directory_is_in_the_home_unless_an_absolute_one_is_named(
    tmp_path: Path, state: str | None
) -> None:
    environ = {"HOME": str(tmp_path)} | ({} if state is None else {"XDG_STATE_HOME": state})
    path = ledger.rescue([a_row(id="5f1d")], environ=environ)
    assert path == f"{tmp_path}/.local/state/eco2ai/unsaved/5f1d.csv"


def test_row_is_rescued_to_the_temporary_folder_when_the_state_directory_is_of_no_use(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    environ = {"XDG_STATE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    path = ledger.rescue([a_row(id="5f1d")], environ=environ)
    assert path == f"{tmp_path}/eco2ai-unsaved-5f1d.csv"
    assert len(rows_of(Path(path))) == 1


def test_rescue_follows_no_link_that_somebody_laid_out_in_the_temporary_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "eco2ai-unsaved-links.csv").symlink_to("victim")
    path = Path(ledger.rescue([a_row(id="links")], environ={"TMPDIR": str(tmp_path)}))
    assert path.parent != tmp_path
    path.unlink()
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_row_that_nothing_takes_is_an_error_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    script = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
environ = {"XDG_STATE_HOME": folder, "TMPDIR": folder}
run_id = f"nothing-{os.getpid()}"
assert "anywhere" in refused(ledger.rescue, [a_row(id=run_id)], environ=environ)
places = [folder, os.path.join(folder, "eco2ai", "unsaved"), "/tmp"]
assert not [name for place in places for name in os.listdir(place) if run_id in name]
"""
    run_python(PREAMBLE + script, tmp_path)
