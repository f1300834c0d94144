"""A training step of LibTorch's with taut's penalties, beside the same step from Python.

    python benchmarks/libtorch_step.py [--rounds N]

The C++ comes from benchmarks/libtorch_step/ and is built, with CMake, against the taut that pip has
installed and the LibTorch in torch's wheel, so that both compute on the same threads. All train the
same layers from the same start, some steps at a time, and their weights are compared before they
are timed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import native
import taut
import timing
import torch
from taut.regularizers import L2
from torch import Tensor

THREADS = 2
STEPS = 10
BATCH = 64
FACTOR = 1e-4
RATE = 1e-4
RULES = [("weight*", L2(FACTOR))]


class Layers:
    """Some fully connected layers, and steps of torch's SGD."""

    def __init__(self, size: int, count: int) -> None:
        torch.manual_seed(0)
        layers = [torch.nn.Linear(size, size) for _ in range(count)]
        self.weights = [layer.weight.detach().clone().requires_grad_() for layer in layers]
        self.biases = [layer.bias.detach().clone().requires_grad_() for layer in layers]
        self.images = torch.randn(BATCH, size)
        self.labels = torch.randint(0, size, (BATCH,))

    def loss(self) -> Tensor:
        x = self.images
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.nn.functional.linear(torch.relu(x) if i else x, weight, bias)
        return torch.nn.functional.cross_entropy(x, self.labels)

    def in_python(self, way: str) -> Callable[[], object]:
        named = {f"weight{i}": weight for i, weight in enumerate(self.weights)}
        penalties = taut.Penalties(RULES).bind(named)
        optimizer = torch.optim.SGD([*self.weights, *self.biases], lr=RATE)

        def run() -> None:
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss = self.loss()
                (loss + penalties() if way == "in the graph" else loss).backward()
                if way == "in place":
                    penalties.accumulate_grad()
                optimizer.step()

        return run

    def in_cpp(self, way: str) -> Callable[[], object]:
        make: Any = torch.classes.taut_benchmark.Trainer
        trainer = make(self.weights, self.biases, FACTOR, way, RATE)
        return lambda: trainer.run(self.images, self.labels, STEPS)


def run(size: int, count: int, rounds: int) -> None:
    contestants: dict[str, Callable[[], object]] = {}
    models = []
    for way in ("in place", "in the graph", "none"):
        for language in ("Python", "LibTorch"):
            model = Layers(size, count)
            step = model.in_python(way) if language == "Python" else model.in_cpp(way)
            contestants[f"{language}, {way}"] = step
            models.append(model)
    starts = Layers(size, count).weights
    for step in contestants.values():
        step()
    for number, model in enumerate(models):
        twin = models[number - number % 2]
        for weight, other, start in zip(model.weights, twin.weights, starts, strict=True):
            assert not torch.equal(weight, start)
            torch.testing.assert_close(weight - start, other - start, rtol=1e-3, atol=1e-7)
    timing.compare(f"{STEPS} steps, {count} layers of {size}", rounds, contestants)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.begin(THREADS)
    with tempfile.TemporaryDirectory() as directory:
        prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
        library = Path(native.build("libtorch_step", directory, prefix)) / "libstep.so"
        torch.classes.load_library(str(library))
        torch.ops.taut_benchmark.set_num_threads(THREADS)
        for size in (256, 1024):
            run(size, 4, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
