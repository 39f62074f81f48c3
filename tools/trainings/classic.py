"""Trainings with numpy and scikit-learn; `python tools/record_trainings.py` runs and times them."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

Epochs = Iterator[None]


def _blobs(rows: int, columns: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, rows)
    centres = draw.normal(size=(classes, columns))
    return (centres[labels] + draw.normal(size=(rows, columns))).astype(np.float32), labels


def sgd_steady(epochs: int) -> Epochs:
    """Logistic regression by SGD, shuffled anew each epoch: every epoch alike."""
    from sklearn.linear_model import SGDClassifier

    x, y = _blobs(20_000, 64)
    model, draw = SGDClassifier(loss="log_loss"), np.random.default_rng(1)
    yield
    for _ in range(epochs):
        order = draw.permutation(len(x))
        for start in range(0, len(x), 500):
            part = order[start : start + 500]
            model.partial_fit(x[part], y[part], classes=range(10))
        yield


def mlp_validated_each_epoch(epochs: int) -> Epochs:
    """A perceptron of scikit-learn, validated after every epoch."""
    from sklearn.neural_network import MLPClassifier

    x, y = _blobs(30_000, 64)
    model = MLPClassifier((128, 64), batch_size=200)
    yield
    for _ in range(epochs):
        model.partial_fit(x, y, classes=range(10))
        model.score(x[:10_000], y[:10_000])
        yield


def mlp_evaluated_every_5(epochs: int) -> Epochs:
    """A perceptron, evaluated by k nearest neighbours of its data after every 5th epoch."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    x, y = _blobs(30_000, 64)
    model = MLPClassifier((128,), batch_size=200)
    judge = KNeighborsClassifier(5, algorithm="brute").fit(x[:8_000], y[:8_000])
    yield
    for epoch in range(1, epochs + 1):
        model.partial_fit(x, y, classes=range(10))
        if epoch % 5 == 0:
            judge.score(x[:2_000], model.predict(x[:2_000]))
        yield


