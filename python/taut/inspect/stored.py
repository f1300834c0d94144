"""A tensor in a file, and why one may not be read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

# Deflate makes zeros a thousand times smaller. What is much larger than its part of the file, and
# large, is there to fill the memory, or to keep the processor busy.
_LARGEST_RATIO = 200
_ALWAYS_ALLOWED = 1 << 28  # bytes

# Characters, ten times what people write. A key that is in a file once may be in names many times.
_LONGEST_NAME = 4096


class UnreadableError(Exception):
    """Why a file, or a tensor of it, is not read: a few words that continue "FILE: "."""


@dataclass(frozen=True)
class Stored:
    """A tensor as the file describes it; its elements are still there.

    Attributes:
        name: As the file has it, unique in it.
        dtype: The file's word for it.
        shape: Its dimensions.
        size: Of its elements, in bytes.
        load: Reads the elements. The array may be mapped from the file, and is not to be written.
            Raises `UnreadableError`, or whatever the library raises that reads the format.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    load: Callable[[], Array]

    def __post_init__(self) -> None:
        refuse_long(self.name)


def refuse_bombs(name: str, stored: int, expanded: int) -> None:
    """Refuses what would become far larger in memory than it is in the file.

    Args:
        name: Of the tensor, or of the archive's member.
        stored: Its bytes in the file.
        expanded: Its bytes when read.

    Raises:
        UnreadableError: If they are 200 times as many, and more than 256 MiB.
    """
    if expanded > max(_ALWAYS_ALLOWED, _LARGEST_RATIO * stored):
        raise UnreadableError(
            f"{name!r} claims {expanded:,} bytes and takes {stored:,} in the file: not read"
        )


def refuse_long(name: str) -> None:
    """Raises UnreadableError if a tensor's name, or the beginning of one, is of no use."""
    if len(name) > _LONGEST_NAME:
        raise UnreadableError(f"a name of more than {_LONGEST_NAME:,} characters: {name[:40]!r}...")


def refuse_duplicates(names: list[str]) -> None:
    """Raises UnreadableError if two have one name: programs differ in which of them they take."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UnreadableError(f"two tensors are named {name!r}")
        seen.add(name)


def check_numbers(dtype: np.dtype[Any]) -> None:
    """Raises UnreadableError unless elements of the dtype are real numbers, bools included.

    Readers ask it before they load: elements of other kinds may be as long as they please, and one
    part of a file may be a million of them.
    """
    is_real = dtype.kind in "biuf" or np.can_cast(dtype, np.float64)
    if not is_real:
        raise UnreadableError(f"no real numbers, but {dtype}")


def byte_count(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Returns the bytes of that many elements, in whole numbers that cannot overflow."""
    count = dtype.itemsize
    for length in shape:
        count *= length
    return count
