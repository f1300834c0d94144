"""What a regularizer of your own returns: looked at, and copied, before it is added to anything.

A regularizer may fill the same array at each call, or return a gradient that others are added to.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from taut.arrays import is_array, library_of, native
from taut.kernels.checks import dtype_name
from taut.shown import shown

_REAL_DTYPES = ("float", "bfloat", "int", "uint", "bool")


def check_returned(regularizer: Any, both: Any, x: Any, grad: Any) -> tuple[Any, Any]:
    """Returns what a regularizer's `value_and_grad` did: a penalty of x, and its gradient.

    The gradient is in memory of its own.

    Raises:
        TypeError, ValueError: If it is no pair, or the gradient cannot be added to `grad`.
    """
    name = f"{type(regularizer).__name__}.value_and_grad"
    if not (isinstance(both, tuple | list) and len(both) == 2):
        raise TypeError(f"{name} must return a penalty and its gradient. Received: {shown(both)}")
    value, given = both
    try:
        slope = native(given)
    except TypeError as error:
        raise TypeError(f"{name} must return the gradient as an array: {error}") from None
    check_slope(regularizer, x, grad, slope)
    return value, fresh(slope)


def fresh(returned: Any) -> Any:
    """Returns what a regularizer returned, where no later call writes it."""
    return library_of(returned).fresh(returned) if is_array(returned) else returned


def check_slope(regularizer: Any, x: Any, grad: Any, slope: Any) -> None:
    """Checks that a gradient that a regularizer returned can be added to `grad`, as that is now.

    Raises:
        TypeError, ValueError: If it cannot.
    """
    target = native(grad)
    library_of(native(x)).check_slope(target, slope)
    if tuple(slope.shape) != tuple(target.shape):
        raise ValueError(
            f"{type(regularizer).__name__}.value_and_grad must return a gradient of the shape "
            f"{tuple(target.shape)}. Received: one of {tuple(slope.shape)}"
        )


def penalty_of(regularizer: Any, value: Any, x: Any) -> Any:
    """Returns a penalty of x so that it can be added to others: in memory of its own.

    Raises:
        TypeError: If it is no real number, and no array of one.
    """
    try:
        shape = getattr(value, "shape", ())
        if math.prod(shape) == 1 and _is_real(value):
            array = native(x)
            return library_of(array).own_penalty(array, value)
        what = f"{dtype_name(value)} of shape {tuple(shape)}" if shape else shown(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        what = f"{type(value).__name__}: {error}"
    raise TypeError(
        f"{type(regularizer).__name__} must return its penalty as a number. Received: {what}"
    )


def _is_real(value: Any) -> bool:
    if hasattr(value, "dtype"):
        return dtype_name(value).startswith(_REAL_DTYPES)
    return isinstance(value, Real)
