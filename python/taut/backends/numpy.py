"""NumPy arrays, and whatever shares its memory with NumPy: the compiled kernels."""

from collections.abc import Callable
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


def _written(array: Any, function: str, name: str) -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    raise TypeError(
        f"{function} writes in place and needs a NumPy array for {name}. "
        f"Received: {type(array).__name__}"
    )


def byte_bounds(x: NDArray[Any]) -> tuple[int, int]:
    """Returns where the memory of an array begins and ends."""
    begin = end = x.ctypes.data
    if x.size == 0:
        return begin, begin
    for extent, stride in zip(x.shape, x.strides, strict=True):
        reach = (extent - 1) * stride
        begin, end = begin + min(reach, 0), end + max(reach, 0)
    return begin, end + x.itemsize
