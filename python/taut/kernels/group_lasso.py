"""Group lasso: `factor * sqrt(g) * sum(norm(w))` over the groups w of g elements each.

The groups are the slices of x along its first axis (rows) or its last (columns). The gradient is
`factor * sqrt(g) * w / norm(w)`, and 0 for a group of zeros. NaN in a group makes the penalty and
the group's gradient NaN; Inf makes the penalty Inf, its own place in the gradient NaN, and the rest
of its group 0. Groups of one element are L1's, in all of that.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

from taut import _core
from taut.kernels.elementwise import absolute_values, shrunk
from taut.kernels.kernel import Kernel
from taut.kernels.operations import Operations, PullBack, is_known
from taut.kernels.vectors import as_matrix


def _norms(xp: Operations, x: Any, mode: str) -> Any:
    extents = xp.shape(x)
    if any(is_known(extent) and extent == 0 for extent in extents):
        return xp.no_penalty(x)
    members = _members(extents, mode)
    if is_known(members) and members == 1:
        return absolute_values(xp, x)

    def differentiated(x: Any) -> tuple[Any, PullBack]:
        wide = xp.cast(x, xp.sum_dtype(x))
        scaled, divisors, norms, has_norm = _scaled_groups(xp, wide, mode)
        root = _root(xp, members, wide.dtype)
        products = xp.where(has_norm, norms * divisors, xp.zeros_like(norms))
        total = root * xp.sum(products, wide.dtype)

        def pull_back(scale: Any) -> Any:
            slope = scaled * (xp.cast(scale, wide.dtype) * root / norms)
            return xp.cast(xp.reshape(slope, xp.shape(x)), x.dtype)

        return total, pull_back

    return xp.custom_gradient(differentiated, x)


def _shrunk(xp: Operations, x: Any, step: Any, factor: Any, mode: str) -> Any:
    extents = xp.shape(x)
    members = _members(extents, mode)
    if any(is_known(extent) and extent == 0 for extent in extents):
        return x
    if is_known(members) and members == 1:
        return shrunk(xp, x, step, factor, 0.0)
    groups = as_matrix(xp, x, mode)
    _, divisors, norms, has_norm = _scaled_groups(xp, x, mode)
    threshold = step * factor * _root(xp, members, x.dtype)
    left = 1 - threshold / divisors / norms
    is_gone = (~has_norm | (left <= 0)) & (threshold > 0)
    return xp.reshape(xp.where(is_gone, xp.zeros_like(groups), groups * left), extents)


def _scaled_groups(xp: Operations, x: Any, mode: str) -> tuple[Any, Any, Any, Any]:
    """Returns the groups, their divisors, the norms of the quotients, and which are no zeros.

    The groups are the vectors of a matrix, and divided already. The divisors have three quarters of
    the exponent of the largest |x| of a group, so that neither a square nor a slope on its way
    back, which is multiplied by one, leaves the range. A group of zeros has a norm of 1 here, so
    that nothing is divided by 0.
    """
    along = 1 if mode == "rows" else 0
    groups = as_matrix(xp, x, mode)
    root = xp.sqrt(xp.powers_of_two(groups, along))
    divisors = root * xp.sqrt(root)
    scaled = groups / divisors
    squares = xp.sums(scaled * scaled, along)
    has_norm = squares != 0
    return scaled, divisors, xp.sqrt(xp.where(has_norm, squares, 1.0)), has_norm


def _members(extents: tuple[Any, ...], mode: str) -> Any:
    """Returns how many elements a group has."""
    within = extents[1:] if mode == "rows" else extents[:-1]
    return functools.reduce(operator.mul, within, 1)


def _root(xp: Operations, members: Any, dtype: Any) -> Any:
    return members**0.5 if is_known(members) else xp.sqrt(xp.cast(members, dtype))


GROUP_LASSO = Kernel(
    name="group_lasso",
    title="GroupLasso",
    numbers=("factor",),
    terms=(_norms,),
    value=_core.group_lasso_value,
    value_and_grad=_core.group_lasso_value_and_grad,
    accumulate_grad=_core.group_lasso_accumulate_grad,
    prox=_core.group_lasso_prox,
    proximal=_shrunk,
    bound_by="memory",
    least_rank=1,
    options={"mode": ("rows", "columns")},
    is_batched=True,
)
