"""NumPy's `.npy`: one array, mapped into memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from taut.inspect.stored import Stored

NAME = "npy"
SUFFIXES: tuple[str, ...] = (".npy",)
MODULES: tuple[str, ...] = ()
EXTRA = ""


def recognizes(path: Path, head: bytes) -> bool:
    """Returns whether the bytes are those that every such file begins with."""
    return head.startswith(b"\x93NUMPY")


@contextmanager
def open(path: Path) -> Iterator[Sequence[Stored]]:
    """Maps the array; one of Python objects is a ValueError, since it would be a pickle."""
    # np.load would look for other formats, pickles among them.
    array = np.lib.format.open_memmap(path, mode="r")
    yield [Stored(path.stem, str(array.dtype), array.shape, array.nbytes, lambda: array)]
