"""The penalties of many DTensors as one node of autograd's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.distributed.tensor import DTensor

from taut import kernels
from taut.arrays.library import Factors
from taut.arrays.torch.group import total_of
from taut.arrays.torch.nodes import number_of
from taut.arrays.torch.sharded import operations
from taut.arrays.torch.sharded.batch import Batch, SideTensors
from taut.arrays.torch.sharded.layout import Layout, with_layout_of
from taut.kernels import Sides


class Total(Function):
    """The sum of the penalties, and gradients that lie as their tensors do.

    What owners compute has its gradient computed along with the value, since pieces travel only
    once then. `backward` is called on all ranks, with the same incoming gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        names: list[str],
        kinds: list[tuple[str, Factors]],
        indices: list[int],
        layouts: list[Layout],
        sides: SideTensors,
        *tensors: DTensor,
    ) -> Tensor:
        batch = Batch(names, kinds, indices, tensors, layouts, sides)
        ctx.terms = names, kinds, indices, layouts, sides
        slopes: list[Tensor] = []
        if batch.needs_wholes:
            slopes = list(map(torch.empty_like, batch.shards))
            parts = batch.value_and_grad(slopes, 1.0)
        else:
            parts = batch.parts()
        ctx.save_for_backward(*tensors, *slopes)
        return total_of([batch.total(parts)], tensors)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> Any:
        names, kinds, indices, layouts, sides = ctx.terms
        saved = ctx.saved_tensors  # which may be asked for once alone, as under checkpoint()
        tensors, slopes = saved[: len(names)], saved[len(names) :]
        none = (None,) * 5
        if torch.is_grad_enabled():  # and so it is to be differentiated again
            return *none, *_differentiable(kinds, indices, sides, tensors, scale)
        number = number_of(scale)
        if number is None:
            raise NotImplementedError(
                "penalties of DTensors have no gradients under is_grads_batched"
            )
        if number == 1 and slopes:
            # Autograd adds to what it is given, and there may be another backward().
            slopes = [slope.clone() for slope in slopes]
        else:
            batch = Batch(names, kinds, indices, tensors, layouts, sides)
            slopes = list(map(torch.empty_like, batch.shards))
            batch.value_and_grad(slopes, number)
        return *none, *map(with_layout_of, tensors, slopes)


def _differentiable(
    kinds: Sequence[tuple[str, Factors]],
    indices: Sequence[int],
    sides: SideTensors,
    tensors: Sequence[DTensor],
    scale: Tensor,
) -> list[DTensor | None]:
    """Returns gradients that can be differentiated, by torch's operations."""
    found: list[DTensor | None] = []
    of_each = list(map(Sides, *sides)) if sides[0] else [None] * len(tensors)
    for index, x, own in zip(indices, tensors, of_each, strict=True):
        name, factors = kinds[index]
        if not x.requires_grad:
            found.append(None)
            continue
        total = operations.value(kernels.get(name), x, factors, own)
        (slope,) = torch.autograd.grad(total, x, scale.to(total.dtype), create_graph=True)
        found.append(slope)
    return found
