"""The penalties under jax.jit, value and gradient, beside plain JAX.

    python benchmarks/jax_training.py [--rounds N] [--quick]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; plain JAX
stands there twice, so that its ratio to itself shows the noise. JAX takes all processors that it
may run on: give it as many as taut has threads, with `taskset -c 0,1`.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import timing
from gram import FACTOR, SHAPES, exact, verify
from taut import _core, kernels
from taut.arrays.jax import operations
from taut.regularizers import L1L2, OrthogonalRegularizer

ELEMENTS = 50_000_000
THREADS = 2


def plain_gram(x: jax.Array) -> jax.Array:
    units = x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-7)
    count = x.shape[0]
    product = (units @ units.T) * (1 - jnp.eye(count, dtype=x.dtype))
    return FACTOR * jnp.abs(product).sum() / (count * (count - 1))


def plain_elementwise(x: jax.Array) -> jax.Array:
    return FACTOR * jnp.abs(x).sum() + FACTOR * jnp.square(x).sum()


def compiled(penalty: Callable[[Any], Any], x: jax.Array) -> Callable[[], Any]:
    """Returns a call of the value and the gradient, that waits for both."""
    function = jax.jit(jax.value_and_grad(penalty))
    return lambda: jax.block_until_ready(function(x))


def gram(shape: tuple[int, int], rounds: int) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    weight = jnp.asarray(x)
    contestants = {
        "plain JAX": compiled(plain_gram, weight),
        "taut": compiled(OrthogonalRegularizer(FACTOR), weight),
        "taut, JAX's operations": compiled(
            lambda x: operations.value(x, (FACTOR,), kernels.GRAM, ("rows", False), (True,)),
            weight,
        ),
    }
    expected = exact(x)
    for name, call in contestants.items():
        verify(name, call(), expected)
    calls = 100 if shape[0] < 1000 else 1
    timing.compare(f"{shape[0]} x {shape[1]} float32", rounds, contestants, calls)


def elementwise(rounds: int) -> None:
    x = np.random.default_rng(0).standard_normal(ELEMENTS).astype(np.float32)
    weight = jnp.asarray(x)
    contestants = {
        "plain JAX": compiled(plain_elementwise, weight),
        "taut": compiled(L1L2(FACTOR, FACTOR), weight),
    }
    value, grad = L1L2(FACTOR, FACTOR).value_and_grad(x)
    for call in contestants.values():
        own_value, own_grad = call()
        np.testing.assert_allclose(own_value, value, rtol=1e-4)
        np.testing.assert_allclose(own_grad, grad, rtol=1e-5)
    timing.compare(f"L1 and L2 of {ELEMENTS:,} float32", rounds, contestants)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="2048 x 2048 alone")
    arguments = parser.parse_args()
    timing.begin(THREADS)
    print(f"JAX {jax.__version__}; {', '.join(_core.jax_handlers) or 'no handlers'}")
    for shape in [(2048, 2048)] if arguments.quick else SHAPES:
        gram(shape, arguments.rounds)
    if not arguments.quick:
        elementwise(arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
