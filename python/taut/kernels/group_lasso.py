"""Group lasso: `factor * sqrt(g) * sum(norm(w))` over the groups w of g elements each.

The groups are the slices of x along its first axis (rows) or its last (columns). The gradient is
`factor * sqrt(g) * w / norm(w)`, and 0 for a group of zeros. NaN in a group makes the penalty and
the group's gradient NaN; Inf makes the penalty Inf, its own place in the gradient NaN, and the rest
of its group 0. Groups of one element are L1's, in all of that.
"""

from typing import Any

from taut import _core
from taut.kernels.kernel import Kernel
from taut.kernels.operations import Operations, is_known


def _norms(xp: Operations, x: Any, mode: str) -> Any:
    groups = xp.rows(x) if mode == "rows" else xp.transpose(xp.columns(x))
    count, members = xp.shape(groups)
    if any(is_known(extent) and extent == 0 for extent in (count, members)):
        return xp.no_penalty(x)
    if is_known(members) and members == 1:
        return xp.sum(xp.absolute(x), xp.sum_dtype(x))

    # Divided by what has three quarters of the largest one's exponent, so that neither a square nor
    # the slope on its way back, times that, leaves the range.
    root = xp.sqrt(xp.powers_of_two(groups))
    divisor = root * xp.sqrt(root)
    scaled = groups / divisor
    squares = xp.sum_of_rows(scaled * scaled)
    is_nonzero = squares != 0
    norms = xp.sqrt(xp.where(is_nonzero, squares, 1.0)) * divisor
    total = xp.sum(xp.where(is_nonzero, norms, 0.0), xp.sum_dtype(x))
    return total * (members**0.5 if is_known(members) else xp.sqrt(xp.cast(members, total.dtype)))


GROUP_LASSO = Kernel(
    name="group_lasso",
    title="GroupLasso",
    numbers=("factor",),
    terms=(_norms,),
    value=_core.group_lasso_value,
    value_and_grad=_core.group_lasso_value_and_grad,
    accumulate_grad=_core.group_lasso_accumulate_grad,
    prox=_core.group_lasso_prox,
    bound_by="memory",
    least_rank=1,
    options={"mode": ("rows", "columns")},
    is_batched=True,
)
