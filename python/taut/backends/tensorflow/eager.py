"""The orthogonal penalty by taut's kernel, for tensors in the CPU's memory, outside of graphs.

A tape does not say whether it will be asked for a gradient, so that is computed when it is. The
kernel differentiates once; a second derivative is taken through TensorFlow's own operations.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from taut.backends.numpy import KERNELS
from taut.backends.tensorflow import operations
from taut.backends.tensorflow.operations import value_dtype

_GRAM = KERNELS["gram"]


def is_memory(x: Any) -> bool:
    """Returns whether a kernel can read the tensor where it stands."""
    return tf.executing_eagerly() and "/device:CPU:" in x.device


@tf.custom_gradient  # type: ignore[untyped-decorator]
def gram(x: Any, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty, which tapes differentiate."""
    total = _GRAM.value(np.asarray(x), factors)

    def pull_back(scale: Any) -> Any:
        if is_memory(x):
            return _slope(x, scale, factors=factors)
        # A tape's jacobian traces this, with a scale that is not known yet.
        return operations.gradient("gram", x, factors, scale)

    return tf.constant(total, value_dtype(x.dtype)), pull_back


def gram_value_and_grad(x: Any, factors: tuple[Any, ...], scale: float) -> tuple[Any, Any]:
    """Returns the penalty and `scale` times its gradient, which no tape differentiates."""
    numbers = np.asarray(x)
    grad = np.empty_like(numbers)
    total = _GRAM.value_and_grad(numbers, grad, factors, float(scale))
    return tf.constant(total, value_dtype(x.dtype)), tf.convert_to_tensor(grad)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _slope(x: Any, scale: Any, factors: tuple[Any, ...]) -> Any:
    _, grad = gram_value_and_grad(x, factors, scale)

    return grad, lambda direction: _pull_back_slope(x, scale, direction, factors)


@tf.function  # type: ignore[untyped-decorator]
def _pull_back_slope(x: Any, scale: Any, direction: Any, factors: tuple[Any, ...]) -> Any:
    # Symbolically, since forward accumulation calls this where tapes do not record.
    total = operations.value("gram", x, factors)
    (slope,) = tf.gradients(total, x, grad_ys=scale)
    return tf.gradients(slope, [x, scale], grad_ys=direction, unconnected_gradients="zero")
