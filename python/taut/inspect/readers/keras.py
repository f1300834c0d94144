"""Keras 3's `.keras`: a zip file whose weights are one HDF5 file; its config is not looked at."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from taut.inspect.readers import hdf5, zips
from taut.inspect.stored import Stored, UnreadableError

NAME = "Keras"
SUFFIXES: tuple[str, ...] = (".keras",)
MODULES: tuple[str, ...] = ("h5py",)
EXTRA = "inspect"

_WEIGHTS = "model.weights.h5"
_CONFIG = "config.json"


def recognizes(path: Path, head: bytes) -> bool:
    """Returns whether it is a zip file with what Keras writes."""
    return head.startswith(zips.MAGIC) and not {_WEIGHTS, _CONFIG}.isdisjoint(zips.names(path))


@contextmanager
def open(path: Path) -> Iterator[Sequence[Stored]]:
    """Opens the weights.

    HDF5 jumps about in its file, and a zip file's members can't: so they lie in a temporary file
    that has no name, and is gone with the context.
    """
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as copy:
        members = {member.filename: member for member in zips.checked(archive)}
        if _WEIGHTS not in members:
            raise UnreadableError(f"a Keras model without {_WEIGHTS}: sharded weights are not read")
        with archive.open(members[_WEIGHTS]) as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        copy.seek(0)
        with hdf5.datasets(copy) as found:
            yield found
