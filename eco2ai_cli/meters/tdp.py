"""CPU energy by thermal design power: watts per hardware thread x CPU seconds of the tree."""

from __future__ import annotations

from eco2ai_cli.model import Component, Reading, Usage


class TdpMeter:
    """Charges each CPU second with the power of one hardware thread, TDP / threads of its socket.

    On bare metal that is the paper's E = TDP x integral of the load share (Budennyy et al. 2022);
    a virtual machine pays for the slice that it has. `w_per_thread` > 0, in watts.
    """

    component: Component = "cpu"

    def __init__(self, w_per_thread: float, name: str, caveats: frozenset[str]) -> None:
        self._w_per_thread = w_per_thread
        self._name = name
        self._caveats = caveats

    def sample(self, usage: Usage, now_s: float) -> tuple[Reading, ...]:
        """Return the one reading of all sockets together."""
        return (
            Reading(
                "cpu",
                "tree",
                self._w_per_thread * usage.cpu_s,
                "tdp",
                self._name,
                None,
                self._caveats,
            ),
        )

    def finish(self) -> None:
        """Nothing lags behind."""

    def close(self) -> None:
        """Nothing is open."""
