"""Files in every state, of every maker: appended to, extended or refused, and nothing is lost."""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_rows import (
    ROOT,
    a_row,
    contents,
    first_broken_row,
    in_tiny_file_system,
    rows_of,
    run_python,
)

from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.reader import read

OURS = ",".join(ledger.COLUMNS).encode() + b"\n"
ECO2AI = ",".join(ledger.COLUMNS[:13]).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.csv"


@pytest.mark.parametrize(
    ("content", "is_extended"),
    [
        (b"", False),
        (b"\xef\xbb\xbf", False),
        (OURS, False),
        (OURS.replace(b"\n", b"\r\n"), False),
        (b"\xef\xbb\xbf" + OURS, False),
        (OURS.rstrip(b"\n"), False),
        (OURS.replace(b"\n", b",note\n"), False),
        (ECO2AI.rstrip(b"\n"), False),
        (ECO2AI, True),
        (b"\xef\xbb\xbf" + ECO2AI.replace(b"\n", b"\r\n"), True),
        (OURS.replace(b"caveats,", b""), True),
    ],
)
def test_file_with_no_more_than_a_header_is_appended_to_or_extended(
    path: Path, content: bytes, is_extended: bool
) -> None:
    path.write_bytes(content)
    ledger.check(str(path))
    assert list(read(str(path))) == []
    ledger.append(str(path), [a_row(id="1"), a_row(id="1")])
    assert path.with_name("l.csv.eco2ai-original").exists() == is_extended
    assert is_extended or path.read_bytes().startswith(content)
    with path.open(encoding="utf-8-sig") as file:
        assert set(ledger.COLUMNS) <= set(file.readline().rstrip("\n").split(","))
    assert len(list(read(str(path)))) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(OURS, mtime=0), "it is compressed by gzip"),
        (OURS.decode().encode("utf-16"), "it is UTF-16 text"),
        (OURS.decode().encode("utf-16-be"), "it is not a text file"),
        (b"\x7fELF\2\1\1\0\0\0\n", "it is not a text file"),
        (bytes(4096), "it is not a text file"),
        ("numéro,".encode("latin-1") + OURS, "it is not UTF-8"),
        (OURS.replace(b",", b";"), "its first line is"),
        (OURS.replace(b",", b"\t"), "its first line is"),
        (b"\n" + OURS, "its first line is ``"),
        (b"timestamp,project_name,run_id,duration,emissions\n", "its first line is"),
    ],
)
def test_file_that_is_no_ledger_is_refused_by_all_who_write_and_left_alone(
    path: Path, content: bytes, said: str
) -> None:
    path.write_bytes(content)
    for refuse in (ledger.check, lambda path: ledger.append(path, [a_row()])):
        with pytest.raises(LedgerError, match=said) as refused:
            refuse(str(path))
        assert refused.value.hint
    assert contents(path.parent) == {"l.csv": content}


