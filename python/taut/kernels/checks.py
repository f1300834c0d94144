"""What is asked of factors, options and dtypes; the core asks the same in the same words."""

import math
import sys
from collections.abc import Sequence
from numbers import Real
from typing import Any, NoReturn, TypeVar

_Option = TypeVar("_Option", bound=str | bool)

DTYPES = ("float64", "float32", "float16", "bfloat16")


def check_factor(name: str, factor: Any) -> float:
    """Returns a factor as a float.

    Raises:
        ValueError: If it is not a real number, not finite, or negative.
    """
    if type(factor) is float or isinstance(factor, Real):
        try:
            number = float(factor)
        except OverflowError:  # of 10**400
            number = math.inf
        if 0 <= number <= sys.float_info.max:
            return number
    refuse_factor(name, repr(factor) if isinstance(factor, str) else factor)


def refuse_factor(name: str, received: Any) -> NoReturn:
    """Raises the ValueError for what is no factor."""
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
        f"Received: {name}={option}"
    )


def check_dtype(name: str) -> None:
    """Checks the dtype of a backend's array.

    Raises:
        TypeError: If it is none of float64, float32, float16 and bfloat16.
    """
    if name not in DTYPES:
        raise TypeError(
            f"expected an array of float64, float32, float16 or bfloat16. Received: dtype={name}: "
            "cast it to one of them first"
        )
