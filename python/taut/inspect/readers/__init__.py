"""The formats of checkpoints, each read by one module.

A further one is a module with what `Reader` asks for, and its place in `READERS`.
"""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from taut.inspect.readers import hdf5, keras, npy, npz, safetensors, torch
from taut.inspect.stored import Stored, UnreadableError, refuse_duplicates

_HEAD = 64  # bytes, enough for every format to be told


class Reader(Protocol):
    """A format.

    Attributes:
        NAME: What reports call it.
        SUFFIXES: Of its files' names, for those whose content does not tell.
        MODULES: What reads it, beside NumPy and taut.
        EXTRA: The extra of taut that brings those.
    """

    NAME: str
    SUFFIXES: tuple[str, ...]
    MODULES: tuple[str, ...]
    EXTRA: str

    def recognizes(self, path: Path, head: bytes) -> bool:
        """Returns whether a file that begins with these bytes is of the format."""

    def open(self, path: Path) -> AbstractContextManager[Sequence[Stored]]:
        """Opens a file, for its tensors to be loaded until the context ends."""


# In the order in which they are asked: Keras's files and torch's are zip files, as NumPy's.
READERS: tuple[Reader, ...] = (npy, keras, torch, npz, hdf5, safetensors)


@contextmanager
def open_checkpoint(path: Path) -> Iterator[tuple[str, Sequence[Stored]]]:
    """Opens a checkpoint of any format, and gives the format's name and its tensors.

    Nothing that the file holds is run: pickles are read by torch's weights-only unpickler alone.

    Raises:
        UnreadableError: If it is no checkpoint, is damaged, or needs a library that is not there.
    """
    reader = _reader_of(path)
    missing = [module for module in reader.MODULES if find_spec(module) is None]
    if missing:
        raise UnreadableError(
            f"reading a {reader.NAME} file needs {', '.join(missing)}: "
            f'pip install "taut[{reader.EXTRA}]"'
        )
    with ExitStack() as stack:
        with guarded(reader.NAME):
            tensors = stack.enter_context(reader.open(path))
            refuse_duplicates([tensor.name for tensor in tensors])
        yield reader.NAME, tensors


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Makes whatever a library raises over a damaged file an UnreadableError in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is an error next, or is read all the same
            yield
    except UnreadableError:
        raise
    except MemoryError as error:
        raise UnreadableError(f"{name}: there is not enough memory for it") from error
    except Exception as error:
        # Damaged files raise nearly everything: KeyError, RuntimeError, RecursionError, zlib.error.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UnreadableError(f"not a {name} file, or damaged: {lines[0][:200]}") from error


def _reader_of(path: Path) -> Reader:
    try:
        if path.is_dir():
            raise UnreadableError("a directory, not a file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if not head:
        raise UnreadableError("empty")
    for reader in READERS:
        try:
            if reader.recognizes(path, head):
                return reader
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
            continue  # not even what its first bytes promise: its suffix says who is to complain
    for reader in READERS:
        if path.name.endswith(reader.SUFFIXES):
            return reader
    known = ", ".join(suffix for reader in READERS for suffix in reader.SUFFIXES)
    raise UnreadableError(f"not a checkpoint of a known format ({known})")
