"""How a DTensor lies on the ranks of its mesh."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.tensor import DTensor, Partial, Replicate

from taut.arrays.torch.sharded.pieces import Piece, chunks

_EVERYTHING = slice(None)


class Layout:
    """The mesh and placements of a tensor, and what follows from them for sums and for wholes.

    Attributes:
        mesh: Its mesh.
        placements: Its placement on each dimension of the mesh.
        shape: That of the whole tensor.
        dims: The dimensions of the mesh that share out its elements.
    """

    def __init__(self, x: DTensor) -> None:
        """Looks a tensor up.

        Raises:
            TypeError: If it is the sum of what the ranks hold.
            ValueError: If this rank is no part of its mesh.
        """
        self.mesh, self.placements, self.shape = x.device_mesh, x.placements, tuple(x.shape)
        self._own_shape = tuple(x._local_tensor.shape)
        if any(isinstance(placement, Partial) for placement in self.placements):
            raise TypeError(
                f"expected a DTensor whose elements are on its ranks. Received: {self.placements}, "
                "which is a sum that has not been taken: redistribute it to Shard or Replicate"
            )
        if self.mesh.get_coordinate() is None:
            raise ValueError(
                f"this rank is no part of the mesh of x, {self.mesh}: give penalties only the "
                "parameters that the rank takes part in"
            )
        # By placement: `is_shard` denies it of the strided shards of FSDP beside tensor parallel.
        self.dims = tuple(
            dim
            for dim, placement in enumerate(self.placements)
            if not isinstance(placement, Replicate)
        )
        self._spread = [dim for dim in self.dims if self.mesh.size(dim) > 1]

    @property
    def is_whole(self) -> bool:
        """Whether this rank holds all of it."""
        return not self._spread

    @cached_property
    def groups(self) -> tuple[ProcessGroup, ...]:
        """The process groups over which a sum of its elements is reduced, innermost first.

        A dimension of extent 1 has nothing to reduce.
        """
        return tuple(self.mesh.get_group(dim) for dim in reversed(self._spread))

    @property
    def axes(self) -> set[int]:
        """The tensor's axes that are cut between ranks.

        Raises:
            TypeError: If a placement does not cut along an axis.
        """
        return {_axis(self.placements[dim], len(self.shape)) for dim in self._spread}

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that hold a copy together, this one among them, in the mesh's order."""
        own = self.mesh.get_coordinate()
        index = [_EVERYTHING if dim in self._spread else own[dim] for dim in range(self.mesh.ndim)]
        return tuple(self.mesh.mesh[tuple(index)].flatten().tolist())

    @cached_property
    def pieces(self) -> list[Piece]:
        """Where the shard of each of these ranks is in the whole.

        Raises:
            ValueError: If this rank's shard is none that its placements make.
        """
        extents = [self.mesh.size(dim) for dim in self._spread]
        places = torch.cartesian_prod(*map(torch.arange, extents)).reshape(-1, len(extents))
        if not self.fits:
            raise ValueError(
                f"{self._own_shape} is no shard of {self.shape}, cut by {self.placements}"
            )
        return [self._piece(place) for place in places.tolist()]

    def _piece(self, place: Sequence[int]) -> Piece:
        indices = list(map(torch.arange, self.shape))
        for dim, coordinate in zip(self._spread, place, strict=True):
            placement = self.placements[dim]
            axis = _axis(placement, len(self.shape))
            parts = chunks(indices[axis], getattr(placement, "split_factor", 1))
            own = [chunks(part, self.mesh.size(dim))[coordinate] for part in parts]
            indices[axis] = torch.cat(own)
        return Piece(indices)

    @property
    def fits(self) -> bool:
        """Whether this rank holds a shard of the shape that the placements make."""
        own = self.mesh.get_coordinate()
        return self._piece([own[dim] for dim in self._spread]).shape == self._own_shape

    @cached_property
    def link(self) -> ProcessGroup | None:
        """The process group by which these ranks send to each other; None for the default one."""
        (*others, group) = self.groups
        return None if others else group

    def is_of(self, other: Any) -> bool:
        """Returns whether another tensor lies in just the same way."""
        return (
            isinstance(other, DTensor)
            and other.placements == self.placements
            and tuple(other.shape) == self.shape
            and other.device_mesh == self.mesh
        )


def local_of(x: DTensor) -> Tensor:
    """Returns what this rank holds of x, without a graph, and as it is now.

    `to_local` would wrap that of a parameter in a new one.
    """
    local: Tensor = x._local_tensor
    if isinstance(local, AsyncCollectiveTensor):
        local = local.wait()
    if local.requires_grad:
        local = local.detach()
    return local.resolve_neg() if local.is_neg() else local


def with_layout_of(x: DTensor, local: Tensor) -> DTensor:
    """Returns the DTensor of which this rank holds `local`, and which lies as x does."""
    made: DTensor = DTensor.from_local(
        local, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride()
    )
    return made


def _axis(placement: Any, rank: int) -> int:
    axis = getattr(placement, "dim", None)
    if axis is None:
        raise TypeError(
            f"expected placements that cut along an axis, for what needs the whole tensor. "
            f"Received: {placement}"
        )
    return int(axis) % rank
