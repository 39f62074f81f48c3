"""Draw the pictures of the README: `python tools/pictures.py` writes docs/pictures/*.svg.

The figures in them are made up; what lays them out is the code that users see.
"""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from eco2ai_cli.dashboard import Gpu, State, panel

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
COLUMNS = 80
STYLES = {"rule": "dim", "label": "dim", "figure": "bold", "spark": "cyan", "doubt": "yellow"}
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


def svg(text: Text, title: str) -> str:
    """Return `text` as rich draws a terminal, with the reader's own fonts: nothing is fetched."""
    console = Console(
        record=True,
        width=COLUMNS + 1,
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
    picture = Text(TRAINING)
    for line in panel(training(), COLUMNS - 1, 6):
        picture.append("\n")
        for span in line:
            picture.append(span.text, STYLES.get(span.role))
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "panel.svg").write_text(svg(picture, "eco2ai run") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
