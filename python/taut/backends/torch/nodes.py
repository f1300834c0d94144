"""The compiled kernels as nodes of torch's autograd graph, for plain tensors on the CPU.

The kernels differentiate once; a second derivative, and a batch under vmap, is taken through
torch's own operations.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from taut import _core
from taut.backends.numpy import KERNELS
from taut.backends.torch import operations
from taut.backends.torch.operations import value_dtype

# Kernels and their factors, of which a batch's indices count.
Kinds = list[tuple[str, tuple[Any, ...]]]

_DTYPE_NAMES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}


def view_of(x: Tensor) -> _core.View:
    """Returns the memory of a tensor, which must outlive the view.

    Raises:
        ValueError: If it is not the CPU's, as of a parameter that was moved after it was bound.
    """
    if not x.is_cpu:
        raise ValueError(
            f"expected a tensor in the CPU's memory. Received one on {x.device}: bind penalties "
            "after a model has been moved"
        )
    return _core.View(x.data_ptr(), _DTYPE_NAMES[x.dtype], x.shape, x.stride())


def scalar(value: float, like: Tensor) -> Tensor:
    """Returns a penalty of `like` as a tensor."""
    return torch.tensor(value, dtype=value_dtype(like.dtype), device="cpu")


def wide_like(x: Tensor) -> Tensor:
    """Returns an array for a gradient that is still to be scaled, of float32 for the half types."""
    return torch.empty_like(x, dtype=value_dtype(x.dtype))


def compute(kernel: str, x: Tensor, factors: tuple[Any, ...]) -> Tensor:
    """Returns the penalty of a plain tensor, differentiable if that is asked for."""
    is_transformed = are_transforms_active()
    if not (is_transformed or (x.requires_grad and torch.is_grad_enabled())):
        return scalar(KERNELS[kernel].value(view_of(x), factors), x)
    # The orthogonal penalty has its gradient at little more than its value's cost; L1 and L2 would
    # write and read as much memory again as they read.
    node = Penalty if is_transformed else PlainPenalty
    return node.apply(x, kernel, factors, kernel == "gram" and x.requires_grad)[0]


# Transforms of torch.func ask for more than a plain node has, which costs it three times as much.
are_transforms_active: Callable[[], bool] = getattr(
    torch._C, "_are_functorch_transforms_active", lambda: True
)


class Penalty(Function):
    """The penalty, and its gradient for later where that is asked for."""

    @staticmethod
    def forward(
        x: Tensor, kernel: str, factors: tuple[Any, ...], with_slope: bool
    ) -> tuple[Tensor, Tensor | None]:
        if not with_slope:
            return scalar(KERNELS[kernel].value(view_of(x), factors), x), None
        slope = wide_like(x)
        value = KERNELS[kernel].value_and_grad(view_of(x), view_of(slope), factors, 1.0)
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
    scale: Tensor, x: Tensor, slope: Tensor | None, kernel: str, factors: tuple[Any, ...]
) -> Tensor:
    """Returns `scale` times the gradient of a penalty, rounded once to the dtype of `x`."""
    if slope is None:
        number = number_of(scale)
        if number is not None:
            grad = torch.empty_like(x)
            KERNELS[kernel].value_and_grad(view_of(x), view_of(grad), factors, number)
            return grad
        slope = wide_like(x)
        KERNELS[kernel].value_and_grad(view_of(x), view_of(slope), factors, 1.0)
    return operations.scaled(slope, scale, x)


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


class Batch(Function):
    """The sum of the penalties of many tensors, and all their gradients in one call."""

    @staticmethod
    def forward(
        ctx: Any, names: list[str], kinds: Kinds, indices: list[int], *tensors: Tensor
    ) -> Tensor:
        ctx.terms = names, kinds, indices
        ctx.save_for_backward(*tensors)
        values = _core.batch_value(names, kinds, indices, list(map(view_of, tensors)))
        return batch_scalar(values, tensors)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> Any:
        names, kinds, indices = ctx.terms
        tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # and so it is to be differentiated again
            slopes = [
                operations.gradient(kinds[i][0], x, kinds[i][1], scale.to(value_dtype(x.dtype)))
                for i, x in zip(indices, tensors, strict=True)
            ]
            return None, None, None, *slopes
        number = number_of(scale)
        make_grad = wide_like if number is None else torch.empty_like
        grads = [make_grad(x) for x in tensors]
        _core.batch_value_and_grad(
            names,
            kinds,
            indices,
            list(map(view_of, tensors)),
            list(map(view_of, grads)),
            1.0 if number is None else number,
        )
        if number is None:
            pairs = zip(grads, tensors, strict=True)
            grads = [operations.scaled(grad, scale, x) for grad, x in pairs]
        return None, None, None, *grads


def batch_scalar(values: list[float], like: Sequence[Tensor]) -> Tensor:
    """Returns the sum of some penalties, in float64 if one of the tensors is."""
    has_doubles = any(x.dtype == torch.float64 for x in like)
    dtype = torch.float64 if has_doubles else torch.float32
    return torch.tensor(sum(values), dtype=dtype, device="cpu")
