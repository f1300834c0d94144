"""Kernels that the core computes, for tensors in the CPU's memory.

That is outside of graphs, and in the graphs of Keras's own steps. A kernel differentiates once; a
second derivative is taken through TensorFlow's own operations.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from taut.arrays.tensorflow import operations
from taut.arrays.tensorflow.operations import value_dtype
from taut.arrays.tensorflow.steps import is_in_step
from taut.arrays.tensorflow.tracing import may_be_recorded
from taut.kernels import Kernel

Factors = tuple[Any, ...]
PullBack = Callable[[Any], Any]

# From so many elements on, a step calls a kernel that is bound by memory, for its value: there is
# more to be saved than the 50 µs that a call takes. TensorFlow's operations took 20 µs for 256 x
# 256 and 320 µs for 1024 x 1024, where the core took 50; at 512 x 512 a call was not yet worth it.
_FEWEST_ELEMENTS = 1 << 19


def is_called(kernel: Kernel, x: Any) -> bool:
    """Returns whether the kernel is called for x: now, or whenever the graph runs."""
    if tf.executing_eagerly():
        return "/device:CPU:" in x.device
    is_small = (x.shape.num_elements() or 0) < _FEWEST_ELEMENTS
    return not (is_small and kernel.bound_by == "memory") and is_in_step()


def value_of(x: Any, kernel: Kernel, factors: Factors) -> Any:
    """Returns the penalty, which tapes differentiate in x and in factors that live."""
    presence = kernel.presence(factors)
    if None not in presence:
        return value(x, kernel, factors)
    terms = kernel.terms_by(lambda x, unit: value(x, kernel, unit))
    return kernel.formula(operations, x, factors, presence, terms)


def value(x: Any, kernel: Kernel, factors: Factors) -> Any:
    """Returns the penalty, which tapes differentiate in x."""
    differentiated = _eager if tf.executing_eagerly() else _in_step
    return tf.custom_gradient(lambda x: differentiated(x, kernel, factors))(x)


def value_and_grad(x: Any, kernel: Kernel, factors: Factors, scale: Any) -> tuple[Any, Any]:
    """Returns the penalty and `scale` times its gradient, which no tape differentiates."""
    numbers = _numbers(x)
    grad = np.empty_like(numbers)
    total = kernel.value_and_grad(numbers, grad, factors, float(scale))
    return tf.constant(total, value_dtype(x)), tf.convert_to_tensor(grad)


def _eager(x: Any, kernel: Kernel, factors: Factors) -> tuple[Any, PullBack]:
    # A tape does not say whether it will be asked for a gradient, so that is computed when it is.
    def pull_back(scale: Any) -> Any:
        if not tf.executing_eagerly():
            # A tape's jacobian traces this, with a scale that is not known yet.
            return operations.gradient(kernel, x, factors, scale)
        _, grad = value_and_grad(x, kernel, factors, scale)
        return _slope(grad, x, scale, kernel, factors) if may_be_recorded() else grad

    return tf.constant(kernel.value(_numbers(x), factors), value_dtype(x)), pull_back


def _numbers(x: Any) -> Any:
    """Returns a tensor's memory as an array; one without axes would be a number of its own kind."""
    return np.asarray(x.numpy())


def _in_step(x: Any, kernel: Kernel, factors: Factors) -> tuple[Any, PullBack]:
    # In a step there is a tape only where it will be asked for a gradient. That of a kernel bound
    # by memory is a pass, which TensorFlow takes as quickly.
    dtype = value_dtype(x)

    def rounded(total: float) -> Any:
        with np.errstate(over="ignore"):  # beyond float32's range it is Inf
            return dtype.as_numpy_dtype(total)

    def value_alone(x: Any) -> Any:
        return rounded(kernel.value(x, factors))

    def both(x: Any) -> tuple[Any, Any]:
        slope = np.empty(x.shape, dtype.as_numpy_dtype)
        return rounded(kernel.value_and_grad(x, slope, factors, 1.0)), slope

    if kernel.bound_by == "memory" or not may_be_recorded():
        total = tf.numpy_function(value_alone, [x], dtype, stateful=False)
        total.set_shape(())
        return total, lambda scale: operations.gradient(kernel, x, factors, scale)
    total, slope = tf.numpy_function(both, [x], [dtype, dtype], stateful=False)
    total.set_shape(())
    slope.set_shape(x.shape)

    def pull_back(scale: Any) -> Any:
        return _slope(tf.cast(scale * slope, x.dtype), x, scale, kernel, factors)

    return total, pull_back


def _slope(grad: Any, x: Any, scale: Any, kernel: Kernel, factors: Factors) -> Any:
    """Returns a gradient that the core has computed, as a function of x and `scale`."""

    def differentiated(x: Any, scale: Any) -> tuple[Any, PullBack]:
        return grad, lambda direction: _pull_back_slope(x, scale, direction, kernel, factors)

    return tf.custom_gradient(differentiated)(x, scale)


@tf.function  # type: ignore[untyped-decorator]
def _pull_back_slope(x: Any, scale: Any, direction: Any, kernel: Kernel, factors: Factors) -> Any:
    # Symbolically, since forward accumulation calls this where tapes do not record.
    total = operations.value(kernel, x, factors)
    (slope,) = tf.gradients(total, x, grad_ys=scale)
    return tf.gradients(slope, [x, scale], grad_ys=direction, unconnected_gradients="zero")
