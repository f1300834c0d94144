"""The orthogonal penalty: `factor` times the mean |cosine| over all pairs of rows or columns.

The rows of x are divided by `max(norm, 1e-7)`; a pair whose dot product is 0 adds nothing to a
gradient. Fewer than two vectors have a penalty of 0; NaN or Inf in one makes it and the whole
gradient NaN.
"""

from typing import Any

from taut import _core
from taut.kernels.kernel import Kernel
from taut.kernels.operations import Operations, is_known

_NORM_FLOOR = 1e-7


def _mean_cosine(xp: Operations, x: Any, mode: str) -> Any:
    vectors = x if mode == "rows" else xp.transpose(x)
    count, length = xp.shape(vectors)
    if is_known(length) and length == 0:
        return xp.no_penalty(x)
    if not is_known(count):
        vectors = xp.where(count < 2, xp.zeros_like(vectors), vectors)
    elif count < 2:
        return xp.no_penalty(x)
    vectors = xp.nan_unless_finite(vectors)

    # Divided by a power of two, which is exact, so that no dot product leaves the range and its
    # sign is that of the raw one.
    powers = xp.powers_of_two(vectors)
    scaled = vectors / powers
    wide = xp.cast(scaled, xp.sum_dtype(x))
    squares = xp.sum_of_rows(wide * wide)
    norms = xp.sqrt(xp.where(squares > 0, squares, 1.0))
    wide_powers = xp.cast(powers, wide.dtype)
    is_clamped = (squares == 0) | (norms * wide_powers < _NORM_FLOOR)
    weights = xp.where(is_clamped, wide_powers / _NORM_FLOOR, 1 / norms)

    cosines = xp.absolute(xp.products(scaled)) * xp.products(xp.cast(weights, scaled.dtype))
    total = xp.sum(xp.without_diagonal(cosines), xp.sum_dtype(x))  # each pair stands there twice
    return total / _number_of_ordered_pairs(xp, count, total.dtype)


def _number_of_ordered_pairs(xp: Operations, count: Any, dtype: Any) -> Any:
    if is_known(count):
        return count * (count - 1)
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
    options={"mode": ("rows", "columns")},
    is_batched=True,
)
