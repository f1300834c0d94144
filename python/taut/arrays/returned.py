"""What a regularizer of your own returns: looked at before it is added to anything."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from taut.arrays import library_of, native
from taut.kernels.checks import dtype_name
from taut.shown import shown


def check_returned(regularizer: Any, both: Any, x: Any, grad: Any) -> tuple[Any, Any]:
    """Returns what a regularizer's `value_and_grad` did: a penalty of x, and its gradient.

    Raises:
        TypeError, ValueError: If it is no pair, or the gradient cannot be added to `grad`.
    """
    name = f"{type(regularizer).__name__}.value_and_grad"
    if not (isinstance(both, tuple | list) and len(both) == 2):
        raise TypeError(f"{name} must return a penalty and its gradient. Received: {shown(both)}")
    value, given = both
    array, target = native(x), native(grad)
    try:
        slope = native(given)
    except TypeError as error:
        raise TypeError(f"{name} must return the gradient as an array: {error}") from None
    if tuple(slope.shape) != tuple(target.shape):
        raise ValueError(
            f"{name} must return a gradient of the shape {tuple(target.shape)}. Received: one of "
            f"{tuple(slope.shape)}"
        )
    library_of(array).check_slope(target, slope)
    return value, slope


def check_value(regularizer: Any, value: Any) -> None:
    """Checks that a penalty can be added to others: it is a real number, or an array of one.

    Raises:
        TypeError: If it is not.
    """
    if isinstance(value, Real):
        return
    shape = getattr(value, "shape", None)
    if shape is None or math.prod(shape) != 1 or dtype_name(value).startswith("complex"):
        what = shown(value) if shape is None else f"{dtype_name(value)} of shape {tuple(shape)}"
        raise TypeError(
            f"{type(regularizer).__name__} must return its penalty as a number. Received: {what}"
        )
