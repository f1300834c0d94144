"""The penalties in JAX's own operations, with the semantics of the kernels.

For XLA to fuse, for platforms other than the CPU, and for second derivatives. Sums are taken in
float64 under `jax_enable_x64`; without it JAX has none, and they are taken in float32.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

_NORM_FLOOR = 1e-7


def value_dtype(dtype: Any) -> Any:
    """Returns the dtype of a penalty of an array of `dtype`."""
    return jnp.dtype("float64" if dtype == jnp.dtype("float64") else "float32")


def sum_dtype() -> Any:
    """Returns float64 if JAX has it, else float32."""
    return jnp.result_type(float)


def elementwise(x: Array, l1: Any, l2: Any, has_l1: bool, has_l2: bool) -> Array:
    """Returns the penalty; a term that x does not have is skipped, whatever its factor."""
    numbers = x.astype(sum_dtype())
    total = jnp.zeros((), numbers.dtype)
    if has_l1:
        total += l1 * _abs(numbers).sum()
    if has_l2:
        total += l2 * (numbers * numbers).sum()
    return total.astype(value_dtype(x.dtype))


def gram(x: Array, factor: Any, mode: str) -> Array:
    """Returns the orthogonal penalty."""
    dtype = value_dtype(x.dtype)
    vectors = x if mode == "rows" else x.T
    count, length = vectors.shape
    if count < 2 or length == 0:
        return jnp.zeros((), dtype)
    vectors = jnp.where(factor == 0, 0, vectors.astype(sum_dtype()))
    vectors *= jnp.where(jnp.isfinite(vectors).all(), 1, jnp.nan)

    # Divided by a power of two, which is exact, so that no dot product leaves the range and its
    # sign is that of the raw one.
    powers = _powers_of_two(lax.stop_gradient(jnp.abs(vectors).max(1, keepdims=True)))
    scaled = vectors / powers
    squares = (scaled * scaled).sum(1, keepdims=True)
    norms = jnp.sqrt(jnp.where(squares > 0, squares, 1))
    is_clamped = (squares == 0) | (norms * powers < _NORM_FLOOR)
    weights = jnp.where(is_clamped, powers / _NORM_FLOOR, 1 / norms).astype(dtype)

    pairs = _abs(jnp.tril(_products(scaled.astype(dtype)), -1)) * _products(weights)
    mean = pairs.sum(dtype=sum_dtype()) / (count * (count - 1) / 2)
    return (factor * mean).astype(dtype)


def gram_value_and_slope(x: Array, factor: Any, mode: str) -> tuple[Array, Array]:
    """Returns the orthogonal penalty and its gradient; both are float32 for the half types."""
    wide = x.astype(value_dtype(x.dtype))
    return jax.value_and_grad(gram)(wide, factor, mode)  # type: ignore[no-any-return]


def _abs(numbers: Array) -> Array:
    """Returns |x|; JAX's own has a derivative of 1 at 0, and of -1 at NaN."""
    return numbers * lax.stop_gradient(jnp.sign(numbers))


def _products(vectors: Array) -> Array:
    """Returns the dot products; by default, some platforms would round the vectors for speed."""
    return jnp.matmul(vectors, vectors.T, precision=lax.Precision.HIGHEST)


def _powers_of_two(numbers: Array) -> Array:
    """Returns the power of two at or below each number; 1 for 0, subnormals, and Inf and NaN.

    None is so large that its reciprocal would be subnormal: XLA multiplies where it should divide,
    and takes subnormals for 0.
    """
    unsigned = jnp.dtype(f"uint{numbers.dtype.itemsize * 8}")
    exponent = jnp.array(jnp.inf, numbers.dtype).view(unsigned)
    powers = (numbers.view(unsigned) & exponent).view(numbers.dtype)
    powers = jnp.where((powers > 0) & jnp.isfinite(powers), powers, 1)
    return jnp.minimum(powers, 1 / jnp.finfo(powers.dtype).tiny)
