"""Whether ranks agree on what they are about to compute: asked once, when penalties are bound.

Else one of them would wait for a message that is never sent, or sums would be of different things.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import DeviceMesh, ProcessGroup
from torch.distributed.tensor import DTensor

from taut.arrays.torch.sharded import owners
from taut.arrays.torch.sharded.layout import Layout


def check_agreement(leaves: Mapping[str, Any], penalties: Mapping[str, str]) -> None:
    """Checks that all ranks of a mesh have the same penalties of the same DTensors on it.

    It is one all-reduce of two numbers for each dimension of each mesh.

    Args:
        leaves: All parameters by their names; those that are no DTensors are left out.
        penalties: In words, what is computed of those that have a penalty.

    Raises:
        ValueError: On every rank of the mesh, if they do not. It says who has what.
    """
    errors: list[Exception] = []
    meshes = _meshes(leaves)
    for mesh, names in meshes.items():
        try:
            lines = [
                f"{name}: {penalties.get(name, 'no penalty')}, {_describe(leaves[name])}"
                for name in names
            ]
        except (TypeError, ValueError) as error:
            errors.append(error)
        # What failed on a mesh is told to those of larger ones, which are asked after it.
        said = [f"failed: {errors[0]}"] if errors else [*lines, _order(mesh, meshes, leaves)]
        try:
            _check_mesh(mesh, [*said, *_settings()])
        except ValueError as error:
            errors.append(error)  # when those of the other meshes have been asked, too
    if errors:
        raise errors[0]


def tell_failure(leaves: Mapping[str, Any], error: Exception) -> None:
    """Takes part in what `check_agreement` asks, where this rank will not compute anything.

    The other ranks raise a ValueError with the words of the error, but for those that all say it.
    """
    for mesh in _meshes(leaves):
        with suppress(ValueError):
            _check_mesh(mesh, [f"failed: {error}", *_settings()])


def _meshes(leaves: Mapping[str, Any]) -> dict[DeviceMesh, list[str]]:
    """Returns the names of the DTensors of each mesh that this rank is on.

    The meshes are in an order that all ranks have, whatever the order of the parameters.
    """
    found: dict[DeviceMesh, list[str]] = {}
    for name, x in leaves.items():
        if isinstance(x, DTensor) and x.device_mesh.get_coordinate() is not None:
            found.setdefault(x.device_mesh, []).append(name)
    return dict(sorted(found.items(), key=lambda pair: _key(pair[0])))


def _key(mesh: DeviceMesh) -> tuple[Any, ...]:
    names = mesh.mesh_dim_names or ()
    return mesh.size(), tuple(mesh.mesh.shape), tuple(mesh.mesh.flatten().tolist()), tuple(names)


def _order(
    mesh: DeviceMesh, meshes: Mapping[DeviceMesh, list[str]], leaves: Mapping[str, Any]
) -> str:
    """Returns in which order this rank goes through what all ranks of a mesh have."""
    ranks = _ranks(mesh)
    shared = {name for other, names in meshes.items() if ranks <= _ranks(other) for name in names}
    return f"in this order: {', '.join(name for name in leaves if name in shared)}"


def _ranks(mesh: DeviceMesh) -> set[int]:
    return set(mesh.mesh.flatten().tolist())


def _settings() -> list[str]:
    return [
        f"owners hold up to {owners.TURN_BYTES} bytes",
        f"a number that is received is worth {owners.NUMBER_RECEIVED} products",
    ]


def _describe(x: DTensor) -> str:
    fits = "" if Layout(x).fits else f", of which this rank holds {tuple(x._local_tensor.shape)}"
    return f"{tuple(x.shape)}, {x.dtype}, {x.placements}{fits}"


def _check_mesh(mesh: DeviceMesh, lines: list[str]) -> None:
    digest = hashlib.blake2b("\n".join(lines).encode(), digest_size=7).digest()
    number = int.from_bytes(digest, "big")
    extremes = torch.tensor([number, -number], dtype=torch.int64, device=mesh.device_type)
    groups = [mesh.get_group(dim) for dim in range(mesh.ndim) if mesh.size(dim) > 1]
    for group in groups:
        dist.all_reduce(extremes, dist.ReduceOp.MAX, group)
    largest, negative_smallest = extremes.tolist()
    if largest == -negative_smallest:
        return
    of_rank = _gather({dist.get_rank(): lines}, groups)
    others = [set(each) for rank, each in of_rank.items()]
    agreed = set.intersection(*others)
    different = [
        f"rank {rank}: {line}"
        for rank, each in sorted(of_rank.items())
        for line in each
        if line not in agreed
    ]
    raise ValueError(
        "Ranks that share parameters must have the same penalties of the same tensors. They "
        f"differ in: {'; '.join(different)}"
    )


def _gather(own: dict[int, list[str]], groups: Iterable[ProcessGroup]) -> dict[int, list[str]]:
    """Returns what all ranks of a mesh say, by their numbers."""
    for group in groups:
        received: list[Any] = [None] * dist.get_world_size(group)
        dist.all_gather_object(received, own, group)
        own = {rank: lines for each in received for rank, lines in each.items()}
    return own
