"""The penalty of a layer's output."""

from typing import Any

import numpy as np

from taut.arrays import library_of
from taut.regularizers._base import ClosedRegularizer, as_regularizer
from taut.regularizers._registry import register_builtin
from taut.regularizers._serialization import get, serialize


class ActivityRegularizer(ClosedRegularizer):
    """Divides another regularizer's penalty by the batch size, the first dimension of its input.

    This keeps the balance between the penalties of activities and of weights at any batch size. A
    Keras layer divides by itself: give its `activity_regularizer` the plain regularizer.

    Args:
        regularizer: The regularizer whose penalty to divide, or anything that `get` takes.

    Source: `activity_regularizer` of `keras.layers.Layer`.
    """

    _settable = ("regularizer",)

    def __init__(self, regularizer: Any) -> None:
        self.regularizer = get(regularizer)
        if self.regularizer is None:
            raise ValueError("ActivityRegularizer needs a regularizer. Received: None")

    def __repr__(self) -> str:
        return f"ActivityRegularizer({self.regularizer!r})"

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of `x`, divided by its batch size; 0 for an empty batch."""
        return self.regularizer(x) / _batch_size(x)

    def value_and_grad(self, x: Any, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the penalty of `x` and `scale` times its gradient, both over the batch size."""
        batch_size = _batch_size(x)
        value, grad = as_regularizer(self.regularizer).value_and_grad(x, scale / batch_size)
        return value / batch_size, grad

    def accumulate_grad(self, x: Any, grad: Any, scale: float = 1.0, value: bool = True) -> Any:
        """Adds `scale` times the gradient, over the batch size, to `grad`, in place."""
        batch_size = _batch_size(x)
        of = as_regularizer(self.regularizer)
        total = of.accumulate_grad(x, grad, scale / batch_size, value)
        return total / batch_size if value else None

    def get_config(self) -> dict[str, Any]:
        """Returns the config of the wrapped regularizer."""
        return {"regularizer": serialize(self.regularizer)}


def _batch_size(x: Any) -> Any:
    shape: tuple[int | None, ...] = tuple(np.shape(x))
    if not shape:
        raise ValueError("An activity has a batch dimension. Received: inputs.shape=()")
    if shape[0] is None:  # as yet unknown, in a graph of TensorFlow
        return library_of(x).batch_size(x)
    return max(shape[0], 1)  # an empty batch has a penalty of 0, which stays 0


register_builtin(ActivityRegularizer)
