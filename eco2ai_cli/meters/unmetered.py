"""What is there and is not metered: not known is not zero."""

from __future__ import annotations

from eco2ai_cli.model import Component, Reading, Usage


class Unmetered:
    """Stands for a component whose energy nobody reads; its caveat says so in every sample."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self._reading = Reading(
            component, "all", None, "none", caveats=frozenset({f"{component}-unmetered"})
        )

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return the reading that knows nothing."""
        return (self._reading,)

    def finish(self) -> None:
        """Nothing lags behind."""

    def close(self) -> None:
        """Nothing is open."""
