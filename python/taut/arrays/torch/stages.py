"""Penalties of a model whose pieces are on different ranks, as pipeline stages are."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


def sum_over(total: Any, group: dist.ProcessGroup) -> Tensor:
    """Returns the sum of the totals that the ranks of a group have of their pieces.

    Each rank's piece has the gradient of the sum. A rank without a piece has a total of 0.0.
    """
    own = total if isinstance(total, Tensor) else torch.tensor(float(total), dtype=torch.float32)
    summed: Tensor = _Sum.apply(own, group)
    return summed


class _Sum(Function):
    @staticmethod
    def forward(ctx: Any, total: Tensor, group: dist.ProcessGroup) -> Tensor:
        wide = total.to(torch.float64, copy=True)
        dist.all_reduce(wide, group=group)
        return wide.to(total.dtype)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> Any:
        return scale, None
