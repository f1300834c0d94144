"""torch's own operations, of which formulas are made, and the penalties in them.

For devices other than the CPU, for compilers to fuse, for batches under vmap, and for second
derivatives. They are differentiable as often as one likes.
"""

import sys
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from taut.kernels import Kernel, Sides
from taut.kernels.operations import Differentiated

_CUT = (1 << 29) - 1  # the bits that float64 has beyond float32's


def value(
    kernel: Kernel, x: Tensor, factors: tuple[Any, ...], sides: Sides | None = None
) -> Tensor:
    """Returns the penalty: float64 for float64, else float32."""
    device = x.device.type
    is_rounded = kernel.bound_by == "arithmetic" and torch.amp.is_autocast_available(device)
    with torch.autocast(device, enabled=False) if is_rounded else nullcontext():
        presence = kernel.presence(factors)
        total = kernel.formula(sys.modules[__name__], x, factors, presence, sides=sides)
    return cast(total, value_dtype(x))


def gradient(
    kernel: Kernel,
    x: Tensor,
    factors: tuple[Any, ...],
    scale: Tensor,
    sides: Sides | None = None,
) -> Tensor:
    """Returns `scale` times the penalty's gradient, a differentiable function of both."""
    _, pull_back = torch.func.vjp(lambda weight: value(kernel, weight, factors, sides), x)
    return pull_back(scale)[0]


def gradient_pull_back(
    kernel: Kernel, x: Tensor, factors: tuple[Any, ...], scale: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the derivatives of `gradient` in a direction, with respect to `scale` and `x`."""
    _, pull_back = torch.func.vjp(lambda scale, x: gradient(kernel, x, factors, scale), scale, x)
    both: tuple[Tensor, Tensor] = pull_back(direction)
    return both


def scaled(slope: Tensor, scale: Tensor, like: Tensor) -> Tensor:
    """Returns `scale` times a wide gradient, rounded once to the dtype of `like`."""
    return (slope * scale).to(like.dtype)


# ---- what formulas are made of: see taut.kernels.Operations --------------------------------------


def value_dtype(x: Tensor) -> torch.dtype:
    """Returns the dtype of a penalty of x."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def sum_dtype(x: Tensor) -> torch.dtype:
    """Returns float64 wherever the device has it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def gradient_dtype(x: Tensor) -> torch.dtype:
    """Returns the dtype of sums: compilers fuse what is done in it."""
    return sum_dtype(x)


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns x in another dtype."""
    return x.to(dtype)


def rounded(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns x in another dtype, rounded once."""
    if x.dtype != torch.float64 or dtype.itemsize > 2:
        return x.to(dtype)
    # In float32's precision, with the last bit set if anything was cut off: what is rounded to a
    # shorter type afterwards is so as in one step.
    bits = x.detach().view(torch.int64)
    odd = (bits & ~_CUT) | (((bits & _CUT) + _CUT) & (_CUT + 1))
    change = odd.view(torch.float64) - x.detach()
    return torch.where(change.abs() > 0, x + change, x).float().to(dtype)


def shape(x: Tensor) -> tuple[int, ...]:
    """Returns the extents."""
    return tuple(x.shape)


def transpose(x: Tensor) -> Tensor:
    """Returns a matrix with its axes exchanged."""
    return x.T


def matmul(x: Tensor, y: Tensor) -> Tensor:
    """Returns the product of two matrices."""
    return x @ y


def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns x with other extents."""
    return x.reshape(shape)


def where(condition: Tensor, x: Any, y: Any) -> Tensor:
    """Returns x where the condition holds, y elsewhere."""
    return torch.where(condition, x, y)


def zeros_like(x: Tensor) -> Tensor:
    """Returns zeros of x's shape and dtype."""
    return torch.zeros_like(x)


def absolute(x: Tensor) -> Tensor:
    """Returns |x|; torch's sign of NaN is 0, and so would be the derivative of its own."""
    return x * sign(x)


def sign(x: Tensor) -> Tensor:
    """Returns -1, 0 or 1, and NaN for NaN."""
    return torch.where(torch.isnan(x), x, torch.sign(x)).detach()


def sqrt(x: Tensor) -> Tensor:
    """Returns square roots; torch's own keep them, which `torch.jit.trace` takes for constants."""
    return x**0.5


def sum(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns the sum of all elements, taken in a dtype."""
    return x.sum(dtype=dtype)


def sum_of_squares(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns the sum of the squares of all elements, which are cast to a dtype first."""
    x = x.to(dtype)
    return (x * x).sum()


def sums(x: Tensor, axis: int) -> Tensor:
    """Returns the sums along an axis of a matrix, which stays."""
    return x.sum(axis, keepdim=True)


def are_finite(x: Tensor) -> Tensor:
    """Returns whether no element is NaN or Inf."""
    return torch.isfinite(x).all()


def constant(x: Tensor) -> Tensor:
    """Returns x, through which no derivative goes."""
    return x.detach()


def nan_unless_finite(x: Tensor) -> Tensor:
    """Returns x, or NaN everywhere if one element is NaN or Inf."""
    return x * torch.where(are_finite(x), 1.0, torch.nan).to(x.dtype)


def powers_of_two(x: Tensor, axis: int) -> Tensor:
    """Returns the power of two at or below the largest |x| along an axis, or 1."""
    largest = x.detach().abs().amax(axis, keepdim=True)
    mantissas, _ = torch.frexp(largest)
    usable = torch.isfinite(largest) & (largest > 0)
    return torch.where(usable, largest / (2 * mantissas), torch.ones_like(largest))


def without_diagonal(x: Tensor) -> Tensor:
    """Returns a square matrix with zeros on its diagonal."""
    return x.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 0)


def no_penalty(x: Tensor) -> Tensor:
    """Returns 0 with a zero gradient, whatever is in x."""
    return torch.where(torch.zeros_like(x, dtype=torch.bool), x, torch.zeros_like(x)).sum()


def custom_gradient(function: Differentiated, x: Tensor) -> Tensor:
    """Returns the value of a function, which torch differentiates itself.

    Its derivative would have to be an operator of torch's, with rules for torch.func.
    """
    total: Tensor = function(x)[0]
    return total
