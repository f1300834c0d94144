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


def _as_array(x: Any) -> NDArray[Any]:
    """Returns `x` as an array without copying, if it has memory of its own."""
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    return np.asarray(x)


def value(kernel: str, x: Any, factors: tuple[Any, ...]) -> float:
    """Returns the penalty of `x`."""
    return KERNELS[kernel].value(_as_array(x), factors)


def value_and_grad(
    kernel: str, x: Any, factors: tuple[Any, ...], scale: float
) -> tuple[float, NDArray[Any]]:
    """Returns the penalty of `x`, and `scale` times its gradient in x's shape and dtype."""
    x = _as_array(x)
    grad = np.empty_like(x, subok=False)
    return KERNELS[kernel].value_and_grad(x, grad, factors, scale), grad


def accumulate_grad(
    kernel: str, x: Any, grad: Any, factors: tuple[Any, ...], scale: float
) -> float:
    """Adds `scale` times the gradient to `grad`, in place, and returns the penalty of `x`."""
    if not isinstance(grad, np.ndarray):
        raise TypeError(
            "accumulate_grad writes in place and needs a NumPy array for the gradient. "
            f"Received: {type(grad).__name__}"
        )
    return KERNELS[kernel].accumulate_grad(_as_array(x), grad, factors, scale)
