"""What is asked of factors, modes and shapes; the core asks the same in the same words."""

import sys
from collections.abc import Sequence
from numbers import Real
from typing import Any

MODES = ("rows", "columns")
DTYPES = ("float64", "float32", "float16", "bfloat16")


def check_factor(name: str, factor: Any) -> float:
    """Returns a factor as a float.

    Raises:
        ValueError: If it is not a real number, not finite, or negative.
    """
    if type(factor) is float or isinstance(factor, Real):
        number = float(factor)
        if 0 <= number <= sys.float_info.max:
            return number
    raise ValueError(
        f"Invalid value for argument `{name}`: expected a non-negative float. "
        f"Received: {name}={repr(factor) if isinstance(factor, str) else factor}"
    )


def check_mode(mode: Any) -> str:
    """Returns the mode of the orthogonal penalty.

    Raises:
        ValueError: If it is neither "rows" nor "columns".
    """
    if isinstance(mode, str) and mode in MODES:
        return mode
    raise ValueError(
        'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
        f"Received: mode={mode}"
    )


def check_penalty(kernel: str, factors: tuple[Any, ...], shape: Sequence[Any]) -> None:
    """Checks what a kernel is given, for a backend that does not ask the core.

    Raises:
        ValueError: If a factor is negative or not finite, or the orthogonal penalty is given
            anything but a matrix.
    """
    if kernel == "elementwise":
        check_factor("l1", factors[0])
        check_factor("l2", factors[1])
        return
    check_factor("factor", factors[0])
    if len(shape) != 2:
        raise ValueError(
            "Inputs to OrthogonalRegularizer must have rank 2. "
            f"Received: inputs.shape={tuple(shape)}"
        )


def check_dtype(name: str) -> None:
    """Checks the dtype of a backend's array.

    Raises:
        TypeError: If it is none of float64, float32, float16 and bfloat16.
    """
    if name not in DTYPES:
        raise TypeError(
            f"expected an array of float64, float32, float16 or bfloat16. Received: dtype={name}"
        )
