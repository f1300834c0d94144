"""What the cases have in common: tensors on meshes, and what is sent."""

import os
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard

SIZE = int(os.environ["WORLD_SIZE"])
RANK = int(os.environ["RANK"])
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]

_meshes = {}


def mesh_of(*extents):
    """Returns the mesh of these extents, each made but once."""
    extents = extents or (SIZE,)
    if extents not in _meshes:
        names = ("dp", "tp") if len(extents) == 2 else ("dp",)
        _meshes[extents] = init_device_mesh("cpu", extents, mesh_dim_names=names)
    return _meshes[extents]


def numbers(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    x[x.abs() < 0.05] = 0
    return x.to(dtype)


def spread(x, mesh, placements):
    """Returns a tensor that all ranks have as one that lies on a mesh."""
    return distribute_tensor(x, mesh, placements)


def strided(x, mesh):
    """Returns x as FSDP beside tensor parallel shards it: by the mesh's last dimension first."""
    i, j = mesh.get_coordinate()
    local = part(part(x, mesh.size(1), j), mesh.size(0), i)
    placements = [_StridedShard(0, split_factor=mesh.size(1)), Shard(0)]
    return DTensor.from_local(
        local.clone(), mesh, placements, run_check=False, shape=x.shape, stride=x.stride()
    )


def part(x, count, index):
    parts = x.chunk(count)
    return parts[index] if index < len(parts) else x[:0]


LAYOUTS = {
    "rows": lambda x: spread(x, mesh_of(), [Shard(0)]),
    "columns": lambda x: spread(x, mesh_of(), [Shard(x.ndim - 1)]),
    "replicated": lambda x: spread(x, mesh_of(), [Replicate()]),
}
if SIZE == 4:
    LAYOUTS |= {
        "hybrid": lambda x: spread(x, mesh_of(2, 2), [Replicate(), Shard(0)]),
        "rows and columns": lambda x: spread(x, mesh_of(2, 2), [Shard(0), Shard(x.ndim - 1)]),
        "rows twice": lambda x: spread(x, mesh_of(2, 2), [Shard(0), Shard(0)]),
        "strided": lambda x: strided(x, mesh_of(2, 2)),
        "columns of a part": lambda x: spread(x, mesh_of(2, 2), [Shard(x.ndim - 1), Replicate()]),
    }


def whole(x):
    """Returns what all ranks have of a tensor together, checked to lie on its mesh as it says."""
    return x.detach().full_tensor() if isinstance(x, DTensor) else x.detach()


def same_on_all_ranks(value):
    """Returns a number, checked to be a plain tensor's and the same on every rank."""
    assert type(value) is torch.Tensor
    assert value.shape == ()
    own = value.detach().reshape(1).view(torch.uint8)
    every = [torch.empty_like(own) for _ in range(SIZE)]
    dist.all_gather(every, own)
    assert all(torch.equal(each, own) for each in every), every
    return value.item()


@contextmanager
def counted_messages():
    """Yields a dict of what is sent meanwhile: functions of torch.distributed, and the calls."""
    counts, restored = {}, {}

    def counting(name, function):
        def counted(*args, **kwargs):
            counts[name] = counts.get(name, 0) + 1
            return function(*args, **kwargs)

        return counted

    for name in ("all_reduce", "batch_isend_irecv", "all_gather", "all_gather_object"):
        restored[name] = getattr(dist, name)
        setattr(dist, name, counting(name, restored[name]))
    try:
        yield counts
    finally:
        for name, function in restored.items():
            setattr(dist, name, function)
