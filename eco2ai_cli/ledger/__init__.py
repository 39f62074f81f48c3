"""The ledger: the CSV file in which every run is kept. Its format is told in `docs/ledger.md`.

`check` before the command starts, `append` after it has ended, `rescue` when that failed,
`take_in` what waits in the spool; `eco2ai_cli.ledger.reader` reads the rows back and
`eco2ai_cli.ledger.chain` says how they hang together. What writes is imported when it is first
asked for: `run` pays for every import before its command starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eco2ai_cli.ledger.columns import COLUMNS, Cells, text
from eco2ai_cli.ledger.precheck import check

if TYPE_CHECKING:
    from eco2ai_cli.ledger.unsaved import rescue
    from eco2ai_cli.ledger.writer import append, take_in

__all__ = ["COLUMNS", "Cells", "append", "check", "rescue", "take_in", "text"]


def __getattr__(name: str) -> Any:
    if name in ("append", "take_in"):
        from eco2ai_cli.ledger import writer

        return getattr(writer, name)
    if name == "rescue":
        from eco2ai_cli.ledger.unsaved import rescue

        return rescue
    raise AttributeError(name)
