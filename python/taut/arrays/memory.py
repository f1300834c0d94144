"""When two arrays are the very same elements: the one rule by which a parameter counts once."""

from collections.abc import Hashable, Sequence

from taut import _core


def memory_key(
    pointer: int, shape: Sequence[int], strides: Sequence[int], itemsize: int, dtype: str
) -> Hashable | None:
    """Returns what only arrays of the very same elements have in common; None for an empty one.

    Transposed and reversed, they are the same; a part of them is not.

    Args:
        pointer: Where the first element is.
        shape: The extents.
        strides: In bytes.
        itemsize: The size of an element, in bytes.
        dtype: The dtype's name.
    """
    key = _core.memory_key(pointer, itemsize, tuple(shape), tuple(strides))
    return None if key is None else (key, dtype)
