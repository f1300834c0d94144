"""The array libraries: which one an array belongs to, and what taut asks of each.

A further library is a class that is registered here under the package of its arrays' classes:

    register("package", load)

`load` imports and returns it; it is called when an array of that package arrives, so that taut
imports no library that is not in use. What is of no known library goes by the protocols by which
arrays are exchanged, where nothing is lost on the way; all else is an error.
"""

from collections.abc import Callable
from typing import Any

from taut.arrays.library import ArrayLibrary

__all__ = ["ArrayLibrary", "is_array", "library_of", "native", "register"]

_libraries: dict[type, ArrayLibrary] = {}
_loaders: dict[str, Callable[[], ArrayLibrary]] = {}


def library_of(x: Any) -> ArrayLibrary:
    """Returns the array library that `x` belongs to.

    Raises:
        TypeError: If it belongs to none, and does not say how it is to be read as an array.
    """
    library = _libraries.get(type(x))
    if library is None:
        library = _libraries[type(x)] = _find(type(x))
    return library


def is_array(x: Any) -> bool:
    """Returns whether `x` belongs to an array library, or is read as an array."""
    try:
        library_of(x)
    except TypeError:
        return False
    return True


def native(x: Any) -> Any:
    """Returns the array within a variable, as it is now; an array itself as it is."""
    return library_of(x).native(x)


def register(package: str, load: Callable[[], ArrayLibrary]) -> None:
    """Makes an array library known, by the package of its classes or of their bases.

    A package within another one may have a library of its own, which is registered after that.
    A class may have bases of several packages; the library that was registered last comes first.
    """
    _loaders[package] = load
    _libraries.clear()


def _find(cls: type) -> ArrayLibrary:
    """Asks the libraries whose packages are those of the class and its bases."""
    packages = {name for base in cls.__mro__ for name in _packages_of(base)}
    for package, load in reversed(_loaders.items()):
        if package in packages:
            library = load()
            if library.owns(cls):
                return library
    from taut.arrays.exchanged import library_by_protocol

    return library_by_protocol(cls, _loaders.keys() & packages)


def _packages_of(cls: type) -> list[str]:
    """Returns the package of a class, and the packages around it."""
    parts = (cls.__module__ or "").split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


# By statements, which torch.compile can trace.


def _load_numpy() -> ArrayLibrary:
    from taut.arrays.numpy import NUMPY

    return NUMPY


def _load_tensorflow() -> ArrayLibrary:
    from taut.arrays.tensorflow import TENSORFLOW

    return TENSORFLOW


def _load_jax() -> ArrayLibrary:
    from taut.arrays.jax import JAX

    return JAX


def _load_torch() -> ArrayLibrary:
    from taut.arrays.torch import TORCH

    return TORCH


def _load_sharded_torch() -> ArrayLibrary:
    from taut.arrays.torch.sharded import SHARDED

    return SHARDED


def _load_keras() -> ArrayLibrary:
    from taut.arrays.keras import KERAS

    return KERAS


register("numpy", _load_numpy)
register("tensorflow", _load_tensorflow)
register("jax", _load_jax)
register("jaxlib", _load_jax)
register("torch", _load_torch)
register("torch.distributed.tensor", _load_sharded_torch)
register("keras", _load_keras)  # first, since its variables are other libraries' tensors too
