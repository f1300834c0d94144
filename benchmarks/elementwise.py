"""L1 and L2 beside the least that can be done with the same memory.

    python benchmarks/elementwise.py [--rounds N] [large] [middle] [small] [layouts]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; every
baseline stands there twice, so that its ratio to itself shows the noise. Needs torch.
"""

import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
import taut
import timing
import torch
from taut.regularizers import L1, L1L2, L2

THREADS = 2
LARGE = 50_000_000
Array = np.ndarray


def random(size: int | tuple[int, ...], dtype: object = np.float32) -> Array:
    return np.random.default_rng(0).standard_normal(size, np.float32).astype(dtype, copy=False)


def verify(regularizer: L1 | L2 | L1L2, x: Array) -> None:
    """Compares the value and the gradient with NumPy in float64, on the whole array."""
    numbers = x.astype(np.float64)
    config = {"l1": 0.0, "l2": 0.0} | regularizer.get_config()
    absolute, square = np.abs(numbers).sum(), np.square(numbers).sum()
    expected = config["l1"] * absolute + config["l2"] * square
    assert math.isclose(regularizer(x), expected, rel_tol=1e-9)
    grad = np.zeros_like(x)
    assert math.isclose(regularizer.accumulate_grad(x, grad), expected, rel_tol=1e-9)
    slope = config["l1"] * np.sign(numbers) + 2 * config["l2"] * numbers
    tolerance = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}[x.dtype.name]
    np.testing.assert_allclose(grad.astype(np.float64), slope, rtol=tolerance, atol=1e-7)


def large(rounds: int) -> None:
    x = random(LARGE)
    y = np.zeros_like(x)
    grad = np.zeros_like(x)
    weight, total = torch.from_numpy(x), torch.from_numpy(y)
    l1, l2, both = L1(0.01), L2(0.01), L1L2(0.01, 0.01)
    for regularizer in (l1, l2, both):
        verify(regularizer, x[:1_000_003])
    halves = {"float16": x.astype(np.float16), "bfloat16": x.astype(ml_dtypes.bfloat16)}
    for half in halves.values():
        verify(l2, half[:1_000_003])
    half_grads = {name: np.zeros_like(half) for name, half in halves.items()}

    timing.compare(
        f"the value of {LARGE:,} float32",
        rounds,
        {
            "torch x.sum()": weight.sum,
            "L1": lambda: l1(x),
            "L2": lambda: l2(x),
            "L1L2": lambda: both(x),
            **{f"L2 of {name}": lambda half=half: l2(half) for name, half in halves.items()},
            "torch: 0.01 * x.square().sum()": lambda: 0.01 * weight.square().sum(),
            "NumPy: 0.01 * np.square(x).sum()": lambda: 0.01 * np.square(x).sum(),
        },
    )
    timing.compare(
        f"accumulate_grad of {LARGE:,} float32",
        rounds,
        {
            "torch y.add_(x, alpha=a)": lambda: total.add_(weight, alpha=1e-8),
            "L1": lambda: l1.accumulate_grad(x, grad),
            "L2": lambda: l2.accumulate_grad(x, grad),
            "L1L2": lambda: both.accumulate_grad(x, grad),
            **{
                f"L2 of {name}": lambda half=half, to=half_grads[name]: l2.accumulate_grad(half, to)
                for name, half in halves.items()
            },
        },
    )
    timing.compare(
        f"value_and_grad of {LARGE:,} float32, into a new array",
        rounds,
        {
            "np.multiply(x, c)": lambda: np.multiply(x, np.float32(0.02)),
            "L1": lambda: l1.value_and_grad(x),
            "L2": lambda: l2.value_and_grad(x),
            "L1L2": lambda: both.value_and_grad(x),
        },
    )


def middle(rounds: int) -> None:
    l2 = L2(0.01)
    for size in (10_000, 100_000, 1_000_000):
        x = random(size)
        grad = np.zeros_like(x)
        weight, total = torch.from_numpy(x), torch.zeros(size)
        verify(l2, x)

        def with_threads(threads: int, call: Callable[[], object]) -> Callable[[], object]:
            def run() -> object:
                taut.set_num_threads(threads)
                return call()

            return run

        timing.compare(
            f"{size:,} float32",
            rounds * 5,
            {
                "np.dot(x, x)": lambda x=x: np.dot(x, x),
                "L2, one thread": with_threads(1, lambda x=x: l2(x)),
                "L2, two threads": with_threads(2, lambda x=x: l2(x)),
                "torch y.add_(x, alpha=a)": lambda t=total, w=weight: t.add_(w, alpha=1e-8),
                "L2 accumulate_grad, one thread": with_threads(
                    1, lambda x=x, grad=grad: l2.accumulate_grad(x, grad)
                ),
                "L2 accumulate_grad, two threads": with_threads(
                    2, lambda x=x, grad=grad: l2.accumulate_grad(x, grad)
                ),
            },
            max(1, 1_000_000 // size),
        )
    taut.set_num_threads(THREADS)


def small(rounds: int) -> None:
    x = random(1_000)
    grad = np.zeros_like(x)
    weight = torch.from_numpy(x)
    l1, l2, both = L1(0.01), L2(0.01), L1L2(0.01, 0.01)
    verify(both, x)
    timing.compare(
        "1,000 float32",
        rounds * 20,
        {
            "np.dot(x, x)": lambda: np.dot(x, x),
            "L1": lambda: l1(x),
            "L2": lambda: l2(x),
            "L1L2": lambda: both(x),
            "L2 accumulate_grad": lambda: l2.accumulate_grad(x, grad),
            "L2 value_and_grad": lambda: l2.value_and_grad(x),
            "torch x.sum()": weight.sum,
        },
        2_000,
    )


def layouts(rounds: int) -> None:
    l2 = L2(0.01)
    square = random((4000, 4000))
    rank5 = random((20, 30, 40, 50, 20))
    arrays = {
        "contiguous": square,
        "transposed": square.T,
        "Fortran order": np.asfortranarray(square),
        "x[::2]": square[::2],
        "x[:, ::2]": square[:, ::2],
        "x[::-1, ::-1]": square[::-1, ::-1],
        "rank 5, strided": rank5[:, ::2, :, 1::3, ::-1],
    }
    for name, x in arrays.items():
        verify(l2, x)
        grad = np.zeros_like(x)
        timing.compare(
            name,
            rounds,
            {
                "NumPy x.sum()": x.sum,
                "L2": lambda x=x: l2(x),
                "L2 accumulate_grad": lambda x=x, grad=grad: l2.accumulate_grad(x, grad),
            },
        )

    normal = random(10_000_000)
    subnormal = (normal * np.float32(1e-40)).astype(np.float32)
    grad = np.zeros_like(normal)
    timing.compare(
        "10,000,000 normal or subnormal float32",
        rounds,
        {
            "L2 of normal numbers": lambda: l2.accumulate_grad(normal, grad),
            "L2 of subnormal numbers": lambda: l2.accumulate_grad(subnormal, grad),
        },
    )


if __name__ == "__main__":
    timing.run_parts(
        __doc__, THREADS, {"large": large, "middle": middle, "small": small, "layouts": layouts}
    )
