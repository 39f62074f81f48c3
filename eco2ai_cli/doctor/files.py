"""Whether a run's row can be kept: the ledger, its locks, the journal's folder."""

from __future__ import annotations

import os

from eco2ai_cli import journal, ledger
from eco2ai_cli.config import Config
from eco2ai_cli.doctor.findings import Fact, Section, Shortcoming, Surroundings
from eco2ai_cli.errors import LedgerError
from eco2ai_cli.ledger.lock import knows_locks


def examine_ledger(at: Surroundings, config: Config) -> Section:
    """Tell whether rows can be appended, and safely by several at once."""
    path = os.path.join(at.cwd or os.curdir, config.output)
    short: list[Shortcoming] = []
    reason, locks = None, None
    try:
        ledger.check(path)
    except LedgerError as error:
        reason = str(error)
        short.append(Shortcoming("ledger", reason, error.hint or "name another with `--output`"))
    else:
        locks = knows_locks(path)
    if locks is False:
        short.append(
            Shortcoming(
                "ledger",
                "the file system of the ledger has no locks: several runs at once are slower to "
                "save",
                "keep the ledger on a local disk",
                ("[run]", 'output = "/path/on/a/local/disk/emission.csv"'),
            )
        )
    known = {True: "the file system has locks", False: "the file system has no locks", None: None}
    facts = (
        Fact("path", os.path.abspath(path), os.path.abspath(path)),
        Fact("exists", os.path.exists(path)),
        Fact("writable", reason is None, "rows can be appended" if reason is None else reason),
        Fact("locks", locks, known[locks]),
        Fact("key_file", config.ledger_key_file, config.ledger_key_file),
    )
    return Section("ledger", facts, (), tuple(short))


def examine_journal(at: Surroundings, config: Config) -> Section:
    """Tell whether a run that is killed can be recovered."""
    folder = journal.folder(at.environ)
    writable = folder is not None and _can_be_made(folder)
    facts = (
        Fact("path", folder, folder),
        Fact("writable", writable, "killed runs are recovered" if writable else "not writable"),
    )
    if writable:
        return Section("journal", facts)
    lacking = (
        f"the journal's folder `{folder}` cannot be written"
        if folder
        else "there is no home for the journal"
    )
    cure = Shortcoming(
        "journal",
        f"{lacking}: the row of a run that is killed is lost",
        "name a folder that you may write",
        ("export XDG_STATE_HOME=/path/to/a/folder",),
    )
    return Section("journal", facts, (), (cure,))


def _can_be_made(folder: str) -> bool:
    """Tell whether a folder is there to be written, or could be made; makes nothing."""
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
