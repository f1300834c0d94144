"""Soft orthogonality, value and gradient, beside what torch's autograd takes for the same.

    python benchmarks/soft_orthogonal.py [--quick] [--rounds N]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; torch stands
there twice, so that its ratio to itself shows the noise.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np
import timing
import torch
from taut.regularizers import SoftOrthogonalRegularizer

THREADS = 2
FACTOR = 0.01
SHAPES = [(4096, 256), (1024, 1024), (256, 4096), (64, 64)]


def torch_penalty(x: torch.Tensor, diagonal: bool) -> torch.Tensor:
    identity = torch.eye(x.shape[0], dtype=x.dtype)
    product = x @ x.T
    distance = product - identity if diagonal else product * (1 - identity)
    return FACTOR * distance.square().sum()


def by_autograd(
    penalty: Callable[..., torch.Tensor], x: np.ndarray, diagonal: bool
) -> Callable[[], tuple[float, np.ndarray]]:
    weight = torch.from_numpy(x.copy()).requires_grad_()

    def call() -> tuple[float, np.ndarray]:
        weight.grad = None
        value = penalty(weight, diagonal)
        value.backward()
        return value.item(), weight.grad.numpy()

    return call


def exact(x: np.ndarray, diagonal: bool) -> tuple[float, np.ndarray]:
    vectors = x.astype(np.float64)
    distance = vectors @ vectors.T - np.eye(len(x))
    if not diagonal:
        np.fill_diagonal(distance, 0)
    return FACTOR * np.square(distance).sum(), 4 * FACTOR * distance @ vectors


def verify(name: str, result: tuple[float, np.ndarray], expected: tuple[float, np.ndarray]) -> None:
    np.testing.assert_allclose(result[0], expected[0], rtol=1e-5, err_msg=name)
    error = np.linalg.norm(result[1] - expected[1]) / np.linalg.norm(expected[1])
    assert error < 1e-5, f"{name}: the gradient is off by {error:.3g}"


def run(shape: tuple[int, int], diagonal: bool, rounds: int, calls: int, quick: bool) -> None:
    scale = 1 / np.sqrt(shape[1])
    x = (np.random.default_rng(0).standard_normal(shape) * scale).astype(np.float32)
    grad = np.zeros_like(x)
    regularizer = SoftOrthogonalRegularizer(FACTOR, diagonal=diagonal)
    expected = exact(x, diagonal)
    verify("taut", regularizer.value_and_grad(x), expected)
    contestants: dict[str, Callable[[], object]] = {}
    peers = {"torch eager": torch_penalty}
    if not quick:
        peers["torch.compile"] = torch.compile(torch_penalty)
    for name, penalty in peers.items():
        call = by_autograd(penalty, x, diagonal)
        verify(name, call(), expected)
        contestants[name] = call
    contestants["taut value"] = lambda: regularizer(x)
    contestants["taut value and gradient"] = lambda: regularizer.accumulate_grad(x, grad)
    kind = "" if diagonal else ", without the diagonal"
    timing.compare(f"{shape[0]} x {shape[1]} float32{kind}", rounds, contestants, calls)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without torch.compile")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    timing.begin(THREADS)
    for shape in SHAPES:
        for diagonal in (True, False):
            calls = 100 if shape == (64, 64) else 1
            run(shape, diagonal, arguments.rounds, calls, arguments.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
