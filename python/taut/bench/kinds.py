"""Kinds of work, and the sizes at which they are timed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Shape = tuple[int, ...]
Operation = Literal["value", "gradient", "prox"]

WIDTH = 64  # of matrices whose number of vectors grows
_DECADES = tuple(10**exponent for exponent in range(2, 9))
_QUICK_DECADES = (10**2, 10**4, 10**6)
_COUNTS = (16, 64, 256, 1024, 4096, 16_384, 50_000)
_QUICK_COUNTS = (16, 128, 1024)


@dataclass(frozen=True)
class Kind:
    """What is computed, and for which arrays.

    Attributes:
        name: On the command line and in the document.
        title: What it is, in words.
        penalty: Which penalty, by the name under which libraries have it.
        operation: Its value; value and gradient; or the proximal step.
        axis: What the sizes count.
        sizes: From small to large.
        quick_sizes: Those of a quick run.
        shapes: The arrays of a size.
        is_pairwise: Whether all rows of the array are compared with each other.
    """

    name: str
    title: str
    penalty: str
    operation: Operation
    axis: str
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    shapes: Callable[[int], list[Shape]] = field(repr=False)
    is_pairwise: bool = False

    def elements(self, size: int) -> int:
        """Returns how many numbers there are at a size."""
        return elements(self.shapes(size))

    def work(self, size: int) -> float:
        """Returns how the time grows with the size, but for a constant."""
        count = self.elements(size)
        return float(count * self.shapes(size)[0][0] if self.is_pairwise else count)

    def bytes_of_a_peer(self, size: int) -> int:
        """Returns about what one contestant that stores what it computes takes, at the most.

        A library that differentiates keeps some five arrays of the weights' size; of pairs of
        vectors, five float32 matrices as large as their Gram matrix.
        """
        rows = self.shapes(size)[0][0] if self.is_pairwise else 0
        return 20 * (self.elements(size) + rows * rows)


def elements(shapes: list[Shape]) -> int:
    """Returns how many numbers arrays of these shapes have."""
    return sum(math.prod(shape) for shape in shapes)


def resnet50_shapes() -> dict[str, Shape]:
    """Returns the shapes of ResNet-50's 161 trainable tensors (He et al., 2016), by name."""
    shapes: dict[str, Shape] = {"stem/kernel": (64, 3, 7, 7)}
    shapes |= {"stem/norm/scale": (64,), "stem/norm/bias": (64,)}
    inputs = 64
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)]):
        for block in range(blocks):
            name = f"stage{stage}/block{block}"
            layers = [(width, inputs, 1), (width, width, 3), (4 * width, width, 1)]
            if block == 0:
                layers.append((4 * width, inputs, 1))
            for number, (filters, channels, size) in enumerate(layers):
                shapes[f"{name}/conv{number}/kernel"] = (filters, channels, size, size)
                shapes[f"{name}/norm{number}/scale"] = (filters,)
                shapes[f"{name}/norm{number}/bias"] = (filters,)
            inputs = 4 * width
    return shapes | {"head/kernel": (1000, 2048), "head/bias": (1000,)}


def resnet50() -> list[Shape]:
    """Returns these shapes alone."""
    return list(resnet50_shapes().values())


_MODELS: Mapping[int, list[Shape]] = {200_000: [(1000,)] * 200, elements(resnet50()): resnet50()}


def _line(size: int) -> list[Shape]:
    return [(size,)]


def _rows(size: int) -> list[Shape]:
    return [(size, WIDTH)]


def _square(size: int) -> list[Shape]:
    return [(size, size)]


def _group_rows(size: int) -> list[Shape]:
    return [(size // 10, 10)] if size < 1000 else [(size // 100, 100)]


_OF_LINES: tuple[tuple[str, str, str, Operation], ...] = (
    ("l1", "L1, value", "l1", "value"),
    ("l1-gradient", "L1, value and gradient", "l1", "gradient"),
    ("l2", "L2, value", "l2", "value"),
    ("l2-gradient", "L2, value and gradient", "l2", "gradient"),
    ("prox", "L1's proximal step", "l1", "prox"),
)
_KINDS = (
    *(
        Kind(name, title, penalty, operation, "elements", _DECADES, _QUICK_DECADES, _line)
        for name, title, penalty, operation in _OF_LINES
    ),
    Kind(
        "group-lasso",
        "Group lasso of rows, value and gradient",
        "group_lasso",
        "gradient",
        "elements",
        _DECADES,
        _QUICK_DECADES,
        _group_rows,
    ),
    Kind(
        "model",
        "L2 of a whole model, value and gradient",
        "l2",
        "gradient",
        "elements",
        tuple(_MODELS),
        tuple(_MODELS),
        lambda size: _MODELS[size],
    ),
    Kind(
        "orthogonal",
        f"Orthogonal penalty of vectors of {WIDTH}, value and gradient",
        "orthogonal",
        "gradient",
        "vectors",
        _COUNTS,
        _QUICK_COUNTS,
        _rows,
        is_pairwise=True,
    ),
    Kind(
        "orthogonal-square",
        "Orthogonal penalty of square matrices, value and gradient",
        "orthogonal",
        "gradient",
        "vectors",
        (16, 64, 128, 256, 512, 1024, 2048, 4096),
        (512,),
        _square,
        is_pairwise=True,
    ),
    Kind(
        "soft-orthogonal",
        f"Soft orthogonality of vectors of {WIDTH}, value and gradient",
        "soft_orthogonal",
        "gradient",
        "vectors",
        _COUNTS,
        _QUICK_COUNTS,
        _rows,
        is_pairwise=True,
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}

MEMORY = "memory"
"""The name, beside those of `KINDS`, of what is measured in bytes."""
MEMORY_OF = KINDS["orthogonal"]
MEMORY_SIZES = (1024, 2048, 4096, 8192, 16_384, 50_000)
QUICK_MEMORY_SIZES = (4096,)
