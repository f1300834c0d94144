"""The penalties of many DTensors: what `taut.Penalties` calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from taut.arrays import library_of
from taut.arrays.factors import operand, read_step
from taut.arrays.group import CoreGroup, Group, add
from taut.arrays.torch.group import total_of
from taut.arrays.torch.memory import (
    CountingWrites,
    check_not_observed,
    check_written,
    is_observed,
    scalar,
)
from taut.arrays.torch.sharded.batch import Batch
from taut.arrays.torch.sharded.layout import Layout, local_of, with_layout_of
from taut.arrays.torch.sharded.nodes import Total
from taut.written import Written


class ShardedGroup(CoreGroup):
    """Penalties of DTensors in the CPU's memory, whose sums travel together."""

    # What has an owner is written in turns, and each of them takes memory.
    before_writing = (TypeError, ValueError)

    @cached_property
    def layouts(self) -> list[Layout]:
        """How each tensor lies."""
        return list(map(Layout, self.arrays))

    def values(self) -> list[Tensor]:
        """Returns the penalty of each tensor, without a graph."""
        if is_observed():
            return Group.values(self)
        batch = self._batch()
        values = batch.each(batch.parts())
        return [scalar(value, x) for value, x in zip(values, self.arrays, strict=True)]

    def total(self) -> Tensor:
        """Returns the sum of the penalties, differentiable in all of them by one node."""
        kinds = self.kernels()
        if is_observed() or any(self._is_recorded(each) for _, own in kinds for each in own):
            total: Tensor = add(Group.values(self))
            return total
        if not (torch.is_grad_enabled() and any(x.requires_grad for x in self.arrays)):
            batch = self._batch()  # no gradients travel, either
            return total_of([batch.total(batch.parts())], self.arrays)
        terms = self.names, kinds, self.indices, self.layouts, self.sides
        total = Total.apply(*terms, *self.arrays)
        return total

    def check_gradients(self, grads: list[Any], scale: float) -> None:
        """Raises what `accumulate_grad` would, before anything is sent or written."""
        if is_observed():
            Group.check_gradients(self, grads, scale)
        else:
            self._checked(grads).check_gradients(list(map(local_of, grads)), scale)

    def begin(
        self, grads: list[Any], scale: float, value: bool, written: Written
    ) -> Callable[[], Any]:
        """Returns what does all; where somebody records it, one tensor goes after the other."""
        if is_observed():
            return Group.begin(self, grads, scale, value, written)
        return super().begin(grads, scale, value, written)

    def accumulate_grad(self, grads: list[Any], scale: float) -> Tensor:
        """Adds to the gradients, in place and without a graph; returns the sum of the penalties."""
        if is_observed():
            total: Tensor = Group.accumulate_grad(self, grads, scale)
            return total
        batch, parts = self._accumulate(grads, scale)
        return total_of([batch.total(parts)], self.arrays)

    def add_gradients(self, grads: list[Any], scale: float) -> None:
        """Adds to the gradients, in place and without a graph; no sums travel."""
        if is_observed():
            Group.add_gradients(self, grads, scale)
        else:
            self._accumulate(grads, scale)

    def _accumulate(self, grads: list[Any], scale: float) -> tuple[Batch, list[float]]:
        """Adds to what this rank holds of the gradients; returns its parts of the penalties."""
        batch = self._checked(grads)
        own = list(map(local_of, grads))
        with CountingWrites([*grads, *own]):
            parts = batch.accumulate_grad(own, scale)
        return batch, parts

    def _checked(self, grads: list[Any]) -> Batch:
        for name, layout, grad in zip(self.names, self.layouts, grads, strict=True):
            check_gradient(name, layout, grad)
        return self._batch()

    def value_and_grad(self, scale: float) -> tuple[Tensor, list[DTensor]]:
        """Returns the sum of the penalties, and new tensors with `scale` times their gradients."""
        if is_observed():
            both: tuple[Tensor, list[DTensor]] = Group.value_and_grad(self, scale)
            return both
        batch = self._batch()
        slopes = list(map(torch.empty_like, batch.shards))
        total = batch.total(batch.value_and_grad(slopes, scale))
        return total_of([total], self.arrays), list(map(with_layout_of, self.arrays, slopes))

    def check_prox(self, step: float) -> None:
        """Raises what `prox` would, before anything is sent or written."""
        check_not_observed("prox")
        self._batch().check_prox(step)

    def _step(self, step: float) -> None:
        """Takes the proximal step of what this rank holds, in place and without a graph."""
        check_not_observed("prox")
        batch = self._batch()
        with CountingWrites([*self.arrays, *batch.shards]):
            batch.prox(step)

    def proximal(self, step: Any) -> list[DTensor]:
        """Returns the proximal step of each tensor, differentiable where that is asked for."""
        by = read_step(step)
        terms = (by, *(factor for _, factors in self.kernels() for factor in factors))
        is_graph = torch.is_grad_enabled() and any(x.requires_grad for x in self.arrays)
        if is_graph or is_observed() or any(map(self._is_recorded, terms)):
            return Group.proximal(self, step)
        copies = [library_of(x).copy(x) for x in self.arrays]
        self._batch(copies).prox(float(by))
        return copies

    def _batch(self, arrays: Sequence[DTensor] | None = None) -> Batch:
        terms = self.names, self.kernels(), self.indices, arrays or self.arrays
        return Batch(*terms, self.layouts, self.sides)

    def _is_recorded(self, factor: Any) -> bool:
        return isinstance(operand(factor, library_of(self.arrays[0])), Tensor)


class PlainValues(Group):
    """Penalties of regularizers of your own, whose values are made plain tensors."""

    def values(self) -> list[Any]:
        """Returns the penalty of each parameter."""
        return list(map(whole_of, super().values()))


def whole_of(total: Any) -> Any:
    """Returns a penalty that may be a DTensor as a plain tensor, the same on all ranks."""
    return total.full_tensor() if isinstance(total, DTensor) else total


def check_gradient(name: str, layout: Layout, grad: Any) -> None:
    """Checks that a gradient lies as its parameter does.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If it is on another mesh, or has other placements or another shape.
    """
    check_written(grad, "accumulate_grad", name)
    if not layout.is_of(grad):
        received = (
            f"{tuple(grad.shape)}, {grad.placements} on {grad.device_mesh}"
            if isinstance(grad, DTensor)
            else f"a plain tensor of the shape {tuple(grad.shape)}"
        )
        raise ValueError(
            f"{name}: expected a gradient that lies as x does, {layout.shape}, "
            f"{layout.placements} on {layout.mesh}. Received: {received}: redistribute it first"
        )
