"""Trains a small torch network on handwritten digits, with taut's penalties and with torch's own.

    python examples/torch_digits.py [--epochs N] [--no-compile]

The hidden layer's rows are pushed to be orthogonal, the other weights to be small. Prints the
accuracy of each way, and what the penalties cost per step. Needs torch, scikit-learn and rich.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import taut
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from taut.regularizers import L2, OrthogonalRegularizer
from torch import Tensor, nn

HIDDEN = 256
FACTOR = 0.5
DECAY = 1e-3
RULES = [
    ("*.bias", None),
    ("hidden.weight", OrthogonalRegularizer(FACTOR)),
    ("*.weight", L2(DECAY)),
]


@dataclass
class Outcome:
    accuracy: float
    penalty: float  # at the end
    penalty_seconds: float  # of a step, forward and backward
    step_seconds: float


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(64, HIDDEN)
        self.hidden = nn.Linear(HIDDEN, HIDDEN)
        self.output = nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.relu(self.hidden(torch.relu(self.input(x)))))


def taut_penalty(model: Network) -> Callable[[], Tensor]:
    return taut.Penalties(RULES).bind(model.named_parameters())


def torch_penalty(model: Network) -> Callable[[], Tensor]:
    """What one would write without taut."""

    def penalty() -> Tensor:
        units = nn.functional.normalize(model.hidden.weight, dim=1)
        cosines = (units @ units.T).abs()
        orthogonal = (cosines.sum() - cosines.trace()) / (HIDDEN * (HIDDEN - 1))
        squares = model.input.weight.square().sum() + model.output.weight.square().sum()
        return FACTOR * orthogonal + DECAY * squares

    return penalty


def load() -> list[Tensor]:
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, labels, random_state=0, stratify=labels)
    return [torch.tensor(part, dtype=dtype) for part, dtype in zip(parts, DTYPES, strict=True)]


DTYPES = (torch.float32, torch.float32, torch.int64, torch.int64)


def seconds_of(function: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    function().backward()
    return time.perf_counter() - start


def train(
    make_penalty: Callable[[Network], Callable[[], Tensor]], compiled: bool, epochs: int
) -> Outcome:
    torch.manual_seed(0)
    train_images, test_images, train_labels, test_labels = load()
    model = Network()
    penalty = make_penalty(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(images), labels) + penalty()

    step_loss = torch.compile(loss, fullgraph=True, dynamic=False) if compiled else loss
    step_penalty = torch.compile(penalty, fullgraph=True) if compiled else penalty
    step_seconds, penalty_seconds = [], []
    batch = 128
    for _ in range(epochs):
        for chosen in torch.randperm(len(train_images)).split(batch):
            if len(chosen) < batch:
                continue
            step_seconds.append(
                seconds_of(
                    lambda chosen=chosen: step_loss(train_images[chosen], train_labels[chosen])
                )
            )
            optimizer.step()
            optimizer.zero_grad()
    for _ in range(20):
        penalty_seconds.append(seconds_of(step_penalty))
    model.zero_grad()
    with torch.no_grad():
        accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
        final = penalty().item()
    return Outcome(
        accuracy, final, statistics.median(penalty_seconds), statistics.median(step_seconds)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    arguments = parser.parse_args()
    table = Table("", "accuracy", "penalty", "penalty per step", "step")
    for name, make_penalty in {"taut": taut_penalty, "torch": torch_penalty}.items():
        for compiled in (False,) if arguments.no_compile else (False, True):
            result = train(make_penalty, compiled, arguments.epochs)
            table.add_row(
                f"{name}, {'compiled' if compiled else 'eager'}",
                f"{result.accuracy:.3f}",
                f"{result.penalty:.5f}",
                f"{result.penalty_seconds * 1e6:.0f} µs",
                f"{result.step_seconds * 1e6:.0f} µs",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
