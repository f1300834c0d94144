"""What is measured of a tensor's elements, one by one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taut.inspect.stored import Array, check_numbers
from taut.regularizers import L1, L2

NEAR_ZERO = 0.01  # of the root mean square of the tensor's finite elements

_BLOCK = 1 << 18  # elements, whose float64 copies stay in the cache
_L1, _L2 = L1(1.0), L2(1.0)


@dataclass(frozen=True)
class Elements:
    """Counts and norms.

    Attributes:
        count: Of all elements.
        nan: How many are NaN.
        inf: How many are infinite.
        zero: How many are exactly zero.
        near_zero: How many are at most `NEAR_ZERO` in absolute value, beside the root mean square;
            exact zeros are among them.
        l1: The sum of absolute values, NaN if an element is.
        l2: The root of the sum of squares, NaN if an element is.
        largest: The largest absolute value of the finite elements; 0 without any.
    """

    count: int
    nan: int
    inf: int
    zero: int
    near_zero: int
    l1: float
    l2: float
    largest: float


def measure(x: Array) -> Elements:
    """Measures a tensor, a block at a time: the working memory does not grow with it.

    Sums are taken in float64, and squares of elements over a power of two, so that neither
    overflows where the result does not.

    Raises:
        UnreadableError: If the elements are no real numbers.
    """
    check_numbers(x.dtype)
    nan = inf = zero = 0
    largest = 0.0
    for block in _blocks(x):
        zero += block.size - int(np.count_nonzero(block))
        absolute = np.abs(block)
        highest = float(absolute.max())
        if not math.isfinite(highest):
            nan += int(np.count_nonzero(np.isnan(block)))
            inf += int(np.count_nonzero(np.isinf(block)))
            highest = float(absolute.max(where=np.isfinite(block), initial=0.0))
        largest = max(largest, highest)
    exponent = exponent_of(largest)
    sums, squares, finite_squares = [0.0], [0.0], [0.0]
    for block in _blocks(x):
        scaled = np.ldexp(block, -exponent)
        sums.append(_L1(scaled))
        squares.append(_L2(scaled))
        is_whole = math.isfinite(squares[-1])
        finite_squares.append(squares[-1] if is_whole else _L2(scaled[np.isfinite(scaled)]))
    finite = x.size - nan - inf
    threshold = 0.0
    if finite:
        root_mean_square = math.sqrt(math.fsum(finite_squares) / finite)
        threshold = math.ldexp(NEAR_ZERO * root_mean_square, exponent)
    near_zero = sum(int(np.count_nonzero(np.abs(block) <= threshold)) for block in _blocks(x))
    return Elements(
        count=x.size,
        nan=nan,
        inf=inf,
        zero=zero,
        near_zero=near_zero,
        l1=_times_power_of_two(_sum(sums), exponent),
        l2=_times_power_of_two(math.sqrt(_sum(squares)), exponent),
        largest=largest,
    )


def exponent_of(largest: float) -> int:
    """Returns the power of two that brings numbers of up to `largest` down, or up, to 1."""
    return math.frexp(largest)[1]


def _blocks(x: Array) -> Iterator[NDArray[np.float64]]:
    flat = x.ravel(order="K")  # the order is of no matter, so that few layouts are copied
    for begin in range(0, flat.size, _BLOCK):
        yield flat[begin : begin + _BLOCK].astype(np.float64)


def _sum(terms: list[float]) -> float:
    # math.fsum refuses what has no sum to be exact about.
    return math.fsum(terms) if all(map(math.isfinite, terms)) else float(np.sum(terms))


def _times_power_of_two(number: float, exponent: int) -> float:
    with np.errstate(over="ignore"):
        return float(np.ldexp(number, exponent))
