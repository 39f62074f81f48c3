"""Rows that cannot be written at once wait beside the ledger, and are taken in exactly once."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import ROOT, a_row, first_broken_row, fork_writers, rows_of, run_python

from eco2ai_cli import ledger
from eco2ai_cli.ledger import claim, lock, spool
from eco2ai_cli.ledger.lock import spool_of
from eco2ai_cli.ledger.reader import Row, Skipped, read
from eco2ai_cli.ledger.search import has_ended

WITHOUT_LOCKS = """
import errno, fcntl
def flock(fd, operation):
    raise OSError(errno.ENOLCK, "no locks")
fcntl.flock = flock
"""


any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text(
    st.sampled_from([",", '"', "\n", "\r", "\x0b", "\x85", "a", "é", "\u2028"])
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "l.csv"


@pytest.fixture
def locked(path: Path) -> Iterator[Path]:
    """A ledger that somebody keeps locked."""
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield path


def ids(path: Path) -> list[str | None]:
    return [entry.id for entry in read(str(path)) if isinstance(entry, Row)]


def ids_in_file(path: Path) -> list[str]:
    return [row["id"] for row in rows_of(path)]


def report(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "report", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_lock_is_waited_for_no_longer_than_stated_and_the_place_of_the_row_is_named(
    locked: Path,
) -> None:
    began_s = time.monotonic()
    kept = ledger.append(str(locked), [a_row(id="5f1d")], lock_timeout_s=0.05)
    assert time.monotonic() - began_s < 2
    assert kept.path == f"{locked}.spool/5f1d.csv"
    (note,) = kept.notes
    assert "locked for 0.05 s" in note
    assert kept.path in note
    assert locked.read_bytes() == b""
    assert rows_of(Path(kept.path))[0]["project_name"] == "kandinsky"
    assert first_broken_row(Path(kept.path)) is None


@settings(deadline=None)
@given(any_text)
def test_any_text_comes_out_of_the_spool_as_it_went_in(folder: Path, command: str) -> None:
    path = folder / "l.csv"
    path.unlink(missing_ok=True)
    spool.put(str(path), [a_row(id="1", command=command)])
    assert ledger.append(str(path), [a_row(id="2")]) == (str(path), ())
    assert rows_of(path)[0]["command"] == command


def test_row_that_waits_counts_and_is_found_but_only_once(locked: Path) -> None:
    ledger.append(str(locked), [a_row(id="1")] * 2, lock_timeout_s=0)
    assert ids(locked) == ["1", "1"]
    assert has_ended(str(locked), "1")
    assert not has_ended(str(locked), "2")


def test_next_run_takes_in_what_waits_in_the_order_of_the_ends_and_chains_it(path: Path) -> None:
    ledger.append(str(path), [a_row(id="first")])
    for name, end in (("b", "2022-07-01 12:00:02+00:00"), ("c", "2022-07-01 12:00:01+00:00")):
        spool.put(str(path), [a_row(id=name, end_time=end)] * 2)
    assert ledger.append(str(path), [a_row(id="last")]) == (str(path), ())
    assert ids_in_file(path) == ["first", "c", "c", "b", "b", "last"]
    assert first_broken_row(path) is None
    assert os.listdir(path.parent) == ["l.csv"]
    assert ids(path) == ids_in_file(path)


@pytest.mark.parametrize("waits", ["not at all", "beside an extension", "with a key"])
def test_rows_that_wait_are_chained_with_the_key_and_go_into_an_extended_file(
    path: Path, waits: str
) -> None:
    key = b"k" * 16 if waits == "with a key" else None
    if waits == "beside an extension":
        path.write_text(",".join(ledger.COLUMNS[:13]) + "\n")
    if waits != "not at all":
        spool.put(str(path), [a_row(id="1")], key=key)
    ledger.append(str(path), [a_row(id="2")], key=key)
    assert ids_in_file(path)[-1] == "2"
    assert (first_broken_row(path) is None) == (key is None)


def test_report_takes_in_what_waits_and_counts_it_once(path: Path) -> None:
    ledger.append(str(path), [a_row(id="1")])
    spool.put(str(path), [a_row(id="2")])
    for _ in range(2):
        done = report(path, "--json", folder=path.parent)
        assert json.loads(done.stdout)["total"]["runs"] == 2
        assert done.stderr == ""
    assert ids_in_file(path) == ["1", "2"]
    assert first_broken_row(path) is None


def test_report_chains_what_waits_with_the_key_of_the_configuration(path: Path) -> None:
    import csv

    from eco2ai_cli.ledger.chain import row_hash

    key = path.parent / "key"
    key.write_bytes(b"0123456789abcdef")
    key.chmod(0o600)
    (path.parent / "eco2ai.toml").write_text(f'[ledger]\nkey = "{key}"\n')
    spool.put(str(path), [a_row(id="1")], key=b"0123456789abcdef")
    report(path, folder=path.parent)
    with path.open(newline="") as file:
        names, row = csv.reader(file)
    assert row[names.index("row_hash")] == row_hash("", names, row, b"0123456789abcdef")

    spool.put(str(path), [a_row(id="2")])
    key.unlink()  # and no row is chained without it
    assert "1" in ids(path)
    assert json.loads(report(path, "--json", folder=path.parent).stdout)["total"]["runs"] == 2
    assert ids_in_file(path) == ["1"]


def test_report_counts_what_waits_beside_a_ledger_that_it_may_not_write(path: Path) -> None:
    script = """
