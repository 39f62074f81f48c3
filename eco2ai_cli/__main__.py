"""The way in, for the command `eco2ai` and for `python -m eco2ai_cli`."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line."""
    # What is imported is no garbage; to look for some meanwhile takes 5 ms of every start.
    gc.set_threshold(100_000)
    from eco2ai_cli.cli import main

    main()


if __name__ == "__main__":
    main()
