"""The way in, for the command `eco2ai` and for `python -m eco2ai_cli`.

Only what Python has loaded already is imported before the path is put in order.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line."""
    # What is imported is no garbage; to look for some meanwhile takes 5 ms of every start.
    gc.set_threshold(100_000)
    _prefer_our_own_modules()
    _end_by_ctrl_c()
    from eco2ai_cli.cli import main

    main()


def _prefer_our_own_modules() -> None:
    """Look in the user's folders last: a `click.py` or `uuid.py` there is for the command."""
    paths = os.environ.get("PYTHONPATH")
    if not paths:
        return
    try:
        theirs = {os.path.abspath(path) for path in paths.split(os.pathsep)}
    except OSError:  # the folder that we are in is gone
        return
    sys.path.sort(key=theirs.__contains__)


def _end_by_ctrl_c() -> None:
    """Have Ctrl-C end us as it ends any command, without a traceback of what we were importing."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
