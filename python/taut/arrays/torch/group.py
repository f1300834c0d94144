"""The penalties of many tensors, in one call of the core and one node of autograd's graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from taut import _core, kernels
from taut.arrays import library_of
from taut.arrays.factors import LiveFactors, operand, operands, read_step
from taut.arrays.group import CoreGroup, add
from taut.arrays.library import Factors
from taut.arrays.torch import operations
from taut.arrays.torch.memory import (
    CountingWrites,
    check_not_observed,
    check_written,
    is_memory,
    is_observed,
    is_target,
    scalar,
    view_of,
    wide_like,
)
from taut.arrays.torch.nodes import number_of
from taut.kernels import Sides
from taut.written import Written

SideTensors = list[Tensor | None]  # one for each tensor, or none at all


class TensorGroup(CoreGroup):
    """Penalties that the core computes in one call, of plain tensors in the CPU's memory."""

    def values(self) -> list[Tensor]:
        """Returns the penalty of each tensor, without a graph."""
        if is_observed():
            return super(CoreGroup, self).values()
        values = self._call(_core.batch_value, self.kernels(), [self.arrays])
        return [scalar(value, x) for value, x in zip(values, self.arrays, strict=True)]

    def total(self) -> Tensor:
        """Returns the sum of the penalties, differentiable in all of them by one node."""
        if is_observed():
            return torch.stack(super(CoreGroup, self).values()).sum()
        kinds = self.kernels()
        if any(type(factors) is LiveFactors for _, factors in kinds):
            return self._live_total(kinds)
        total: Tensor = Total.apply(self.names, kinds, self.indices, *self.sides, *self.arrays)
        return total

    def _live_total(self, kinds: list[tuple[str, Factors]]) -> Tensor:
        """Returns the sum, with nodes of their own for tensors whose factors autograd records."""
        library = library_of(self.arrays[0])
        recorded = [
            any(isinstance(factor, Tensor) for factor in operands(factors, library))
            for _, factors in kinds
        ]
        apart = [place for place, kind in enumerate(self.indices) if recorded[kind]]
        others = [place for place, kind in enumerate(self.indices) if not recorded[kind]]
        totals = [self.regularizers[place](self.arrays[place]) for place in apart]
        if others:
            names, indices, arrays, *sides = (
                [each[place] for place in others] if each else []
                for each in (self.names, self.indices, self.arrays, *self.sides)
            )
            totals.append(Total.apply(names, kinds, indices, *sides, *arrays))
        total: Tensor = add(totals)
        return total

    def check_gradients(self, grads: list[Any], scale: float) -> None:
        """Raises what `accumulate_grad` would, and writes nothing."""
        if is_observed():
            super(CoreGroup, self).check_gradients(grads, scale)
            return
        kinds = self.kernels()
        self._check_targets(grads)
        self._call(_core.batch_check_accumulate_grad, kinds, [self.arrays, grads], scale)

    def _check_targets(self, grads: list[Any]) -> None:
        for name, grad in zip(self.names, grads, strict=True):
            if is_target(grad):
                continue
            check_written(grad, "accumulate_grad", name)
            if not is_memory(grad):
                raise ValueError(
                    f"{name}: expected a plain tensor in the CPU's memory as a gradient. "
                    f"Received: {type(grad).__name__} on {grad.device}"
                )

    def begin(
        self, grads: list[Any], scale: float, value: bool, written: Written
    ) -> Callable[[], Any]:
        """Returns what does all; where somebody records it, one tensor goes after the other."""
        if is_observed():
            return super(CoreGroup, self).begin(grads, scale, value, written)
        return super().begin(grads, scale, value, written)

    def accumulate_grad(self, grads: list[Any], scale: float) -> Tensor:
        """Adds to the gradients, in place and without a graph."""
        if is_observed():
            total: Tensor = super(CoreGroup, self).accumulate_grad(grads, scale)
            return total
        kinds = self.kernels()
        self._check_targets(grads)
        with CountingWrites(grads):
            values = self._call(_core.batch_accumulate_grad, kinds, [self.arrays, grads], scale)
        return total_of(values, self.arrays)

    def value_and_grad(self, scale: float) -> tuple[Tensor, list[Tensor]]:
        """Returns the sum of the penalties, and new tensors with `scale` times their gradients."""
        if is_observed():
            both: tuple[Tensor, list[Tensor]] = super(CoreGroup, self).value_and_grad(scale)
            return both
        kinds = self.kernels()
        grads = list(map(torch.empty_like, self.arrays))
        values = self._call(_core.batch_value_and_grad, kinds, [self.arrays, grads], scale)
        return total_of(values, self.arrays), grads

    def check_prox(self, step: float) -> None:
        """Raises what `prox` would, and writes nothing."""
        check_not_observed("prox")
        self._call(_core.batch_check_prox, self.kernels(), [self.arrays], step)

    def _step(self, step: float) -> None:
        """Takes the proximal step of each tensor, in place and without a graph."""
        check_not_observed("prox")
        kinds = self.kernels()
        with CountingWrites(self.arrays):
            self._call(_core.batch_prox, kinds, [self.arrays], step)

    def proximal(self, step: Any) -> list[Tensor]:
        """Returns the proximal step of each tensor, differentiable where that is asked for."""
        library = library_of(self.arrays[0])
        by, kinds = read_step(step), self.kernels()
        terms = (by, *(factor for _, factors in kinds for factor in factors))
        is_live = any(isinstance(operand(each, library), Tensor) for each in terms)
        is_recorded = torch.is_grad_enabled() and any(x.requires_grad for x in self.arrays)
        if is_live or is_recorded or is_observed():
            each: list[Tensor] = super(CoreGroup, self).proximal(step)
            return each
        copies = list(map(library.copy, self.arrays))
        self._call(_core.batch_prox, kinds, [copies], float(by))
        return copies

    def _call(
        self,
        function: Callable[..., Any],
        kinds: list[tuple[str, Factors]],
        operands: Sequence[Sequence[Tensor]],
        *scale: float,
    ) -> Any:
        """Returns what one of the core's functions does with tensors, and with their sides.

        Their addresses are taken last. `kinds` have been read by then: a factor may be a property
        of yours, whose code gives a tensor another memory and frees the one that it had.
        """
        views = [list(map(view_of, tensors)) for tensors in operands]
        return function(self.names, kinds, self.indices, *views, *scale, *_views_of(self.sides))