def mlp_evaluated_every_2(epochs: int) -> Epochs:
    """A perceptron with a dear evaluation after every 2nd epoch."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    x, y = _blobs(30_000, 48)
    model = MLPClassifier((96,), batch_size=200)
    judge = KNeighborsClassifier(5, algorithm="brute").fit(x[:8_000], y[:8_000])
    yield
    for epoch in range(1, epochs + 1):
        model.partial_fit(x, y, classes=range(10))
        if epoch % 2 == 0:
            judge.score(x[:2_000], model.predict(x[:2_000]))
        yield


def decoded_once(epochs: int) -> Epochs:
    """The first epoch decodes its data (here: a transform of every picture) and keeps them."""
    from sklearn.linear_model import SGDClassifier

    raw, y = _blobs(12_000, 1024)
    model = SGDClassifier()
    kept: dict[int, np.ndarray] = {}
    yield
    for _ in range(epochs):
        for start in range(0, len(raw), 200):
            if start not in kept:
                pictures = raw[start : start + 200].reshape(-1, 32, 32)
                kept[start] = np.abs(np.fft.fft2(pictures)).reshape(-1, 1024).astype(np.float32)
            model.partial_fit(kept[start], y[start : start + 200], classes=range(10))
        yield


def first_read_from_disk(epochs: int) -> Epochs:
    """The first epoch parses text files into arrays on disk, the others map those."""
    from sklearn.linear_model import SGDRegressor

    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for part in range(8):
            np.savetxt(Path(folder, f"{part}.txt"), draw.normal(size=(12_000, 24)))
        yield
        model = SGDRegressor()
        for _ in range(epochs):
            for part in range(8):
                cached = Path(folder, f"{part}.npy")
                if not cached.exists():
                    np.save(cached, np.loadtxt(Path(folder, f"{part}.txt")))
                x = np.load(cached, mmap_mode="r")
                for _ in range(8):
                    model.partial_fit(x[:, 1:], x[:, 0])
            yield


def learning_curve(epochs: int) -> Epochs:
    """A learning curve: each step trains on a larger part of the data, from a fifth to all."""
    from sklearn.linear_model import SGDClassifier

    x, y = _blobs(60_000, 64)
    yield
    for epoch in range(epochs):
        rows = int(len(x) * (0.2 + 0.8 * (epoch + 1) / epochs))
        SGDClassifier(max_iter=3, tol=None).fit(x[:rows], y[:rows])
        yield


def boosting_with_validation(epochs: int) -> Epochs:
    """Gradient boosting: 4 trees an epoch, then the whole ensemble is validated, which grows."""
    from sklearn.ensemble import GradientBoostingClassifier

    x, y = _blobs(2_500, 20, classes=3)
    model = GradientBoostingClassifier(n_estimators=4, warm_start=True, max_depth=4)
    yield
    for epoch in range(1, epochs + 1):
        model.set_params(n_estimators=4 * epoch)
        model.fit(x, y)
        model.score(x, y)
        yield


def forest_grown(epochs: int) -> Epochs:
    """A random forest grown by 5 trees an epoch."""
    from sklearn.ensemble import RandomForestClassifier

    x, y = _blobs(10_000, 30, classes=5)
    model = RandomForestClassifier(5, warm_start=True)
    yield
    for epoch in range(1, epochs + 1):
        model.set_params(n_estimators=5 * epoch)
        model.fit(x, y)
        yield


def random_search(epochs: int) -> Epochs:
    """A random search: each epoch trains a perceptron of another size."""
    from sklearn.neural_network import MLPClassifier

    x, y = _blobs(15_000, 32)
    draw = np.random.default_rng(3)
    yield
    for _ in range(epochs):
        model = MLPClassifier((int(draw.integers(32, 192)),), batch_size=200)
        for _ in range(4):
            model.partial_fit(x, y, classes=range(10))
        yield


def k_means(epochs: int) -> Epochs:
    """Lloyd's k-means in numpy with bounds: clusters that have settled are left out."""
    x, _ = _blobs(200_000, 32, classes=40)
    draw = np.random.default_rng(2)
    centres = x[draw.integers(0, len(x), 60)]
    yield
    nearest = np.full(len(x), -1)
    active = np.ones(len(x), dtype=bool)
    for _ in range(epochs):
        distances = ((x[active, None, :8] - centres[None, :, :8]) ** 2).sum(2)
        found = distances.argmin(1)
        moved = found != nearest[active]
        nearest[active] = found
        centres = np.array(
            [x[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(60)]
        )
        rows = np.flatnonzero(active)
        active[rows[~moved]] = draw.random((~moved).sum()) < 0.9
        yield


def factorisation_checkpointed(epochs: int) -> Epochs:
    """Matrix factorisation by alternating least squares, a checkpoint every 10th epoch."""
    draw = np.random.default_rng(0)
    ratings = draw.normal(size=(1_500, 1_000)).astype(np.float32)
    u, v = draw.normal(size=(1_500, 64)), draw.normal(size=(1_000, 64))
    yield
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(1, epochs + 1):
            for _ in range(20):
                u = ratings @ v @ np.linalg.inv(v.T @ v + np.eye(64))
                v = ratings.T @ u @ np.linalg.inv(u.T @ u + np.eye(64))
            if epoch % 10 == 0:
                np.savez_compressed(Path(folder, "checkpoint.npz"), u=u, v=v, ratings=ratings)
            yield


def cart_pole(epochs: int) -> Epochs:
    """Reinforcement learning: 200 episodes an epoch, which last longer the better they balance."""
    draw = np.random.default_rng(5)
    policy = np.zeros(4)
    yield
    best = 0.0
    for _ in range(epochs):
        for _ in range(5):
            trial = policy + draw.normal(scale=0.5, size=4)
            length = float(np.mean([_balance(trial, draw) for _ in range(40)]))
            if length >= best:
                best, policy = length, trial
        yield


def _balance(policy: np.ndarray, draw: np.random.Generator) -> int:
    """Return for how many steps of 0.02 s a pole is kept up (Barto, Sutton and Anderson 1983)."""
    x, v, angle, turn = draw.uniform(-0.05, 0.05, 4)
    for step in range(500):
        force = 10.0 if policy @ (x, v, angle, turn) > 0 else -10.0
        push = (force + 0.05 * turn**2 * np.sin(angle)) / 1.1
        spin = (9.8 * np.sin(angle) - np.cos(angle) * push) / (
            0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
        )
        pull = push - 0.05 * spin * np.cos(angle) / 1.1
        x, v, angle, turn = x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * turn, turn + 0.02 * spin
        if abs(angle) > 0.21 or abs(x) > 2.4:
            return step
    return 500


def pool_augmented(epochs: int) -> Epochs:
    """Two loader processes, started anew each epoch, augment what the trainer consumes."""
    from sklearn.linear_model import SGDClassifier

    x, y = _blobs(4_000, 1024)
    model = SGDClassifier()
    yield
    for _ in range(epochs):
        with multiprocessing.Pool(2) as pool:
            parts = [(start, x[start : start + 250]) for start in range(0, len(x), 250)]
            for start, part in pool.imap(_augment, parts):
                model.partial_fit(part, y[start : start + 250], classes=range(10))
            pool.close()
            pool.join()
        yield


def pool_kept(epochs: int) -> Epochs:
    """The same with loader processes that stay, and a validation every 3rd epoch."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.neighbors import KNeighborsClassifier

    x, y = _blobs(4_000, 1024)
    model, judge = SGDClassifier(), KNeighborsClassifier(3, algorithm="brute").fit(x, y)
    with multiprocessing.Pool(2) as pool:
        yield
        for epoch in range(1, epochs + 1):
            parts = [(start, x[start : start + 250]) for start in range(0, len(x), 250)]
            for start, part in pool.imap(_augment, parts):
                model.partial_fit(part, y[start : start + 250], classes=range(10))
            if epoch % 3 == 0:
                judge.score(x[:1_500], y[:1_500])
            yield


def _augment(item: tuple[int, np.ndarray]) -> tuple[int, np.ndarray]:
    start, part = item
    pictures = part.reshape(-1, 32, 32)
    blurred = np.fft.ifft2(np.fft.fft2(pictures) * np.hanning(32)).real
    return start, blurred.reshape(-1, 1024).astype(np.float32)


def hinge_loss_of_regularised_svm(epochs: int) -> Epochs:
    """A linear support vector machine by SGD; its hinge loss is computed after every epoch."""
    from sklearn.linear_model import SGDClassifier

    x, y = _blobs(40_000, 100, classes=2)
    model, signs = SGDClassifier(alpha=1e-4), 2 * y - 1
    yield
    for _ in range(epochs):
        for start in range(0, len(x), 2_000):
            model.partial_fit(x[start : start + 2_000], y[start : start + 2_000], classes=(0, 1))
        np.maximum(0, 1 - signs * model.decision_function(x)).mean()
        yield


def topics(epochs: int) -> Epochs:
    """Latent Dirichlet allocation, online, on bags of words."""
    from sklearn.decomposition import LatentDirichletAllocation

    words = np.random.default_rng(6).poisson(0.3, size=(600, 400))
    model = LatentDirichletAllocation(10, learning_method="online", total_samples=600)
    yield
    for _ in range(epochs):
        for start in range(0, 600, 150):
            model.partial_fit(words[start : start + 150])
        yield


def mini_batch_dictionary(epochs: int) -> Epochs:
    """A dictionary of patches, learnt by mini-batches, validated after every 10th epoch."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    x, _ = _blobs(800, 36)
    model = MiniBatchDictionaryLearning(20, batch_size=100, transform_algorithm="lasso_lars")
    yield
    for epoch in range(1, epochs + 1):
        for start in range(0, 400, 100):
            model.partial_fit(x[start : start + 100])
        if epoch % 10 == 0:
            model.transform(x[400:])
        yield
