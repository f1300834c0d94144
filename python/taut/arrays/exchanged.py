"""What belongs to no known library, and says by a protocol how it is to be read as an array.

Numbers and nested lists of them, data frames, memory maps of other packages, and whatever has
DLPack or `__array__`, become NumPy arrays, without a copy where they have memory of their own.
`__jax_array__` gives a JAX array, gradients included. Where gradients or a mask would be lost on
the way, and where there is no protocol, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from taut.arrays.wrapped import WrappedLibrary

# What tells a class whose arrays may hold gradients that NumPy would not see.
_SIGNS_OF_GRADIENTS = ("backward", "requires_grad", "stop_gradient", "attach_grad")


def library_by_protocol(cls: type, packages: AbstractSet[str]) -> WrappedLibrary:
    """Returns how objects of a class are to be read.

    Args:
        cls: The class.
        packages: Those of its and its bases' that are array libraries, none of which owns it.

    Raises:
        TypeError: If they do not say it, or would lose something.
    """
    name = f"{cls.__module__}.{cls.__qualname__}"
    if hasattr(cls, "__jax_array__"):
        return _JAX_ARRAYS
    if issubclass(cls, np.ndarray):
        raise TypeError(
            f"expected an array without a mask, which a penalty would not see. Received: {name}: "
            "give its .filled(0)"
        )
    if packages - {"numpy"} or any(hasattr(cls, sign) for sign in _SIGNS_OF_GRADIENTS):
        raise TypeError(
            "expected an array of NumPy, torch, JAX, TensorFlow or Keras; as one of NumPy, this "
            f"would lose its gradient. Received: {name}"
        )
    if issubclass(cls, list | tuple):
        return _LISTS
    if hasattr(cls, "__dlpack__") and not hasattr(cls, "__array__"):
        return _DLPACK
    if any(hasattr(cls, each) for each in ("__array__", "__array_interface__", "__array_struct__")):
        return _ARRAYS
    if issubclass(cls, Number | np.generic | memoryview | bytearray) or hasattr(cls, "__buffer__"):
        return _ARRAYS
    raise TypeError(
        "expected an array of NumPy, torch, JAX, TensorFlow or Keras, numbers, or what has "
        f"__dlpack__ or __array__. Received: {name}"
    )


class Exchanged(WrappedLibrary):
    """Objects that NumPy reads."""

    def owns(self, cls: type) -> bool:
        """Returns False: they are known by protocols, not by classes."""
        return False

    def native(self, x: Any) -> NDArray[Any]:
        """Returns what NumPy makes of x."""
        array = _read(np.asarray, x)
        if array.dtype == object:
            raise TypeError(
                "expected an array of float64, float32, float16 or bfloat16. "
                f"Received: {type(x).__name__}, which NumPy reads as dtype=object"
            )
        return array

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> NoReturn:
        """Raises a TypeError: what NumPy makes of them may be a copy."""
        kinds = sorted({type(x).__name__ for x in arrays})
        raise TypeError(
            f"prox writes in place and needs NumPy arrays. Received others: {list(names)}, of "
            f"{', '.join(kinds)}"
        )


class _Lists(Exchanged):
    """Lists and tuples of numbers, nested or not; of arrays that are NumPy's, too."""

    def native(self, x: Any) -> NDArray[Any]:
        _check_items(x)
        return super().native(x)


class _DLPack(Exchanged):
    """Objects that only DLPack reads."""

    def native(self, x: Any) -> NDArray[Any]:
        return _read(np.from_dlpack, x)


class _JAXArrays(WrappedLibrary):
    """Objects that are arrays to JAX."""

    def owns(self, cls: type) -> bool:
        """Returns False: they are known by a protocol, not by classes."""
        return False

    def native(self, x: Any) -> Any:
        """Returns the JAX array, or the tracer, within."""
        return x.__jax_array__()


def _read(function: Callable[[Any], NDArray[Any]], x: Any) -> NDArray[Any]:
    """Returns an array that x describes; a TypeError where NumPy finds that it is none of its."""
    try:
        return function(x)
    except (BufferError, OverflowError, RuntimeError) as error:
        raise TypeError(
            f"expected an array in memory that NumPy reads. Received: {type(x).__name__}: {error}"
        ) from error


_ARRAYS, _LISTS, _DLPACK, _JAX_ARRAYS = Exchanged(), _Lists(), _DLPack(), _JAXArrays()
_MOST_AXES = 64  # of NumPy's arrays


def _check_items(items: Any) -> None:
    level = [items]
    for _ in range(_MOST_AXES):
        for cls in {type(item) for each in level for item in each}:
            if not issubclass(cls, list | tuple):
                _check_item(cls)
        # Each list once, also where it is within itself.
        inner = {id(x): x for each in level for x in each if isinstance(x, list | tuple)}
        if not inner:
            return
        level = list(inner.values())
    raise ValueError(f"expected an array of at most {_MOST_AXES} axes. Received: lists in lists")


def _check_item(cls: type) -> None:
    if not issubclass(cls, Number | np.generic | np.ndarray) or hasattr(cls, "mask"):
        raise TypeError(
            "expected an array, or a list of numbers. Received: a list of "
            f"{cls.__module__}.{cls.__qualname__}: stack them with their own library, or give "
            "them to taut.Penalties, each under its name"
        )