import sys
sys.path.insert(0, "tests")
from click.testing import CliRunner
from ledger_rows import a_row
from eco2ai_cli import config, ledger
from eco2ai_cli.commands.report import report
from eco2ai_cli.ledger import key, spool, writer
import os
path = sys.argv[1]
ledger.append(path, [a_row(id="1")])
spool.put(path, [a_row(id="1"), a_row(id="2")])
os.chmod(path, 0o444)
os.chmod(path + ".spool", 0o555)
other = path + "-other"
ledger.append(other, [a_row(id="1")])
spool.put(other, [a_row(id="2")])
CliRunner().invoke(report, [other, "--json"])  # loads what nobody may not read in our folders
os.chmod(os.path.dirname(path), 0o555)
if os.geteuid() == 0:  # who may do anything is no test of permissions
    os.chdir(os.path.dirname(path))
    os.setgid(65534)
    os.setuid(65534)
print(CliRunner().invoke(report, [os.path.basename(path), "--json"]).output)
"""
    done = json.loads(run_python(script, path))
    path.parent.chmod(0o755)
    assert (done["total"]["runs"], done["total"]["rows"]) == (2, 2)
    assert ids_in_file(path) == ["1"]


def test_ledger_that_was_removed_is_made_anew_of_what_waits(path: Path) -> None:
    spool.put(str(path), [a_row(id="1")])
    assert ids(path) == ["1"]
    assert ledger.take_in(str(path)) == ()
    assert ids_in_file(path) == ["1"]


def test_what_one_who_was_killed_has_taken_in_is_not_taken_in_again(path: Path) -> None:
    ledger.append(str(path), [a_row(id="0")])
    spool.put(str(path), [a_row(id="1"), a_row(id="1", epoch="2")])
    waiting = rows_of(Path(spool.place(str(path), "1")))
    claim.make(spool_of(str(path)))
    ledger.append(f"{path.parent}/other.csv", [a_row(id="x")])
    first = {name: cell for name, cell in waiting[0].items() if name != "row_hash"}
    held = path.parent / "l.csv.spool" / "held"
    (path.parent / "l.csv.spool").rename(held.parent.with_name("aside"))
    ledger.append(str(path), [first])  # as far as the other came
    (path.parent / "aside").rename(path.parent / "l.csv.spool")
    ledger.append(str(path), [a_row(id="2")])
    assert ids_in_file(path) == ["0", "1", "1", "2"]
    assert [row["epoch"] for row in rows_of(path)] == ["N/A", "N/A", "2", "N/A"]


@pytest.mark.parametrize(
    "content",
    [b"", b"id,project_name\n", b"\x1f\x8b\0", b"\xff\xfe", b'"', b"a,b\n1,2\n"],
)
def test_damaged_file_in_the_spool_is_named_and_stays_and_costs_nobody_a_row(
    path: Path, content: bytes
) -> None:
    spool.put(str(path), [a_row(id="good")])
    bad = path.parent / "l.csv.spool" / "bad.csv"
    bad.write_bytes(content)
    os.mkfifo(bad.with_name("fifo.csv"))
    kept = ledger.append(str(path), [a_row(id="new")])
    assert kept.path == str(path)
    assert any(str(bad) in note for note in kept.notes)
    assert ids_in_file(path) == ["good", "new"]
    assert bad.read_bytes() == content
    assert [entry.id for entry in read(str(path)) if isinstance(entry, Row)] == ["good", "new"]


def test_row_cut_short_in_the_spool_is_not_taken_for_a_whole_one(path: Path) -> None:
    file = Path(spool.put(str(path), [a_row(id="cut", command='a\n"b"')]))
    whole = file.read_bytes()
    for size in range(whole.index(b"\n") + 2, len(whole)):
        file.write_bytes(whole[:size])
        (note,) = ledger.append(str(path), [a_row(id="new")]).notes
        assert str(file) in note
    assert "cut" not in ids_in_file(path)


def test_spool_of_a_shared_ledger_is_for_those_who_share_it(path: Path) -> None:
    path.touch()
    path.chmod(0o664)
    file = Path(spool.put(str(path), [a_row()]))
    assert stat.S_IMODE(file.stat().st_mode) == 0o664
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o775
    path.chmod(0o600)
    other = path.parent / "other.csv"
    other.touch()
    other.chmod(0o600)
    file = Path(spool.put(str(other), [a_row()]))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_id_is_no_path(path: Path) -> None:
    assert Path(spool.put(str(path), [a_row(id="../../x/.y")])).parent.name == "l.csv.spool"
    ledger.append(str(path), [a_row(id="1")])
    assert ids_in_file(path) == ["../../x/.y", "1"]


def test_spool_is_beside_the_file_to_which_a_link_leads(path: Path) -> None:
    (path.parent / "real").mkdir()
    path.symlink_to("real/ledger.csv")
    file = spool.put(str(path), [a_row(id="1")])
    assert os.path.samefile(os.path.dirname(file), path.parent / "real" / "ledger.csv.spool")
    ledger.append(str(path), [a_row(id="2")])
    assert ids_in_file(path) == ["1", "2"]


def test_where_there_are_no_locks_rows_reach_the_file_by_way_of_the_spool(path: Path) -> None:
    fork_writers(24, path, WITHOUT_LOCKS)
    assert sorted(int(found or -1) for found in ids(path)) == list(range(24))
    assert first_broken_row(path) is None
    ledger.append(str(path), [a_row(id="99")])
    assert sorted(map(int, ids_in_file(path))) == [*range(24), 99]
    assert os.listdir(path.parent) == ["l.csv"]
    assert first_broken_row(path) is None


EIGHT_AT_ONCE = """
import os, signal, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
from eco2ai_cli.ledger import spool, writer
path = sys.argv[1]
LOCKS
for number in range(30):
    spool.put(path, [a_row(id=str(number))] * 2)
