"""Train a real model on real data with several worker processes: which network reads digits best?

The data are 1,797 scanned handwritten digits, 8 x 8 pixels, that ship with scikit-learn (UCI
Machine Learning Repository, "Optical Recognition of Handwritten Digits", Alpaydin and Kaynak 1998,
CC BY 4.0). A grid of small neural networks is cross-validated, each fit in a worker process; the
best one is trained again and tested on digits that it has never seen.

    eco2ai run --project digits -- python examples/train_digits.py
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product

# One thread a worker: the workers are the parallelism.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

WIDTHS = (32, 64, 128)
PENALTIES = (1e-4, 1e-2, 1.0)
FOLDS = 3


def network(width: int, penalty: float):
    """Return a network with one hidden layer of `width` units and an L2 penalty."""
    layers = MLPClassifier((width,), alpha=penalty, max_iter=1000, random_state=0)
    return make_pipeline(StandardScaler(), layers)


def data():
    """Return the digits, a quarter of them kept for the test."""
    images, digits = load_digits(return_X_y=True)
    return train_test_split(images, digits, test_size=0.25, random_state=0, stratify=digits)


def accuracy(setting: tuple[int, float]) -> float:
    """Return the mean accuracy of a setting by cross-validation on the training part."""
    images, _, digits, _ = data()
    return cross_val_score(network(*setting), images, digits, cv=FOLDS).mean()


def main() -> None:
    """Search the grid, then train and test the best."""
    settings = list(product(WIDTHS, PENALTIES))
    workers = max(2, min(4, len(os.sched_getaffinity(0))))
    print(f"cross-validating {len(settings)} networks with {workers} workers")
    with ProcessPoolExecutor(workers) as pool:
        scores = dict(zip(settings, pool.map(accuracy, settings), strict=True))
    for (width, penalty), score in scores.items():
        print(f"  {width:4} units, penalty {penalty:<6g} {score:.3f}")
    best = max(scores, key=scores.get)
    train_images, test_images, train_digits, test_digits = data()
    model = network(*best).fit(train_images, train_digits)
    print(f"best: {best[0]} units, penalty {best[1]:g}")
    print(
        f"accuracy on {len(test_digits)} unseen digits: {model.score(test_images, test_digits):.3f}"
    )


if __name__ == "__main__":
    main()
