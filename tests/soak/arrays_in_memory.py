"""Arrays that lie in memory in every way, and what tells results apart bit by bit."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

DTYPES = [np.dtype(name) for name in ("float64", "float32", "float16", ml_dtypes.bfloat16)]
HALF_DTYPES = DTYPES[2:]

Pick = Callable[[NDArray[Any]], NDArray[Any]]

# From the memory of an array to the array, and how much memory such a shape takes.
LAYOUTS: dict[str, tuple[Pick, Callable[[tuple[int, ...]], tuple[int, ...]]]] = {
    "in C order": (lambda memory: memory, lambda shape: shape),
    "in Fortran order": (lambda memory: memory.T, lambda shape: shape[::-1]),
    "backwards": (lambda memory: memory[(slice(None, None, -1),) * memory.ndim], lambda s: s),
    "with padded rows": (lambda memory: memory[..., :-3], lambda s: (*s[:-1], s[-1] + 3)),
    "of every second element": (lambda memory: memory[..., ::2], lambda s: (*s[:-1], 2 * s[-1])),
}


class Placed:
    """An array, and all of the memory that it is a part of.

    Attributes:
        x: The array, which cannot be written: any number of calls read it at once.
        text: What it is.
    """

    def __init__(self, memory: NDArray[Any], layout: str) -> None:
        memory.setflags(write=False)
        self._memory, self._pick = memory, LAYOUTS[layout][0]
        self.x = self._pick(memory)
        self.text = f"{self.x.dtype}{list(self.x.shape)} {layout}"

    def copy(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Returns a copy of all of the memory, and the array in it, which lies as this one does."""
        memory = self._memory.copy()
        return memory, self._pick(memory)


def random_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns numbers of some magnitude; now and then with zeros, and seldom with NaN and Inf."""
    numbers = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3)
    if rng.random() < 0.3:
        numbers[rng.random(shape) < 0.1] = 0
    if rng.random() < 0.05 and numbers.size:
        numbers.flat[rng.integers(numbers.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e-310])
    return numbers


def place(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: np.dtype[Any] | None = None,
    sign: Callable[[NDArray[Any]], NDArray[Any]] = np.positive,
) -> Placed:
    """Returns random numbers of a shape, somehow in memory; of a random dtype unless given."""
    layout = str(rng.choice(list(LAYOUTS)))
    dtype = DTYPES[rng.integers(len(DTYPES))] if dtype is None else dtype
    with np.errstate(over="ignore"):
        memory = sign(random_numbers(rng, LAYOUTS[layout][1](shape))).astype(dtype)
    return Placed(memory, layout)


def place_gradient(rng: np.random.Generator, x: NDArray[Any]) -> Placed:
    """Returns what a gradient of x may be added to."""
    is_wider = x.dtype in HALF_DTYPES and rng.random() < 0.5
    return place(rng, x.shape, np.dtype("float32") if is_wider else x.dtype)


def digest(result: Any) -> str:
    """Returns what only results of the very same bits have in common; a NaN is a NaN."""
    hashed = hashlib.blake2b(digest_size=12)
    _feed(hashed, result)
    return hashed.hexdigest()


def _feed(hashed: Any, result: Any) -> None:
    if isinstance(result, Mapping):
        for key, value in result.items():
            _feed(hashed, (key, value))
    elif isinstance(result, tuple | list):
        hashed.update(f"{type(result).__name__} {len(result)}".encode())
        for each in result:
            _feed(hashed, each)
    elif isinstance(result, np.ndarray | float):
        array = np.asarray(result)
        if np.isnan(array).any():
            array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
        hashed.update(f"{array.dtype} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    else:
        hashed.update(repr(result).encode())
