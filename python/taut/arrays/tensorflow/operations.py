"""TensorFlow's own operations, of which formulas are made, and the penalties in them.

They are the same eagerly, in graphs, compiled by XLA and in saved models, for shapes that are known
only when a graph runs too, and can be differentiated as often as one likes.
"""

import math
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from taut.kernels import Kernel

_EXPONENT_BITS = {tf.float64: (tf.int64, 0x7FF0000000000000), tf.float32: (tf.int32, 0x7F800000)}


def value(kernel: Kernel, x: Any, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty: float64 for float64, else float32."""
    total = kernel.formula(sys.modules[__name__], x, factors, kernel.presence(factors))
    return tf.cast(total, value_dtype(x))


def gradient(kernel: Kernel, x: Any, factors: tuple[Any, ...], scale: Any) -> Any:
    """Returns `scale` times the penalty's gradient, a differentiable function of both."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = value(kernel, x, factors)
    return tape.gradient(total, x, output_gradients=scale)


# ---- what formulas are made of: see taut.kernels.Operations --------------------------------------


def value_dtype(x: Any) -> Any:
    """Returns the dtype of a penalty of x."""
    return tf.float64 if x.dtype == tf.float64 else tf.float32


def sum_dtype(x: Any) -> Any:
    """Returns float64."""
    return tf.float64


def cast(x: Any, dtype: Any) -> Any:
    """Returns x in another dtype."""
    return tf.cast(x, dtype)


def shape(x: Any) -> tuple[Any, ...]:
    """Returns the extents: ints where they are known, else 0-d tensors."""
    known = x.shape.as_list()
    return tuple(tf.shape(x)[axis] if each is None else each for axis, each in enumerate(known))


def rows(x: Any) -> Any:
    """Returns the matrix of the first axis by all others."""
    first, *others = shape(x)
    return tf.reshape(x, (first, math.prod(others)))


def columns(x: Any) -> Any:
    """Returns the matrix of all other axes by the last one."""
    *others, last = shape(x)
    return tf.reshape(x, (math.prod(others), last))


def transpose(x: Any) -> Any:
    """Returns a matrix with its axes exchanged."""
    return tf.transpose(x)


def where(condition: Any, x: Any, y: Any) -> Any:
    """Returns x where the condition holds, y elsewhere."""
    return tf.where(condition, x, y)


def zeros_like(x: Any) -> Any:
    """Returns zeros of x's shape and dtype."""
    return tf.zeros_like(x)


def absolute(x: Any) -> Any:
    """Returns |x|."""
    return tf.abs(x)


def sqrt(x: Any) -> Any:
    """Returns square roots."""
    return tf.sqrt(x)


def sum(x: Any, dtype: Any) -> Any:
    """Returns the sum of all elements, taken in a dtype."""
    return tf.reduce_sum(tf.cast(x, dtype))


def sum_of_rows(x: Any) -> Any:
    """Returns the sum of each row, as a column."""
    return tf.reduce_sum(x, 1, keepdims=True)


def are_finite(x: Any) -> Any:
    """Returns whether no element is NaN or Inf."""
    return tf.reduce_all(tf.math.is_finite(x))


def constant(x: Any) -> Any:
    """Returns x, through which no derivative goes."""
    return tf.stop_gradient(x)


def nan_unless_finite(x: Any) -> Any:
    """Returns x, or NaN everywhere if one element is NaN or Inf."""
    return x * tf.where(tf.reduce_all(tf.math.is_finite(x)), tf.ones((), x.dtype), float("nan"))


def powers_of_two(x: Any) -> Any:
    """Returns for each row the power of two at or below its largest |x|, or 1.

    It is 1 for subnormals, too, and none is so large that its reciprocal would be subnormal: XLA
    multiplies where it should divide, and takes subnormals for 0.
    """
    integer, exponent_bits = _EXPONENT_BITS[x.dtype]
    largest = tf.reduce_max(tf.abs(x), 1, keepdims=True)
    bits = tf.bitwise.bitwise_and(tf.bitcast(largest, integer), exponent_bits)
    powers = tf.bitcast(bits, x.dtype)  # through which no tape sees
    is_usable = (powers > 0) & tf.math.is_finite(powers)
    powers = tf.where(is_usable, powers, tf.ones_like(powers))
    return tf.minimum(powers, 1 / np.finfo(x.dtype.as_numpy_dtype).tiny)


def products(x: Any) -> Any:
    """Returns the dot products of all rows."""
    return tf.matmul(x, x, transpose_b=True)


def without_diagonal(x: Any) -> Any:
    """Returns a square matrix with zeros on its diagonal."""
    return tf.linalg.set_diag(x, tf.zeros(tf.shape(x)[:1], x.dtype))


def no_penalty(x: Any) -> Any:
    """Returns 0 with a zero gradient, whatever is in x."""
    return tf.reduce_sum(tf.where(False, x, tf.zeros_like(x)))
