"""HDF5: `.weights.h5` of Keras's, its older `.h5`, and whatever else has datasets in groups."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taut.inspect.stored import (
    Array,
    Stored,
    UnreadableError,
    byte_count,
    check_numbers,
    refuse_bombs,
)

NAME = "HDF5"
SUFFIXES: tuple[str, ...] = (".weights.h5", ".h5", ".hdf5")
MODULES: tuple[str, ...] = ("h5py",)
EXTRA = "inspect"


def recognizes(path: Path, head: bytes) -> bool:
    """Returns whether the bytes are HDF5's signature."""
    return head.startswith(b"\x89HDF\r\n\x1a\n")


@contextmanager
def open(path: Path) -> Iterator[Sequence[Stored]]:
    """Opens the file for reading."""
    with path.open("rb") as file, datasets(file) as found:
        yield found


@contextmanager
def datasets(file: Any) -> Iterator[Sequence[Stored]]:
    """Gives all datasets of an HDF5 file that is open for reading.

    Links to other files, and datasets whose bytes are in other files, are not followed: a
    checkpoint from elsewhere has no business with the files here.
    """
    import h5py

    with h5py.File(file, "r") as root:
        found: list[Stored] = []

        # It visits what is linked within the file, and each object once.
        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found.append(_describe(name, item))

        root.visititems(visit)
        yield found


def _describe(name: str, dataset: Any) -> Stored:
    if dataset.external or dataset.is_virtual:
        return Stored(name, str(dataset.dtype), dataset.shape or (), 0, _refuse_elsewhere)
    if dataset.shape is None:
        return Stored(name, str(dataset.dtype), (), 0, _refuse_nothing)
    # An array of fixed length as one element is further axes.
    shape, dtype = dataset.shape + dataset.dtype.shape, dataset.dtype.base
    # Of text, references and sequences only pointers are there, and what they point to is not read.
    size = 0 if dtype.hasobject else byte_count(shape, dtype)
    # A dataset of a shape and a fill value takes no room at all.
    refuse_bombs(name, dataset.id.get_storage_size(), size)
    # Keras's mark: HDF5 itself has raw bytes there.
    is_bfloat16 = dataset.attrs.get("dtype") == "bfloat16" and dtype.itemsize == 2

    def load() -> Array:
        if not is_bfloat16:
            check_numbers(dtype)
        array: Array = dataset[()]
        if is_bfloat16:
            import ml_dtypes

            # The integers that stand for them have an order of bytes, which HDF5 knows.
            native = array.dtype.newbyteorder("=")
            array = array.astype(native, copy=False).view(ml_dtypes.bfloat16)
        return array

    word = "bfloat16" if is_bfloat16 else str(dtype)
    return Stored(name, word, shape, size, load)


def _refuse_elsewhere() -> Array:
    raise UnreadableError("its bytes are in another file, which is not followed")


def _refuse_nothing() -> Array:
    raise UnreadableError("no elements")
