"""The ledger: the CSV file in which every run is kept. Its format is told in `docs/ledger.md`.

`check` before the command starts, `append` after it has ended, `rescue` when that failed;
`eco2ai_cli.ledger.reader` reads the rows back and `eco2ai_cli.ledger.chain` says how they hang
together. What writes is imported when it is first asked for: `run` pays for every import before
its command starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eco2ai_cli.ledger.columns import COLUMNS, Cells, text
from eco2ai_cli.ledger.precheck import check

if TYPE_CHECKING:
    from eco2ai_cli.ledger.unsaved import rescue
    from eco2ai_cli.ledger.writer import append

__all__ = ["COLUMNS", "Cells", "append", "check", "rescue", "text"]


def __getattr__(name: str) -> Any:
    if name == "append":
        from eco2ai_cli.ledger.writer import append

        return append
    if name == "rescue":
        from eco2ai_cli.ledger.unsaved import rescue

        return rescue
    raise AttributeError(name)
