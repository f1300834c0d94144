"""Contestants: a call to be timed, and what it computes, which must be right."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taut.bench.kinds import Kind

Arrays = Sequence[NDArray[Any]]

FACTOR = 0.01
"""Of each penalty, whoever computes it."""
THRESHOLD = 0.5
"""Of the proximal step."""


@dataclass(frozen=True)
class Outcome:
    """What an operation comes to: a value, arrays (gradients, or stepped weights), or both."""

    value: float | None
    arrays: Arrays


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: The library and the way it is used.
        call: What is timed: everything that a caller waits for.
        outcome: Computes once, as `call` does, and returns what came of it.
        stores_pairs: Whether it stores a number or more per pair of vectors, where there are pairs.
    """

    name: str
    call: Callable[[], object]
    outcome: Callable[[], Outcome]
    stores_pairs: bool = True


class WrongResultError(Exception):
    """A contestant computes something else, so that its time says nothing."""


def verify(kind: Kind, size: int, name: str, outcome: Outcome, expected: Outcome) -> float:
    """Compares all that a contestant computed with what float64 gives.

    Args:
        kind: Decides the tolerance, with the size: a float32 sum of n numbers is off by some
            sqrt(n) roundings; the sign of a pair of vectors that are orthogonal but for a rounding
            may differ, and with it a small share of the gradient.
        size: As above.
        name: The contestant's, for the message.
        outcome: The contestant's.
        expected: The right one, in float64.

    Returns:
        The largest relative error, of the value or of all arrays together.

    Raises:
        WrongResultError: If it is beyond the tolerance, or a value or an array is missing.
    """
    epsilon = float(np.finfo(np.float32).eps)
    rounding = 4 * math.sqrt(kind.elements(size)) * epsilon
    errors = []
    if expected.value is not None:
        if outcome.value is None:
            raise WrongResultError(f"{name} gives no value")
        error = abs(outcome.value - expected.value) / abs(expected.value)
        errors.append(_check(f"{name}'s value", error, max(rounding, 2e-5)))
    if len(outcome.arrays) != len(expected.arrays):
        raise WrongResultError(f"{name} gives {len(outcome.arrays)} arrays")
    if expected.arrays:
        what = f"what {name} writes"
        allowed = 0.02 if kind.penalty == "orthogonal" else max(rounding, 2e-5)
        errors.append(_check(what, _distance(name, outcome, expected), allowed))
    return max(errors)


def _distance(name: str, outcome: Outcome, expected: Outcome) -> float:
    """Returns the norm of the difference over that of what is expected, of all arrays together."""
    difference = total = 0.0
    for own, right in zip(outcome.arrays, expected.arrays, strict=True):
        if own.shape != right.shape:
            raise WrongResultError(f"{name} gives the shape {own.shape}, not {right.shape}")
        apart = np.subtract(own, right, dtype=np.float64).ravel()
        difference += float(np.dot(apart, apart))
        total += float(np.vdot(right, right))
    return math.sqrt(difference / total)


def _check(what: str, error: float, allowed: float) -> float:
    if not error <= allowed:  # NaN is wrong, too
        raise WrongResultError(f"{what} is off by {error:.2g}, more than {allowed:.2g}")
    return error
