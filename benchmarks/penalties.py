"""The penalties of a whole model in one call.

    python benchmarks/penalties.py [--rounds N]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; every
baseline stands there twice, so that its ratio to itself shows the noise. Needs torch.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

import numpy as np
import taut
import timing
import torch
from taut.bench.kinds import resnet50_shapes
from taut.regularizers import L2

THREADS = 2
FACTOR = 1e-4


def verify(
    penalties: taut.Penalties, params: Mapping[str, np.ndarray], grads: Mapping[str, np.ndarray]
) -> None:
    total = penalties.accumulate_grad(params, grads)
    exact = FACTOR * sum(np.square(x, dtype=np.float64).sum() for x in params.values())
    np.testing.assert_allclose(total, exact, rtol=1e-9)
    for name, x in params.items():
        np.testing.assert_allclose(grads[name], 2 * FACTOR * x, rtol=1e-6)


def torch_step(params: Mapping[str, np.ndarray]) -> Callable[[], object]:
    weights = [torch.from_numpy(x.copy()).requires_grad_() for x in params.values()]

    def step() -> None:
        sum(FACTOR * weight.square().sum() for weight in weights).backward()

    return step


def run(title: str, params: dict[str, np.ndarray], rounds: int, calls: int) -> None:
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    penalties = taut.Penalties([("*", L2(FACTOR))])
    verify(penalties, params, grads)
    bound = penalties.bind(params)
    size = sum(x.size for x in params.values())
    x, y = torch.randn(size), torch.zeros(size)
    contestants: dict[str, Callable[[], object]] = {
        f"y.add_(x, alpha=a) of {size:,}": lambda: y.add_(x, alpha=1e-8),
        "taut, value": lambda: penalties(params),
        "taut, value and gradient": lambda: penalties.accumulate_grad(params, grads),
        "taut, bound": lambda: bound.accumulate_grad(grads),
        "torch eager": torch_step(params),
    }
    timing.compare(title, rounds, contestants, calls)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.begin(THREADS)
    generator = np.random.default_rng(0)
    small = {f"layer{i}/kernel": generator.standard_normal(1000, np.float32) for i in range(200)}
    run("200 tensors of 1,000 float32", small, rounds * 4, 20)
    model = {
        name: generator.standard_normal(shape, np.float32)
        for name, shape in resnet50_shapes().items()
    }
    assert len(model) == 161
    run("ResNet-50, 161 tensors", model, rounds, 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
