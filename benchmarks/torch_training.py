"""Penalties inside torch's training steps, beside torch's own operations.

    python benchmarks/torch_training.py [--rounds N] [l2] [orthogonal] [together] [calls]

Each figure is verified before it is timed. Ratios are medians over interleaved rounds; every
baseline stands there twice, so that its ratio to itself shows the noise.
"""

from collections.abc import Callable

import taut
import timing
import torch
from taut.bench.kinds import resnet50
from taut.regularizers import L2, OrthogonalRegularizer
from torch import Tensor, nn

THREADS = 2
FACTOR = 1e-4


def l2(rounds: int) -> None:
    """A model's 25 million parameters: in the graph, and in place after backward()."""
    parameters = [nn.Parameter(torch.randn(s)) for s in resnet50()]
    named = {str(number): p for number, p in enumerate(parameters)}
    bound = taut.Penalties([("*", L2(FACTOR))]).bind(named)

    def own() -> Tensor:
        return FACTOR * sum(p.square().sum() for p in parameters)

    def step(penalty: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            for p in parameters:
                p.grad = None
            penalty().backward()

        return run

    def grads() -> list[Tensor]:
        return [p.grad for p in parameters if p.grad is not None]

    compiled = torch.compile(own)
    for run in (step(bound), step(own), step(compiled)):
        run()
        for p, grad in zip(parameters, grads(), strict=True):
            torch.testing.assert_close(grad, 2 * FACTOR * p.detach())
    timing.compare(
        "L2 of 25,557,032 parameters, forward and backward",
        rounds,
        {
            "torch eager": step(own),
            "torch.compile": step(compiled),
            "taut, in the graph": step(bound),
        },
    )
    data = [p.detach() for p in parameters]
    totals = [torch.zeros_like(p) for p in data]
    for p, total in zip(parameters, totals, strict=True):
        p.grad = total
    sgd = torch.optim.SGD(parameters, lr=0.0, weight_decay=2 * FACTOR, foreach=True)
    timing.compare(
        "L2 of the same, added to gradients that are there",
        rounds,
        {
            "torch._foreach_add_": lambda: torch._foreach_add_(totals, data, alpha=1e-8),
            "taut, in place": lambda: bound.accumulate_grad(scale=1e-4),
            "torch SGD's step, with weight decay": sgd.step,
        },
    )


class Block(nn.Module):
    """Layers around a square weight, whose rows are pushed to be orthogonal."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.square = nn.Linear(size, size)
        self.output = nn.Linear(size, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.relu(self.square(x)))


def torch_orthogonal(x: Tensor) -> Tensor:
    units = nn.functional.normalize(x, dim=1, eps=1e-7)
    cosines = (units @ units.T).abs()
    count = x.shape[0]
    return 0.01 * (cosines.sum() - cosines.trace()) / (count * (count - 1))


def orthogonal(rounds: int) -> None:
    """A training step with the orthogonal penalty of a 2048 x 2048 weight."""
    size = 2048
    torch.manual_seed(0)
    model = Block(size)
    inputs, labels = torch.randn(128, size), torch.randint(0, 10, (128,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    regularizer = OrthogonalRegularizer(0.01)

    def step(penalty: Callable[[Tensor], Tensor] | None) -> Callable[[], None]:
        def loss() -> Tensor:
            own = nn.functional.cross_entropy(model(inputs), labels)
            return own if penalty is None else own + penalty(model.square.weight)

        def run() -> None:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return run

    weight = model.square.weight
    (expected,) = torch.autograd.grad(torch_orthogonal(weight), weight)
    (grad,) = torch.autograd.grad(regularizer(weight), weight)
    assert ((grad - expected).norm() / expected.norm()).item() < 0.02
    steps = {
        "torch eager": step(torch_orthogonal),
        "without a penalty": step(None),
        "torch.compile of the penalty": step(torch.compile(torch_orthogonal)),
        "taut": step(regularizer),
        "taut, compiled": step(torch.compile(regularizer, fullgraph=True)),
    }
    seconds = timing.interleave(steps, rounds)
    timing.print_ratios("a training step, 2048 x 2048", seconds, "torch eager")
    plain = seconds["without a penalty"]
    penalties = {
        name: [own - base for own, base in zip(times, plain, strict=True)]
        for name, times in seconds.items()
        if name != "without a penalty"
    }
    timing.print_ratios("the penalty's share of it", penalties, "torch eager")


def together(rounds: int) -> None:
    """A loop that alternates torch's products and taut's penalties, beside both alone."""
    a, weight = torch.randn(512, 512), torch.randn(1024, 1024)
    out = torch.empty(512, 512)
    regularizer, l2_regularizer = OrthogonalRegularizer(0.01), L2(0.01)

    def product() -> None:
        for _ in range(20):
            torch.mm(a, a, out=out)

    def penalty() -> None:
        for _ in range(20):
            l2_regularizer(weight)

    def heavy() -> None:
        for _ in range(4):
            regularizer(weight)

    def alternating(mine: Callable[[], object], times: int, products: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(times):
                for _ in range(products):
                    torch.mm(a, a, out=out)
                mine()

        return run

    contestants = {
        "torch.mm": product,
        "L2": penalty,
        "torch.mm, L2, in turns": alternating(lambda: l2_regularizer(weight), 20, 1),
        "orthogonal": heavy,
        "torch.mm, orthogonal, in turns": alternating(lambda: regularizer(weight), 4, 5),
    }
    seconds = timing.interleave(contestants, rounds)
    for name in ("L2", "orthogonal"):
        both = [m + own for m, own in zip(seconds["torch.mm"], seconds[name], strict=True)]
        turns = seconds[f"torch.mm, {name}, in turns"]
        title = f"torch.mm and {name} in turns, over the sum of both alone"
        timing.print_ratios(title, {"sum": both, "in turns": turns}, "sum")


def calls(rounds: int) -> None:
    """What a call costs beside the work: a 2 x 2 matrix, forward and backward."""
    x = torch.randn(2, 2, requires_grad=True)
    regularizer, l2_regularizer = OrthogonalRegularizer(0.01), L2(0.01)
    regularizer(x)  # the first tensor defines the operator
    gram = torch.ops.taut.gram

    @torch.library.custom_op("taut_benchmark::gram", mutates_args=())
    def custom(x: Tensor, factor: float, mode: str) -> tuple[Tensor, Tensor]:
        value, slope = gram(x.detach(), factor, mode, False, True)
        return value, slope

    custom.register_autograd(
        lambda ctx, scale, _: (ctx.saved_tensors[0] * scale, None, None),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(output[1]),
    )

    def differentiated(penalty: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            x.grad = None
            penalty(x).backward()

        return run

    timing.compare(
        "2 x 2 float32, forward and backward",
        rounds * 5,
        {
            "torch x.square().sum()": differentiated(lambda x: x.square().sum()),
            "L2": differentiated(l2_regularizer),
            "orthogonal": differentiated(regularizer),
            "torch's operations": differentiated(torch_orthogonal),
            "torch.library.Library": differentiated(
                lambda x: gram(x, 0.01, "rows", False, True)[0]
            ),
            "torch.library.custom_op": differentiated(lambda x: custom(x, 0.01, "rows")[0]),
        },
        50,
    )


if __name__ == "__main__":
    timing.run_parts(
        __doc__, THREADS, {"l2": l2, "orthogonal": orthogonal, "together": together, "calls": calls}
    )
