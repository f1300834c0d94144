"""The orthogonal penalty: `factor` times the mean |cosine| over all pairs of rows or columns.

The rows of x are divided by `max(norm, 1e-7)`; a pair whose dot product is 0 adds nothing to a
gradient. Fewer than two vectors have a penalty of 0; NaN or Inf in one makes it and the whole
gradient NaN. With `flatten` x may have more axes than two: its rows are the first axis by the rest
then, its columns the rest by the last axis.
"""

from __future__ import annotations

from typing import Any

from taut import _core
from taut.kernels.kernel import Kernel, RangeFunctions
from taut.kernels.operations import Operations, PullBack, is_known
from taut.kernels.vectors import as_matrix

_NORM_FLOOR = 1e-7


def _mean_cosine(xp: Operations, x: Any, mode: str, flatten: bool) -> Any:
    x = as_matrix(xp, x, mode)
    along = 1 if mode == "rows" else 0  # the axis that a vector's elements lie on
    extents = xp.shape(x)
    count, length = extents[1 - along], extents[along]
    if is_known(length) and length == 0:
        return xp.no_penalty(x)
    if not is_known(count):
        x = xp.where(count < 2, xp.zeros_like(x), x)
    elif count < 2:
        return xp.no_penalty(x)
    return xp.custom_gradient(lambda x: _differentiated(xp, x, along, count), x)


def _differentiated(xp: Operations, x: Any, along: int, count: Any) -> tuple[Any, PullBack]:
    """Returns the mean, and its gradient by two products in all, where differentiating takes three.

    With S the signs of the dot products and X the unit vectors, the gradient with respect to X is
    2 S X; and <x_i, (S X)_i>, which is projected away of its i-th row, is the row's own sum of
    |cosine|. For columns all products are taken the other way round, and nothing is transposed.
    """

    def product(a: Any, b: Any) -> Any:
        return xp.matmul(a, b) if along == 1 else xp.matmul(b, a)

    # Divided by a power of two, which is exact, so that no dot product leaves the range and its
    # sign is that of the raw one.
    powers = xp.powers_of_two(x, along)
    scaled = x / powers
    wide = xp.cast(scaled, xp.sum_dtype(x))
    squares = xp.nan_unless_finite(xp.sums(wide * wide, along))
    norms = xp.sqrt(xp.where(squares != 0, squares, 1.0))
    wide_powers = xp.cast(powers, wide.dtype)
    is_clamped = (squares == 0) | (norms * wide_powers < _NORM_FLOOR)
    weights = xp.where(is_clamped, wide_powers / _NORM_FLOOR, 1 / norms)

    products = xp.without_diagonal(product(scaled, xp.transpose(scaled)))
    weighted = product(xp.cast(xp.absolute(products), wide.dtype), weights)
    cosines = weights * weighted  # the sum of each vector's; each pair stands there twice
    pairs = _number_of_ordered_pairs(xp, count, wide.dtype)

    def pull_back(scale: Any) -> Any:
        units = scaled * xp.cast(weights, x.dtype)
        projected = xp.where(is_clamped, xp.zeros_like(cosines), cosines)
        slope = product(xp.sign(products), units) - units * xp.cast(projected, x.dtype)
        return slope * xp.cast(2 * scale / pairs * weights / wide_powers, x.dtype)

    return xp.sum(cosines, wide.dtype) / pairs, pull_back


def _number_of_ordered_pairs(xp: Operations, count: Any, dtype: Any) -> Any:
    if is_known(count):
        return float(count) * float(count - 1)  # beyond int32 from 46,342 vectors on
    number = xp.cast(count, dtype)
    return xp.where(count > 1, number * (number - 1), 1.0)


GRAM = Kernel(
    name="gram",
    title="OrthogonalRegularizer",
    numbers=("factor",),
    terms=(_mean_cosine,),
    value=_core.gram_value,
    value_and_grad=_core.gram_value_and_grad,
    accumulate_grad=_core.gram_accumulate_grad,
    bound_by="arithmetic",
    rank=2,
    flattens=lambda mode, flatten: flatten,
    options={"mode": ("rows", "columns"), "flatten": (False, True)},
    ranges=RangeFunctions(
        _core.gram_range_value,
        _core.gram_range_value_and_grad,
        _core.gram_range_accumulate_grad,
    ),
    is_batched=True,
)
