"""Whether ranks agree on what they are about to compute: asked once, when penalties are bound.

Else one of them would wait for a message that is never sent, or sums would be of different things.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
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
    described: dict[DeviceMesh, list[str]] = {}
    for name, x in leaves.items():
        if isinstance(x, DTensor) and x.device_mesh.get_coordinate() is not None:
            text = f"{name}: {penalties.get(name, 'no penalty')}, {_describe(x)}"
            described.setdefault(x.device_mesh, []).append(text)
    for mesh, lines in described.items():
        _check_mesh(mesh, [*lines, f"owners hold up to {owners.TURN_BYTES} bytes"])


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
        f"differ in: {'; '.join(different) or 'their order'}"
    )


def _gather(own: dict[int, list[str]], groups: Iterable[ProcessGroup]) -> dict[int, list[str]]:
    """Returns what all ranks of a mesh say, by their numbers."""
    for group in groups:
        received: list[Any] = [None] * dist.get_world_size(group)
        dist.all_gather_object(received, own, group)
        own = {rank: lines for each in received for rank, lines in each.items()}
    return own
