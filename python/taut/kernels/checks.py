"""What is asked of factors, options and dtypes; the core asks the same in the same words."""

import math
import sys
from collections.abc import Sequence
from numbers import Real
from typing import Any, NoReturn, TypeVar

from taut.shown import shown

_Option = TypeVar("_Option", bound=str | bool)

NEGATIVE_IMPORTANCE = "an importance must not be negative. Received one with a negative element"
DTYPES = ("float64", "float32", "float16", "bfloat16")


def check_factor(name: str, factor: Any) -> float:
    """Returns a factor as a float.

    Raises:
        ValueError: If it is not a real number, not finite, or negative.
    """
    if type(factor) is float or (isinstance(factor, Real) and not isinstance(factor, bool)):
        try:
            number = float(factor)
        except OverflowError:  # of 10**400
            number = math.inf
        if 0 <= number <= sys.float_info.max:
            return number
        refuse_factor(name, shown(factor) if isinstance(factor, int) else f"{number}")
    refuse_factor(name, shown(factor))


def refuse_factor(name: str, received: str) -> NoReturn:
    """Raises the ValueError for what is no factor, and is called so."""
    raise ValueError(
        f"Invalid value for argument `{name}`: expected a non-negative float. "
        f"Received: {name}={received}"
    )


def check_option(name: str, option: Any, allowed: Sequence[_Option]) -> _Option:
    """Returns one of a kernel's options, as the mode of the orthogonal penalty.

    Raises:
        ValueError: If it is none of those that are allowed.
    """
    for each in allowed:
        if isinstance(option, type(each)) and option == each:  # so that 1 is not True
            return each
    expected = ", ".join(f'"{each}"' if isinstance(each, str) else f"{each}" for each in allowed)
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected one of {{{expected}}}. "
        f"Received: {name}={option if isinstance(option, str) else shown(option)}"
    )


def check_side(name: str, x: Any, side: Any) -> None:
    """Checks what belongs to an array, in the core's words.

    Raises:
        TypeError: If its dtype is neither that of the array nor float32.
        ValueError: If its shape is another one.
    """
    if tuple(side.shape) != tuple(x.shape):
        raise ValueError(
            f"The {name} must have the shape of the input. Received: shapes "
            f"{tuple(side.shape)} and {tuple(x.shape)}"
        )
    dtype, own = dtype_name(side), dtype_name(x)
    if dtype not in (own, "float32"):
        raise TypeError(
            f"The {name} must have the dtype of the input, or float32. Received: {dtype} and {own}"
        )


def dtype_name(x: Any) -> str:
    """Returns the name of an array's dtype, as NumPy has it."""
    return str(getattr(x.dtype, "name", x.dtype)).removeprefix("torch.")


def check_dtype(name: str, cast: str) -> None:
    """Checks the dtype of a backend's array.

    Args:
        name: The dtype.
        cast: What the array's users write to cast it.

    Raises:
        TypeError: If it is none of float64, float32, float16 and bfloat16.
    """
    if name not in DTYPES:
        raise TypeError(
            f"expected an array of float64, float32, float16 or bfloat16. Received: dtype={name}: "
            f"cast it first, with {cast}"
        )
