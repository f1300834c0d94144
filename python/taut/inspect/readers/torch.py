"""torch's `.pt`, `.pth` and `.bin`, read by its weights-only unpickler, which calls no code."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taut.inspect.readers import zips
from taut.inspect.stored import Array, Stored, UnreadableError, refuse_bombs, refuse_long

NAME = "torch"
SUFFIXES: tuple[str, ...] = (".pt", ".pth", ".bin", ".ckpt")
MODULES: tuple[str, ...] = ("torch",)
EXTRA = "torch"

# The number that torch.save wrote first before 1.6, as a pickle of protocol 2.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

# Dtypes of one real number in each place. torch has others, of which it converts some to other
# numbers, and some not at all.
_OF_NUMPY = (
    *("bool", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
_WIDENED = (
    *("bfloat16", "float8_e8m0fnu"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"),
)


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

    if not _is_dense(tensor):
        raise UnreadableError("neither dense nor of plain numbers")
    dtype = _word(tensor)
    if tensor.dtype.is_complex:
        raise UnreadableError(f"no real numbers, but {dtype}")
    if dtype not in _OF_NUMPY and dtype not in _WIDENED:
        raise UnreadableError("a dtype that is not known here")
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if dtype in _WIDENED:
        tensor = tensor.to(torch.float32)
    array: Array = tensor.numpy()
    return array


def _is_dense(tensor: Any) -> bool:
    import torch

    is_other = tensor.is_quantized or tensor.is_meta or tensor.is_nested
    return tensor.layout is torch.strided and not is_other


def _word(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _walk(value: Any, name: str, found: list[Stored], entered: set[int]) -> None:
    """Lists the tensors within `value`, a tensor under each of its names.

    Each dictionary and each list is entered once, wherever it is met again: a file of a few lists
    within each other has more ways through them than there is time.
    """
    import torch

    refuse_long(name)
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
    size = tensor.numel() * tensor.element_size()
    if _is_dense(tensor):
        # Strides of 0 make many elements of one.
        refuse_bombs(name, tensor.untyped_storage().nbytes(), size)
    # A nested tensor has one shape for each of its parts, and none that is its own.
    shape = () if tensor.is_nested else tuple(tensor.shape)
    return Stored(name, _word(tensor), shape, size, lambda: to_numpy(tensor))
