"""Trainings with PyTorch; `python tools/record_trainings.py` runs and times them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

Epochs = Iterator[None]


def _pictures(count: int, side: int, channels: int = 3) -> TensorDataset:
    torch.manual_seed(0)
    return TensorDataset(torch.randn(count, channels, side, side), torch.randint(0, 10, (count,)))


def _convolutions(channels: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(32 * channels, 10),
    )


def _train(model: nn.Module, loader: DataLoader, optimiser: torch.optim.Optimizer) -> None:
    model.train()
    for inputs, labels in loader:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimiser.step()


def _evaluate(model: nn.Module, loader: DataLoader) -> None:
    model.eval()
    with torch.no_grad():
        for inputs, labels in loader:
            (model(inputs).argmax(1) == labels).sum().item()


def cnn_validated(epochs: int) -> Epochs:
    """A convolutional network, validated after every epoch."""
    loader = DataLoader(_pictures(500, 32), 32, shuffle=True)
    held_out = DataLoader(_pictures(160, 32), 100)
    model = _convolutions()
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    yield
    for _ in range(epochs):
        _train(model, loader, optimiser)
        _evaluate(model, held_out)
        yield


def cnn_two_workers(epochs: int) -> Epochs:
    """A convolutional network fed by two DataLoader workers, started anew each epoch."""
    loader = DataLoader(_pictures(400, 32), 32, shuffle=True, num_workers=2)
    model = _convolutions()
    optimiser = torch.optim.Adam(model.parameters())
    yield
    for _ in range(epochs):
        _train(model, loader, optimiser)
        yield


def cnn_tested_every_4_and_at_the_end(epochs: int) -> Epochs:
    """A convolutional network, tested on much data every 4th epoch and once more at the end."""
    loader = DataLoader(_pictures(400, 32), 32, shuffle=True)
    test = DataLoader(_pictures(1_000, 32), 100)
    model = _convolutions()
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    yield
    for epoch in range(1, epochs + 1):
        _train(model, loader, optimiser)
        if epoch % 4 == 0:
            _evaluate(model, test)
        yield
    _evaluate(model, test)


def progressive_resizing(epochs: int) -> Epochs:
    """A convolutional network whose pictures grow from 16 to 24 to 32 pixels by thirds."""
    sets = [DataLoader(_pictures(800, side), 32, shuffle=True) for side in (16, 24, 32)]
    model = _convolutions()
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    yield
    for epoch in range(epochs):
        _train(model, sets[3 * epoch // epochs], optimiser)
        yield


def unfrozen_after_3(epochs: int) -> Epochs:
    """Fine-tuning: the head alone for 3 epochs, then everything."""
    loader = DataLoader(_pictures(500, 32), 32, shuffle=True)
    model = _convolutions()
    for layer in list(model)[:-1]:
        layer.requires_grad_(False)
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    yield
    for epoch in range(epochs):
        if epoch == 3:
            model.requires_grad_(True)
        _train(model, loader, optimiser)
        yield


def lstm_by_length(epochs: int) -> Epochs:
    """A recurrent network on batches of random length: the epochs differ by chance."""
    torch.manual_seed(1)
    model, head = nn.LSTM(32, 64, batch_first=True), nn.Linear(64, 10)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()])
    yield
    for _ in range(epochs):
        for _ in range(20):
            length = int(torch.randint(10, 90, ()))
            output, _ = model(torch.randn(32, length, 32))
            loss = nn.functional.cross_entropy(head(output[:, -1]), torch.randint(0, 10, (32,)))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        yield


def transformer_checkpointed(epochs: int) -> Epochs:
    """A transformer encoder that saves model and optimiser after every 5th epoch."""
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(128, 10))
    optimiser = torch.optim.AdamW(model.parameters())
    data, labels = torch.randn(256, 24, 128), torch.randint(0, 10, (256, 24))
    yield
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(1, epochs + 1):
            for start in range(0, 256, 32):
                output = model(data[start : start + 32]).transpose(1, 2)
                loss = nn.functional.cross_entropy(output, labels[start : start + 32])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            if epoch % 5 == 0:
                torch.save([model.state_dict(), optimiser.state_dict()], Path(folder, "last.pt"))
            yield


def distilled_from_cache(epochs: int) -> Epochs:
    """Distillation: the first epoch asks a large teacher and keeps its answers."""
    data = _pictures(800, 32).tensors[0]
    teacher, model = _convolutions(48).eval(), _convolutions(8)
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    answers: dict[int, torch.Tensor] = {}
    yield
    for _ in range(epochs):
        for start in range(0, 800, 40):
            part = data[start : start + 40]
            if start not in answers:
                with torch.no_grad():
                    answers[start] = teacher(part)
            optimiser.zero_grad()
            nn.functional.mse_loss(model(part), answers[start]).backward()
            optimiser.step()
        yield


def compiled(epochs: int) -> Epochs:
    """A perceptron compiled at its first step (torch.compile), so that the first epoch is slow."""
    torch.manual_seed(3)
    plain = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 512), nn.GELU())
    model = nn.Sequential(torch.compile(plain), nn.Linear(512, 10))
    optimiser = torch.optim.Adam(model.parameters())
    data, labels = torch.randn(9_600, 256), torch.randint(0, 10, (9_600,))
    yield
    for _ in range(epochs):
        for start in range(0, 9_600, 128):
            loss = nn.functional.cross_entropy(
                model(data[start : start + 128]), labels[start : start + 128]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        yield


def gan(epochs: int) -> Epochs:
    """Two perceptrons against each other; samples are drawn and saved every 2nd epoch."""
    torch.manual_seed(4)
    maker = nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 256))
    judge = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))
    optimisers = [torch.optim.Adam(part.parameters(), 2e-4) for part in (maker, judge)]
    data = torch.randn(4_800, 256)
    loss = nn.BCEWithLogitsLoss()
    yield
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(1, epochs + 1):
            for start in range(0, 4_800, 64):
                made, ones = maker(torch.randn(64, 32)), torch.ones(64, 1)
                optimisers[1].zero_grad()
                (
                    loss(judge(data[start : start + 64]), ones)
                    + loss(judge(made.detach()), 1 - ones)
                ).backward()
                optimisers[1].step()
                optimisers[0].zero_grad()
                loss(judge(made), ones).backward()
                optimisers[0].step()
            if epoch % 2 == 0:
                torch.save(maker(torch.randn(2_000, 32)), Path(folder, "samples.pt"))
            yield


def autoencoder(epochs: int) -> Epochs:
    """An autoencoder of small pictures, nothing but its training."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 32), nn.Linear(32, 784))
    optimiser = torch.optim.Adam(model.parameters())
    data = torch.rand(4_000, 784)
    yield
    for _ in range(epochs):
        for start in range(0, 4_000, 100):
            optimiser.zero_grad()
            part = data[start : start + 100]
            nn.functional.mse_loss(model(part), part).backward()
            optimiser.step()
        yield


