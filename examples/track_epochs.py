"""Measure a training from within, a row an epoch: what does the next bit of accuracy cost?

A small neural network learns scikit-learn's 1,797 handwritten digits. Each epoch becomes a row of
`emission.csv` with its loss and accuracy; inside `eco2ai run` the same program marks that run.

    python examples/track_epochs.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from eco2ai_cli import Tracker

EPOCHS = 10


def main() -> None:
    """Train epoch by epoch, and say after each what it has cost so far."""
    images, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(images, digits, random_state=0)
    model = MLPClassifier((64,), random_state=0)
    tracker = Tracker(project_name="digits", experiment_description="64 units")
    tracker.start_training()
    for epoch in range(1, EPOCHS + 1):
        model.partial_fit(train, train_digits, classes=np.unique(digits))
        accuracy = model.score(test, test_digits)
        tracker.new_epoch({"loss": model.loss_, "test_accuracy": accuracy})
        joules = 3.6e6 * tracker.consumption()
        print(f"epoch {epoch:2}: accuracy {accuracy:.3f}, {joules:.2f} J so far")
    tracker.stop_training()


if __name__ == "__main__":
    main()
