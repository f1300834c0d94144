"""Kernels that are bound by arithmetic, as operators that torch's compilers leave alone.

`torch.ops.taut.gram(x, factor, mode, flatten, with_slope)` returns the penalty and, where asked
for, its gradient, in float32 for the half types. A call costs what one by `torch.library.custom_op`
does; `torch.library.Library` is here for its schema in words. `torch.ops.taut.gram_slope` is its
derivative, whose own goes through torch's operations. Likewise for every such kernel.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from taut import kernels
from taut.arrays.torch import operations
from taut.arrays.torch.memory import scalar, view_of, wide_like
from taut.kernels import Kernel

_LIBRARY = torch.library.Library("taut", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)


def value(kernel: Kernel, x: Tensor, factors: tuple[Any, ...]) -> Tensor:
    """Returns the penalty, by an operator that compilers see as one."""
    presence = kernel.presence(factors)
    if None in presence:  # the operator takes numbers: it gives the terms
        terms = kernel.terms_by(partial(value, kernel))
        total = kernel.formula(operations, x, factors, presence, terms)
        return operations.cast(total, operations.value_dtype(x))
    with_slope = x.requires_grad and torch.is_grad_enabled()
    return getattr(torch.ops.taut, kernel.name)(x, *factors, with_slope)[0]


def define(kernel: Kernel) -> None:
    """Makes the two operators of a kernel known to torch."""
    if kernel.bound_by != "arithmetic":
        return
    name, slope_name = kernel.name, f"{kernel.name}_slope"
    typed = [
        *(f"float {each}" for each in kernel.numbers),
        *(f"{type(allowed[0]).__name__} {each}" for each, allowed in kernel.options.items()),
    ]
    factors = ", ".join(typed)
    none = (None,) * (len(kernel.numbers) + len(kernel.options))

    def compute(x: Tensor, *terms: Any) -> tuple[Tensor, Tensor]:
        *factors, with_slope = terms
        if not with_slope:
            return scalar(kernel.value(view_of(x), tuple(factors)), x), no_slope(x)
        slope = wide_like(x)
        total = kernel.value_and_grad(view_of(x), view_of(slope), tuple(factors), 1.0)
        return scalar(total, x), slope

    def describe(x: Tensor, *terms: Any) -> tuple[Tensor, Tensor]:
        total = x.new_empty((), dtype=operations.value_dtype(x))
        return total, wide_like(x) if terms[-1] else no_slope(x)

    def no_slope(x: Tensor) -> Tensor:
        return x.new_empty(0, dtype=operations.value_dtype(x))

    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, *ctx.factors, ctx.with_slope = inputs
        ctx.save_for_backward(x, output[1])
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[1])

    def backward(ctx: Any, scale: Any, _: Any) -> Any:
        if scale is None:
            return None, *none, None
        x, slope = ctx.saved_tensors
        if not ctx.with_slope:
            _, slope = getattr(torch.ops.taut, name)(x.detach(), *ctx.factors, True)
        grad = getattr(torch.ops.taut, slope_name)(scale, x, slope, *ctx.factors)
        return grad, *none, None

    def compute_slope(scale: Tensor, x: Tensor, slope: Tensor, *factors: Any) -> Tensor:
        return operations.scaled(slope, scale, x)

    def setup_slope_context(ctx: Any, inputs: Any, output: Any) -> None:
        scale, x, _, *ctx.factors = inputs
        ctx.save_for_backward(scale, x)

    def slope_backward(ctx: Any, direction: Any) -> Any:
        scale, x = ctx.saved_tensors
        both = operations.gradient_pull_back(kernel, x, tuple(ctx.factors), scale, direction)
        return *both, None, *none

    _LIBRARY.define(f"{name}(Tensor x, {factors}, bool with_slope) -> (Tensor, Tensor)", tags=_TAGS)
    _LIBRARY.define(
        f"{slope_name}(Tensor scale, Tensor x, Tensor slope, {factors}) -> Tensor", tags=_TAGS
    )
    _LIBRARY.impl(name, compute, "CPU")
    _LIBRARY.impl(slope_name, compute_slope, "CPU")
    torch.library.register_fake(f"taut::{name}", describe, lib=_LIBRARY)
    torch.library.register_fake(f"taut::{slope_name}", compute_slope, lib=_LIBRARY)
    torch.library.register_autograd(
        f"taut::{name}", backward, setup_context=setup_context, lib=_LIBRARY
    )
    torch.library.register_autograd(
        f"taut::{slope_name}", slope_backward, setup_context=setup_slope_context, lib=_LIBRARY
    )


kernels.subscribe(define)
