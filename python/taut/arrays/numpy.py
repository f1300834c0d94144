"""NumPy arrays: the compiled kernels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from taut import _core
from taut.arrays import library_of
from taut.arrays.exchanged import Exchanged
from taut.arrays.group import CoreGroup, Group
from taut.arrays.library import ArrayLibrary, Factors, number_within
from taut.arrays.memory import Memory, memory_key
from taut.kernels import Kernel, Sides


class NumPy(ArrayLibrary):
    """NumPy arrays of any strides, which the kernels read and write where they stand."""

    differentiates = False

    def owns(self, cls: type) -> bool:
        """Returns whether arrays of a class are NumPy's, and nothing of theirs would be lost."""
        return issubclass(cls, np.ndarray) and not hasattr(cls, "mask")

    def value(self, kernel: Kernel, x: NDArray[Any], factors: Factors) -> float:
        """Returns the penalty of x."""
        return kernel.value(x, factors)

    def value_and_grad(
        self, kernel: Kernel, x: NDArray[Any], factors: Factors, scale: float
    ) -> tuple[float, NDArray[Any]]:
        """Returns the penalty of x, and `scale` times its gradient in x's shape and dtype."""
        grad = np.empty_like(x, subok=False)
        return kernel.value_and_grad(x, grad, factors, scale), grad

    def accumulate_grad(
        self, kernel: Kernel, x: NDArray[Any], grad: Any, factors: Factors, scale: float
    ) -> float:
        """Adds `scale` times the gradient to `grad`, in place, and returns the penalty of x."""
        return kernel.accumulate_grad(
            x, _written(grad, "accumulate_grad", "the gradient"), factors, scale
        )

    def prox(self, kernel: Kernel, x: NDArray[Any], factors: Factors, step: float) -> None:
        """Replaces x by its proximal step."""
        assert kernel.prox is not None
        kernel.prox(x, factors, step)

    def proximal(
        self, kernel: Kernel, x: NDArray[Any], factors: Factors, step: Any
    ) -> NDArray[Any]:
        """Returns the proximal step of x."""
        stepped = self.copy(x)
        self.prox(kernel, stepped, factors, float(step))
        return stepped

    def differentiate(self, function: Callable[[Any], Any], x: Any, scale: float) -> NoReturn:
        """Raises a NotImplementedError: NumPy cannot differentiate."""
        name = type(function).__name__
        raise NotImplementedError(
            f"{name} has no gradient for NumPy arrays, which NumPy cannot differentiate by itself: "
            f"define {name}.value_and_grad(x, scale=1.0)"
        )

    def check_gradient(self, name: str, x: Any, grad: Any) -> None:
        """Raises a TypeError or a ValueError for what could not be added to."""
        array = _written(grad, "accumulate_grad", name)
        if not array.flags.writeable:
            raise ValueError(f"{name}: expected an array that can be written. It is read-only")
        is_real = array.dtype.kind != "O" and (array.dtype.kind != "c" or x.dtype.kind == "c")
        if not is_real or not np.can_cast(np.float64, array.dtype, "same_kind"):
            raise TypeError(f"{name}: expected a gradient of floats. Received: {array.dtype}")

    def check_slope(self, grad: Any, slope: Any) -> None:
        """Raises a TypeError for another library's array, and for another kind of numbers."""
        array = _written(grad, "accumulate_grad", "the gradient")
        if not isinstance(slope, np.ndarray):
            raise TypeError(
                f"expected a NumPy array as the gradient. Received: {type(slope).__name__}"
            )
        if not np.can_cast(slope.dtype, array.dtype, "same_kind"):
            raise TypeError(f"expected a gradient of {array.dtype}. Received: {slope.dtype}")
        if not array.flags.writeable:
            raise ValueError("expected a gradient that can be written. It is read-only")

    def fresh(self, x: NDArray[Any]) -> NDArray[Any]:
        """Returns a copy."""
        return np.array(x)

    def own_penalty(self, x: Any, value: Any) -> float:
        """Returns the number, of whatever library."""
        return number_within(value)

    def add_in_place(self, grad: Any, slope: Any) -> None:
        """Adds a gradient to another one."""
        _written(grad, "accumulate_grad", "the gradient")[...] += slope

    def zero(self, x: Any) -> float:
        """Returns a penalty of 0."""
        return 0.0

    def zeros_like(self, x: NDArray[Any]) -> NDArray[Any]:
        """Returns a gradient of 0."""
        return np.zeros_like(x, subok=False)

    def batch_size(self, x: NDArray[Any]) -> int:
        """Returns the first dimension, which NumPy always knows."""
        return max(int(x.shape[0]), 1)

    def side(self, x: Any, given: Any) -> NDArray[Any]:
        """Returns an array of NumPy's, or what it makes of what is no library's."""
        library = library_of(given)
        if isinstance(library, NumPy | Exchanged):
            array: NDArray[Any] = library.native(given)
            return array
        raise TypeError(f"expected a NumPy array. Received: {type(given).__name__}")

    def has_negative(self, side: NDArray[Any]) -> bool:
        """Returns whether an element is negative."""
        with np.errstate(invalid="ignore"):  # what ml_dtypes says of each NaN
            return bool((side < 0).any())

    def value_towards(
        self, kernel: Kernel, x: NDArray[Any], factors: Factors, sides: Sides
    ) -> float:
        """Returns the penalty of x."""
        values: list[float] = _batch(kernel, x, factors, _core.batch_value, sides)
        return values[0]

    def proximal_towards(
        self, kernel: Kernel, x: NDArray[Any], factors: Factors, step: Any, sides: Sides
    ) -> NDArray[Any]:
        """Returns the proximal step of x."""
        stepped = self.copy(x)
        _batch(kernel, stepped, factors, _core.batch_prox, sides, float(step))
        return stepped

    def number(self, x: NDArray[Any]) -> float:
        """Returns the number of a 0-d array."""
        return float(x)

    def is_recorded(self, x: Any) -> bool:
        """Returns False: NumPy does not differentiate."""
        return False

    def native(self, x: Any) -> Any:
        """Returns x, which no other library wraps."""
        return x

    def check(self, x: Any) -> None:
        """The core checks dtypes itself."""

    def is_frozen(self, x: Any) -> bool:
        """Returns False: an array does not say whether it is to be trained."""
        return False

    def memory(self, x: NDArray[Any]) -> Memory:
        """Returns where the elements of x are."""
        if type(x) is not np.ndarray:  # a class of its own may say something else
            x = np.ndarray.view(x, np.ndarray)
        return Memory(x.ctypes.data, x.itemsize, x.shape, x.strides)

    def memory_key(self, x: NDArray[Any]) -> Hashable | None:
        """Returns what only arrays of the very same elements have in common."""
        return memory_key(self.memory(x), x.dtype.name)

    def copy(self, x: NDArray[Any]) -> NDArray[Any]:
        """Returns a copy of x, in its own order if it has no gaps."""
        return np.array(x)

    def tied(
        self, stepped: NDArray[Any], x: NDArray[Any], others: Sequence[NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Returns x after its proximal step, and others that hold the very elements of x."""
        if all((each.shape, each.strides) == (x.shape, x.strides) for each in others):
            return [stepped, *([stepped] * len(others))]
        extents = [(extent - 1) * stride for extent, stride in zip(x.shape, x.strides, strict=True)]
        memory = np.empty(sum(map(abs, extents)) + x.itemsize, np.uint8)

        def placed(like: NDArray[Any]) -> NDArray[Any]:
            backwards = (
                (extent - 1) * -stride
                for extent, stride in zip(like.shape, like.strides, strict=True)
                if stride < 0
            )
            array: NDArray[Any] = np.ndarray(
                like.shape, x.dtype, memory, sum(backwards), like.strides
            )
            return array

        own = placed(x)
        own[...] = stepped
        return [own, *map(placed, others)]

    def own_gradient(self, x: Any) -> NoReturn:
        """Raises a ValueError: an array has no gradient of its own."""
        raise ValueError("NumPy arrays have no gradient of their own: give `grads`")

    def keep_gradient(self, x: Any, grad: Any) -> NoReturn:
        """Raises a ValueError: an array has no gradient of its own."""
        raise ValueError("NumPy arrays have no gradient of their own: give `grads`")

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> None:
        """Raises a ValueError for an array that is read-only, in the core's words."""
        for name, x in zip(names, arrays, strict=True):
            if not x.flags.writeable:
                raise ValueError(
                    f"{name}: expected an array that can be written. Received: a read-only one"
                )

    def group_class(self, kernel: Kernel | None, x: Any) -> type[Group]:
        """Returns the one call of the core, for kernels that it has."""
        return CoreGroup if kernel and kernel.is_batched else Group


NUMPY = NumPy()


def _batch(
    kernel: Kernel,
    x: NDArray[Any],
    factors: Factors,
    function: Callable[..., Any],
    sides: Sides,
    *terms: Any,
) -> Any:
    """Calls one of the core's functions of many arrays for a single one."""
    references, importances = ([side] for side in sides)
    return function(["x"], [(kernel.name, factors)], [0], [x], *terms, references, importances)


def _written(array: Any, function: str, name: str) -> NDArray[Any]:
    if isinstance(array, np.ndarray) and NUMPY.owns(type(array)):
        return array
    raise TypeError(
        f"{function} writes in place and needs a NumPy array for {name}. "
        f"Received: {type(array).__name__}"
    )
