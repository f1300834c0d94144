"""What of a tensor's measures a person would mend, and in which order."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from taut.inspect.elements import Elements
from taut.inspect.vectors import NEAR_DUPLICATE, Vectors

MANY_NEAR_ZERO = 0.5  # of the elements
# In fewer dimensions vectors that have nothing to do with each other are often nearly parallel.
LEAST_DIMENSIONS = 16


class Urgency(IntEnum):
    """Kinds of findings, the most urgent first."""

    NOT_FINITE = 0
    ALL_ZERO = 1
    ZERO_VECTORS = 2
    NEAR_DUPLICATES = 3
    NEAR_ZERO = 4


@dataclass(frozen=True, order=True)
class Finding:
    """Something to mend.

    Attributes:
        urgency: Its kind.
        share: How much of the tensor it concerns, negative: so that they sort.
        sentence: What it is, in words that follow the tensor's name and a colon.
    """

    urgency: Urgency
    share: float
    sentence: str


def find(elements: Elements, vectors: tuple[Vectors, ...]) -> list[Finding]:
    """Returns what is to mend in a tensor of floating-point numbers, the most urgent first.

    Whole numbers are positions, counts, masks or a quantizer's: zeros are nothing odd there.
    """
    return sorted(_find(elements, vectors))


def _find(elements: Elements, vectors: tuple[Vectors, ...]) -> Iterator[Finding]:
    count = elements.count
    if bad := elements.nan + elements.inf:
        counts = ((elements.nan, "NaN"), (elements.inf, "infinite"))
        words = " and ".join(f"{number:,} {word}" for number, word in counts if number)
        sentence = f"{words} among {count:,} elements"
        yield Finding(Urgency.NOT_FINITE, -bad / count, sentence)
    if not vectors:
        return  # biases and scales: often zero from the start, with no harm
    if elements.zero == count:
        yield Finding(Urgency.ALL_ZERO, -1.0, "all elements are zero: it does nothing")
        return
    for side in vectors:
        yield from _find_between(side)
    share = elements.near_zero / count
    if share >= MANY_NEAR_ZERO:
        sentence = f"{share:.0%} of the elements are near zero: it could be pruned"
        yield Finding(Urgency.NEAR_ZERO, -share, sentence)


def _find_between(side: Vectors) -> Iterator[Finding]:
    if side.zero:
        sentence = (
            f"{side.zero:,} of {side.count:,} {side.mode} are all zeros: they could be cut out"
        )
        yield Finding(Urgency.ZERO_VECTORS, -side.zero / side.count, sentence)
    if side.near_duplicates and side.nearest and side.dimensions >= LEAST_DIMENSIONS:
        first, second = side.nearest
        sentence = (
            f"{side.mode} {first} and {second} are nearly the same (|cos| {side.largest:.4f}), and "
            f"{side.near_duplicates:,} of {side.compared:,} have such a twin "
            f"({NEAR_DUPLICATE} or more)"
        )
        yield Finding(Urgency.NEAR_DUPLICATES, -side.near_duplicates / side.compared, sentence)
