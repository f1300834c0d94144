"""Random calls of everything that taut offers for NumPy arrays.

A call is made of a seed and its number alone, and gives the same bits each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import many_arrays
import numpy as np
import one_array
import taut
from arrays_in_memory import digest, place
from drawn import Made, Make, Rng, draw_shape
from taut import regularizers
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)


@dataclass(frozen=True)
class Call:
    """A call whose arguments stay as they are, so that any thread may make it at any time."""

    index: int
    text: str
    function: Callable[[], Any]

    def digest(self) -> str:
        """Makes the call, and returns what only the same results have in common."""
        return digest(self.function())


def _trim_memory(rng: Rng, largest: int) -> Made:
    return "taut.trim_memory()", taut.trim_memory


def _get(rng: Rng, largest: int) -> Made:
    name = str(rng.choice(["l1", "l2", "l1_l2", "orthogonal_regularizer", "group_lasso"]))
    placed = place(rng, draw_shape(rng, OrthogonalRegularizer(), largest))
    return f"get({name!r})({placed.text})", lambda: regularizers.get(name)(placed.x)


def _refused(rng: Rng, largest: int) -> Made:
    """Each is an error of its own, and writes nothing."""
    placed = place(rng, draw_shape(rng, OrthogonalRegularizer(), largest))
    integers = np.zeros(placed.x.shape, np.int32)
    wrong_calls: list[Callable[[], Any]] = [
        lambda: L2(0.1).accumulate_grad(placed.x, placed.x),
        lambda: L1(0.1).prox(placed.copy()[1], -1.0),
        lambda: L1(-1.0)(placed.x),
        lambda: L1L2(0.1, float("nan")).value_and_grad(placed.x),
        lambda: OrthogonalRegularizer()(placed.x.ravel()),
        lambda: GroupLasso(0.1)(integers),
        lambda: taut.Penalties([("x", L1()), ("y", L2())])({"x": placed.x}),
        lambda: taut.Penalties([("x", OrthogonalRegularizer())])({"x": placed.x.ravel()}),
        lambda: regularizers.get("no such regularizer"),
    ]
    number = int(rng.integers(len(wrong_calls)))

    def call() -> Any:
        try:
            return wrong_calls[number]()
        except (TypeError, ValueError) as error:
            return type(error).__name__, str(error)

    return f"wrong call {number} of {placed.text}", call


ENTRIES: dict[str, Make] = {
    **one_array.entries(),
    **many_arrays.entries(),
    "trim_memory": _trim_memory,
    "get": _get,
    "a mistake": _refused,
}


def make_call(seed: int, index: int, largest: int) -> Call:
    """Returns the index-th call of a seed, whose arrays have `largest` elements at most.

    As many calls as there are entries, one after the other, have one of each.
    """
    name = list(ENTRIES)[index % len(ENTRIES)]
    text, function = ENTRIES[name](np.random.default_rng([seed, index]), largest)
    return Call(index, text, function)


def make_long_call(seed: int, index: int, vectors: int) -> Call:
    """Returns a call that is long enough to be interrupted in its midst; its index is negative."""
    rng = np.random.default_rng([seed, -index, vectors])
    cls = (OrthogonalRegularizer, SoftOrthogonalRegularizer)[index % 2]
    regularizer, placed = cls(0.5), place(rng, (vectors, vectors // 4), np.dtype("float32"))
    text = f"{regularizer!r}.value_and_grad({placed.text})"
    return Call(index, text, lambda: regularizer.value_and_grad(placed.x))
