"""torch tensors: the compiled kernels where they are plain memory on the CPU, else torch's own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

from taut import _checks, _core
from taut.backends.numpy import KERNELS, memory_key
from taut.backends.torch import nodes, operations
from taut.backends.torch.library import gram
from taut.backends.torch.nodes import Kinds, scalar, view_of

_PLAIN = (Tensor, torch.nn.Parameter)


def value(kernel: str, x: Tensor, factors: tuple[Any, ...]) -> Tensor:
    """Returns the penalty of `x` as a 0-d tensor, differentiable where that is asked for."""
    _check_tensor(x)
    if not _is_memory(x) or _is_traced() or forward_ad._current_level >= 0:
        _checks.check_penalty(kernel, factors, x.shape)
        if kernel == "gram" and x.device.type == "cpu" and forward_ad._current_level < 0:
            return gram(x, *factors)
        return operations.value(kernel, x, factors)
    return nodes.compute(kernel, x.resolve_neg(), factors)


def value_and_grad(
    kernel: str, x: Tensor, factors: tuple[Any, ...], scale: float
) -> tuple[Tensor, Tensor]:
    """Returns the penalty of `x`, and `scale` times its gradient, both without a graph."""
    _check_tensor(x)
    x = x.detach()
    if not _is_memory(x):
        return differentiate(lambda weight: value(kernel, weight, factors), x, scale)
    x = x.resolve_neg()
    grad = torch.empty_like(x)
    return scalar(
        KERNELS[kernel].value_and_grad(view_of(x), view_of(grad), factors, scale), x
    ), grad


def accumulate_grad(
    kernel: str, x: Tensor, grad: Any, factors: tuple[Any, ...], scale: float
) -> Tensor:
    """Adds `scale` times the gradient to `grad`, in place and without a graph."""
    _check_tensor(x)
    written = _written(grad, "accumulate_grad", "the gradient")
    if written.device != x.device:
        raise ValueError(
            f"The gradient must be where x is, on {x.device}. Received: {written.device}"
        )
    x = x.detach().resolve_neg()
    if not (_is_memory(x) and _is_memory(written)):
        value_of_x, slope = value_and_grad(kernel, x, factors, scale)
        add_in_place(written, slope)
        return value_of_x
    total = KERNELS[kernel].accumulate_grad(view_of(x), view_of(written), factors, scale)
    torch.autograd.graph.increment_version(grad)
    return scalar(total, x)


def prox(x: Tensor, factors: tuple[Any, ...], step: float) -> None:
    """Replaces `x` by its proximal step, in place and without a graph."""
    written = _written(x, "prox", "x")
    if not _is_memory(written):
        raise TypeError(
            "prox needs a plain tensor in the CPU's memory. "
            f"Received: {type(x).__name__} on {x.device}"
        )
    _core.elementwise_prox(view_of(written), factors, step)
    torch.autograd.graph.increment_version(x)


def differentiate(
    function: Callable[[Tensor], Any], x: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Returns what a function of torch's operations gives, and `scale` times its gradient."""
    weight = x.detach().requires_grad_()
    with torch.enable_grad():
        total = function(weight)
        (grad,) = torch.autograd.grad(total * scale, weight, allow_unused=True)
    return total.detach(), torch.zeros_like(weight) if grad is None else grad


def add_in_place(grad: Any, slope: Tensor) -> None:
    """Adds a gradient to another one, in place and without a graph."""
    _written(grad, "accumulate_grad", "the gradient").add_(slope)


# ---- many tensors: what taut.Penalties asks for --------------------------------------------------


def is_memory(x: Tensor) -> bool:
    """Returns whether a batch can have `x`."""
    _check_tensor(x)
    return _is_memory(x) and not (x.is_neg() or nodes.are_transforms_active())


def is_frozen(x: Tensor) -> bool:
    """Returns whether `x` is a parameter that is not to be trained."""
    return isinstance(x, torch.nn.Parameter) and not x.requires_grad


def native(x: Tensor) -> Tensor:
    """Returns `x`, which no other library wraps."""
    return x


def prepare(x: Tensor) -> Tensor:
    """Returns what a batch takes for `x`."""
    return x


