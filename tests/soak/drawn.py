"""What random calls are drawn from: factors, options, regularizers, shapes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)

Rng = np.random.Generator
# What a call is, in words, and the call.
Made = tuple[str, Callable[[], Any]]
# Makes a call of arrays that have so many elements at most.
Make = Callable[[Rng, int], Made]


def draw_factor(rng: Rng) -> float:
    return 0.0 if rng.random() < 0.1 else float(10.0 ** rng.uniform(-4, 1))


def draw_mode(rng: Rng) -> Any:
    return str(rng.choice(["rows", "columns"]))


def draw_flag(rng: Rng) -> bool:
    return bool(rng.random() < 0.5)


REGULARIZERS: dict[type[Any], Callable[[Rng], Any]] = {
    L1: lambda rng: L1(draw_factor(rng)),
    L2: lambda rng: L2(draw_factor(rng)),
    L1L2: lambda rng: L1L2(draw_factor(rng), draw_factor(rng)),
    OrthogonalRegularizer: lambda rng: OrthogonalRegularizer(
        draw_factor(rng), draw_mode(rng), draw_flag(rng)
    ),
    SoftOrthogonalRegularizer: lambda rng: SoftOrthogonalRegularizer(
        draw_factor(rng), draw_mode(rng), draw_flag(rng), draw_flag(rng)
    ),
    GroupLasso: lambda rng: GroupLasso(draw_factor(rng), draw_mode(rng)),
}
ELEMENTWISE = (L1, L2, L1L2)
WITH_PROX = (*ELEMENTWISE, GroupLasso)
MOST_VECTORS = 320  # beyond them a matrix takes long, and nothing new happens until 2,000


def draw_shape(rng: Rng, regularizer: Any, largest: int) -> tuple[int, ...]:
    """Returns a shape that the regularizer takes, of up to `largest` elements; small ones often."""
    size = math.exp(rng.uniform(0, math.log(largest)))
    if isinstance(regularizer, WITH_PROX):
        rank = int(rng.integers(1, 5))
        first = size ** rng.uniform(0, 1)
    else:
        rank = int(rng.integers(2, 5)) if regularizer.flatten else 2
        first = rng.uniform(1, min(size, MOST_VECTORS))
    middle = [int(rng.integers(1, 4)) for _ in range(rank - 2)]
    last = size / math.prod([first, *middle])
    shape = (round(first), *middle, max(1, round(last))) if rank > 1 else (round(size),)
    turned = shape[::-1] if getattr(regularizer, "mode", "rows") == "columns" else shape
    return (0, *turned[1:]) if rng.random() < 0.01 else turned