class Total(Function):
    """The sum of the penalties of many tensors, and all their gradients in one call."""

    @staticmethod
    def forward(
        ctx: Any,
        names: list[str],
        kinds: list[tuple[str, tuple[Any, ...]]],
        indices: list[int],
        references: SideTensors,
        importances: SideTensors,
        *tensors: Tensor,
    ) -> Tensor:
        ctx.terms = names, kinds, indices
        ctx.counts = len(tensors), len(references)
        ctx.save_for_backward(*tensors, *references, *importances)
        views = list(map(view_of, tensors))
        sides = _views_of((references, importances))
        values = _core.batch_value(names, kinds, indices, views, *sides)
        return total_of(values, tensors)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> Any:
        names, kinds, indices = ctx.terms
        count, side_count = ctx.counts
        saved = ctx.saved_tensors
        tensors = saved[:count]
        sides = list(saved[count : count + side_count]), list(saved[count + side_count :])
        none = (None,) * 5
        if torch.is_grad_enabled():  # and so it is to be differentiated again
            slopes = [
                operations.gradient(
                    kernels.get(name), x, factors, scale.to(operations.value_dtype(x)), own
                )
                for (name, factors), x, own in zip(
                    (kinds[i] for i in indices), tensors, _by_tensor(sides, count), strict=True
                )
            ]
            return *none, *slopes
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
            *_views_of(sides),
        )
        if number is None:
            pairs = zip(grads, tensors, strict=True)
            grads = [operations.scaled(grad, scale, x) for grad, x in pairs]
        return *none, *grads


def _views_of(sides: tuple[SideTensors, SideTensors]) -> list[list[_core.View | None]]:
    """Returns the memory of references and importances."""
    return [[None if each is None else view_of(each) for each in side] for side in sides]


def _by_tensor(sides: tuple[SideTensors, SideTensors], count: int) -> list[Sides | None]:
    """Returns what belongs to each of so many tensors."""
    return list(map(Sides, *sides)) if sides[0] else [None] * count


def total_of(values: list[float], like: Sequence[Tensor]) -> Tensor:
    """Returns the sum of some penalties, in float64 if one of the tensors is."""
    has_doubles = any(x.dtype == torch.float64 for x in like)
    dtype = torch.float64 if has_doubles else torch.float32
    return torch.tensor(sum(values), dtype=dtype, device="cpu")
