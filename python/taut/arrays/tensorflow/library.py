"""TensorFlow as an array library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from taut.arrays.factors import operands
from taut.arrays.formula import FormulaLibrary
from taut.arrays.library import Factors
from taut.arrays.tensorflow import calls, operations
from taut.kernels import Kernel, Sides

_SPARSE = (tf.SparseTensor, tf.RaggedTensor, tf.IndexedSlices)


class TensorFlow(FormulaLibrary):
    """TensorFlow's tensors and variables, eager and in graphs."""

    xp = operations
    plural = "tensors"
    differentiator = "a GradientTape"
    cast = "tf.cast(x, tf.float32)"

    def owns(self, cls: type) -> bool:
        """Returns whether objects of a class are tensors or variables; sparse ones are refused."""
        return issubclass(cls, (tf.Tensor, tf.Variable, *_SPARSE)) or tf.is_tensor(cls)

    def value(self, kernel: Kernel, x: Any, factors: Factors) -> Any:
        """Returns the penalty of x as a 0-d tensor, which tapes differentiate."""
        x = _as_tensor(x)
        own = operands(factors, self)
        kernel.check(own, x.shape)
        if calls.is_called(kernel, x):
            return calls.value_of(x, kernel, own)
        return operations.value(kernel, x, own)

    def value_and_grad(
        self, kernel: Kernel, x: Any, factors: Factors, scale: float
    ) -> tuple[Any, Any]:
        """Returns the penalty of x, and `scale` times its gradient."""
        x = _as_tensor(x)
        kernel.check(factors, x.shape)
        if tf.executing_eagerly() and calls.is_called(kernel, x):
            return calls.value_and_grad(x, kernel, factors, scale)
        own = operands(factors, self)
        return self.differentiate(lambda weight: operations.value(kernel, weight, own), x, scale)

    def proximal(self, kernel: Kernel, x: Any, factors: Factors, step: Any) -> Any:
        """Returns the proximal step of x as a tensor, which tapes differentiate."""
        return super().proximal(kernel, _as_tensor(x), factors, step)

    def has_negative(self, side: Any) -> bool | None:
        """Returns whether an element is negative, outside of graphs."""
        if not tf.executing_eagerly():
            return None
        return bool(tf.reduce_any(tf.convert_to_tensor(side) < 0))

    def value_towards(self, kernel: Kernel, x: Any, factors: Factors, sides: Sides) -> Any:
        """Returns the penalty of x as a 0-d tensor, which tapes differentiate."""
        return super().value_towards(kernel, _as_tensor(x), factors, sides)

    def proximal_towards(
        self, kernel: Kernel, x: Any, factors: Factors, step: Any, sides: Sides
    ) -> Any:
        """Returns the proximal step of x as a tensor, which tapes differentiate."""
        return super().proximal_towards(kernel, _as_tensor(x), factors, step, sides)

    def differentiate(
        self, function: Callable[[Any], Any], x: Any, scale: float
    ) -> tuple[Any, Any]:
        """Returns what a function of TensorFlow's gives, and `scale` times its gradient."""
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

    def number(self, x: Any) -> float | None:
        """Returns the number of a 0-d tensor or variable; None in a graph."""
        return float(x) if tf.executing_eagerly() else None

    def batch_size(self, x: Any) -> Any:
        """Returns the first dimension of x, at least 1, where a graph does not know it yet."""
        return tf.cast(tf.maximum(tf.shape(x)[0], 1), operations.value_dtype(x))

    def zero(self, x: Any) -> Any:
        """Returns a penalty of 0."""
        return tf.zeros((), operations.value_dtype(x))

    def check(self, x: Any) -> None:
        """Raises a TypeError if x is of no dtype or kind that has a penalty."""
        _as_tensor(x)

    def is_frozen(self, x: Any) -> bool:
        """Returns whether x is a variable that is not to be trained."""
        return not getattr(x, "trainable", True)


TENSORFLOW = TensorFlow()


def _as_tensor(x: Any) -> Any:
    if isinstance(x, _SPARSE):
        raise TypeError(f"expected a dense tensor. Received: {type(x).__name__}")
    tensor = tf.convert_to_tensor(x)
    FormulaLibrary.check(TENSORFLOW, tensor)
    return tensor
