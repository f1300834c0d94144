"""L1 and L2: `l1 * sum(|x|) + l2 * sum(x**2)`, with the gradient `l1 * sign(x) + 2 * l2 * x`.

Towards a reference, it is the same of `x - reference`, each element times its importance.
"""

from __future__ import annotations

from typing import Any

from taut import _core
from taut.kernels.kernel import Kernel
from taut.kernels.operations import Operations, PullBack


def absolute_values(xp: Operations, x: Any, importance: Any = None) -> Any:
    """Returns the sum of |x|, each times its importance, which is L1's term."""
    if importance is not None:
        wide = xp.cast(x, xp.sum_dtype(x))
        return xp.sum(xp.cast(importance, wide.dtype) * xp.absolute(wide), wide.dtype)

    def differentiated(x: Any) -> tuple[Any, PullBack]:
        wide = xp.cast(x, xp.sum_dtype(x))
        total = xp.sum(xp.absolute(wide), wide.dtype)
        return total, lambda scale: xp.cast(scale, x.dtype) * xp.sign(x)

    return xp.custom_gradient(differentiated, x)


def _squares(xp: Operations, x: Any, importance: Any = None) -> Any:
    if importance is not None:
        wide = xp.cast(x, xp.sum_dtype(x))
        return xp.sum(xp.cast(importance, wide.dtype) * wide * wide, wide.dtype)

    def differentiated(x: Any) -> tuple[Any, PullBack]:
        total = xp.sum_of_squares(x, xp.sum_dtype(x))
        return total, lambda scale: xp.cast(2 * scale, x.dtype) * x

    return xp.custom_gradient(differentiated, x)


def _stepped(
    xp: Operations,
    x: Any,
    step: Any,
    l1: Any,
    l2: Any,
    reference: Any = None,
    importance: Any = None,
) -> Any:
    if reference is None and importance is None:
        return shrunk(xp, x, step, l1, l2)
    return _attracted(xp, x, step * l1, 2 * (step * l2), reference, importance)


def shrunk(xp: Operations, x: Any, step: Any, l1: Any, l2: Any) -> Any:
    """Returns the proximal step of L1 and L2."""
    threshold = step * l1
    # So that -0 keeps its sign if it is not moved.
    nearer = xp.where(x > 0, x - threshold, -(-x - threshold))
    is_gone = (x <= threshold) & (x >= -threshold) & (threshold > 0)
    return xp.where(is_gone, xp.zeros_like(x), nearer) * (1 / (1 + 2 * (step * l2)))


def _attracted(
    xp: Operations, x: Any, threshold: Any, growth: Any, reference: Any, importance: Any
) -> Any:
    """Returns x moved towards its reference, as the core does it, whose cases these are."""
    zeros = xp.zeros_like(x)
    reference = zeros if reference is None else reference
    importance = zeros + 1.0 if importance is None else importance
    # What is not asked for is skipped, NaN or not.
    threshold, growth = (
        xp.where(zeros + each == 0, zeros, importance * each) for each in (threshold, growth)
    )
    divisor = 1 + growth
    difference = x - reference
    nearer = xp.where(difference > 0, difference - threshold, -(-difference - threshold))
    is_gone = (difference <= threshold) & (difference >= -threshold) & (threshold > 0)
    shrunk = xp.where(is_gone, zeros, nearer) * (1 / divisor)
    result = xp.where(reference == 0, shrunk, reference + shrunk)
    # Without a factor x itself moves, but what is NaN or Inf shows.
    moves_alone = (divisor == 1) & ~is_gone & (reference != 0) & (difference - difference == 0)
    moved = xp.where(difference > 0, x - threshold, x + threshold)
    result = xp.where(moves_alone, moved, result)
    return xp.where((divisor == 1) & (threshold == 0), x, result)


ELEMENTWISE = Kernel(
    name="elementwise",
    title="L1L2",
    numbers=("l1", "l2"),
    terms=(absolute_values, _squares),
    value=_core.elementwise_value,
    value_and_grad=_core.elementwise_value_and_grad,
    accumulate_grad=_core.elementwise_accumulate_grad,
    prox=_core.elementwise_prox,
    proximal=_stepped,
    bound_by="memory",
    is_batched=True,
    takes_sides=True,
)
