"""The orthogonal penalty beside one warm matrix product and what others take for the same.

    python benchmarks/gram.py [--quick]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; the product
stands there twice, so that its ratio to itself shows the noise. Needs torch; JAX is optional.
"""

import argparse
import functools
import sys
from collections.abc import Callable

import numpy as np
import timing
import torch
from taut.regularizers import OrthogonalRegularizer

THREADS = 2
FACTOR = 0.01
SHAPES = [(4096, 1024), (2048, 2048), (8192, 256), (64, 64)]


def torch_penalty(x: torch.Tensor) -> torch.Tensor:
    units = torch.nn.functional.normalize(x, dim=1, eps=1e-7)
    product = units @ units.T
    count = x.shape[0]
    off_diagonal = product * (1 - torch.eye(count, dtype=x.dtype))
    return FACTOR * off_diagonal.abs().sum() / (count * (count - 1))


def torch_contestant(penalty: Callable[..., torch.Tensor], x: np.ndarray) -> Callable[[], object]:
    weight = torch.from_numpy(x.copy()).requires_grad_()

    def call() -> tuple[float, np.ndarray]:
        weight.grad = None
        value = penalty(weight)
        value.backward()
        return value.item(), weight.grad.numpy()

    return call


def jax_contestant(x: np.ndarray) -> Callable[[], object] | None:
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        return None

    def penalty(weight: jax.Array) -> jax.Array:
        units = weight / jnp.maximum(jnp.linalg.norm(weight, axis=1, keepdims=True), 1e-7)
        count = weight.shape[0]
        product = (units @ units.T) * (1 - jnp.eye(count, dtype=weight.dtype))
        return FACTOR * jnp.abs(product).sum() / (count * (count - 1))

    compiled = jax.jit(jax.value_and_grad(penalty))
    weight = jnp.asarray(x)
    return lambda: jax.block_until_ready(compiled(weight))


def verify(name: str, result: tuple[float, np.ndarray], expected: tuple[float, np.ndarray]) -> None:
    """A sign within float32's rounding may differ, so gradients agree but for a small share."""
    value, grad = result
    np.testing.assert_allclose(float(value), expected[0], rtol=2e-5, err_msg=name)
    error = np.linalg.norm(np.asarray(grad) - expected[1]) / np.linalg.norm(expected[1])
    assert error < 0.02, f"{name}: the gradient is off by {error:.3g}"


def exact(x: np.ndarray) -> tuple[float, np.ndarray]:
    units = x.astype(np.float64)
    norms = np.linalg.norm(units, axis=1, keepdims=True)
    units /= norms
    product = units @ units.T
    np.fill_diagonal(product, 0)
    pairs = len(x) * (len(x) - 1) / 2
    slope = np.sign(product) @ units * (FACTOR / pairs)
    slope -= units * (units * slope).sum(axis=1, keepdims=True)
    return FACTOR * np.abs(product).sum() / 2 / pairs, slope / norms


def run(shape: tuple[int, int], rounds: int, calls: int, others: bool) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    grad = np.zeros_like(x)
    regularizer = OrthogonalRegularizer(FACTOR)
    weight = torch.from_numpy(x)
    product = torch.empty(shape[0], shape[0])

    expected = exact(x)
    verify("taut", regularizer.value_and_grad(x), expected)
    contestants: dict[str, Callable[[], object]] = {
        "torch.mm": lambda: torch.mm(weight, weight.T, out=product),
        "taut value": lambda: regularizer(x),
        "taut value and gradient": lambda: regularizer.accumulate_grad(x, grad),
    }
    if others:
        for name, call in {
            "torch eager": torch_contestant(torch_penalty, x),
            "torch.compile": torch_contestant(torch.compile(torch_penalty), x),
            "JAX jit": jax_contestant(x),
        }.items():
            if call is None:
                continue
            verify(name, call(), expected)
            contestants[name] = call
    timing.compare(f"{shape[0]} x {shape[1]} float32", rounds, contestants, calls)


def run_variants(rounds: int) -> None:
    """What else the penalty is asked for, beside the rows of a float32 matrix of the same size."""
    rows = np.random.default_rng(0).standard_normal((2048, 1024)).astype(np.float32)
    blocks = np.kron(np.eye(64), np.ones((32, 16))).astype(np.float32) * rows
    contestants: dict[str, Callable[[], object]] = {}
    for name, x, mode in [
        ("float32 rows", rows, "rows"),
        ("float32 columns", np.ascontiguousarray(rows.T), "columns"),
        ("float32 Fortran order", np.asfortranarray(rows), "rows"),
        ("float32, 64 blocks orthogonal to each other", blocks, "rows"),
        ("float16", rows.astype(np.float16), "rows"),
        ("float64", rows.astype(np.float64), "rows"),
    ]:
        regularizer = OrthogonalRegularizer(FACTOR, mode)
        grad = np.zeros_like(x)
        contestants[name] = functools.partial(regularizer.accumulate_grad, x, grad)
    timing.compare("2048 x 1024, value and gradient", rounds, contestants)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="taut and the product alone")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    timing.begin(THREADS)
    for shape in SHAPES:
        is_small = shape == (64, 64)
        run(
            shape,
            arguments.rounds * (10 if is_small else 1),
            100 if is_small else 1,
            not arguments.quick,
        )
    run_variants(arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
