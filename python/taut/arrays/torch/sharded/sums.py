"""Sums over ranks, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch.distributed import ProcessGroup

from taut.arrays.torch.sharded.layout import Layout


def reduce_each(parts: Sequence[float], layouts: Sequence[Layout]) -> list[float]:
    """Returns each tensor's sum, of the parts that ranks have of it.

    There is one all-reduce for each process group over which a tensor is shared out, whatever their
    number and whatever meshes have it as a dimension.
    """
    sums = list(parts)
    users: dict[ProcessGroup, list[int]] = {}  # in an order that all ranks have
    for place, layout in enumerate(layouts):
        for group in layout.groups:
            users.setdefault(group, []).append(place)
    for group, places in users.items():
        device = layouts[places[0]].mesh.device_type
        vector = torch.tensor([sums[i] for i in places], dtype=torch.float64, device=device)
        dist.all_reduce(vector, group=group)
        for place, value in zip(places, vector.tolist(), strict=True):
            sums[place] = value
    return sums


def reduce_all(parts: Sequence[float], layouts: Sequence[Layout]) -> float:
    """Returns the sum of all tensors' sums: what travels is one number for each set of groups."""
    shared: dict[tuple[ProcessGroup, ...], float] = {}
    first: dict[tuple[ProcessGroup, ...], Layout] = {}
    for part, layout in zip(parts, layouts, strict=True):
        shared[layout.groups] = shared.get(layout.groups, 0.0) + part
        first.setdefault(layout.groups, layout)
    return sum(reduce_each(list(shared.values()), list(first.values())), 0.0)
