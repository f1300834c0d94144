"""Kernels that are bound by arithmetic, for tensors in the CPU's memory, outside of graphs.

A tape does not say whether it will be asked for a gradient, so that is computed when it is. A
kernel differentiates once; a second derivative is taken through TensorFlow's own operations.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from taut.arrays.tensorflow import operations
from taut.arrays.tensorflow.operations import value_dtype
from taut.kernels import Kernel


def is_memory(x: Any) -> bool:
    """Returns whether a kernel can read the tensor where it stands."""
    return tf.executing_eagerly() and "/device:CPU:" in x.device


def value_of(x: Any, kernel: Kernel, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty, which tapes differentiate in x and in factors that live."""
    presence = kernel.presence(factors)
    if None not in presence:
        return value(x, kernel=kernel, factors=factors)
    terms = kernel.terms_by(lambda x, unit: value(x, kernel=kernel, factors=unit))
    return kernel.formula(operations, x, factors, presence, terms)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def value(x: Any, kernel: Kernel, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty, which tapes differentiate."""
    total = kernel.value(np.asarray(x), factors)

    def pull_back(scale: Any) -> Any:
        if is_memory(x):
            return _slope(x, scale, kernel=kernel, factors=factors)
        # A tape's jacobian traces this, with a scale that is not known yet.
        return operations.gradient(kernel, x, factors, scale)

    return tf.constant(total, value_dtype(x)), pull_back


def value_and_grad(
    x: Any, kernel: Kernel, factors: tuple[Any, ...], scale: float
) -> tuple[Any, Any]:
    """Returns the penalty and `scale` times its gradient, which no tape differentiates."""
    numbers = np.asarray(x)
    grad = np.empty_like(numbers)
    total = kernel.value_and_grad(numbers, grad, factors, float(scale))
    return tf.constant(total, value_dtype(x)), tf.convert_to_tensor(grad)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _slope(x: Any, scale: Any, kernel: Kernel, factors: tuple[Any, ...]) -> Any:
    _, grad = value_and_grad(x, kernel, factors, scale)
    return grad, lambda direction: _pull_back_slope(x, scale, direction, kernel, factors)


@tf.function  # type: ignore[untyped-decorator]
def _pull_back_slope(
    x: Any, scale: Any, direction: Any, kernel: Kernel, factors: tuple[Any, ...]
) -> Any:
    # Symbolically, since forward accumulation calls this where tapes do not record.
    total = operations.value(kernel, x, factors)
    (slope,) = tf.gradients(total, x, grad_ys=scale)
    return tf.gradients(slope, [x, scale], grad_ys=direction, unconnected_gradients="zero")
