"""Tensors as vectors: what penalties of rows and columns are computed of."""

from __future__ import annotations

import functools
import operator
from typing import Any

from taut.kernels.operations import Operations


def as_matrix(xp: Operations, x: Any, mode: str) -> Any:
    """Returns x as the matrix of its rows or columns.

    The rows are the first axis by the rest, the columns the rest by the last axis.
    """
    first, *middle, last = xp.shape(x)
    if not middle:
        return x
    inner = functools.reduce(operator.mul, middle)
    return xp.reshape(x, (first, inner * last) if mode == "rows" else (first * inner, last))