def zero(x: Tensor) -> Tensor:
    """Returns a penalty of 0."""
    return torch.zeros((), dtype=operations.value_dtype(x.dtype), device=x.device)


def memory_of(x: Tensor) -> object:
    """Returns what only tensors of the very same elements have in common."""
    if not is_memory(x):
        return id(x)
    strides = [stride * x.element_size() for stride in x.stride()]
    return memory_key(x.data_ptr(), x.shape, strides, x.element_size(), str(x.dtype))


def own_gradient(x: Tensor) -> Tensor:
    """Returns the tensor's gradient, or zeros that `keep_gradient` makes its gradient."""
    if not (x.is_leaf or x.retains_grad) or (x.grad is None and not x.requires_grad):
        raise ValueError(
            "a tensor without requires_grad, or that others give, has no gradient of its own: "
            "give `grads`"
        )
    return torch.zeros_like(x) if x.grad is None else x.grad


def keep_gradient(x: Tensor, grad: Tensor) -> None:
    """Makes `grad` the tensor's gradient."""
    x.grad = grad


def require_writable(names: list[str], values: list[Any]) -> None:
    """Every tensor can be written."""


def batch_values(
    names: list[str], kinds: Kinds, indices: list[int], tensors: list[Tensor]
) -> list[Tensor]:
    """Returns the penalty of each tensor, without a graph."""
    values = _core.batch_value(names, kinds, indices, list(map(view_of, tensors)))
    return [scalar(value, x) for value, x in zip(values, tensors, strict=True)]


def batch_total(
    names: list[str], kinds: Kinds, indices: list[int], tensors: list[Tensor]
) -> Tensor:
    """Returns the sum of the penalties, differentiable in all of them by one node."""
    if torch.compiler.is_compiling():
        each = [value(kinds[i][0], x, kinds[i][1]) for i, x in zip(indices, tensors, strict=True)]
        return torch.stack(each).sum()
    return nodes.Batch.apply(names, kinds, indices, *tensors)


def batch_accumulate_grad(
    names: list[str],
    kinds: Kinds,
    indices: list[int],
    tensors: list[Tensor],
    grads: list[Any],
    scale: float,
) -> Tensor:
    """Adds to the gradients, in place and without a graph."""
    for name, grad in zip(names, grads, strict=True):
        _check_written(grad, "accumulate_grad", name)
        if not _is_memory(grad):
            raise ValueError(
                f"{name}: expected a plain tensor in the CPU's memory as a gradient. "
                f"Received: {type(grad).__name__} on {grad.device}"
            )
    values = _core.batch_accumulate_grad(
        names, kinds, indices, list(map(view_of, tensors)), list(map(view_of, grads)), scale
    )
    torch.autograd.graph.increment_version(grads)
    return nodes.batch_scalar(values, tensors)


def batch_prox(
    names: list[str], kinds: Kinds, indices: list[int], tensors: list[Tensor], step: float
) -> None:
    """Takes the proximal step of each tensor, in place and without a graph."""
    _core.batch_prox(names, kinds, indices, list(map(view_of, tensors)), step)
    torch.autograd.graph.increment_version(tensors)


def _check_tensor(x: Tensor) -> None:
    _checks.check_dtype(str(x.dtype).removeprefix("torch."))
    if x.layout is not torch.strided:
        raise TypeError(f"expected a dense tensor. Received: layout={x.layout}")


def _is_memory(x: Tensor) -> bool:
    """Returns whether a kernel can read the tensor where it stands."""
    return type(x) in _PLAIN and x.is_cpu


def _is_traced() -> bool:
    """Returns whether somebody records the operations: a kernel's value would be a constant."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or _get_current_dispatch_mode() is not None
    )


def _written(tensor: Any, function: str, name: str) -> Tensor:
    """Returns a tensor to write to, without its graph."""
    _check_written(tensor, function, name)
    return tensor.detach()


def _check_written(tensor: Any, function: str, name: str) -> None:
    """Raises a TypeError or a ValueError for what cannot be written."""
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"{function} writes in place and needs a tensor for {name}. "
            f"Received: {type(tensor).__name__}"
        )
    try:
        _check_tensor(tensor)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if tensor.is_neg():
        raise ValueError(f"{name} must hold its numbers as they are: its negative bit is set")
