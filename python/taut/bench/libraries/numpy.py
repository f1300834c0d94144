"""NumPy, as one writes it: gradients by hand, added to an array that is there."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taut.bench.contestant import FACTOR, THRESHOLD, Arrays, Contestant, Outcome
from taut.bench.kinds import Kind
from taut.bench.libraries import Options

Array = NDArray[Any]


def begin(options: Options) -> dict[str, str]:
    """Says the version: the threads of its BLAS are read from the environment."""
    return {"NumPy": np.__version__}


def _l1(x: Array, grad: Array | None) -> float:
    if grad is not None:
        grad += FACTOR * np.sign(x)
    return float(FACTOR * np.abs(x).sum())


def _l2(x: Array, grad: Array | None) -> float:
    if grad is not None:
        grad += 2 * FACTOR * x
    return float(FACTOR * np.square(x).sum())


def _group_lasso(x: Array, grad: Array | None) -> float:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    weight = FACTOR * math.sqrt(x.shape[1])
    if grad is not None:
        grad += weight / norms * x
    return float(weight * norms.sum())


def _orthogonal(x: Array, grad: Array | None) -> float:
    pairs = len(x) * (len(x) - 1) / 2
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    units = x / norms
    cosines = units @ units.T
    np.fill_diagonal(cosines, 0)
    if grad is not None:
        slope = np.sign(cosines) @ units
        slope -= units * (units * slope).sum(axis=1, keepdims=True)
        grad += FACTOR / pairs / norms * slope
    return float(FACTOR / pairs / 2 * np.abs(cosines).sum())


def _soft_orthogonal(x: Array, grad: Array | None) -> float:
    distance = x @ x.T
    distance[np.diag_indices(len(x))] -= 1
    if grad is not None:
        grad += 4 * FACTOR * (distance @ x)
    return float(FACTOR * np.square(distance).sum())


_PENALTIES: Mapping[str, Callable[[Array, Array | None], float]] = {
    "l1": _l1,
    "l2": _l2,
    "group_lasso": _group_lasso,
    "orthogonal": _orthogonal,
    "soft_orthogonal": _soft_orthogonal,
}


def _step(x: Array) -> Array:
    stepped: Array = np.sign(x) * np.maximum(np.abs(x) - np.float32(THRESHOLD), 0)
    return stepped


def contestants(kind: Kind, weights: Arrays) -> Iterator[Contestant]:
    """Yields the one way."""
    if kind.operation == "prox":
        (x,) = weights
        step = functools.partial(_step, x)
        yield Contestant("NumPy", step, lambda: Outcome(None, [step()]))
        return
    penalty = _PENALTIES[kind.penalty]

    def run(grads: list[Array] | list[None]) -> float:
        return sum(penalty(x, grad) for x, grad in zip(weights, grads, strict=True))

    if kind.operation == "value":
        nothing: list[None] = [None] * len(weights)
        yield Contestant("NumPy", lambda: run(nothing), lambda: Outcome(run(nothing), []))
        return
    grads = [np.zeros_like(x) for x in weights]

    def outcome() -> Outcome:
        fresh = [np.zeros_like(x) for x in weights]
        return Outcome(run(fresh), fresh)

    yield Contestant("NumPy", lambda: run(grads), outcome)
