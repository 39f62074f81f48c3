"""Run small real trainings and note what each epoch took.

`python tools/record_trainings.py FILE [NAME…]` appends to FILE, a CSV with one line an epoch:
`training,epochs,epoch,duration_s,cpu_s`. Epoch 0 is the set-up: from the start of the process to
the beginning of the first epoch; the last line is what came after the last epoch. `cpu_s` are the
CPU seconds of the process and its children, those that live included: on a machine without an
energy counter the energy of the CPU is proportional to them. Needs numpy, scikit-learn, psutil
and PyTorch, none of which eco2ai needs.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil

EPOCHS = {
    "classic.sgd_steady": 100,
    "classic.mlp_validated_each_epoch": 100,
    "classic.mlp_evaluated_every_5": 100,
    "classic.mlp_evaluated_every_2": 100,
    "classic.decoded_once": 50,
    "classic.first_read_from_disk": 30,
    "classic.learning_curve": 50,
    "classic.boosting_with_validation": 60,
    "classic.forest_grown": 60,
    "classic.random_search": 60,
    "classic.k_means": 40,
    "classic.factorisation_checkpointed": 100,
    "classic.cart_pole": 60,
    "classic.pool_augmented": 50,
    "classic.pool_kept": 60,
    "classic.hinge_loss_of_regularised_svm": 100,
    "classic.topics": 100,
    "classic.mini_batch_dictionary": 100,
    "deep.cnn_validated": 100,
    "deep.cnn_two_workers": 50,
    "deep.cnn_tested_every_4_and_at_the_end": 100,
    "deep.progressive_resizing": 30,
    "deep.unfrozen_after_3": 40,
    "deep.lstm_by_length": 100,
    "deep.transformer_checkpointed": 100,
    "deep.distilled_from_cache": 60,
    "deep.compiled": 60,
    "deep.gan": 100,
    "deep.autoencoder": 100,
    "deep.forecaster_saved_when_better": 100,
    "deep.vision_transformer_kept_worker": 100,
    "deep.word_vectors": 100,
    "deep.segmentation_evaluated_every_3": 100,
}
"""How many epochs each training has, as such trainings do; a tenth of them is at least three."""


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children, the living ones included."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + waited.ru_utime + waited.ru_stime
    for child in psutil.Process().children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.Error:  # it has ended and is counted at its parent
            continue
    return total


def run_one(name: str, epochs: int, began_s: float) -> None:
    """Run one training in this process and print (duration, CPU seconds) of each part."""
    import importlib

    module, function = name.split(".")
    training = getattr(importlib.import_module(f"trainings.{module}"), function)(epochs)
    last_s, last_cpu_s = began_s, 0.0
    for _ in training:
        now_s, now_cpu_s = time.time(), cpu_s()
        print(f"{now_s - last_s:.4f},{now_cpu_s - last_cpu_s:.4f}")
        last_s, last_cpu_s = now_s, now_cpu_s
    print(f"{time.time() - last_s:.4f},{cpu_s() - last_cpu_s:.4f}")


def main(path: str, names: list[str]) -> None:
    """Run each training in a process of its own, one after the other, at low priority."""
    new = not os.path.exists(path)
    with open(path, "a", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(["training", "epochs", "epoch", "duration_s", "cpu_s"])
        for name in names or EPOCHS:
            command = ["nice", "-n", "10", sys.executable, __file__, "--one", name]
            command.append(str(time.time()))
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            parts = [line.split(",") for line in answer.stdout.split()]
            for number, part in enumerate(parts):
                table.writerow([name, EPOCHS[name], number, *part])
            file.flush()
            print(name, len(parts), f"{sum(float(part[0]) for part in parts):.1f} s")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[1] == "--one":
        run_one(sys.argv[2], EPOCHS[sys.argv[2]], float(sys.argv[3]))
    else:
        main(sys.argv[1], sys.argv[2:])
