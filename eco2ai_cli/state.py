"""Where we keep what is no result: journals of runs, and rows whose ledger did not take them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping


def folder(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return `$XDG_STATE_HOME/eco2ai`; None without a home.

    `~/.local/state` is the default (XDG Base Directory Specification 0.8, 2021), also for a path
    that is not absolute.
    """
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return None
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "eco2ai")


def make(room: str) -> None:
    """Make the folder `room` in ours, and close both to everybody else; raises OSError.

    One of this user that is there already and open to others is closed: what is in it tells
    command lines. A link is followed and left as it is.
    """
    for private in (os.path.dirname(room), room):  # makedirs gives its mode to the last
        os.makedirs(private, mode=0o700, exist_ok=True)
        status = os.lstat(private)
        is_open = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077
        if is_open and status.st_uid == os.geteuid():
            os.chmod(private, stat.S_IMODE(status.st_mode) & 0o700)
