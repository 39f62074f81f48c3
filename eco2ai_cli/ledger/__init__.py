"""The ledger: the CSV file in which every run is kept. Its format is told in `docs/ledger.md`.

`check` before the command starts, `append` after it has ended, `rescue` when that failed;
`eco2ai_cli.ledger.reader` reads the rows back and `eco2ai_cli.ledger.chain` says how they hang
together: neither is imported here, for `run` pays for every import before its command starts.
"""

from eco2ai_cli.ledger.columns import COLUMNS, Cells, text
from eco2ai_cli.ledger.precheck import check
from eco2ai_cli.ledger.unsaved import rescue
from eco2ai_cli.ledger.writer import append

__all__ = ["COLUMNS", "Cells", "append", "check", "rescue", "text"]
