"""Group lasso beside L2 on the same memory, which is the least that a penalty can do.

    python benchmarks/group_lasso.py [--rounds N] [--threads N] [--torch] [4096x1024 ...]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds, and those of
the quickest calls, which say more where other processes are busy; L2 stands there twice, so that
its ratio to itself shows the noise. `--torch` adds what torch's autograd takes for the gradient.
"""

import argparse
import math
import sys
from collections.abc import Callable

import numpy as np
import reports
import timing
from taut.regularizers import L2, GroupLasso

FACTOR = 1e-9  # so that weights, and gradients that are added up, stay as they are
SHAPES = [
    (256, 256), (1024, 1024), (4096, 1024), (784, 128), (128, 784), (512, 64, 3, 3),
    (3, 3, 64, 512), (784, 10), (10, 784), (100_000, 4), (4, 100_000),
]  # fmt: skip
# What a call shall take at most, over L2's.
TO_REACH = {"rows": 1.2, "columns": 1.5}

Array = np.ndarray


def as_groups(x: Array, mode: str) -> Array:
    return x.reshape(len(x), -1) if mode == "rows" else x.reshape(-1, x.shape[-1]).T


def verify(mode: str, x: Array) -> None:
    """Compares the value, the gradient and the proximal step with NumPy in float64."""
    regularizer = GroupLasso(0.1, mode)
    numbers = as_groups(x.astype(np.float64), mode)
    norms = np.linalg.norm(numbers, axis=1, keepdims=True)
    weight = regularizer.factor * math.sqrt(numbers.shape[1])
    grad, moved = np.zeros_like(x), x.copy()
    assert math.isclose(regularizer(x), weight * norms.sum(), rel_tol=1e-9)
    assert math.isclose(regularizer.accumulate_grad(x, grad), weight * norms.sum(), rel_tol=1e-9)
    expected = weight * numbers / norms
    np.testing.assert_allclose(as_groups(grad, mode), expected, rtol=1e-6, atol=1e-7)
    step = float(np.median(norms)) / weight
    regularizer.prox(moved, step)
    expected = numbers * np.maximum(0, 1 - step * weight / norms)
    np.testing.assert_allclose(as_groups(moved, mode), expected, rtol=1e-6, atol=1e-7)


def by_autograd(mode: str, x: Array) -> Callable[[], object]:
    import torch

    weight = torch.from_numpy(x.copy()).requires_grad_()
    axes = tuple(range(1, x.ndim)) if mode == "rows" else tuple(range(x.ndim - 1))
    members = math.prod(x.shape[axis] for axis in axes)

    def call() -> object:
        weight.grad = None
        norms = torch.linalg.vector_norm(weight, dim=axes)
        return (FACTOR * math.sqrt(members) * norms.sum()).backward()

    return call


def run(shape: tuple[int, ...], rounds: int, has_torch: bool) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    grad = np.zeros_like(x)
    calls = max(1, 300_000 // x.size)
    columns = ("", "L2", "L2 again", "group lasso", "of the quickest", "to reach", "torch")
    rows = []

    def compare(title: str, mode: str, call: Callable[[object], object], to_reach: str) -> None:
        l2, own = L2(FACTOR), GroupLasso(FACTOR, mode)
        contestants = {
            "L2": lambda: call(l2),
            "again": lambda: call(l2),
            "own": lambda: call(own),
        }
        if has_torch and title.startswith("accumulate_grad"):
            contestants["torch"] = by_autograd(mode, x)
        seconds = timing.interleave(contestants, rounds, calls)
        ratios = timing.ratios(seconds, "L2")
        quickest = min(seconds["own"]) / min(seconds["L2"] + seconds["again"])
        rows.append(
            (
                title,
                f"{min(seconds['L2']) * 1e6:.2f} µs",
                f"{ratios['again']:.2f}",
                f"{ratios['own']:.2f}",
                f"{quickest:.2f}",
                to_reach,
                f"{ratios['torch']:.1f}" if "torch" in ratios else "",
            )
        )

    for mode, to_reach in TO_REACH.items():
        verify(mode, x)
        shown = f"{to_reach}"
        compare(f"accumulate_grad by {mode}", mode, lambda r: r.accumulate_grad(x, grad), shown)
        compare(f"prox by {mode}", mode, lambda r: r.prox(x, 1e-9), shown)
        compare(f"value by {mode}", mode, lambda r: r(x), "")
    reports.show(" x ".join(map(str, shape)) + " float32", columns, rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", metavar="shape", help="as 4096x1024; all if none")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch", action="store_true", help="beside torch's autograd")
    arguments = parser.parse_args()
    timing.begin(arguments.threads)
    named = [tuple(map(int, shape.split("x"))) for shape in arguments.shapes]
    for shape in named or SHAPES:
        run(shape, arguments.rounds, arguments.torch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
