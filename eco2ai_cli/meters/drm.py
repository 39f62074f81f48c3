"""GPUs of AMD and Intel: the kernel's energy and power sensors, shared out by engine time.

The sensors are hwmon's, or AMD's library where that has a counter and hwmon has none; who uses a
device is told by `/proc/<pid>/fdinfo`. Reading may hang with a driver in trouble, so this runs in a
process of its own, see `gpu_worker.py`.

Words for doubts beside those of `nvml.py`: `gpu-unseen` (processes that we may not look at could
have used a device of ours), `gpu-in-package` (a GPU inside the processor: what it draws is the
processor's and is not told apart).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from eco2ai_cli.meters import drm_clients, pci_names, rocm
from eco2ai_cli.meters.drm_cards import Card, Sensors, is_integrated
from eco2ai_cli.meters.drm_clients import Client
from eco2ai_cli.meters.gpu_dial import GpuDial, Look
from eco2ai_cli.meters.gpu_job import Job, others_look, own_pid_namespace
from eco2ai_cli.meters.gpus import IDLE_OF_LIMIT, Gpu, Residents
from eco2ai_cli.model import Reading

POWER_STEP_S = 0.1
"""The sensors may show the power of the moment: as often as NVIDIA's that do."""


class Source(Protocol):
    """What tells the energy and the power of one card."""

    def look(self, at_s: float) -> Look:
        """Read both; what is not told is None."""
        ...


class Board:
    """One card: its dial, who is on it, and what a tree has used of it.

    `source`: what is asked, and `word` its name; None: nothing is.
    """

    def __init__(
        self, card: Card, sensors: Sensors, name: str, source: Source | None, word: str
    ) -> None:
        self.card = card
        self.sensors = sensors
        self.integrated = is_integrated(card)
        idle_w = self.sensors.default_limit_w and self.sensors.default_limit_w * IDLE_OF_LIMIT
        self.gpu = Gpu(card.address, name, idle_w=idle_w)
        self.dial = GpuDial(self.sensors.limit_w, word)
        self.details: dict[str, float] = {}
        self.lost = False
        self.unseen = False
        self.seen_s = float("-inf")
        self._name = name
        self._source = None if self.integrated else source
        self._look: Look | None = None
        self._clock: dict[str, dict[str, float]] = {}
        self._asked = False

    @property
    def resident(self) -> bool:
        """Whether the tree is on it."""
        return self.gpu.resident and not self.lost

    def look(self, at_s: float) -> tuple[float, float] | None:
        """Read the dial: joules and seconds since the last time; None if it does not answer."""
        if self._source is None:
            look = Look(at_s)
        elif self.sensors.asleep:
            look = Look(at_s, None, 0.0)
        else:
            look = self.dial.plausible(self._source.look(at_s))
        if look.counter_j is None and look.power_w is None:
            self.lost = not self.sensors.is_there
            if self.lost or self.dial.energy_j is not None:
                return None  # a look failed: the next pays for this time too
        span_s = 0.0 if self._look is None else at_s - self._look.at_s
        self._look, self.seen_s = look, at_s
        return self.dial.advance(look), span_s

    def busy(self, clients: Iterable[Client], is_told: bool) -> dict[int, float]:
        """Return how busy each process kept the engines since this was last asked.

        Empty the first time, and where somebody computes by ROCm, whose work has no such times:
        `is_told` is False where others than these clients do.
        A time that falls is none: it counts again where it has caught up, as the kernel asks for.
        """
        busy: dict[int, float] = {}
        before, self._clock = self._clock, {}
        told = is_told and self._asked
        self._asked = True
        for client in clients:
            known = before.get(client.id, {})
            now = {e: max(used, known.get(e, 0.0)) for e, used in client.engines.items()}
            self._clock[client.id] = now
            told = told and not (client.computes and client.uses)
            used = sum(now.values()) - sum(known.get(engine, 0.0) for engine in now)
            if used > 0:
                busy[client.pid] = busy.get(client.pid, 0.0) + used
        return busy if told else {}

    def reading(self) -> Reading:
        """Return what is the tree's."""
        if self.integrated:
            inside = frozenset({"gpu-in-package"})
            word, details = "package", self.details
            return Reading(
                "gpu", self.card.address, None, word, self._name, caveats=inside, details=details
            )
        doubts = {
            "gpu-lost": self.lost,
            "gpu-unknown": self.dial.untold,
            "gpu-unseen": self.unseen,
        }
        return self.gpu.reading(
            self.dial.energy_j is not None,
            self.dial.method,
            self._look.power_w if self._look else None,
            self.details,
            [word for word, holds in doubts.items() if holds],
        )


