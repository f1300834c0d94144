"""Data-parallel training with penalties: two processes get the gradients of one.

    python examples/torch_ddp.py

Each of two processes has half of the batch; DistributedDataParallel averages their gradients. A
penalty does not depend on the batch, so each process adds the whole of it:

- in the graph, `loss + penalties()`: DDP averages equal gradients, which changes nothing;
- in place, `penalties.accumulate_grad()` after `backward()`, when the gradients have been averaged.

Either way the scale is 1 as long as the loss is a mean. Where the loss is a sum over the samples,
DDP's average is 1 / processes of the whole sum, and the penalty's scale is 1 / processes too. With
torch.amp's GradScaler, gradients are multiplied until `unscale_`: add the penalty after it, or with
`scale=scaler.get_scale()` before.
"""

import gc
import os
import socket

import taut
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from taut.regularizers import L2, OrthogonalRegularizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

PROCESSES = 2
RULES = [("*bias", None), ("*0.weight", OrthogonalRegularizer(0.1)), ("*", L2(1e-2))]


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3))


def make_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 12, generator=generator), torch.randn(8, 3, generator=generator)


def gradients(model: nn.Module, inputs: Tensor, targets: Tensor, in_place: bool) -> list[Tensor]:
    """Returns the gradients of one step with the penalties of `RULES`."""
    penalties = taut.Penalties(RULES).bind(model.named_parameters())
    model.zero_grad()
    loss = nn.functional.mse_loss(model(inputs), targets)
    if in_place:
        loss.backward()
        penalties.accumulate_grad()
    else:
        (loss + penalties()).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def compare(rank: int) -> None:
    """Compares a process's gradients with those of the whole batch."""
    inputs, targets = make_batch()
    own = slice(rank * 4, rank * 4 + 4)
    for in_place in (False, True):
        whole = gradients(make_model(), inputs, targets, in_place)
        model = DistributedDataParallel(make_model())
        torch.testing.assert_close(gradients(model, inputs[own], targets[own], in_place), whole)
        if rank == 0:
            way = "in place" if in_place else "in the graph"
            print(f"{way}: the gradients of {PROCESSES} processes are those of one")


def work(rank: int, port: int) -> None:
    """Is what each process does."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    compare(rank)
    gc.collect()  # models of DDP are cycles that hold the group, whose threads must end with it
    dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    mp.spawn(work, args=(free_port(),), nprocs=PROCESSES)