def test_zeros_amid_a_ledger_cost_the_reader_one_line(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    path.write_bytes(path.read_bytes() + bytes(50) + b"\n")
    ledger.append(str(path), [a_row(id="2")])
    assert [getattr(entry, "id", None) for entry in read(str(path))] == ["1", None, "2"]


def test_writable_file_in_a_folder_that_is_not_takes_rows_if_it_needs_no_columns(
    path: Path,
) -> None:
    script = """
import os, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger import extension, writer
folder, path = os.path.split(sys.argv[1])
os.chdir(folder)
ledger.append(path, [a_row(id="1")])
open("old.csv", "w").write(",".join(ledger.COLUMNS[:13]) + "\\n")
for file in (path, "old.csv"):
    os.chmod(file, 0o666)
os.chmod(".", 0o555)
if os.geteuid() == 0:  # who may do anything is no test of permissions
    os.setgid(65534)
    os.setuid(65534)
ledger.check(path)
print(ledger.append(path, [a_row(id="2")]))
try:
    ledger.check("old.csv")
except LedgerError as error:
    print(error)
"""
    kept, refused = run_python(script, path).splitlines()
    path.parent.chmod(0o755)
    assert kept == "Kept(path='l.csv', notes=())"
    assert "folder `.` is not writable" in refused
    assert [row["id"] for row in rows_of(path)] == ["1", "2"]


def test_hard_link_shares_rows_until_columns_are_added_under_one_name(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    other = path.with_name("other.csv")
    other.hardlink_to(path)
    ledger.append(str(path), [a_row(id="2")])
    ledger.append(str(other), [a_row(id="3")])
    assert [row["id"] for row in rows_of(path)] == ["1", "2", "3"]
    assert path.samefile(other)

    path.write_bytes(ECO2AI)
    ledger.append(str(path), [a_row(id="4")])
    assert other.read_bytes() == ECO2AI  # as the original that is kept, and no row is in neither
    ledger.append(str(other), [a_row(id="5")])
    assert [row["id"] for row in rows_of(path)] == ["4"]
    assert [row["id"] for row in rows_of(other)] == ["5"]


def test_link_to_another_file_system_is_appended_to_and_extended_there(path: Path) -> None:
    script = """
import os, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
folder = sys.argv[1]
link = os.path.join(os.path.dirname(folder), "link.csv")
target = os.path.join(folder, "real.csv")
open(target, "w").write(",".join(ledger.COLUMNS[:13]) + "\\n")
os.symlink(target, link)
assert os.stat(link).st_dev != os.lstat(link).st_dev
for run in "12":
    ledger.check(link)
    ledger.append(link, [a_row(id=run)])
print(sorted(os.listdir(folder)), open(target).read().count("\\n"))
"""
    (path.parent / "mounted").mkdir()
    said = in_tiny_file_system(script, path.parent / "mounted", "size=1m")
    assert said.split() == ["['real.csv',", "'real.csv.eco2ai-original']", "3"]


def test_file_that_is_mounted_by_itself_is_appended_to_and_never_half_extended(path: Path) -> None:
    """As `docker run -v emission.csv:/emission.csv` does: no other file can take its place."""
    script = """
import os, subprocess, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
from eco2ai_cli.errors import LedgerError
folder = sys.argv[1]
for name, header in (("ours", ledger.COLUMNS), ("old", ledger.COLUMNS[:13])):
    source, path = os.path.join(folder, name), os.path.join(folder, name + ".csv")
    open(source, "w").write(",".join(header) + "\\n")
    open(path, "w").close()
    subprocess.run(["mount", "--bind", source, path], check=True)
    try:
        print(ledger.append(path, [a_row()]).notes)
    except LedgerError as error:
        print(error)
print(sorted(os.listdir(folder)), open(os.path.join(folder, "old.csv")).read().count("\\n"))
"""
    kept, refused, left = in_tiny_file_system(script, path.parent, "size=1m").splitlines()
    assert kept == "()"
    assert "busy" in refused
    assert left == "['old', 'old.csv', 'ours', 'ours.csv'] 1"


def test_row_of_a_run_whose_ledger_is_locked_is_named_on_stderr(path: Path) -> None:
    path.touch()
    script = """
import sys
from eco2ai_cli.ledger import lock, writer
writer.append.__kwdefaults__["lock_timeout_s"] = 0.05
from eco2ai_cli.__main__ import main
sys.argv = ["eco2ai", "run", "-o", sys.argv[1], "--", "true"]
main()
"""
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-c", script, path],
            cwd=path.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    (waiting,) = (path.parent / "l.csv.spool").iterdir()
    assert str(waiting) in done.stderr
    ledger.append(str(path), [a_row(id="next")])
    assert [row["id"] for row in rows_of(path)] == [waiting.stem, "next"]


def test_missing_locks_are_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):

        def flock(fd: int, operation: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        assert ledger.append(str(path), [a_row(id=str(number))]) == (str(path), ())
    assert len(rows_of(path)) == 3
    assert first_broken_row(path) is None
    assert list(contents(path.parent)) == ["l.csv"]


def test_lock_that_fails_for_another_reason_is_an_error_and_the_file_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(str(path), [a_row()])
    before = path.read_bytes()

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(LedgerError, match="Input/output error"):
        ledger.append(str(path), [a_row()])
    assert path.read_bytes() == before


def test_new_ledger_has_the_mode_of_the_umask(path: Path) -> None:
    run_python(
        "import os, sys; os.umask(0o027); sys.path.insert(0, 'tests')\n"
        "from ledger_rows import a_row\n"
        "from eco2ai_cli import ledger\n"
        "ledger.append(sys.argv[1], [a_row()])",
        path,
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
