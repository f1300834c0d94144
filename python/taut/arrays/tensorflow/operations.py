"""TensorFlow's own operations, of which formulas are made, and the penalties in them.

They are the same eagerly, in graphs, compiled by XLA and in saved models, for shapes that are known
only when a graph runs too, and can be differentiated as often as one likes.
"""

import sys
from typing import Any

import numpy as np
import tensorflow as tf

from taut.arrays.tensorflow.tracing import may_be_compiled
from taut.kernels import Kernel
from taut.kernels.operations import Differentiated

# Measured on 256 x 256 and 1024 x 1024, from float32 to float64: 16 took a third more time than 8.
_SLICES = 8

_CUT = (1 << 29) - 1  # the bits that float64 has beyond float32's
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


def gradient_dtype(x: Any) -> Any:
    """Returns float64 where XLA fuses what is done in it, else the dtype of a penalty."""
    return tf.float64 if may_be_compiled() else value_dtype(x)


def cast(x: Any, dtype: Any) -> Any:
    """Returns x in another dtype."""
    return tf.cast(x, dtype)


def rounded(x: Any, dtype: Any) -> Any:
    """Returns x in another dtype, rounded once."""
    if x.dtype != tf.float64 or dtype.size > 2:
        return tf.cast(x, dtype)
    # In float32's precision, with the last bit set if anything was cut off: what is rounded to a
    # shorter type afterwards is so as in one step.
    constant = tf.stop_gradient(x)
    bits = tf.bitcast(constant, tf.int64)
    kept, cut = tf.bitwise.bitwise_and(bits, ~_CUT), tf.bitwise.bitwise_and(bits, _CUT)
    odd = tf.bitwise.bitwise_or(kept, tf.bitwise.bitwise_and(cut + _CUT, _CUT + 1))
    change = tf.bitcast(odd, tf.float64) - constant
    return tf.cast(tf.cast(tf.where(tf.abs(change) > 0, x + change, x), tf.float32), dtype)


def shape(x: Any) -> tuple[Any, ...]:
    """Returns the extents: ints where they are known, else 0-d tensors."""
    known = x.shape.as_list()
    return tuple(tf.shape(x)[axis] if each is None else each for axis, each in enumerate(known))


def transpose(x: Any) -> Any:
    """Returns a matrix with its axes exchanged."""
    return tf.transpose(x)


def matmul(x: Any, y: Any) -> Any:
    """Returns the product of two matrices."""
    return tf.matmul(x, y)


def reshape(x: Any, shape: tuple[Any, ...]) -> Any:
    """Returns x with other extents."""
    return tf.reshape(x, shape)


def where(condition: Any, x: Any, y: Any) -> Any:
    """Returns x where the condition holds, y elsewhere."""
    return tf.where(condition, x, y)


def zeros_like(x: Any) -> Any:
    """Returns zeros of x's shape and dtype."""
    return tf.zeros_like(x)


def absolute(x: Any) -> Any:
    """Returns |x|."""
    return tf.abs(x)


def sign(x: Any) -> Any:
    """Returns -1, 0 or 1, and NaN for NaN."""
    return tf.sign(x)


def sqrt(x: Any) -> Any:
    """Returns square roots."""
    return tf.sqrt(x)


def sum(x: Any, dtype: Any) -> Any:
    """Returns the sum of all elements, taken in a dtype."""
    x = tf.cast(x, dtype)
    count = x.shape.num_elements() or 0
    if count < 2 * _SLICES or not may_be_compiled():
        return tf.reduce_sum(x)
    # XLA adds up an array in a chain, each sum waiting for the one before. So it is cut in slices,
    # whose elements of the same place are added first: in a loop that it vectorizes.
    flat, length = tf.reshape(x, (-1,)), count // _SLICES
    total = flat[:length]
    for start in range(length, _SLICES * length, length):
        total += flat[start : start + length]
    return tf.reduce_sum(total) + tf.reduce_sum(flat[_SLICES * length :])


def sum_of_squares(x: Any, dtype: Any) -> Any:
    """Returns the sum of the squares of all elements, which are cast to a dtype first."""
    x = tf.cast(x, dtype)
    if may_be_compiled():
        return sum(x * x, dtype)
    row = tf.reshape(x, (1, -1))  # read once, and not written
    return tf.reshape(tf.matmul(row, row, transpose_b=True), ())


def sums(x: Any, axis: int) -> Any:
    """Returns the sums along an axis of a matrix, which stays."""
    return tf.reduce_sum(x, axis, keepdims=True)


def are_finite(x: Any) -> Any:
    """Returns whether no element is NaN or Inf."""
    return tf.reduce_all(tf.math.is_finite(x))


def constant(x: Any) -> Any:
    """Returns x, through which no derivative goes."""
    return tf.stop_gradient(x)


def nan_unless_finite(x: Any) -> Any:
    """Returns x, or NaN everywhere if one element is NaN or Inf."""
    return x * tf.where(are_finite(x), tf.ones((), x.dtype), float("nan"))


def powers_of_two(x: Any, axis: int) -> Any:
    """Returns the power of two at or below the largest |x| along an axis, or 1.

    It is 1 for subnormals, too, and none is so large that its reciprocal would be subnormal: XLA
    multiplies where it should divide, and takes subnormals for 0.
    """
    integer, exponent_bits = _EXPONENT_BITS[x.dtype]
    largest = tf.reduce_max(tf.abs(x), axis, keepdims=True)
    bits = tf.bitwise.bitwise_and(tf.bitcast(largest, integer), exponent_bits)
    powers = tf.bitcast(bits, x.dtype)  # through which no tape sees
    is_usable = (powers > 0) & tf.math.is_finite(powers)
    powers = tf.where(is_usable, powers, tf.ones_like(powers))
    return tf.minimum(powers, 1 / np.finfo(x.dtype.as_numpy_dtype).tiny)


def without_diagonal(x: Any) -> Any:
    """Returns a square matrix with zeros on its diagonal."""
    return tf.linalg.set_diag(x, tf.zeros(tf.shape(x)[:1], x.dtype))


def no_penalty(x: Any) -> Any:
    """Returns 0 with a zero gradient, whatever is in x."""
    return tf.reduce_sum(tf.where(False, x, tf.zeros_like(x)))


def custom_gradient(function: Differentiated, x: Any) -> Any:
    """Returns the value of a function that knows its derivative."""
    return tf.custom_gradient(function)(x)
