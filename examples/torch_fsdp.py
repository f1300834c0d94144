"""Trains a network that is sharded over processes, with penalties that count every weight once.

    torchrun --standalone --nproc-per-node 2 examples/torch_fsdp.py [--epochs N]

torch's `fully_shard` (FSDP2) leaves each process a part of every weight, as a DTensor, and gives it
its half of each batch. The penalties are bound as those of any model. Prints the accuracy and the
penalty beside those of one process that has all of it, and what the penalties send per step, as
torch's profiler sees it. Needs torch, scikit-learn and rich.

The hidden layer's rows are pushed to be orthogonal, which needs the whole matrix: its owner, one of
the processes, is sent the other's rows and returns their gradient. The other weights are pushed to
be small, of which only sums are sent: one number, and none where the value is not asked for.
"""

import argparse
import gc
from collections import Counter
from collections.abc import Callable

import taut
import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from taut.regularizers import L2, OrthogonalRegularizer
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.profiler import profile

HIDDEN = 64
BATCH = 128
ORTHOGONAL = ("hidden.weight", OrthogonalRegularizer(0.5))
DECAY = ("*.weight", L2(1e-3))
RULES = [("*.bias", None), ORTHOGONAL, DECAY]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(64, HIDDEN)
        self.hidden = nn.Linear(HIDDEN, HIDDEN)
        self.output = nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.relu(self.hidden(torch.relu(self.input(x)))))


def make_model() -> Network:
    torch.manual_seed(0)
    return Network()


def shard(model: Network) -> Network:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (model.input, model.hidden, model.output):
        fully_shard(part, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def load() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, labels, random_state=0, stratify=labels)
    train_images, test_images = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    train_labels, test_labels = (torch.tensor(part) for part in parts[2:])
    return train_images, test_images, train_labels, test_labels


def train(model: Network, epochs: int, own: slice) -> tuple[float, float]:
    """Returns the accuracy and the penalty after training on `own` part of each batch."""
    train_images, test_images, train_labels, test_labels = load()
    penalties = taut.Penalties(RULES).bind(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    torch.manual_seed(1)
    for _ in range(epochs):
        for chosen in torch.randperm(len(train_images)).split(BATCH):
            if len(chosen) < BATCH:
                continue
            images, labels = train_images[chosen][own], train_labels[chosen][own]
            nn.functional.cross_entropy(model(images), labels).backward()
            penalties.accumulate_grad(value=False)  # once per step: nothing of it is averaged
            optimizer.step()
            optimizer.zero_grad()
    with torch.no_grad():
        accuracy = (model(test_images).argmax(1) == test_labels).float().mean().item()
        return accuracy, penalties().item()


def messages(function: Callable[[], object]) -> str:
    """Returns what a function sends and receives in this process."""
    with profile(record_shapes=True) as profiled:
        function()
    counted = Counter(
        (event.name, sum(extents[0] for extents in event.input_shapes))
        for event in profiled.events()
        if event.name.startswith("gloo:")
    )
    lines = []
    for (name, count), times in counted.items():
        unit = "number" if name == "gloo:all_reduce" else "bytes"  # weights travel as bytes
        lines.append(f"{times} {name} of {count} {unit}")
    return ", ".join(lines) or "nothing else"


def messages_of_penalties(model: Network) -> dict[str, str]:
    decay = taut.Penalties([("*.bias", None), DECAY]).bind(model)
    orthogonal = taut.Penalties([ORTHOGONAL]).bind(model)
    calls = {
        "penalties.accumulate_grad()": decay.accumulate_grad,
        "penalties.accumulate_grad(value=False)": lambda: decay.accumulate_grad(value=False),
        "the same of the orthogonal penalty": lambda: orthogonal.accumulate_grad(value=False),
    }
    return {name: messages(call) for name, call in calls.items()}


def compare(epochs: int) -> None:
    """Trains as one process and as all, and prints both from the first."""
    rank, size = dist.get_rank(), dist.get_world_size()
    one = train(make_model(), epochs, slice(None))
    model = shard(make_model())
    samples = BATCH // size
    all_of_them = train(model, epochs, slice(rank * samples, (rank + 1) * samples))
    sent = messages_of_penalties(model)
    if rank == 0:
        table = Table("", "accuracy", "penalty")
        table.add_row("1 process", f"{one[0]:.3f}", f"{one[1]:.5f}")
        table.add_row(f"{size} processes", f"{all_of_them[0]:.3f}", f"{all_of_them[1]:.5f}")
        Console(width=100).print(table)
        for name, what in sent.items():
            print(f"{name}: {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    epochs = parser.parse_args().epochs
    dist.init_process_group("gloo")
    compare(epochs)
    gc.collect()  # sharded models are cycles that hold the group, whose threads must end with it
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
