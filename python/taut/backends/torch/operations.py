"""The penalties in torch's own operations, with the semantics of the kernels.

For devices other than the CPU, for compilers to fuse, for batches under vmap, and for second
derivatives. They are differentiable as often as one likes.
"""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

_NORM_FLOOR = 1e-7


def value(kernel: str, x: Tensor, factors: tuple[Any, ...]) -> Tensor:
    """Returns the penalty: float64 for float64, else float32."""
    if kernel == "elementwise":
        return _elementwise(x, *factors).to(value_dtype(x.dtype))
    device = x.device.type
    can_autocast = torch.amp.is_autocast_available(device)
    with torch.autocast(device, enabled=False) if can_autocast else nullcontext():
        return _gram(x, *factors).to(value_dtype(x.dtype))


def gradient(kernel: str, x: Tensor, factors: tuple[Any, ...], scale: Tensor) -> Tensor:
    """Returns `scale` times the penalty's gradient, a differentiable function of both."""
    _, pull_back = torch.func.vjp(lambda weight: value(kernel, weight, factors), x)
    return pull_back(scale)[0]


def gradient_pull_back(
    kernel: str, x: Tensor, factors: tuple[Any, ...], scale: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the derivatives of `gradient` in a direction, with respect to `scale` and `x`."""
    _, pull_back = torch.func.vjp(lambda scale, x: gradient(kernel, x, factors, scale), scale, x)
    both: tuple[Tensor, Tensor] = pull_back(direction)
    return both


def scaled(slope: Tensor, scale: Tensor, like: Tensor) -> Tensor:
    """Returns `scale` times a wide gradient, rounded once to the dtype of `like`."""
    return (slope * scale).to(like.dtype)


def value_dtype(dtype: torch.dtype) -> torch.dtype:
    """Returns the dtype of a penalty of such a tensor."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _sum_dtype(x: Tensor) -> torch.dtype:
    """Returns float64 wherever the device has it."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _no_penalty(x: Tensor) -> Tensor:
    """Returns 0 with a zero gradient, whatever is in `x`."""
    return torch.where(torch.zeros_like(x, dtype=torch.bool), x, torch.zeros_like(x)).sum()


def _elementwise(x: Tensor, l1: float, l2: float) -> Tensor:
    numbers = x.to(_sum_dtype(x))
    total: Tensor | None = None
    if l1 != 0:
        # torch's sign of NaN is 0, and so would be the gradient of abs.
        sign = torch.where(torch.isnan(numbers), numbers, torch.sign(numbers)).detach()
        total = l1 * (numbers * sign).sum()
    if l2 != 0:
        squares = l2 * (numbers * numbers).sum()
        total = squares if total is None else total + squares
    return _no_penalty(x) if total is None else total


def _gram(x: Tensor, factor: float, mode: str) -> Tensor:
    vectors = x if mode == "rows" else x.T
    count, length = vectors.shape
    if factor == 0 or count < 2 or length == 0:
        return _no_penalty(x)
    vectors = vectors.to(torch.float64 if x.dtype == torch.float64 else torch.float32)
    is_finite = torch.isfinite(vectors).all()
    vectors = vectors * torch.where(is_finite, 1.0, torch.nan).to(vectors.dtype)

    # Divided by a power of two, which is exact, so that no dot product leaves the range and its
    # sign is that of the raw one.
    powers = _powers_of_two(vectors.detach().abs().amax(1, keepdim=True))
    scaled = vectors / powers
    wide = scaled.to(_sum_dtype(x))
    squares = (wide * wide).sum(1, keepdim=True)
    norms = torch.sqrt(torch.where(squares > 0, squares, 1.0)) * powers
    is_clamped = (squares == 0) | (norms < _NORM_FLOOR)
    weights = (powers / torch.where(is_clamped, _NORM_FLOOR, norms)).to(vectors.dtype)

    pairs = torch.tril(scaled @ scaled.T, -1).abs() * (weights @ weights.T)
    return factor * (pairs.sum(dtype=_sum_dtype(x)) / (count * (count - 1) / 2))


def _powers_of_two(numbers: Tensor) -> Tensor:
    """Returns the power of two at or below each number; 1 for 0 and what is not finite."""
    mantissas, _ = torch.frexp(numbers)
    usable = torch.isfinite(numbers) & (numbers > 0)
    return torch.where(usable, numbers / (2 * mantissas), torch.ones_like(numbers))
