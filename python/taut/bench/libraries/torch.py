"""torch: eager and compiled, by its autograd; and taut's node in that."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from taut.bench.contestant import FACTOR, THRESHOLD, Arrays, Contestant, Outcome
from taut.bench.kinds import Kind
from taut.bench.libraries import Options, own

Penalty = Callable[[Tensor], Tensor]


class _Compiler:
    """torch.compile, for each size anew; in a quick run once per kind, for any size."""

    quick = False
    _kind = ""

    def start(self, kind: Kind) -> None:
        if not self.quick or kind.name != self._kind:
            torch._dynamo.reset()  # else it would compile for any size soon, and then no more
        self._kind = kind.name

    def __call__(self, function: Callable[..., Tensor]) -> Any:
        return torch.compile(function, dynamic=True if self.quick else None)


_compiler = _Compiler()


def begin(options: Options) -> dict[str, str]:
    """Sets torch's threads."""
    _compiler.quick = options.quick
    torch.set_num_threads(options.threads)
    return {"torch": torch.__version__}


def _group_lasso(x: Tensor) -> Tensor:
    return FACTOR * math.sqrt(x.shape[1]) * torch.linalg.vector_norm(x, dim=1).sum()


def _orthogonal(x: Tensor) -> Tensor:
    units = torch.nn.functional.normalize(x, dim=1, eps=1e-7)
    cosines = (units @ units.T).abs()
    count = x.shape[0]
    return FACTOR * (cosines.sum() - cosines.trace()) / (count * (count - 1))


def _soft_orthogonal(x: Tensor) -> Tensor:
    identity = torch.eye(x.shape[0], dtype=x.dtype)
    return FACTOR * (x @ x.T - identity).square().sum()


_PENALTIES: Mapping[str, Penalty] = {
    "l1": lambda x: FACTOR * x.abs().sum(),
    "l2": lambda x: FACTOR * x.square().sum(),
    "group_lasso": _group_lasso,
    "orthogonal": _orthogonal,
    "soft_orthogonal": _soft_orthogonal,
}


def contestants(kind: Kind, weights: Arrays) -> Iterator[Contestant]:
    """Yields eager torch, compiled torch, and taut on torch's tensors."""
    _compiler.start(kind)
    if kind.operation == "prox":
        (x,) = map(torch.from_numpy, weights)
        for name, step in {
            "torch eager": _step,
            "torch.compile": _compiler(_step),
            "taut in torch": _own_step,
        }.items():
            yield _of_step(name, step, x)
        return
    total = total_of(_PENALTIES[kind.penalty], len(weights))
    yield by_autograd("torch eager", total, kind, weights)
    yield by_autograd("torch.compile", _compiler(total), kind, weights)
    own_total = total_of(own.PENALTIES[kind.penalty], len(weights))
    yield by_autograd("taut in torch", own_total, kind, weights, stores_pairs=False)


def by_autograd(
    name: str,
    total: Callable[[Sequence[Tensor]], Tensor],
    kind: Kind,
    weights: Arrays,
    stores_pairs: bool = True,
) -> Contestant:
    """Returns a contestant that computes a value, and gradients in new tensors: torch's quickest.

    Args:
        name: The contestant's.
        total: The penalty of all tensors.
        kind: Whether gradients are wanted.
        weights: As for `Library.contestants`.
        stores_pairs: As in `Contestant`.
    """
    tensors = [torch.from_numpy(x).detach() for x in weights]
    if kind.operation == "value":
        return Contestant(
            name, lambda: total(tensors), lambda: Outcome(float(total(tensors)), []), stores_pairs
        )
    for tensor in tensors:
        tensor.requires_grad_()

    def run() -> Tensor:
        for tensor in tensors:
            tensor.grad = None
        value = total(tensors)
        value.backward()  # type: ignore[no-untyped-call, unused-ignore]
        return value

    def outcome() -> Outcome:
        value = float(run())
        return Outcome(value, [tensor.grad.numpy() for tensor in tensors])

    return Contestant(name, run, outcome, stores_pairs)


def total_of(penalty: Callable[[Any], Any], count: int) -> Callable[[Sequence[Tensor]], Tensor]:
    """Returns what adds up the penalties of so many tensors."""
    if count == 1:
        return lambda tensors: penalty(tensors[0])
    return lambda tensors: sum(penalty(tensor) for tensor in tensors)


def _step(x: Tensor) -> Tensor:
    return torch.nn.functional.softshrink(x, THRESHOLD)


def _own_step(x: Tensor) -> Tensor:
    return own.PROX.proximal(x, THRESHOLD)


def _of_step(name: str, step: Callable[[Tensor], Tensor], x: Tensor) -> Contestant:
    return Contestant(name, lambda: step(x), lambda: Outcome(None, [step(x).numpy()]))
