"""The penalties in NumPy alone, as one writes them by hand: what taut's time stands beside."""

from collections.abc import Callable
from functools import singledispatch
from typing import TypeAlias

import numpy as np

from taut.demo.arrays import Floats
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
)

# Adds the penalty's gradient to the second array, in place, and returns the penalty.
AccumulateGrad: TypeAlias = Callable[[Floats, Floats], float]
# Takes the proximal step of a length, in place.
Prox: TypeAlias = Callable[[Floats, float], None]

_LEAST_NORM = 1e-7


@singledispatch
def accumulate_grad(regularizer: Regularizer) -> AccumulateGrad:
    """Returns the function that does what the regularizer's `accumulate_grad` does."""
    raise TypeError(f"not written here: {regularizer!r}")


@accumulate_grad.register
def _(regularizer: L1) -> AccumulateGrad:
    l1 = float(regularizer.l1)

    def function(x: Floats, grad: Floats) -> float:
        grad += l1 * np.sign(x)
        return float(l1 * np.abs(x).sum())

    return function


@accumulate_grad.register
def _(regularizer: L2) -> AccumulateGrad:
    l2 = float(regularizer.l2)

    def function(x: Floats, grad: Floats) -> float:
        grad += 2 * l2 * x
        return float(l2 * np.square(x).sum())

    return function


@accumulate_grad.register
def _(regularizer: L1L2) -> AccumulateGrad:
    l1, l2 = float(regularizer.l1), float(regularizer.l2)

    def function(x: Floats, grad: Floats) -> float:
        grad += l1 * np.sign(x) + 2 * l2 * x
        return float(l1 * np.abs(x).sum() + l2 * np.square(x).sum())

    return function


@accumulate_grad.register
def _(regularizer: OrthogonalRegularizer) -> AccumulateGrad:
    factor, mode = float(regularizer.factor), regularizer.mode

    def function(x: Floats, grad: Floats) -> float:
        vectors = x if mode == "rows" else x.T
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST_NORM)
        units = vectors / norms
        cosines = units @ units.T
        np.fill_diagonal(cosines, 0.0)
        per_pair = 2 * factor / (len(units) * (len(units) - 1))
        slopes = per_pair * (np.sign(cosines) @ units)
        # Along a vector nothing changes: only its direction counts.
        slopes -= units * (slopes * units).sum(axis=1, keepdims=True)
        slopes /= norms
        grad += slopes if mode == "rows" else slopes.T
        return float(per_pair / 2 * np.abs(cosines).sum())

    return function


@accumulate_grad.register
def _(regularizer: ActivityRegularizer) -> AccumulateGrad:
    inner = accumulate_grad(regularizer.regularizer)

    def function(x: Floats, grad: Floats) -> float:
        sums = np.zeros_like(grad)
        value = inner(x, sums)
        grad += sums / len(x)
        return value / len(x)

    return function


@singledispatch
def prox(regularizer: Regularizer) -> Prox:
    """Returns the function that does what the regularizer's `prox` does."""
    raise TypeError(f"not written here: {regularizer!r}")


@prox.register
def _(regularizer: L1) -> Prox:
    l1 = float(regularizer.l1)

    def function(x: Floats, step: float) -> None:
        x[...] = np.sign(x) * np.maximum(np.abs(x) - step * l1, 0.0)

    return function


@prox.register
def _(regularizer: GroupLasso) -> Prox:
    axis = 0 if regularizer.mode == "columns" else 1
    factor = float(regularizer.factor)

    def function(x: Floats, step: float) -> None:
        threshold = step * factor * np.sqrt(x.shape[axis])
        norms = np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), _LEAST_NORM)
        x *= np.maximum(1.0 - threshold / norms, 0.0)

    return function
