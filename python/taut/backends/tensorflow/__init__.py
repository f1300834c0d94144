"""TensorFlow's tensors and variables: its own operations, and taut's kernel where that is faster.

That is the orthogonal penalty of what lies in the CPU's memory, outside of `tf.function`. All else
is made of TensorFlow's operations, for graphs, XLA, saved models and other devices.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import tensorflow as tf

from taut import _checks
from taut.backends.tensorflow import eager, operations

_SPARSE = (tf.SparseTensor, tf.RaggedTensor, tf.IndexedSlices)


def value(kernel: str, x: Any, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty of `x` as a 0-d tensor, which tapes differentiate."""
    x = _checked(kernel, x, factors)
    if kernel == "gram" and eager.is_memory(x):
        return eager.gram(x, factors=factors)
    return operations.value(kernel, x, factors)


def value_and_grad(kernel: str, x: Any, factors: tuple[Any, ...], scale: float) -> tuple[Any, Any]:
    """Returns the penalty of `x`, and `scale` times its gradient."""
    x = _checked(kernel, x, factors)
    if kernel == "gram" and eager.is_memory(x):
        return eager.gram_value_and_grad(x, factors, scale)
    return differentiate(lambda weight: operations.value(kernel, weight, factors), x, scale)


def accumulate_grad(
    kernel: str, x: Any, grad: Any, factors: tuple[Any, ...], scale: float
) -> NoReturn:
    """Raises a TypeError: TensorFlow's tensors cannot be written."""
    _refuse("accumulate_grad", "take value_and_grad, or a GradientTape")


def prox(x: Any, factors: tuple[Any, ...], step: float) -> NoReturn:
    """Raises a TypeError: TensorFlow's tensors cannot be written."""
    _refuse("prox", "copy them to NumPy arrays for it")


def differentiate(function: Callable[[Any], Any], x: Any, scale: float) -> tuple[Any, Any]:
    """Returns what a function of TensorFlow's operations gives, and `scale` times its gradient."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.convert_to_tensor(function(x))
    grad = tape.gradient(
        total,
        x,
        output_gradients=tf.cast(scale, total.dtype),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return total, grad


def add_in_place(grad: Any, slope: Any) -> NoReturn:
    """Raises a TypeError: TensorFlow's tensors cannot be written."""
    _refuse("accumulate_grad", "take value_and_grad, or a GradientTape")


def batch_size(x: Any) -> Any:
    """Returns the first dimension of `x`, at least 1, where a graph does not know it yet."""
    return tf.cast(tf.maximum(tf.shape(x)[0], 1), operations.value_dtype(x.dtype))


def _checked(kernel: str, x: Any, factors: tuple[Any, ...]) -> Any:
    x = _as_tensor(x)
    _checks.check_penalty(kernel, factors, x.shape)
    return x


def _as_tensor(x: Any) -> Any:
    if isinstance(x, _SPARSE):
        raise TypeError(f"expected a dense tensor. Received: {type(x).__name__}")
    tensor = tf.convert_to_tensor(x)
    _checks.check_dtype(tensor.dtype.name)
    return tensor


def _refuse(function: str, instead: str) -> NoReturn:
    raise TypeError(f"{function} writes in place, and tensors cannot be written: {instead}")


# ---- many tensors: what taut.Penalties asks for --------------------------------------------------


def is_memory(x: Any) -> bool:
    """Returns False: each tensor is computed by itself, so that all can be traced."""
    _as_tensor(x)
    return False


def is_frozen(x: Any) -> bool:
    """Returns whether `x` is a variable that is not to be trained."""
    return not getattr(x, "trainable", True)


def native(x: Any) -> Any:
    """Returns `x`, which no other library wraps."""
    return x


def zero(x: Any) -> Any:
    """Returns a penalty of 0."""
    return tf.zeros((), operations.value_dtype(x.dtype))


def memory_of(x: Any) -> object:
    """Returns what tells a tensor or a variable from others."""
    return id(x)


def own_gradient(x: Any) -> NoReturn:
    """Raises a TypeError: a tensor has no gradient of its own, and none could be written."""
    _refuse("accumulate_grad", "take a GradientTape of the penalties")


def require_writable(names: list[str], values: list[Any]) -> NoReturn:
    """Raises a TypeError: TensorFlow's tensors cannot be written."""
    _refuse("prox", f"copy them to NumPy arrays for it. Received: {names}")