gate, starter = os.pipe()
for number in range(8):
    if os.fork() == 0:
        os.close(starter)
        os.read(gate, 1)
        if number == 0:
            unlink = os.unlink
            def killed(file):
                os.kill(os.getpid(), signal.SIGKILL)
            os.unlink = killed  # when all is written, and nothing forgotten
        ledger.take_in(path)
        os._exit(0)
os.close(gate)
os.close(starter)
for _ in range(8):
    os.wait()
ledger.take_in(path)
"""


@pytest.mark.parametrize("locks", ["", WITHOUT_LOCKS], ids=["locks", "no locks"])
@pytest.mark.parametrize("attempt", range(3))
def test_eight_who_take_in_at_once_of_whom_one_is_killed_take_in_each_row_once(
    path: Path, locks: str, attempt: int
) -> None:
    run_python(EIGHT_AT_ONCE.replace("LOCKS", locks), path)
    assert sorted(map(int, ids_in_file(path))) == sorted([*range(30), *range(30)])
    assert first_broken_row(path) is None
    assert spool.files(str(path)) == []


def test_claim_of_another_machine_holds_for_its_time_and_no_longer(path: Path) -> None:
    spool.put(str(path), [a_row(id="1")])
    own, others = claim.make(spool_of(str(path)))
    other = Path(own).with_name("merging-elsewhere.1.1.aa")
    other.touch()
    assert others == []
    assert claim.is_alive(str(other), own)
    old_s = time.time() - claim.LONGEST_S - 1
    os.utime(other, (old_s, old_s))
    assert not claim.is_alive(str(other), own)


def test_claim_of_a_process_that_has_ended_is_none(path: Path) -> None:
    spool.put(str(path), [a_row(id="1")])
    folder = spool_of(str(path))
    script = "import sys; from eco2ai_cli.ledger import claim; print(claim.make(sys.argv[1])[0])"
    theirs = run_python(script, folder).strip()
    ours, others = claim.make(folder)
    assert others == [theirs]
    assert not claim.is_alive(theirs, ours)
    assert claim.is_alive(ours, ours)
    reused = theirs.replace(f".{theirs.split('.')[-3]}.", f".{os.getpid()}.")
    assert not claim.is_alive(reused, ours)


def test_reader_sees_whole_rows_only_and_each_once_while_many_write(path: Path) -> None:
    """By lock, by spool, and while an older file is extended."""
    path.write_text(",".join(ledger.COLUMNS[:13]) + "\n")
    spool.put(str(path), [a_row(id="waits")])
    script = """
import sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli import ledger
for number in range(60):
    ledger.append(sys.argv[1], [a_row(id=f"{sys.argv[2]}-{number}", command="x\\n" * 40_000)])
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", script, path, str(number)], cwd=ROOT)
        for number in range(2)
    ]
    looks = 0
    while any(writer.poll() is None for writer in writers):
        entries = list(read(str(path)))
        assert not [entry for entry in entries if isinstance(entry, Skipped)]
        seen = [entry.id for entry in entries if isinstance(entry, Row)]
        assert len(seen) == len(set(seen))
        assert "waits" in seen
        looks += 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert looks > 3
    assert len(ids(path)) == 121


def test_row_that_is_being_written_is_waited_for_and_seen_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(str(path), [a_row(id="1")])
    before = path.stat().st_size
    ledger.append(str(path), [a_row(id="2")])
    rest = path.read_bytes()[before + 50 :]
    os.truncate(path, before + 50)
    writer = os.open(path, os.O_WRONLY | os.O_APPEND)
    fcntl.flock(writer, fcntl.LOCK_EX)
    flock = fcntl.flock

    def looked(fd: int, operation: int) -> None:
        """When the reader has looked at the lock, the writer goes on."""
        try:
            flock(fd, operation)
        finally:
            if os.lseek(writer, 0, os.SEEK_CUR) != before + 50 + len(rest):
                os.write(writer, rest)
                flock(writer, fcntl.LOCK_UN)

    monkeypatch.setattr(fcntl, "flock", looked)
    assert ids(path) == ["1", "2"]
    os.close(writer)
    assert [type(entry) for entry in read(str(path))] == [Row, Row]


def test_whoever_is_killed_while_he_spools_leaves_no_half_of_a_row(path: Path) -> None:
    script = """
import os, signal, sys
sys.path.insert(0, "tests")
from ledger_rows import a_row
from eco2ai_cli.ledger import spool, writer
write = os.write
def killed(fd, data):
    write(fd, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = killed
spool.put(sys.argv[1], [a_row()])
"""
    done = subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert spool.files(str(path)) == []
    assert ledger.append(str(path), [a_row(id="1")]).notes == ()


def test_empty_file_in_the_spool_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "l.csv.spool").mkdir()
    (tmp_path / "l.csv.spool" / "a.csv").touch()
    notes = ledger.append(str(tmp_path / "l.csv"), [a_row()]).notes
    assert [note.endswith("cannot be taken into the ledger: it is empty") for note in notes] == [
        True
    ]


@pytest.mark.parametrize("key", [None, b"0123456789abcdef"])
def test_row_that_was_altered_while_it_waited_gets_no_good_hash(
    path: Path, key: bytes | None
) -> None:
    waiting = Path(spool.put(str(path), [a_row(id="1", project_name="honest")], key=key))
    waiting.write_text(waiting.read_text().replace("honest", "forged"))
    (note,) = ledger.take_in(str(path), key=key)
    assert "its hash does not hold" in note
    assert waiting.exists()
    assert ids_in_file(path) == []


def test_row_chained_without_the_key_is_not_made_one_of_the_key(path: Path) -> None:
    waiting = Path(spool.put(str(path), [a_row(id="1")]))
    (note,) = ledger.take_in(str(path), key=b"0123456789abcdef")
    assert "another key" in note
    assert waiting.exists()


def test_claim_that_is_gone_by_the_end_does_not_keep_ours(path: Path) -> None:
    spool.put(str(path), [a_row(id="1")])
    folder = lock.spool_of(str(path))
    gone = claim.make(folder)[0]
    with spool.taken_in(str(path), lambda _: [], alone=True, key=None):
        os.unlink(gone)
    assert not os.path.exists(folder)
