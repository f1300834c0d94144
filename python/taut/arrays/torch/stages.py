"""Penalties of a model whose pieces are on different ranks, as pipeline stages are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.distributed.tensor import DTensor


def check_group(group: dist.ProcessGroup, leaves: Mapping[str, Any]) -> None:
    """Checks that each number counts once in what the ranks of a group add up.

    Raises:
        ValueError: If this process is none of the group, or others of it share one of its DTensors.
    """
    if dist.get_rank(group) < 0:
        raise ValueError("This process is not in the group that its penalties are summed over")
    others = {*dist.get_process_group_ranks(group)} - {dist.get_rank()}
    for name, x in leaves.items():
        if isinstance(x, DTensor) and others.intersection(x.device_mesh.mesh.flatten().tolist()):
            raise ValueError(
                f"{name}: its penalty would count more than once: this DTensor is on a mesh with "
                "others of the group. Bind without the group"
            )


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
