"""NumPy's `.npz`: a zip file of `.npy` files, each read when it is asked for."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from taut.inspect.readers import zips
from taut.inspect.stored import Array, Stored, UnreadableError, byte_count, check_numbers

NAME = "npz"
SUFFIXES: tuple[str, ...] = (".npz",)
MODULES: tuple[str, ...] = ()
EXTRA = ""

_SUFFIX = ".npy"


def recognizes(path: Path, head: bytes) -> bool:
    """Returns whether it is a zip file of nothing but arrays."""
    return head.startswith(zips.MAGIC) and all(name.endswith(_SUFFIX) for name in zips.names(path))


@contextmanager
def open(path: Path) -> Iterator[Sequence[Stored]]:
    """Opens the archive, and reads the arrays' headers."""
    with zipfile.ZipFile(path) as archive:
        yield [_describe(archive, member) for member in zips.checked(archive)]


def _describe(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    name = member.filename.removesuffix(_SUFFIX)
    with archive.open(member) as file:
        shape, dtype = _header(file)
        header = file.tell()
    if dtype.hasobject:
        return Stored(name, "object", shape, 0, _refuse_objects)
    size = byte_count(shape, dtype)
    if size != member.file_size - header:
        raise UnreadableError(f"{name!r} is not as long as its header says")

    def load() -> Array:
        check_numbers(dtype)
        with archive.open(member) as file:
            # With the last byte the checksum is compared.
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

    return Stored(name, str(dtype), shape, size, load)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], "np.dtype[np.generic]"]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise UnreadableError(f"a header of version {version}, which plain numbers have no need of")
    shape, _, dtype = read(file)
    return tuple(map(int, shape)), dtype


def _refuse_objects() -> Array:
    raise UnreadableError("Python objects, which only a pickle could bring back")
