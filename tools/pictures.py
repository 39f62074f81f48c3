"""Draw the pictures of the README: `python tools/pictures.py` writes docs/pictures/*.svg.

The figures in them are made up; what lays them out is the code that users see.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from eco2ai_cli.clock import Moment
from eco2ai_cli.dashboard import Gpu, Line, State, panel
from eco2ai_cli.journal.layout import Figures
from eco2ai_cli.watch.frame import Watched, frame
from eco2ai_cli.watch.members import Member
from eco2ai_cli.watch.power import History, Pace, Stretch
from eco2ai_cli.watch.runs import LiveRun

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
COLUMNS = 80
WATCH_SIZE = 100, 32
STYLES = {
    "rule": "dim",
    "label": "dim",
    "figure": "bold",
    "spark": "cyan",
    "spark1": "color(30)",
    "spark2": "color(37)",
    "spark3": "color(44)",
    "spark4": "color(51)",
    "doubt": "yellow",
}
TRAINING = """\
$ eco2ai run -p mnist -r FR --price 0.25 --currency EUR -- python train.py
epoch 1/3: 100%|████████████████████| 938/938 [04:01<00:00,  3.89it/s] loss=0.214
epoch 2/3: 100%|████████████████████| 938/938 [04:00<00:00,  3.90it/s] loss=0.087
epoch 3/3:  42%|████████▍           | 394/938 [01:41<02:20,  3.88it/s] loss=0.061
"""


def training() -> State:
    """Return a run that trains on one GPU and has done so for nearly ten minutes."""
    powers = [290 + 95 * math.sin(n / 3) + 40 * math.sin(n * 1.7) for n in range(46)]
    return State(
        elapsed_s=583.0,
        power_w=371.0,
        powers_w=(12.0, 140.0, *powers),
        energy_j=2.08e5,
        emissions_kg=0.00326,
        cost=0.0144,
        currency="EUR",
        cpu_percent=214.0,
        memory_bytes=4.31e9,
        processes=5,
        gpus=(Gpu("NVIDIA H100 80GB HBM3", 352.0, 97.0, 41.2e9, 64.0),),
        project="mnist",
        place="France",
        kg_per_mwh=56.0,
        caveats=("gpu-shared",),
    )


def watched() -> Watched:
    """Return a run that fine-tunes on two GPUs and has been watched for five minutes."""
    duration_s, energy_kwh, kg_per_mwh, price = 5025.0, 1.62, 56.0, 0.25
    cells: dict[str, Any] = {
        "id": "9f3ac27e-5d0b-4c8e-9d43-1f6a0c7be842",
        "project_name": "vision",
        "command": "torchrun --nproc-per-node 2 train.py --epochs 30",
        "region/country": "FR",
        "intensity_year": 2024,
        "carbon_intensity(kg/MWh)": kg_per_mwh,
        "pue": 1.3,
        "price_per_kwh": price,
        "currency": "EUR",
        "power_consumption(kWh)": energy_kwh,
        "CO2_emissions(kg)": energy_kwh * kg_per_mwh / 1000,
        "cost": energy_kwh * price,
        "cpu_energy(kWh)": 0.081,
        "gpu_energy(kWh)": 1.142,
        "ram_energy(kWh)": 0.023,
        "cpu_method": "rapl+share",
        "gpu_method": "nvml-energy",
        "ram_method": "model",
        "caveats": "region-assumed",
    }
    figures = Figures(
        5025,
        5025,
        9,
        1.8e9,
        duration_s,
        duration_s,
        21500.0,
        2.9e5,
        4.1e6,
        8e4,
        9e13,
        21e9,
        9.0,
        b"",
    )
    stretches = tuple(
        Stretch(duration_s - 300 + n, duration_s - 299 + n, _watts(n)) for n in range(300)
    )
    power_w = _watts(299)
    gpus_w = power_w / cells["pue"] - 61.0 - 17.0
    return Watched(
        LiveRun("", 4021, Moment(0.0, 0.0, 0.0), "", cells, (figures,)),
        History(figures, Pace(power_w, 61.0, gpus_w, 17.0, 428.0, 18.4e9), stretches),
        elapsed_s=duration_s,
        idle_s=0.4,
        members=(
            Member(4025, 203.0, int(8.9e9), "python train.py --epochs 30 --local-rank 0"),
            Member(4026, 197.0, int(8.7e9), "python train.py --epochs 30 --local-rank 1"),
            Member(4031, 26.0, int(4.1e8), "python train.py --epochs 30 --local-rank 0"),
            Member(
                4022, 2.0, int(3.5e8), "python torchrun --nproc-per-node 2 train.py --epochs 30"
            ),
        ),
        processes=9,
        gpus=(
            Gpu("NVIDIA H100 80GB HBM3", 0.51 * gpus_w, 97.0, 61.2e9, 64.0),
            Gpu("NVIDIA H100 80GB HBM3", 0.49 * gpus_w, 93.0, 60.8e9, 61.0),
        ),
    )


def _watts(second: int) -> float:
    """Return a power as of training: a wave, its batches, and a pause for validation."""
    if 118 <= second < 142:
        return 410 + 30 * math.sin(second * 1.3)
    return 1130 + 90 * math.sin(second / 19) + 55 * math.sin(second * 1.7)


def svg(text: Text, title: str, columns: int = COLUMNS) -> str:
    """Return `text` as rich draws a terminal, with the reader's own fonts: nothing is fetched."""
    console = Console(
        record=True,
        width=columns + 1,
        file=io.StringIO(),
        force_terminal=True,
        legacy_windows=False,
    )
    console.print(text, soft_wrap=True)
    drawn = console.export_svg(title=title, theme=MONOKAI, unique_id="eco2ai")
    drawn = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


def main() -> None:
    """Write every picture."""
    columns, rows = WATCH_SIZE
    below = painted(panel(training(), COLUMNS - 1, 6))
    whole = painted(frame([watched()], 0, columns, rows, foot="q quit   + - zoom"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, drawn in (
        ("panel", svg(Text(TRAINING + "\n").append(below), "eco2ai run")),
        ("watch", svg(whole, "eco2ai watch", columns)),
    ):
        (FOLDER / f"{name}.svg").write_text(drawn + "\n", encoding="utf-8")


def painted(lines: Sequence[Line]) -> Text:
    """Return lines as rich prints them."""
    text = Text()
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        for span in line:
            text.append(span.text, STYLES.get(span.role))
    return text


if __name__ == "__main__":
    main()
