"""JAX's own operations, of which formulas are made, and the penalties in them.

For XLA to fuse, for platforms other than the CPU, and for second derivatives. Sums are taken in
float64 under `jax_enable_x64`; without it JAX has none, and they are taken in float32.
"""

import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from taut.kernels import Kernel, Presence, Sides
from taut.kernels.operations import Differentiated

_CUT = (1 << 29) - 1  # the bits that float64 has beyond float32's


def value(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
    sides: Sides | None = None,
) -> Array:
    """Returns the penalty: float64 for float64, else float32."""
    factors = (*numbers, *options)
    total = kernel.formula(sys.modules[__name__], x, factors, presence, sides=sides)
    return cast(total, value_dtype(x))


def value_and_slope(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
) -> tuple[Array, Array]:
    """Returns the penalty and its gradient; both are float32 for the half types."""
    wide = cast(x, value_dtype(x))
    return jax.value_and_grad(value)(wide, numbers, kernel, options, presence)  # type: ignore[no-any-return]


# ---- what formulas are made of: see taut.kernels.Operations --------------------------------------


def value_dtype(x: Any) -> Any:
    """Returns the dtype of a penalty of x."""
    return jnp.dtype("float64" if x.dtype == jnp.dtype("float64") else "float32")


def sum_dtype(x: Any) -> Any:
    """Returns float64 if JAX has it, else float32."""
    return jnp.result_type(float)


def gradient_dtype(x: Any) -> Any:
    """Returns the dtype of sums: XLA fuses what is done in it."""
    return sum_dtype(x)


def cast(x: Any, dtype: Any) -> Array:
    """Returns x in another dtype."""
    return jnp.asarray(x, dtype)


def rounded(x: Array, dtype: Any) -> Array:
    """Returns x in another dtype, rounded once."""
    if x.dtype != jnp.dtype("float64") or jnp.dtype(dtype).itemsize > 2:
        return cast(x, dtype)
    # In float32's precision, with the last bit set if anything was cut off: what is rounded to a
    # shorter type afterwards is so as in one step.
    constant = lax.stop_gradient(x)
    bits = constant.view(jnp.int64)
    odd = (bits & ~_CUT) | (((bits & _CUT) + _CUT) & (_CUT + 1))
    change = odd.view(x.dtype) - constant
    return cast(cast(jnp.where(abs(change) > 0, x + change, x), "float32"), dtype)


def shape(x: Array) -> tuple[int, ...]:
    """Returns the extents."""
    return x.shape  # type: ignore[no-any-return]


def transpose(x: Array) -> Array:
    """Returns a matrix with its axes exchanged."""
    return x.T


def matmul(x: Array, y: Array) -> Array:
    """Returns the product of two matrices; by default, some platforms would round them."""
    return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)


def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """Returns x with other extents."""
    return x.reshape(shape)


def where(condition: Array, x: Any, y: Any) -> Array:
    """Returns x where the condition holds, y elsewhere."""
    return jnp.where(condition, x, y)


def zeros_like(x: Array) -> Array:
    """Returns zeros of x's shape and dtype."""
    return jnp.zeros_like(x)


def absolute(x: Array) -> Array:
    """Returns |x|; JAX's own has a derivative of 1 at 0, and of -1 at NaN."""
    return x * lax.stop_gradient(sign(x))


def sign(x: Array) -> Array:
    """Returns -1, 0 or 1, and NaN for NaN."""
    return jnp.sign(x)


def sqrt(x: Array) -> Array:
    """Returns square roots."""
    return jnp.sqrt(x)


def sum(x: Array, dtype: Any) -> Array:
    """Returns the sum of all elements, taken in a dtype."""
    return x.sum(dtype=dtype)


def sum_of_squares(x: Array, dtype: Any) -> Array:
    """Returns the sum of the squares of all elements, which are cast to a dtype first."""
    x = x.astype(dtype)
    return (x * x).sum()


def sums(x: Array, axis: int) -> Array:
    """Returns the sums along an axis of a matrix, which stays."""
    return x.sum(axis, keepdims=True)


def are_finite(x: Array) -> Array:
    """Returns whether no element is NaN or Inf."""
    return jnp.isfinite(x).all()


def constant(x: Array) -> Array:
    """Returns x, through which no derivative goes."""
    return lax.stop_gradient(x)


def nan_unless_finite(x: Array) -> Array:
    """Returns x, or NaN everywhere if one element is NaN or Inf."""
    return x * jnp.where(are_finite(x), 1, jnp.nan).astype(x.dtype)


def powers_of_two(x: Array, axis: int) -> Array:
    """Returns the power of two at or below the largest |x| along an axis, or 1.

    It is 1 for subnormals, too, and none is so large that its reciprocal would be subnormal: XLA
    multiplies where it should divide, and takes subnormals for 0.
    """
    largest = lax.stop_gradient(jnp.abs(x).max(axis, keepdims=True))
    unsigned = jnp.dtype(f"uint{largest.dtype.itemsize * 8}")
    exponent = jnp.array(jnp.inf, largest.dtype).view(unsigned)
    powers = (largest.view(unsigned) & exponent).view(largest.dtype)
    powers = jnp.where((powers > 0) & jnp.isfinite(powers), powers, 1)
    return jnp.minimum(powers, 1 / jnp.finfo(powers.dtype).tiny)


def without_diagonal(x: Array) -> Array:
    """Returns a square matrix with zeros on its diagonal."""
    return jnp.where(jnp.eye(len(x), dtype=bool), 0, x)


def no_penalty(x: Array) -> Array:
    """Returns 0 with a zero gradient, whatever is in x."""
    return jnp.zeros((), x.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def custom_gradient(function: Differentiated, x: Array) -> Array:
    """Returns the value of a function that knows its derivative."""
    total: Array = function(x)[0]
    return total


@custom_gradient.defjvp  # type: ignore[untyped-decorator]
def _custom_gradient_jvp(function: Differentiated, primals: Any, tangents: Any) -> Any:
    total, pull_back = function(*primals)
    slope = pull_back(jnp.ones_like(total))
    return total, (slope * tangents[0]).sum(dtype=total.dtype)
