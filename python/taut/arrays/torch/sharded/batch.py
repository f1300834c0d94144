"""The penalties of many DTensors, as this rank computes its part of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from taut import _core, kernels
from taut.arrays.factors import read_step
from taut.arrays.group import for_name
from taut.arrays.library import Factors
from taut.arrays.torch.memory import data_ptr, strides_of, view_of
from taut.arrays.torch.sharded import owners, sums, transfer
from taut.arrays.torch.sharded.layout import Layout, local_of
from taut.arrays.torch.sharded.owners import Owned
from taut.kernels import Kernel, RangeFunctions

# References and importances, None for a tensor that has none; two empty ones where none has any.
SideTensors = tuple[Sequence[DTensor | None], Sequence[DTensor | None]]


class Batch:
    """Penalties of DTensors in the CPU's memory, at one moment.

    What a kernel computes of each piece for itself, is computed where the pieces are. The rest
    travels: to its owner, or to all ranks, each of which computes its own vectors. A rank's parts
    are what it adds to each sum. All that can be refused is refused before anything is sent or
    written, on every rank alike.
    """

    def __init__(
        self,
        names: Sequence[str],
        kinds: Sequence[tuple[str, Factors]],
        indices: Sequence[int],
        arrays: Sequence[DTensor],
        layouts: Sequence[Layout],
        sides: SideTensors = ((), ()),
    ) -> None:
        self.names, self.kinds, self.indices = names, list(kinds), indices
        self.layouts = layouts
        self._sides = [[each if each is None else local_of(each) for each in own] for own in sides]
        self.shards = list(map(local_of, arrays))
        owned: list[Owned] = []
        self._kept: list[int] = []  # the places of what is computed where it is
        for place, (index, layout) in enumerate(zip(indices, layouts, strict=True)):
            name, factors = self.kinds[index]
            kernel = kernels.get(name)
            if is_kept(kernel, factors, layout):
                self._kept.append(place)
                continue
            _check(names[place], kernel, factors, layout)
            owned.append(_owned(place, kernel, factors, layout, arrays[place]))
        self._owned, self._by_vectors = owners.split(owned)
        self._turns = owners.turns(self._owned)

    @property
    def needs_wholes(self) -> bool:
        """Whether pieces of something travel."""
        return bool(self._owned or self._by_vectors)

    def parts(self) -> list[float]:
        """Returns this rank's parts of the penalties."""
        parts = self._call(_core.batch_value, self._kept, [self.shards])
        for turn in self._turns:
            (wholes,) = transfer.gather(turn, self.shards)
            parts = self._call(_core.batch_value, list(wholes), [wholes], parts)
        self._call_by_vectors(attrgetter("value"), [], parts)
        return parts

    def check_gradients(self, grads: Sequence[Tensor], scale: float) -> None:
        """Raises what `accumulate_grad` would, before anything is sent or written."""
        self._check_travelling(grads)
        kept = [self.shards, grads]
        self._call(_core.batch_check_accumulate_grad, self._kept, kept, None, scale)

    def accumulate_grad(self, grads: Sequence[Tensor], scale: float) -> list[float]:
        """Adds to what this rank holds of the gradients, and returns its parts of the penalties."""
        self._check_travelling(grads)  # the core does so with the others, which it writes first
        parts = self._call(
            _core.batch_accumulate_grad, self._kept, [self.shards, grads], None, scale
        )
        for turn in self._turns:
            # The gradient travels, too: so the product is added before the one rounding.
            wholes, slopes = transfer.gather(turn, self.shards, grads)
            own = list(wholes)
            parts = self._call(_core.batch_accumulate_grad, own, [wholes, slopes], parts, scale)
            transfer.hand_out(turn, slopes, grads)
        self._call_by_vectors(attrgetter("accumulate_grad"), [grads], parts, scale)
        return parts

    def _check_travelling(self, grads: Sequence[Tensor]) -> None:
        for owned in (*self._owned, *self._by_vectors):
            _check_gradient(self.names[owned.place], self.shards[owned.place], grads[owned.place])

    def value_and_grad(self, grads: Sequence[Tensor], scale: float) -> list[float]:
        """Writes to what this rank holds of the gradients, and returns its parts."""
        parts = self._call(
            _core.batch_value_and_grad, self._kept, [self.shards, grads], None, scale
        )
        for turn in self._turns:
            (wholes,) = transfer.gather(turn, self.shards)
            slopes = {place: torch.empty_like(whole) for place, whole in wholes.items()}
            own = list(wholes)
            parts = self._call(_core.batch_value_and_grad, own, [wholes, slopes], parts, scale)
            transfer.hand_out(turn, slopes, grads)
        self._call_by_vectors(attrgetter("value_and_grad"), [grads], parts, scale)
        return parts

    def check_prox(self, step: float) -> None:
        """Raises what `prox` would, before anything is sent or written."""
        number = float(read_step(step))
        for owned in self._owned:
            name, factors = self.kinds[self.indices[owned.place]]
            with for_name(self.names[owned.place]):
                kernels.get(name).check_step(factors, number)
        self._call(_core.batch_check_prox, self._kept, [self.shards], None, step)

    def prox(self, step: float) -> None:
        """Takes the proximal steps of what this rank holds, in place."""
        self._call(_core.batch_prox, self._kept, [self.shards], None, step)
        for turn in self._turns:
            (wholes,) = transfer.gather(turn, self.shards)
            self._call(_core.batch_prox, list(wholes), [wholes], None, step)
            transfer.hand_out(turn, wholes, self.shards)

    def each(self, parts: Sequence[float]) -> list[float]:
        """Returns the penalties, of all ranks' parts: one all-reduce for each process group."""
        return sums.reduce_each(parts, self.layouts)

    def total(self, parts: Sequence[float]) -> float:
        """Returns the sum of the penalties, likewise."""
        return sums.reduce_all(parts, self.layouts)

    def _call(
        self,
        function: Callable[..., list[float] | None],
        places: Sequence[int],
        operands: Sequence[Any],
        parts: Sequence[float] | None = None,
        *scale: float,
    ) -> list[float]:
        """Has the core compute the terms at some places; returns `parts` with their penalties."""
        all_parts = [0.0] * len(self.names) if parts is None else list(parts)
        if not places:
            return all_parts
        values = function(
            [self.names[place] for place in places],
            self.kinds,
            [self.indices[place] for place in places],
            *([view_of(operand[place]) for place in places] for operand in operands),
            *scale,
            *([_view_of(own[place]) for place in places] if own else [] for own in self._sides),
        )
        for place, value in zip(places, values or (), strict=values is not None):
            all_parts[place] = value
        return all_parts

    def _call_by_vectors(
        self,
        function: Callable[[RangeFunctions], Callable[..., float]],
        operands: Sequence[Sequence[Tensor]],
        parts: list[float],
        *scale: float,
    ) -> None:
        """Has the core compute this rank's vectors of what travels to all, and sets its parts."""
        for owned in self._by_vectors:
            place = owned.place
            name, factors = self.kinds[self.indices[place]]
            ranges = kernels.get(name).ranges
            assert ranges is not None
            assert owned.own is not None
            (wholes,) = transfer.gather(owners.everywhere(owned), self.shards)
            views = [view_of(wholes[place]), *(view_of(operand[place]) for operand in operands)]
            parts[place] = function(ranges)(*views, factors, *owned.own, *scale)


