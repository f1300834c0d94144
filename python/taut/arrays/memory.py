"""Where arrays' elements are: by that a parameter counts once, and nothing is written twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from taut import _core


class Memory(NamedTuple):
    """Where the elements of an array are.

    Attributes:
        pointer: Where the first element is.
        itemsize: The size of an element, in bytes.
        shape: The extents.
        strides: In bytes.
    """

    pointer: int
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def memory_key(memory: Memory, dtype: str) -> Hashable | None:
    """Returns what only arrays of the very same elements have in common; None for an empty one.

    Transposed and reversed, they are the same; a part of them is not.

    Args:
        memory: Where they are.
        dtype: The dtype's name.
    """
    key = _core.memory_key(*memory)
    return None if key is None else (key, dtype)
