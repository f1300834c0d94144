"""When two arrays are the very same elements: the one rule by which a parameter counts once."""

import math
from collections.abc import Hashable, Sequence


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
    size = math.prod(shape)
    if size == 0:
        return None
    reaches = [(extent - 1) * stride for extent, stride in zip(shape, strides, strict=True)]
    low = pointer + sum(min(reach, 0) for reach in reaches)
    high = pointer + sum(max(reach, 0) for reach in reaches) + itemsize
    if high - low == size * itemsize:
        return low, high, dtype
    axes = zip(shape, strides, strict=True)
    return (
        low,
        high,
        dtype,
        *sorted((abs(stride), extent) for extent, stride in axes if extent != 1),
    )
