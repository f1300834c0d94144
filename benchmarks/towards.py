"""L2 towards a reference, weighted, beside the plain one: the traffic of two more arrays.

    python benchmarks/towards.py [--rounds N] [large] [cached] [layouts]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; every
baseline stands there twice, so that its ratio to itself shows the noise. "arrays" is what the
traffic alone asks for: those that are read, and written, over the baseline's. Needs torch.
"""

from collections.abc import Callable

import ml_dtypes
import numpy as np
import taut
import timing
import torch
from taut.regularizers import L1L2, L2

THREADS = 2
LARGE = 20_000_000
Array = np.ndarray
Tables = dict[str, dict[str, Array]]


def random(size: int | tuple[int, ...], dtype: object, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(size, np.float32).astype(dtype, copy=False)


def verify(penalties: taut.Penalties, x: Array, factors: tuple[float, float]) -> None:
    """Compares value, gradient and proximal step with NumPy in float64, on the whole array."""
    l1, l2 = factors
    reference, importance = (
        np.float64(otherwise) if side is None else side["w"].astype(np.float64)
        for side, otherwise in ((penalties.reference, 0), (penalties.importance, 1))
    )
    difference = x.astype(np.float64) - reference
    exact = (importance * (l1 * np.abs(difference) + l2 * difference**2)).sum()
    grad = np.zeros_like(x)
    np.testing.assert_allclose(penalties({"w": x}), exact, rtol=1e-9)
    np.testing.assert_allclose(penalties.accumulate_grad({"w": x}, {"w": grad}), exact, rtol=1e-9)
    slope = importance * (l1 * np.sign(difference) + 2 * l2 * difference)
    tolerance = {"float64": 1e-14, "float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}[x.dtype.name]
    np.testing.assert_allclose(grad.astype(np.float64), slope, rtol=tolerance, atol=1e-7)
    left = np.maximum(np.abs(difference) - 0.1 * l1 * importance, 0)
    expected = reference + np.sign(difference) * left / (1 + 0.2 * l2 * importance)
    stepped = penalties.proximal({"w": x}, 0.1)["w"].astype(np.float64)
    np.testing.assert_allclose(stepped, expected, rtol=tolerance, atol=tolerance)


def make(x: Array, dtype: object = None) -> dict[str, tuple[taut.Penalties, float, float, float]]:
    """Returns the contestants: penalties, and the arrays that value, gradient and step move."""
    reference = {"w": random(x.shape, dtype or x.dtype, 2)}
    importance = {"w": np.abs(random(x.shape, dtype or x.dtype, 3))}
    rules = [("w", L2(0.01))]
    contestants = {
        "reference": (taut.Penalties(rules, reference=reference), 2, 4, 3),
        "importance": (taut.Penalties(rules, importance=importance), 2, 4, 3),
        "both": (taut.Penalties(rules, reference=reference, importance=importance), 3, 5, 4),
    }
    for penalties, *_ in contestants.values():
        verify(penalties, x, (0.0, 0.01))
    both = taut.Penalties([("w", L1L2(0.01, 0.01))], reference=reference, importance=importance)
    verify(both, x, (0.01, 0.01))
    return contestants | {"both, L1L2": (both, 3, 5, 4)}


def compare(title: str, x: Array, rounds: int, calls: int = 1, dtype: object = None) -> None:
    plain, grad = taut.Penalties([("w", L2(0.01))]), np.zeros_like(x)
    contestants = make(x, dtype)

    def run(
        name: str,
        of: Callable[["taut.bound.BoundPenalties"], Callable[[], object]],
        base: int,
        place: int,
    ) -> None:
        table = {"L2": of(plain.bind({"w": x}, {"w": grad}))}
        for kind, (penalties, *arrays) in contestants.items():
            label = f"{kind}: {arrays[place]} arrays, {arrays[place] / base:.2f}"
            table[label] = of(penalties.bind({"w": x}, {"w": grad}))
        timing.compare(
            f"{title}: {name}, L2's has {base} array{'s' * (base > 1)}", rounds, table, calls
        )

    run("value", lambda bound: bound, 1, 0)
    run("accumulate_grad", lambda bound: bound.accumulate_grad, 3, 1)
    run("prox", lambda bound: lambda: bound.prox(1e-9), 2, 2)


def torch_expression(x: Array) -> dict[str, Callable[[], object]]:
    """Returns what one writes in torch, whose sums are float32 and whose passes are some ten."""
    weight = torch.from_numpy(x.copy()).requires_grad_()
    reference, importance = (torch.from_numpy(random(x.shape, x.dtype, seed)) for seed in (2, 3))
    importance.abs_()
    own = taut.Penalties(
        [("w", L2(0.01))], reference={"w": reference}, importance={"w": importance}
    )
    weight.grad = torch.zeros_like(weight)

    def step() -> None:
        (0.01 * (importance * (weight - reference).square()).sum()).backward()

    def own_step() -> None:
        own({"w": weight}).backward()

    grads = []
    for each in (step, own_step):
        weight.grad.zero_()
        each()
        grads.append(weight.grad.clone())
    torch.testing.assert_close(*grads)
    bound = own.bind({"w": weight})
    return {
        "torch: (f * (x - r).square()).sum().backward()": step,
        "taut, in the graph": own_step,
        "taut, accumulate_grad": lambda: bound.accumulate_grad(),
    }


def large(rounds: int) -> None:
    x = random(LARGE, np.float32, 1)
    compare(f"{LARGE:,} float32", x, rounds)
    timing.compare(f"{LARGE:,} float32 in torch", rounds, torch_expression(x))
    compare(f"{LARGE // 2:,} float64", x[: LARGE // 2].astype(np.float64), rounds)
    for half in (np.float16, ml_dtypes.bfloat16):
        compare(f"{LARGE:,} {np.dtype(half).name}", x.astype(half), rounds)
    half = x.astype(ml_dtypes.bfloat16)
    compare(f"{LARGE:,} bfloat16 with float32 beside it", half, rounds, dtype=np.float32)


def cached(rounds: int) -> None:
    for size in (1_000, 10_000, 100_000):
        x = random(size, np.float32, 1)
        compare(f"{size:,} float32", x, rounds * 5, max(1, 1_000_000 // size))
        timing.compare(
            f"{size:,} float32 in torch", rounds * 5, torch_expression(x), max(1, 100_000 // size)
        )


def layouts(rounds: int) -> None:
    square = random((3000, 3000), np.float32, 1)
    reference, grad = random((3000, 3000), np.float32, 2), np.zeros_like(square)
    contiguous = taut.Penalties([("w", L2(0.01))], reference={"w": reference})
    transposed = taut.Penalties([("w", L2(0.01))], reference={"w": np.asfortranarray(reference)})
    wide = taut.Penalties([("w", L2(0.01))], reference={"w": reference})
    for penalties in (contiguous, transposed):
        verify(penalties, square, (0.0, 0.01))
    params, doubles = {"w": square}, {"w": square.astype(np.float64)}
    verify(wide, doubles["w"], (0.0, 0.01))
    grads, wide_grads = {"w": grad}, {"w": np.zeros((3000, 3000))}
    timing.compare(
        "3000 x 3000, accumulate_grad",
        rounds,
        {
            "L2 towards a reference": contiguous.bind(params, grads).accumulate_grad,
            "of another order": transposed.bind(params, grads).accumulate_grad,
            "of float32, beside float64": wide.bind(doubles, wide_grads).accumulate_grad,
        },
    )


if __name__ == "__main__":
    timing.run_parts(__doc__, THREADS, {"large": large, "cached": cached, "layouts": layouts})