def is_kept(kernel: Kernel, factors: Factors, layout: Layout) -> bool:
    """Returns whether a rank's piece of a tensor has a penalty by itself.

    So it is if it is the whole, which each rank that holds it computes: nothing is to be sent then.
    """
    if layout.is_whole:
        return True
    rank, options = len(layout.shape), factors[len(kernel.numbers) :]
    allowed = kernel.cuts(rank, *options)
    return len(allowed) == rank or layout.axes <= set(allowed)


def _owned(place: int, kernel: Kernel, factors: Factors, layout: Layout, x: DTensor) -> Owned:
    axis = len(layout.shape) - 1 if "columns" in factors[len(kernel.numbers) :] else 0
    vectors = layout.shape[axis] if kernel.bound_by == "arithmetic" else 1
    own = None
    if kernel.ranges is not None and layout.axes == {axis}:
        runs = [piece.run(axis) for piece in layout.pieces]
        own = None if None in runs else runs[layout.ranks.index(dist.get_rank())]
    return Owned(place, layout, tuple(strides_of(x)), x.dtype.itemsize, vectors, own)


def _view_of(side: Tensor | None) -> _core.View | None:
    return None if side is None else view_of(side)


def _check(name: str, kernel: Kernel, factors: Factors, layout: Layout) -> None:
    """Checks what only the owner's core would, on all ranks."""
    with for_name(name):
        kernel.check(factors, layout.shape)


def _check_gradient(name: str, shard: Tensor, grad: Tensor) -> None:
    is_wide = shard.dtype.itemsize == 2 and grad.dtype == torch.float32
    if grad.dtype != shard.dtype and not is_wide:
        raise ValueError(
            f"{name}: the gradient must have x's dtype, {shard.dtype}, or float32 for a half type. "
            f"Received: {grad.dtype}"
        )
    if shard.numel() and _begin(shard) < _end(grad) and _begin(grad) < _end(shard):
        raise ValueError(f"{name}: the gradient must not overlap x")


def _begin(x: Tensor) -> int:
    return data_ptr(x)


def _end(x: Tensor) -> int:
    last: int = sum(
        (extent - 1) * stride for extent, stride in zip(x.shape, strides_of(x), strict=True)
    )
    return _begin(x) + (last + 1) * int(x.dtype.itemsize)
