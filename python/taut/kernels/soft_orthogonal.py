"""Soft orthogonality: `factor * norm(W @ W.T - I)**2`, of a matrix W of rows or columns.

Without the diagonal it is `factor` times the sum of all `dot(w[i], w[j])**2` with i != j. NaN or
Inf in x makes it and the whole gradient NaN. With `flatten` x may have more axes than two, as that
of the orthogonal penalty.

Where there are more vectors than coordinates, it is computed from `W.T @ W`, which is smaller; and
without the diagonal where there are twice as many, since sums that cancel take a bit at most then.
"""

from typing import Any

from taut import _core
from taut.kernels.kernel import Kernel
from taut.kernels.operations import Operations
from taut.kernels.vectors import as_matrix


def _squared_distance(xp: Operations, x: Any, mode: str, diagonal: bool, flatten: bool) -> Any:
    x = as_matrix(xp, x, mode)
    vectors = xp.nan_unless_finite(x if mode == "rows" else xp.transpose(x))
    if diagonal:
        return _with_diagonal(xp, vectors)
    return _without_diagonal(xp, vectors)


def _with_diagonal(xp: Operations, vectors: Any) -> Any:
    surplus = max(_surplus(xp, vectors, 1), 0)
    if surplus > 0:
        vectors = xp.transpose(vectors)
    rest = _squared_norms(xp, vectors) - 1
    return _squares_of_pairs(xp, vectors) + xp.sum_of_squares(rest, rest.dtype) + surplus


def _without_diagonal(xp: Operations, vectors: Any) -> Any:
    if _surplus(xp, vectors, 2) < 0:
        return _squares_of_pairs(xp, vectors)
    norms = _squared_norms(xp, vectors)
    products = xp.matmul(xp.transpose(vectors), vectors)
    fourth_powers = xp.sum_of_squares(norms, norms.dtype)
    difference = xp.sum_of_squares(products, norms.dtype) - fourth_powers
    negative = xp.where(difference < 0, difference, xp.zeros_like(difference))
    return difference - xp.constant(negative)


def _surplus(xp: Operations, vectors: Any, times: int) -> int:
    """Returns how many vectors there are beyond `times` the coordinates; -1 if nobody knows yet."""
    count, length = xp.shape(vectors)
    is_known = not (hasattr(count, "dtype") or hasattr(length, "dtype"))
    return count - times * length if is_known else -1


def _squared_norms(xp: Operations, vectors: Any) -> Any:
    wide = xp.cast(vectors, xp.sum_dtype(vectors))
    return xp.sums(wide * wide, 1)


def _squares_of_pairs(xp: Operations, vectors: Any) -> Any:
    products = xp.without_diagonal(xp.matmul(vectors, xp.transpose(vectors)))
    return xp.sum_of_squares(products, xp.sum_dtype(vectors))


SOFT_ORTHOGONAL = Kernel(
    name="soft_orthogonal",
    title="SoftOrthogonalRegularizer",
    numbers=("factor",),
    terms=(_squared_distance,),
    value=_core.soft_orthogonal_value,
    value_and_grad=_core.soft_orthogonal_value_and_grad,
    accumulate_grad=_core.soft_orthogonal_accumulate_grad,
    bound_by="arithmetic",
    rank=2,
    flattens=lambda mode, diagonal, flatten: flatten,
    options={"mode": ("rows", "columns"), "diagonal": (True, False), "flatten": (False, True)},
    is_batched=True,
)
