"""The orthogonal penalty as an operator that torch's compilers leave alone.

`torch.ops.taut.gram(x, factor, mode, with_slope)` returns the penalty and, where asked for, its
gradient, in float32 for the half types. A call costs what one by `torch.library.custom_op` does;
`torch.library.Library` is here for its schema in words. `torch.ops.taut.gram_slope` is its
derivative, whose own goes through torch's operations.
"""

from typing import Any

import torch
from torch import Tensor

from taut.backends.numpy import KERNELS
from taut.backends.torch import operations
from taut.backends.torch.nodes import scalar, view_of, wide_like

_LIBRARY = torch.library.Library("taut", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)
_LIBRARY.define(
    "gram(Tensor x, float factor, str mode, bool with_slope) -> (Tensor, Tensor)", tags=_TAGS
)
_LIBRARY.define(
    "gram_slope(Tensor scale, Tensor x, Tensor slope, float factor, str mode) -> Tensor",
    tags=_TAGS,
)


def gram(x: Tensor, factor: float, mode: str) -> Tensor:
    """Returns the orthogonal penalty, by an operator that compilers see as one."""
    with_slope = x.requires_grad and torch.is_grad_enabled()
    return torch.ops.taut.gram(x, factor, mode, with_slope)[0]


def _compute(x: Tensor, factor: float, mode: str, with_slope: bool) -> tuple[Tensor, Tensor]:
    if not with_slope:
        value = KERNELS["gram"].value(view_of(x), (factor, mode))
        return scalar(value, x), _no_slope(x)
    slope = wide_like(x)
    value = KERNELS["gram"].value_and_grad(view_of(x), view_of(slope), (factor, mode), 1.0)
    return scalar(value, x), slope


def _describe(x: Tensor, factor: float, mode: str, with_slope: bool) -> tuple[Tensor, Tensor]:
    value = x.new_empty((), dtype=operations.value_dtype(x.dtype))
    return value, wide_like(x) if with_slope else _no_slope(x)


def _no_slope(x: Tensor) -> Tensor:
    return x.new_empty(0, dtype=operations.value_dtype(x.dtype))


def _setup_context(ctx: Any, inputs: Any, output: Any) -> None:
    x, ctx.factor, ctx.mode, ctx.with_slope = inputs
    ctx.save_for_backward(x, output[1])
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, scale: Any, _: Any) -> Any:
    if scale is None:
        return None, None, None, None
    x, slope = ctx.saved_tensors
    if not ctx.with_slope:
        _, slope = torch.ops.taut.gram(x.detach(), ctx.factor, ctx.mode, True)
    grad = torch.ops.taut.gram_slope(scale, x, slope, ctx.factor, ctx.mode)
    return grad, None, None, None


def _compute_slope(scale: Tensor, x: Tensor, slope: Tensor, factor: float, mode: str) -> Tensor:
    return operations.scaled(slope, scale, x)


def _setup_slope_context(ctx: Any, inputs: Any, output: Any) -> None:
    scale, x, _, ctx.factor, ctx.mode = inputs
    ctx.save_for_backward(scale, x)


def _slope_backward(ctx: Any, direction: Any) -> Any:
    scale, x = ctx.saved_tensors
    factors = (ctx.factor, ctx.mode)
    both = operations.gradient_pull_back("gram", x, factors, scale, direction)
    return *both, None, None, None


_LIBRARY.impl("gram", _compute, "CPU")
_LIBRARY.impl("gram_slope", _compute_slope, "CPU")
torch.library.register_fake("taut::gram", _describe, lib=_LIBRARY)
torch.library.register_fake("taut::gram_slope", _compute_slope, lib=_LIBRARY)
torch.library.register_autograd("taut::gram", _backward, setup_context=_setup_context, lib=_LIBRARY)
torch.library.register_autograd(
    "taut::gram_slope", _slope_backward, setup_context=_setup_slope_context, lib=_LIBRARY
)
