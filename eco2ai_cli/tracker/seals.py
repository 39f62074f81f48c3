"""Keep the rows of a tracker in a sealed file as well, for `encode_file`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eco2ai_cli.errors import Eco2aiError

if TYPE_CHECKING:
    from eco2ai_cli.ledger import Cells
    from eco2ai_cli.tracker.arguments import Sealing


class Seals:
    """Seals rows as they come; what is refused waits for the next time. `sealing` None: does not.

    `notes`: what the user should know.
    """

    def __init__(self, sealing: Sealing | None) -> None:
        self._sealing = sealing
        self._waiting: list[Cells] = []
        self.notes: list[str] = []

    def add(self, rows: Sequence[Cells], *, last: bool = False) -> None:
        """Seal rows; with `last`, say what cannot be sealed. Never raises for the file's sake."""
        if self._sealing is None:
            return
        from eco2ai_cli.ledger.sealed import append_sealed

        self._waiting += rows
        if not self._waiting:
            return
        try:
            kept = append_sealed(self._sealing.path, self._waiting, self._sealing.key)
        except (Eco2aiError, OSError) as error:
            if last:
                count = len(self._waiting)
                lacking = "a row" if count == 1 else f"{count} rows"
                self.notes.append(f"`{self._sealing.path}` lacks {lacking}: {error}")
        else:
            self.notes += kept.notes
            self._waiting.clear()