def forecaster_saved_when_better(epochs: int) -> Epochs:
    """A GRU that forecasts a series; it is saved whenever its validation has become better."""
    torch.manual_seed(6)
    model, head = nn.GRU(8, 48, batch_first=True), nn.Linear(48, 1)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()])
    data, best = torch.randn(1_000, 30, 8).cumsum(1), float("inf")
    yield
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(epochs):
            for start in range(0, 800, 50):
                part = data[start : start + 50]
                optimiser.zero_grad()
                found = head(model(part[:, :-1])[0][:, -1])
                nn.functional.mse_loss(found, part[:, -1, :1]).backward()
                optimiser.step()
            with torch.no_grad():
                found = head(model(data[800:, :-1])[0][:, -1])
                loss = nn.functional.mse_loss(found, data[800:, -1, :1]).item()
            if loss < best:
                best = loss
                torch.save(model.state_dict(), Path(folder, "best.pt"))
            yield


def vision_transformer_kept_worker(epochs: int) -> Epochs:
    """A small vision transformer, one DataLoader worker that stays, validated every epoch."""
    loader = DataLoader(
        _pictures(120, 32), 30, shuffle=True, num_workers=1, persistent_workers=True
    )
    held_out = DataLoader(_pictures(40, 32), 40)
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    model = nn.Sequential(
        nn.Conv2d(3, 64, 4, stride=4),
        nn.Flatten(2),
        nn.Linear(64, 64),
        nn.TransformerEncoder(layer, 2),
        nn.Flatten(),
        nn.Linear(64 * 64, 10),
    )
    optimiser = torch.optim.AdamW(model.parameters())
    yield
    for _ in range(epochs):
        _train(model, loader, optimiser)
        _evaluate(model, held_out)
        yield


def word_vectors(epochs: int) -> Epochs:
    """Skip-gram word vectors with negative samples, pairs drawn anew each epoch."""
    torch.manual_seed(7)
    words, contexts = nn.Embedding(5_000, 64), nn.Embedding(5_000, 64)
    optimiser = torch.optim.SGD([*words.parameters(), *contexts.parameters()], 0.05)
    yield
    for _ in range(epochs):
        for _ in range(30):
            centre, near, far = (torch.randint(0, 5_000, (1_000,)) for _ in range(3))
            vector = words(centre)
            good = (vector * contexts(near)).sum(1)
            bad = (vector * contexts(far)).sum(1)
            optimiser.zero_grad()
            (nn.functional.softplus(-good) + nn.functional.softplus(bad)).mean().backward()
            optimiser.step()
        yield


def segmentation_evaluated_every_3(epochs: int) -> Epochs:
    """A small encoder and decoder that segments pictures, evaluated after every 3rd epoch."""
    torch.manual_seed(8)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 4, 2, stride=2),
    )
    optimiser = torch.optim.Adam(model.parameters())
    data, masks = torch.randn(200, 3, 48, 48), torch.randint(0, 4, (200, 48, 48))
    yield
    for epoch in range(1, epochs + 1):
        for start in range(0, 160, 20):
            optimiser.zero_grad()
            output = model(data[start : start + 20])
            nn.functional.cross_entropy(output, masks[start : start + 20]).backward()
            optimiser.step()
        if epoch % 3 == 0:
            with torch.no_grad():
                for _ in range(4):
                    model(data).argmax(1)
        yield