class Driver:
    """The cards of a machine, as a tree of processes uses them.

    `words`: the sources allowed, of `hwmon` and `amdsmi`.
    """

    def __init__(
        self,
        cards: Collection[Card],
        words: Collection[str],
        clock: Callable[[], float],
        root: str = "",
    ) -> None:
        self._cards = cards
        self._words = words
        self._clock = clock
        self._root = root
        self._proc = f"{root}/proc"
        self._boards: list[Board] = []
        self._hidden = False
        self._disputed: bool | None = None
        self._close: Callable[[], object] = _nothing

    def open(self) -> None:
        """Find the cards' names and sensors."""
        sources: Mapping[str, Source] = {}
        needy = [card for card in self._cards if self._may_be_better(card)]
        if needy:
            from eco2ai_cli.meters import amdsmi  # which few machines have

            sources, self._close = amdsmi.sources()
        for card in self._cards:
            sensors, name = Sensors(card), pci_names.name(card, self._root)
            source, word = sources.get(card.address) if card in needy else None, "amdsmi"
            by_hwmon = "hwmon" in self._words
            if by_hwmon and (source is None or source.look(self._clock()).counter_j is None):
                source, word = sensors, "hwmon"
            self._boards.append(Board(card, sensors, name, source, word))
        # Who is elsewhere, or hidden from us, may be on a device all the same.
        shown = os.path.exists(f"{self._proc}/1")
        self._hidden = own_pid_namespace(self._proc) or not shown

    def _may_be_better(self, card: Card) -> bool:
        """Tell whether AMD's library may know more of a card than hwmon does, and is allowed."""
        if "amdsmi" not in self._words or card.vendor != "AMD" or is_integrated(card):
            return False
        return "hwmon" not in self._words or not Sensors(card).has_energy

    def poll(
        self, tree: frozenset[int], full: bool, *, aligned: bool = True, last: bool = False
    ) -> None:
        """Look at every card and who is on it, or, without `full`, at the energy of the tree's.

        `aligned`: at a moment at which all runs of the machine look. `last`: settle what is open.
        """
        boards = [b for b in self._boards if not b.lost and (full or last or b.resident)]
        drawn = [(board, board.look(self._clock())) for board in boards]
        clients: dict[str, list[Client]] = {}
        computing: Mapping[str, frozenset[int]] = {}
        if full:
            # What is inside the processor is not shared out: no need to know of others.
            alone = all(board.integrated for board in self._boards)
            who = tree if alone else {*tree, *drm_clients.everybody(self._proc)}
            found, closed = drm_clients.look(who, self._proc)
            closed = closed or self._hidden
            for client in found:
                clients.setdefault(client.address, []).append(client)
            # The list of those who compute is the machine's: its PIDs are ours or nobody's.
            computing = {} if self._hidden or alone else rocm.computing(self._root)
            for board in boards:
                board.unseen = closed
        if self._disputed is None:
            self._disputed = others_look(self._proc)
        job = Job(tree, True, frozenset(), self._proc, disputed=self._disputed)
        for board, joules in drawn:
            if joules is not None:
                on = clients.get(board.card.address, [])
                listed = computing.get(board.card.address, frozenset())
                pids = listed.union(client.pid for client in on if client.uses)
                seen = Residents(pids, aligned) if full else None
                busy = board.busy(on, not listed) if full else {}
                board.gpu.take(*joules, seen, busy, job)
                if last:
                    board.gpu.end()
                if full and board.gpu.used:
                    board.details = board.sensors.dashboard()

    @property
    def power_step_s(self) -> float | None:
        """How often the power of the tree's cards has to be looked at; None: no need to."""
        metered = (b for b in self._boards if b.resident and b.dial.energy_j is not None)
        return POWER_STEP_S if any(board.dial.integrating for board in metered) else None

    def readings(self) -> tuple[tuple[float, Reading], ...]:
        """Return a reading for each card the tree has been on, after when it was last seen."""
        return tuple(
            (float("inf") if board.lost else board.seen_s, board.reading())
            for board in self._boards
            if board.gpu.used
        )

    @property
    def idle_j(self) -> float | None:
        """Joules that cards drew while nobody was on them; None where that is not known."""
        known = [board for board in self._boards if board.dial.energy_j is not None]
        unseen = any(board.unseen for board in known)
        return sum(board.gpu.idle_j or 0.0 for board in known) if known and not unseen else None

    def close(self) -> None:
        """Let go of AMD's library."""
        self._close()
        self._close = _nothing


def _nothing() -> None:
    pass
