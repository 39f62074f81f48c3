"""How good is the forecast of a run after a tenth of its epochs, and Carbontracker's beside it?

Two kinds of series. Recorded: 32 small real trainings (`tools/record_trainings.py`), their CPU
seconds, to which the energy of a CPU without a meter is proportional; what each does is written at
its function in `tools/trainings/`. Generated: what epochs look like by parameters drawn from the
ranges below; no training has run. The first epoch holds the set-up, as the marks of a run have it.

Carbontracker (Anthony et al. 2020, arXiv:2007.03051) multiplies the mean of the epochs seen by
their number. It measures no set-up, so it is shown twice: with the set-up in the first epoch, and
with epochs that are free of it, held against a truth that is free of it too.
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from eco2ai_cli.forecast import forecast  # noqa: E402

GENERATED = 400
SHARES = (0.05, 0.1, 0.2, 0.5)


class Series(NamedTuple):
    """One run: what its set-up, each of its epochs and its end took."""

    name: str
    set_up: float
    epochs: list[float]
    end: float

    @property
    def truth(self) -> float:
        """What the whole run took."""
        return self.set_up + math.fsum(self.epochs) + self.end


def recorded() -> list[Series]:
    """Read the recorded trainings."""
    parts: dict[str, list[float]] = defaultdict(list)
    with open(ROOT / "benchmarks" / "data" / "trainings.csv", newline="") as file:
        for row in csv.DictReader(file):
            parts[row["training"]].append(float(row["cpu_s"]))
    return [Series(name, each[0], each[1:-1], each[-1]) for name, each in parts.items()]


def generated(number: int) -> Series:
    """Draw a training: epochs of about 1, and what makes them differ.

    Of ten epochs a tenth is one, which holds the set-up: there nobody can tell, and none is drawn.
    """
    draw = random.Random(number)
    count = draw.choice([20, 30, 50, 90, 100, 200])
    noise, drift = draw.uniform(0.005, 0.08), draw.uniform(-0.1, 0.1)
    every, extra = draw.choice([1, 1, 2, 5, 10]), draw.uniform(0.1, 0.6)
    first = draw.choice([0, draw.uniform(0, 0.3), draw.uniform(0, 3)])
    odd = draw.choice([0, 0.02])
    epochs = []
    for epoch in range(1, count + 1):
        value = (1 + drift * epoch / count) * (1 + draw.gauss(0, noise))
        value += extra if epoch % every == 0 else 0
        value += first if epoch == 1 else 0
        value *= draw.uniform(1.3, 2.5) if draw.random() < odd else 1
        epochs.append(max(0.1, value))
    if draw.random() < 0.1:  # something changes for good at some time: layers, pictures, neighbours
        at, factor = draw.randrange(count), draw.uniform(0.7, 1.5)
        epochs = [value * (factor if place >= at else 1) for place, value in enumerate(epochs)]
    return Series(f"generated {number}", draw.uniform(0, 1), epochs, draw.uniform(0, 0.5))


def judge(series: Series, share: float) -> tuple[float, float, float, bool]:
    """Return the errors of ours, Carbontracker, Carbontracker without set-up; whether we cover."""
    count = len(series.epochs)
    seen = max(1, math.ceil(share * count))
    mean = math.fsum(series.epochs[:seen]) / seen
    marks = [series.set_up + series.epochs[0], *series.epochs[1:seen]]
    ours = forecast(marks, count)
    return (
        ours.total / series.truth - 1,
        math.fsum(marks) / seen * count / series.truth - 1,
        mean * count / math.fsum(series.epochs) - 1,
        ours.low <= series.truth <= ours.high,
    )


def main() -> None:
    """Print each recorded training after a tenth of its epochs, then the shares within 10 %."""
    groups = {"recorded": recorded(), "generated": [generated(n) for n in range(GENERATED)]}
    print("after a tenth of the epochs, error in %: ours, Carbontracker, the same without set-up")
    for series in groups["recorded"]:
        ours, theirs, kind, covers = judge(series, 0.1)
        errors = f"{100 * ours:+7.1f} {100 * theirs:+7.1f} {100 * kind:+7.1f}"
        print(f"  {series.name:40} {errors}{'' if covers else '   outside our bounds'}")
    print("\nwithin 10 %, and inside our bounds (which are to hold 80 %)")
    for name, all_series in groups.items():
        for share in SHARES:
            judged = [judge(series, share) for series in all_series]
            within = [sum(abs(j[k]) <= 0.1 for j in judged) / len(judged) for k in range(3)]
            inside = sum(j[3] for j in judged) / len(judged)
            print(
                f"  {name:10} after {share:4.0%} of the epochs: ours {within[0]:.0%}, "
                f"Carbontracker {within[1]:.0%}, without set-up {within[2]:.0%}; "
                f"bounds {inside:.0%}"
            )


if __name__ == "__main__":
    main()
