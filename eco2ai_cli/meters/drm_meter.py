"""Meter GPUs of AMD and Intel, by the kernel's sensors in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Collection

from eco2ai_cli.meters.drm import Driver
from eco2ai_cli.meters.drm_cards import Card, is_integrated
from eco2ai_cli.meters.gpu_meter import GpuMeter


class DrmMeter(GpuMeter):
    """Meter these cards for a process tree; `sources`: the words of `--meters` that are allowed."""

    def __init__(self, cards: Collection[Card], sources: Collection[str], root: str = "") -> None:
        vital = not all(map(is_integrated, cards))
        super().__init__(Driver(cards, sources, time.monotonic, root), "hwmon", vital)
