"""L1 and L2: `l1 * sum(|x|) + l2 * sum(x**2)`, with the gradient `l1 * sign(x) + 2 * l2 * x`."""

from __future__ import annotations

from typing import Any

from taut import _core
from taut.kernels.kernel import Kernel
from taut.kernels.operations import Operations, PullBack


def absolute_values(xp: Operations, x: Any) -> Any:
    def differentiated(x: Any) -> tuple[Any, PullBack]:
        wide = xp.cast(x, xp.sum_dtype(x))
        total = xp.sum(xp.absolute(wide), wide.dtype)
        return total, lambda scale: xp.cast(scale, x.dtype) * xp.sign(x)

    return xp.custom_gradient(differentiated, x)


def _squares(xp: Operations, x: Any) -> Any:
    def differentiated(x: Any) -> tuple[Any, PullBack]:
        total = xp.sum_of_squares(x, xp.sum_dtype(x))
        return total, lambda scale: xp.cast(2 * scale, x.dtype) * x

    return xp.custom_gradient(differentiated, x)


def shrunk(xp: Operations, x: Any, step: Any, l1: Any, l2: Any) -> Any:
    threshold = step * l1
    # So that -0 keeps its sign if it is not moved.
    nearer = xp.where(x > 0, x - threshold, -(-x - threshold))
    is_gone = (x <= threshold) & (x >= -threshold) & (threshold > 0)
    return xp.where(is_gone, xp.zeros_like(x), nearer) * (1 / (1 + 2 * (step * l2)))


ELEMENTWISE = Kernel(
    name="elementwise",
    title="L1L2",
    numbers=("l1", "l2"),
    terms=(absolute_values, _squares),
    value=_core.elementwise_value,
    value_and_grad=_core.elementwise_value_and_grad,
    accumulate_grad=_core.elementwise_accumulate_grad,
    prox=_core.elementwise_prox,
    proximal=shrunk,
    bound_by="memory",
    cuts=range,
    is_batched=True,
)
