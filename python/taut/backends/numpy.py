"""NumPy arrays, and whatever shares its memory with NumPy: the compiled kernels."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taut import _core


class Kernel(NamedTuple):
    """The compiled functions of one kernel, which take arrays and the kernel's factors."""

    value: Callable[..., float]
    value_and_grad: Callable[..., float]
    accumulate_grad: Callable[..., float]


KERNELS = {
    "elementwise": Kernel(
        _core.elementwise_value, _core.elementwise_value_and_grad, _core.elementwise_accumulate_grad
    ),
    "gram": Kernel(_core.gram_value, _core.gram_value_and_grad, _core.gram_accumulate_grad),
}


def as_array(x: Any) -> NDArray[Any]:
    """Returns `x` as an array without copying, if it has memory of its own."""
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    return np.asarray(x)


def value(kernel: str, x: Any, factors: tuple[Any, ...]) -> float:
    """Returns the penalty of `x`."""
    return KERNELS[kernel].value(as_array(x), factors)


def value_and_grad(
    kernel: str, x: Any, factors: tuple[Any, ...], scale: float
) -> tuple[float, NDArray[Any]]:
    """Returns the penalty of `x`, and `scale` times its gradient in x's shape and dtype."""
    x = as_array(x)
    grad = np.empty_like(x, subok=False)
    return KERNELS[kernel].value_and_grad(x, grad, factors, scale), grad


def prox(x: Any, factors: tuple[Any, ...], step: float) -> None:
    """Replaces `x` by its proximal step; of the kernel "elementwise", which alone has one."""
    _core.elementwise_prox(_written(x, "prox", "x"), factors, step)


def accumulate_grad(
    kernel: str, x: Any, grad: Any, factors: tuple[Any, ...], scale: float
) -> float:
    """Adds `scale` times the gradient to `grad`, in place, and returns the penalty of `x`."""
    grad = _written(grad, "accumulate_grad", "the gradient")
    return KERNELS[kernel].accumulate_grad(as_array(x), grad, factors, scale)


def differentiate(function: Callable[[Any], Any], x: Any, scale: float) -> tuple[Any, NDArray[Any]]:
    """Raises a NotImplementedError: NumPy cannot differentiate."""
    name = type(function).__name__
    raise NotImplementedError(
        f"{name} has no gradient for NumPy arrays, which NumPy cannot differentiate by itself: "
        f"define {name}.value_and_grad(x, scale=1.0)"
    )


def add_in_place(grad: Any, slope: Any) -> None:
    """Adds a gradient to another one, in place."""
    _written(grad, "accumulate_grad", "the gradient")[...] += slope


def _written(array: Any, function: str, name: str) -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    raise TypeError(
        f"{function} writes in place and needs a NumPy array for {name}. "
        f"Received: {type(array).__name__}"
    )


# ---- many arrays: what taut.Penalties asks for ---------------------------------------------------


def is_memory(x: Any) -> bool:
    """Returns whether a batch can have `x`."""
    return True


def is_frozen(x: Any) -> bool:
    """Returns whether `x` is not to be trained, which NumPy cannot say."""
    return False


def native(x: Any) -> Any:
    """Returns `x`, which no other library wraps."""
    return x


def prepare(x: Any) -> NDArray[Any]:
    """Returns what a batch takes for `x`."""
    return as_array(x)


def zero(x: Any) -> float:
    """Returns a penalty of 0."""
    return 0.0


def own_gradient(x: Any) -> Any:
    """Raises a ValueError: an array has no gradient of its own."""
    raise ValueError("NumPy arrays have no gradient of their own: give `grads`")


def memory_of(x: Any) -> object:
    """Returns what only arrays of the very same elements have in common; None for an empty one."""
    array = as_array(x)
    return memory_key(
        array.ctypes.data, array.shape, array.strides, array.itemsize, array.dtype.name
    )


def memory_key(
    pointer: int, shape: Sequence[int], strides: Sequence[int], itemsize: int, dtype: str
) -> object:
    """Returns what only arrays of the very same elements have in common; None for an empty one.

    Args:
        pointer: Where the first element is.
        shape: The extents.
        strides: In bytes.
        itemsize: The size of an element, in bytes.
        dtype: The dtype's name.
    """
    key = _core.memory_key(pointer, itemsize, tuple(shape), tuple(strides))
    return None if key is None else (key, dtype)


def require_writable(names: list[str], values: list[Any]) -> None:
    """Raises a TypeError if something is no array, and so could not be written in place."""
    others = [name for name, x in zip(names, values, strict=True) if not isinstance(x, np.ndarray)]
    if others:
        raise TypeError(f"prox writes in place and needs NumPy arrays. Received others: {others}")


def batch_values(*terms: Any) -> list[float]:
    """Returns the penalty of each array: (names, kinds, indices, arrays)."""
    return _core.batch_value(*terms)


def batch_total(*terms: Any) -> float:
    """Returns the sum of the penalties."""
    return sum(_core.batch_value(*terms))


def batch_accumulate_grad(*terms: Any) -> float:
    """Adds to the gradients, in place: (names, kinds, indices, arrays, grads, scale)."""
    return sum(_core.batch_accumulate_grad(*terms))


def batch_prox(*terms: Any) -> None:
    """Takes the proximal step of each array: (names, kinds, indices, arrays, step)."""
    _core.batch_prox(*terms)
