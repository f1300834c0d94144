"""Hugging Face's `.safetensors`: its own library checks the header and reads each tensor."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from taut.inspect.readers import torch as torch_reader
from taut.inspect.stored import Array, Stored, UnreadableError

NAME = "safetensors"
SUFFIXES: tuple[str, ...] = (".safetensors",)
MODULES: tuple[str, ...] = ("safetensors",)
EXTRA = "inspect"

# The format's words, with ours and how many bits an element has. Those that are not here are new.
_DTYPES = {
    "BOOL": ("bool", 8),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "I16": ("int16", 16),
    "U16": ("uint16", 16),
    "I32": ("int32", 32),
    "U32": ("uint32", 32),
    "I64": ("int64", 64),
    "U64": ("uint64", 64),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "F32": ("float32", 32),
    "F64": ("float64", 64),
    "C64": ("complex64", 64),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E5M2": ("float8_e5m2", 8),
}
_Load: TypeAlias = Callable[[str], Array]

# NumPy has no such dtypes, and safetensors asks NumPy for them: torch reads them.
_OF_TORCH = ("F8_E4M3", "F8_E5M2")


def recognizes(path: Path, head: bytes) -> bool:
    """Returns whether the bytes are the length of a header, and the brace that it begins with."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 8 + length <= path.stat().st_size


@contextmanager
def open(path: Path) -> Iterator[Sequence[Stored]]:
    """Maps the file, and opens it for torch as well if a tensor asks for it."""
    import safetensors

    with contextlib.ExitStack() as stack:
        file = stack.enter_context(safetensors.safe_open(path, framework="np"))
        opened_for_torch: list[Any] = []

        def by_torch(name: str) -> Array:
            if find_spec("torch") is None:
                raise UnreadableError(
                    'its float8 needs torch to be read: pip install "taut[torch]"'
                )
            if not opened_for_torch:
                context = safetensors.safe_open(path, framework="pt")
                opened_for_torch.append(stack.enter_context(context))
            return torch_reader.to_numpy(opened_for_torch[0].get_tensor(name))

        yield [_describe(file, name, by_torch) for name in file.keys()]  # noqa: SIM118 (no dict)


def _describe(file: Any, name: str, by_torch: _Load) -> Stored:
    header = file.get_slice(name)
    word, shape = header.get_dtype(), tuple(header.get_shape())
    if word not in _DTYPES:
        return Stored(name, word, shape, 0, _refuse_unknown)
    dtype, bits = _DTYPES[word]
    size = bits // 8
    for length in shape:
        size *= length

    def load() -> Array:
        if word in _OF_TORCH:
            return by_torch(name)
        if word == "BF16":
            import ml_dtypes  # noqa: F401 (NumPy learns of the dtype by it)
        array: Array = file.get_tensor(name)
        return array

    return Stored(name, dtype, shape, size, load)


def _refuse_unknown() -> Array:
    raise UnreadableError("a dtype that is not known here")
