"""The compiled kernels as nodes of torch's autograd graph, for plain tensors on the CPU.

The kernels differentiate once; a second derivative, and a batch under vmap, is taken through
torch's own operations.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from taut.arrays.torch import operations
from taut.arrays.torch.memory import are_transforms_active, scalar, view_of, wide_like
from taut.kernels import Kernel


def compute(kernel: Kernel, x: Tensor, factors: tuple[Any, ...]) -> Tensor:
    """Returns the penalty of a plain tensor, differentiable if that is asked for."""
    is_transformed = are_transforms_active()
    if not (is_transformed or (x.requires_grad and torch.is_grad_enabled())):
        return scalar(kernel.value(view_of(x), factors), x)
    node = Penalty if is_transformed else PlainPenalty
    with_slope = kernel.bound_by == "arithmetic" and x.requires_grad
    return node.apply(x, kernel, factors, with_slope)[0]


class Penalty(Function):
    """The penalty, and its gradient for later where that is asked for."""

    @staticmethod
    def forward(
        x: Tensor, kernel: Kernel, factors: tuple[Any, ...], with_slope: bool
    ) -> tuple[Tensor, Tensor | None]:
        if not with_slope:
            return scalar(kernel.value(view_of(x), factors), x), None
        slope = wide_like(x)
        value = kernel.value_and_grad(view_of(x), view_of(slope), factors, 1.0)
        return scalar(value, x), slope

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.kernel, ctx.factors, _ = inputs
        _, slope = output
        ctx.save_for_backward(x, slope)
        ctx.set_materialize_grads(False)
        if slope is not None:
            ctx.mark_non_differentiable(slope)

    @staticmethod
    def backward(ctx: Any, scale: Any, _: Any) -> Any:
        if scale is None:
            return None, None, None, None
        terms = (*ctx.saved_tensors, ctx.kernel, ctx.factors)
        is_once = not (torch.is_grad_enabled() or are_transforms_active())
        return (slope_of if is_once else Slope.apply)(scale, *terms), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, *others: Any) -> Any:
        kernel, factors, _ = others
        values = torch.vmap(
            lambda weight: operations.value(kernel, weight, factors), in_dims=in_dims[0]
        )(x)
        return (values, None), (0, None)


class PlainPenalty(Function):
    """The same where no transform of torch.func is at work."""

    @staticmethod
    def forward(ctx: Any, *terms: Any) -> Any:
        output = Penalty.forward(*terms)
        Penalty.setup_context(ctx, terms, output)
        return output

    backward = Penalty.backward


def slope_of(
    scale: Tensor, x: Tensor, slope: Tensor | None, kernel: Kernel, factors: tuple[Any, ...]
) -> Tensor:
    """Returns `scale` times the gradient of a penalty, rounded once to the dtype of `x`."""
    if slope is None:
        number = number_of(scale)
        if number is not None:
            grad = torch.empty_like(x)
            kernel.value_and_grad(view_of(x), view_of(grad), factors, number)
            return grad
        slope = wide_like(x)
        kernel.value_and_grad(view_of(x), view_of(slope), factors, 1.0)
    return operations.scaled(slope, scale, x)


def step(kernel: Kernel, x: Tensor, factors: tuple[Any, ...], by: float) -> Tensor:
    """Returns the proximal step of a plain tensor, differentiable if that is asked for."""
    if x.requires_grad and torch.is_grad_enabled():
        stepped: Tensor = Step.apply(x, kernel, factors, by)
        return stepped
    return _stepped(x, kernel, factors, by)


def _stepped(x: Tensor, kernel: Kernel, factors: tuple[Any, ...], by: float) -> Tensor:
    assert kernel.prox is not None
    stepped = x.detach().clone()
    kernel.prox(view_of(stepped), factors, by)
    return stepped


class Step(Function):
    """The proximal step as a node."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Kernel, factors: tuple[Any, ...], by: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.terms = kernel, factors, by
        return _stepped(x, kernel, factors, by)

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> Any:
        kernel, factors, by = ctx.terms
        (x,) = ctx.saved_tensors
        _, pull_back = torch.func.vjp(lambda x: kernel.stepped(operations, x, factors, by), x)
        return pull_back(direction)[0], None, None, None


def number_of(scale: Tensor) -> float | None:
    """Returns a scale as a number, None if it stands for a batch of them.

    It does in torch.autograd's `is_grads_batched`.
    """
    try:
        number: float = scale.item()
    except RuntimeError:
        return None
    return number


class Slope(Function):
    """`slope_of` as a node, for second derivatives."""

    forward = staticmethod(slope_of)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        scale, x, _, ctx.kernel, ctx.factors = inputs
        ctx.save_for_backward(scale, x)

    @staticmethod
    def backward(ctx: Any, direction: Any) -> Any:
        scale, x = ctx.saved_tensors
        both = operations.gradient_pull_back(ctx.kernel, x, ctx.factors, scale, direction)
        return *both, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, scale: Tensor, x: Tensor, *others: Any) -> Any:
        _, kernel, factors = others
        gradients = torch.vmap(
            lambda by, weight: operations.gradient(kernel, weight, factors, by),
            in_dims=tuple(in_dims[:2]),
        )(scale, x)
        return gradients, 0
