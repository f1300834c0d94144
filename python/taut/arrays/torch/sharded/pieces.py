"""Where a shard is in the whole tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Piece:
    """The places of a shard's elements: indices along each axis, which are one run as a rule.

    Attributes:
        shape: That of the shard.
    """

    def __init__(self, indices: Sequence[Tensor]) -> None:
        self.shape = tuple(len(each) for each in indices)
        runs = [_run(each) for each in indices]
        self._runs = None if None in runs else tuple(run for run in runs if run is not None)
        self._indices = torch.meshgrid(*indices, indexing="ij") if self._runs is None else ()

    @property
    def is_empty(self) -> bool:
        """Whether it has no elements."""
        return 0 in self.shape

    def run(self, axis: int) -> tuple[int, int] | None:
        """Returns where it begins and ends along an axis, if it is one run there."""
        if self._runs is None:
            return None
        return self._runs[axis].start, self._runs[axis].stop

    def read(self, whole: Tensor) -> Tensor:
        """Returns the shard, contiguous."""
        return whole[self._runs or self._indices].contiguous()

    def write(self, whole: Tensor, shard: Tensor) -> None:
        """Puts the shard into its places."""
        whole[self._runs or self._indices] = shard

    def room(self, whole: Tensor) -> Tensor:
        """Returns contiguous memory for the shard: its places if they are that."""
        if self._runs is not None and (view := whole[self._runs]).is_contiguous():
            return view
        return whole.new_empty(self.shape)


def chunks(indices: Tensor, count: int) -> list[Tensor]:
    """Returns as many parts as asked for, cut as torch cuts shards: the last ones may be empty."""
    parts = list(indices.chunk(count))
    return parts + [indices[:0]] * (count - len(parts))


def _run(indices: Tensor) -> slice | None:
    """Returns indices that follow one another as a slice."""
    if not len(indices):
        return slice(0, 0)
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == len(indices) else None
