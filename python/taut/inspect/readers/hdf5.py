"""HDF5: `.weights.h5` of Keras's, its older `.h5`, and whatever else has datasets in groups."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

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
        def visit(name: str | bytes, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                # h5py leaves bytes what is not UTF-8.
                text = name if isinstance(name, str) else name.decode(errors="surrogateescape")
                found.append(_describe(text, item))

        root.visititems(visit)
        yield found


def _describe(name: str, dataset: Any) -> Stored:
    try:
        declared: np.dtype[Any] = dataset.dtype
    except (TypeError, ValueError):  # as of HDF5's times, which NumPy has nothing like
        return Stored(name, "unknown", dataset.shape or (), 0, _refuse_unknown)
    if dataset.external or dataset.is_virtual:
        return Stored(name, str(declared), dataset.shape or (), 0, _refuse_elsewhere)
    if dataset.shape is None:
        return Stored(name, str(declared), (), 0, _refuse_nothing)
    # An array of fixed length as one element is further axes.
    shape, dtype = dataset.shape + declared.shape, declared.base
    # Of text, references and sequences only pointers are there, and what they point to is not read.
    size = 0 if dtype.hasobject else byte_count(shape, dtype)
    # A dataset of a shape and a fill value takes no room at all; a chunk is unpacked as a whole,
    # however little of it is the dataset's.
    chunk = size and byte_count(dataset.chunks or (), declared)
    refuse_bombs(name, dataset.id.get_storage_size(), max(size, chunk))
    is_two_bytes = dtype.kind in "Viu" and dtype.itemsize == 2 and dtype.names is None
    is_bfloat16 = is_two_bytes and _is_marked_bfloat16(dataset)

    def load() -> Array:
        if not is_bfloat16:
            check_numbers(dtype)
        array: Array = np.asarray(dataset[()])  # of a scalar it is none
        if is_bfloat16:
            import ml_dtypes

            # The integers that stand for them have an order of bytes, which HDF5 knows.
            native = array.dtype.newbyteorder("=")
            array = array.astype(native, copy=False).view(ml_dtypes.bfloat16)
        return array

    word = "bfloat16" if is_bfloat16 else str(dtype)
    return Stored(name, word, shape, size, load)


def _is_marked_bfloat16(dataset: Any) -> bool:
    """Returns whether it has Keras's mark: HDF5 itself has raw bytes there."""
    import h5py

    if "dtype" not in dataset.attrs:
        return False
    # An attribute of many strings, or of another type, is somebody else's, and not loaded.
    mark = dataset.attrs.get_id("dtype")
    is_text = mark.get_type().get_class() == h5py.h5t.STRING and mark.shape == ()
    return bool(is_text and dataset.attrs["dtype"] == "bfloat16")


def _refuse_unknown() -> Array:
    raise UnreadableError("a dtype that is not known here")


def _refuse_elsewhere() -> Array:
    raise UnreadableError("its bytes are in another file, which is not followed")


def _refuse_nothing() -> Array:
    raise UnreadableError("no elements")
