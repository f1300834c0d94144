"""torch's `.pt`, `.pth` and `.bin`, read by its weights-only unpickler, which calls no code."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taut.inspect.readers import zips
from taut.inspect.stored import Array, Stored, UnreadableError, refuse_bombs

NAME = "torch"
SUFFIXES: tuple[str, ...] = (".pt", ".pth", ".bin", ".ckpt")
MODULES: tuple[str, ...] = ("torch",)
EXTRA = "torch"

# The number that torch.save wrote first before 1.6, as a pickle of protocol 2.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def recognizes(path: Path, head: bytes) -> bool:
    """Returns whether it is a zip file with torch's pickle in it, or one from before those."""
    if head.startswith(_LEGACY):
        return True
    return head.startswith(zips.MAGIC) and any(
        name.endswith("/data.pkl") for name in zips.names(path)
    )


@contextmanager
def open(path: Path) -> Iterator[Sequence[Stored]]:
    """Maps the file, and lists the tensors in its dictionaries and lists."""
    import torch

    with path.open("rb") as file:
        is_zip = file.read(len(zips.MAGIC[0])) in zips.MAGIC  # others are read, not mapped
    if is_zip:
        # torch's own reader would find a duplicate's last, others its first.
        with zipfile.ZipFile(path) as archive:
            zips.checked(archive)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise UnreadableError(
            "Python objects beside weights, or damaged: taut runs nothing that is in a file; "
            "save model.state_dict() in its place"
        ) from error
    found: list[Stored] = []
    _walk(loaded, "", found, set())
    yield found


def to_numpy(tensor: Any) -> Array:
    """Returns a tensor's elements; those of a dtype that NumPy lacks as float32, and exactly."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise UnreadableError("neither dense nor of plain numbers")
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype.is_floating_point and tensor.dtype not in _floats_of_numpy():
        tensor = tensor.to(torch.float32)
    array: Array = tensor.numpy()
    return array


def _floats_of_numpy() -> tuple[Any, ...]:
    import torch

    return torch.float16, torch.float32, torch.float64


def _walk(value: Any, name: str, found: list[Stored], entered: set[int]) -> None:
    """Lists the tensors within `value`, a tensor under each of its names.

    Each dictionary and each list is entered once, wherever it is met again: a file of a few lists
    within each other has more ways through them than there is time.
    """
    import torch

    if isinstance(value, torch.Tensor):
        found.append(_describe(name or "tensor", value))
        return
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return  # numbers and strings: an epoch, a learning rate
    if id(value) in entered:
        return
    entered.add(id(value))
    for key, inner in items:
        _walk(inner, f"{name}.{key}" if name else str(key), found, entered)


def _describe(name: str, tensor: Any) -> Stored:
    import torch

    size = tensor.numel() * tensor.element_size()
    if tensor.layout is torch.strided and not tensor.is_meta:
        # Strides of 0 make many elements of one.
        refuse_bombs(name, tensor.untyped_storage().nbytes(), size)
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Stored(name, dtype, tuple(tensor.shape), size, lambda: to_numpy(tensor))
