"""What `accumulate_grad` of sharded parameters takes over the same of plain ones.

    python -m torch.distributed.run --standalone --nproc-per-node=2 benchmarks/torch_sharded.py

Each process holds 8 shards of a million numbers, of L2, on one thread. Ratios are medians over
interleaved rounds, which all processes begin together; the plain ones stand there twice.
"""

import time

import taut
import timing
import torch
import torch.distributed as dist
from taut.regularizers import L2
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

ROUNDS = 60
SHARDS = {f"w{i}": (1024, 1024) for i in range(8)}


def seconds(call):
    dist.barrier()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    dist.init_process_group("gloo")
    taut.set_num_threads(1)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    weights = {name: torch.randn(shape) for name, shape in SHARDS.items()}
    grads = {name: torch.zeros_like(x) for name, x in weights.items()}
    sharded, sharded_grads = (
        {name: DTensor.from_local(x, mesh, [Shard(0)]) for name, x in tensors.items()}
        for tensors in (weights, grads)
    )
    penalties = taut.Penalties([("*", L2(1e-9))])
    plain = penalties.bind(weights, grads).accumulate_grad
    spread = penalties.bind(sharded, sharded_grads).accumulate_grad
    number = torch.zeros(1, dtype=torch.float64)
    contestants = {
        "plain": plain,
        "plain again": plain,
        "sharded": spread,
        "sharded, value=False": lambda: spread(value=False),
        "an all-reduce of one number": lambda: dist.all_reduce(number),
    }
    times = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            times[name].append(seconds(call))
    if dist.get_rank() == 0:
        timing.print_ratios("accumulate_grad of 8 shards of 1024 x 1024", times, "plain")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
