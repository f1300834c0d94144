"""The penalties in TensorFlow's own operations, with the semantics of the kernels.

They are the same eagerly, in graphs, compiled by XLA and in saved models, for shapes that are known
only when a graph runs too, and can be differentiated as often as one likes.
"""

from typing import Any

import tensorflow as tf

_NORM_FLOOR = 1e-7
_EXPONENT_BITS = 0x7FF0000000000000  # of float64


def value_dtype(dtype: Any) -> Any:
    """Returns the dtype of a penalty of a tensor of `dtype`."""
    return tf.float64 if dtype == tf.float64 else tf.float32


def value(kernel: str, x: Any, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty: float64 for float64, else float32."""
    compute = _gram if kernel == "gram" else _elementwise
    return tf.cast(compute(x, *factors), value_dtype(x.dtype))


def gradient(kernel: str, x: Any, factors: tuple[Any, ...], scale: Any) -> Any:
    """Returns `scale` times the penalty's gradient, a differentiable function of both."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = value(kernel, x, factors)
    return tape.gradient(total, x, output_gradients=scale)


def _elementwise(x: Any, l1: float, l2: float) -> Any:
    numbers = tf.cast(x, tf.float64)
    total = _no_penalty(numbers) if l1 == 0 and l2 == 0 else tf.zeros((), tf.float64)
    if l1 != 0:
        total += l1 * tf.reduce_sum(tf.abs(numbers))
    if l2 != 0:
        total += l2 * tf.reduce_sum(numbers * numbers)
    return total


def _no_penalty(numbers: Any) -> Any:
    """Returns 0 with a zero gradient, whatever the numbers are."""
    return tf.reduce_sum(tf.where(False, numbers, tf.zeros_like(numbers)))


def _gram(x: Any, factor: float, mode: str) -> Any:
    vectors = tf.cast(x if mode == "rows" else tf.transpose(x), tf.float64)
    if factor == 0:
        return _no_penalty(vectors)
    count = tf.shape(vectors)[0]
    vectors = tf.where(count < 2, tf.zeros_like(vectors), vectors)
    is_finite = tf.reduce_all(tf.math.is_finite(vectors))
    vectors *= tf.where(is_finite, tf.ones((), tf.float64), float("nan"))

    # Divided by a power of two, which is exact, so that no dot product leaves the range and its
    # sign is that of the raw one.
    powers = _powers_of_two(tf.reduce_max(tf.abs(vectors), 1, keepdims=True))
    scaled = vectors / powers
    squares = tf.reduce_sum(scaled * scaled, 1, keepdims=True)
    norms = tf.sqrt(tf.where(squares > 0, squares, tf.ones_like(squares)))
    is_clamped = (squares == 0) | (norms * powers < _NORM_FLOOR)
    weights = tf.where(is_clamped, powers / _NORM_FLOOR, 1 / norms)

    dtype = value_dtype(x.dtype)  # of the dot products, as in the kernel
    pairs = tf.abs(_products(tf.cast(scaled, dtype))) * _products(tf.cast(weights, dtype))
    pairs = tf.linalg.set_diag(pairs, tf.zeros([count], dtype))  # each pair stands there twice
    number = tf.cast(count, tf.float64)
    total = tf.reduce_sum(tf.cast(pairs, tf.float64))
    return factor * (total / tf.maximum(number * (number - 1), 1))


def _products(vectors: Any) -> Any:
    return tf.matmul(vectors, vectors, transpose_b=True)


def _powers_of_two(numbers: Any) -> Any:
    """Returns the power of two at or below each number; 1 for 0, subnormals, and Inf and NaN.

    None is so large that its reciprocal would be subnormal: XLA multiplies where it should divide,
    and takes subnormals for 0.
    """
    bits = tf.bitwise.bitwise_and(tf.bitcast(numbers, tf.int64), _EXPONENT_BITS)
    powers = tf.bitcast(bits, tf.float64)
    is_usable = (powers > 0) & tf.math.is_finite(powers)
    powers = tf.where(is_usable, powers, tf.ones_like(powers))
    return tf.minimum(powers, 2.0**1022)
