"""The orthogonal penalty of a matrix whose pairs of vectors are shared out over devices.

Each device has the whole matrix, and computes the dot products of its share of the pairs. For a
gradient the devices tell one another the signs of these, so that each has those of its own vectors
towards all others, and multiplies them with all vectors. The gradient is one device's, bit by bit.

Where vectors are split along their coordinates, an all-to-all first shares them out as whole ones,
and another one of the gradient turns what each has back to its coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jax import Array, ShapeDtypeStruct, lax

from taut import _core
from taut.arrays.jax.operations import sum_dtype, value_dtype
from taut.arrays.jax.sharding import Axes, count_of, index_of

if TYPE_CHECKING:
    from taut.arrays.jax.shares import Call


def share(
    call: Call,
    splits: Sequence[Axes],
    sizes: Mapping[str, int],
    x: Array,
    numbers: Sequence[Array],
) -> Sequence[Array]:
    """Returns the part of a device's pairs, and the gradient of its share of x.

    What is split by an axis of a mesh is x, as `Call.share` has it.
    """
    batch = numbers[0].ndim
    if dict(call.options)["mode"] == "rows":
        return _Rows(call, splits, sizes, batch).share(x, numbers)
    # A few vectors are turned at less cost than a matrix is gathered along its last axis.
    options = tuple((name, "rows" if name == "mode" else value) for name, value in call.options)
    turned = (*splits[:batch], splits[-1], *splits[batch:-1])
    rows = _Rows(replace(call, options=options), turned, sizes, batch)
    total, *slopes = rows.share(jnp.moveaxis(x, -1, batch), numbers)
    return total, *(jnp.moveaxis(slope, batch, -1) for slope in slopes)


class _Rows:
    """How the rows of x [b..., n, d...] are split, and who has which."""

    def __init__(
        self, call: Call, splits: Sequence[Axes], sizes: Mapping[str, int], batch: int
    ) -> None:
        self._call = call
        self._splits = splits
        self._batch = batch  # and the axis of the rows
        self._across = [axis for axis in range(batch + 1, len(splits)) if splits[axis]]
        # Those who have parts of the same rows take turns as to whose they are.
        self._takers = tuple(name for axis in self._across for name in splits[axis])
        self._everyone = (*splits[batch], *self._takers)
        self._count_of_takers = count_of(self._takers, sizes)
        self._count = count_of(self._everyone, sizes)

    def share(self, x: Array, numbers: Sequence[Array]) -> Sequence[Array]:
        own = x.shape[self._batch]
        each = -(-own // self._count_of_takers)
        whole = self._gathered(x)
        place = jnp.stack([jnp.int32(index_of(self._everyone)), jnp.int32(self._count)])
        total = ShapeDtypeStruct(numbers[0].shape, sum_dtype(x))
        if self._call.function == "value":
            return self._call.run("share_value", (total,), whole, *numbers, place)
        vectors = whole.shape[self._batch]
        row = _core.pair_words(vectors, self._count, x.dtype == jnp.float64)
        results = (
            total,
            self._words(whole, vectors, row),
            self._words(whole, vectors, _core.pair_measures),
        )
        part, words, measures = self._call.run("share_signs", results, whole, *numbers, place)
        begin = jnp.minimum(index_of(self._takers) * each, own)
        ends = jnp.stack([begin, jnp.minimum(begin + each, own)])
        place = (index_of(self._splits[self._batch]) * own + ends).astype(jnp.int32)
        shape = (*whole.shape[: self._batch], each, *whole.shape[self._batch + 1 :])
        (slope,) = self._call.run(
            "share_grad",
            (ShapeDtypeStruct(shape, value_dtype(x)),),
            whole,
            *numbers,
            place,
            self._exchanged(words, own, each),
            measures,
        )
        for axis in reversed(self._across):  # the minor ones are next to each other
            slope = lax.all_to_all(slope, self._splits[axis], axis, self._batch, tiled=True)
        return part, lax.slice_in_dim(slope, 0, own, axis=self._batch)

    def _gathered(self, x: Array) -> Array:
        """Returns all rows; whole rows are gathered at less cost than parts of them."""
        if x.shape[self._batch] % self._count_of_takers == 0:
            for axis in self._across:
                x = lax.all_to_all(x, self._splits[axis], self._batch, axis, tiled=True)
            return lax.all_gather(x, self._everyone, axis=self._batch, tiled=True)
        for axis in (self._batch, *self._across):
            if self._splits[axis]:
                x = lax.all_gather(x, self._splits[axis], axis=axis, tiled=True)
        return x

    def _words(self, x: Array, *extents: int) -> ShapeDtypeStruct:
        """Returns the type of 64-bit words, whose halves JAX has whatever its settings are."""
        return ShapeDtypeStruct((*x.shape[: self._batch], *extents, 2), jnp.uint32)

    def _exchanged(self, words: Array, own: int, each: int) -> Array:
        """Returns what all devices say of this one's rows [b..., devices, rows, ...].

        Each device tells each other one of so many rows, some of them twice where `each` is not the
        same for all.
        """
        of_takers = np.minimum(np.arange(self._count_of_takers * each), own - 1)
        rows = (np.arange(words.shape[self._batch] // own)[:, None] * own + of_takers).ravel()
        if len(rows) != words.shape[self._batch]:
            words = jnp.take(words, rows, axis=self._batch)
        shape = (*words.shape[: self._batch], self._count, each, *words.shape[self._batch + 1 :])
        words = words.reshape(shape)
        return lax.all_to_all(words, self._everyone, self._batch, self._batch, tiled=True)
