"""The orthogonal penalty beside one warm matrix product and what others take for the same.

    python benchmarks/gram.py [--quick] [--threads N] [4096x1024 ...]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; the product
stands there twice, so that its ratio to itself shows the noise. Needs torch; JAX is optional, as is
Eigen, which needs CMake and a compiler. `--quick` leaves all but taut and the product out.
"""

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import taut
import timing
import torch
from taut.bench.libraries import UnavailableError, eigen
from taut.regularizers import OrthogonalRegularizer

FACTOR = 0.01
# With what taut's value and gradient shall take at most, over the product, on two threads.
SHAPES = {
    (4096, 1024): 0.60,
    (2048, 2048): 0.60,
    (8192, 256): 0.60,
    (2048, 512): 0.70,
    (1024, 1024): 0.80,
    (784, 128): 0.80,
    (512, 512): 0.90,
    (256, 256): 0.95,
    (128, 512): 1.1,
    (128, 128): 1.2,
    (64, 64): 1.3,
    (16, 16): 1.0,
    (10, 784): 1.5,
}


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


def eigen_contestant(directory: str, x: np.ndarray, threads: int) -> Callable[[], object] | None:
    try:
        library = eigen.load(Path(directory))
    except UnavailableError:
        return None
    library.set_num_threads(threads)
    grad = np.empty_like(x)
    call = eigen.function(library, "orthogonal_gradient", x, grad, FACTOR)
    return lambda: (call(), grad)


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


def run(shape: tuple[int, int], rounds: int, threads: int, peers: str | None) -> None:
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
    if peers is not None:
        for name, call in {
            "torch eager": torch_contestant(torch_penalty, x),
            "torch.compile": torch_contestant(torch.compile(torch_penalty), x),
            "JAX jit": jax_contestant(x),
            "Eigen": eigen_contestant(peers, x, threads),
        }.items():
            if call is None:
                continue
            verify(name, call(), expected)
            contestants[name] = call
    # Calls as many as take some milliseconds, so that what others left behind does not count.
    work = shape[0] * shape[0] * shape[1]
    calls = max(1, min(300, 30_000_000 // work))
    title = f"{shape[0]} x {shape[1]} float32, to reach: {SHAPES.get(shape, '-')}"
    timing.compare(title, rounds if work > 10**8 else 3 * rounds, contestants, calls)


def run_variants(shape: tuple[int, int], rounds: int) -> None:
    """What else the penalty is asked for, beside the rows of a float32 matrix of the same size."""
    rows = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    blocks = np.kron(np.eye(16), np.ones((shape[0] // 16, shape[1] // 16))).astype(np.float32)
    contestants: dict[str, Callable[[], object]] = {}
    for name, x, mode in [
        ("float32 rows", rows, "rows"),
        ("float32 columns", np.ascontiguousarray(rows.T), "columns"),
        ("float32 Fortran order", np.asfortranarray(rows), "rows"),
        ("float32, 16 blocks orthogonal to each other", blocks * rows, "rows"),
        ("float16", rows.astype(np.float16), "rows"),
        ("float64", rows.astype(np.float64), "rows"),
    ]:
        regularizer = OrthogonalRegularizer(FACTOR, mode)
        grad = np.zeros_like(x)
        contestants[name] = functools.partial(regularizer.accumulate_grad, x, grad)
    calls = max(1, 30_000_000 // (shape[0] * shape[0] * shape[1]))
    timing.compare(f"{shape[0]} x {shape[1]}, value and gradient", rounds, contestants, calls)


def run_batch(rounds: int) -> None:
    """Many small matrices in one call, beside as many calls."""
    generator = np.random.default_rng(0)
    params = {f"{i}": generator.standard_normal((128, 128), np.float32) for i in range(32)}
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    regularizer = OrthogonalRegularizer(FACTOR)
    bound = taut.Penalties([("*", regularizer)]).bind(params, grads)

    def calls() -> float:
        return sum(regularizer.accumulate_grad(x, grads[name]) for name, x in params.items())

    assert bound.accumulate_grad() == calls()
    contestants = {"32 calls": calls, "one batch": bound.accumulate_grad}
    timing.compare("32 matrices of 128 x 128", 3 * rounds, contestants)


def as_shape(text: str) -> tuple[int, int]:
    rows, columns = map(int, text.split("x"))
    return rows, columns


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", type=as_shape, metavar="ROWSxCOLUMNS")
    parser.add_argument("--quick", action="store_true", help="taut and the product alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    timing.begin(arguments.threads)
    with tempfile.TemporaryDirectory() as directory:
        for shape in arguments.shapes or SHAPES:
            peers = None if arguments.quick else directory
            run(shape, arguments.rounds, arguments.threads, peers)
    if not arguments.shapes:
        for shape in [(2048, 1024), (512, 512), (128, 128)]:
            run_variants(shape, arguments.rounds)
        run_batch(arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
