"""Write one JSON object a sample, JSON Lines, as the run goes on."""

from __future__ import annotations

import json
import os

from eco2ai_cli.model import COMPONENTS, Energy, Sample


class Trace:
    """An observer that appends each sample to a file; a line is written by one write(2)."""

    def __init__(self, path: str, run_id: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._run_id = run_id

    def __call__(self, sample: Sample) -> None:
        """Write one sample; raises OSError."""
        energy = Energy.since_start(sample)
        line = {
            "id": self._run_id,
            "t_s": round(sample.t_s, 6),
            "cpu_time_s": round(sample.usage.cpu_s, 6),
            "memory_bytes": sample.usage.memory_bytes,
            "processes": sample.usage.processes,
            **{f"{c}_energy_j": getattr(energy, f"{c}_j") for c in COMPONENTS},
            "devices": [
                {
                    "component": r.component,
                    "device": r.device,
                    "name": r.name,
                    "method": r.method,
                    "energy_j": r.energy_j,
                    "power_w": r.power_w,
                    **r.details,
                }
                for r in sample.of("gpu")
            ],
            "caveats": sorted(sample.caveats),
        }
        os.write(self._fd, json.dumps(line, allow_nan=False).encode() + b"\n")
