"""Objects that hold, or stand for, an array of another library: all is asked of that one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from taut.arrays import library_of, native
from taut.arrays.group import Group
from taut.arrays.library import ArrayLibrary, Factors
from taut.arrays.memory import Memory
from taut.kernels import Kernel, Sides


class WrappedLibrary(ArrayLibrary, Protocol):
    """What such objects have in common; a subclass says what is within (`native`)."""

    @abstractmethod
    def native(self, x: Any) -> Any:
        """Returns the array within x, as it is now."""

    def value(self, kernel: Kernel, x: Any, factors: Factors) -> Any:
        """Returns the penalty of the array within."""
        array = self.native(x)
        return library_of(array).value(kernel, array, factors)

    def value_and_grad(
        self, kernel: Kernel, x: Any, factors: Factors, scale: float
    ) -> tuple[Any, Any]:
        """Returns the penalty of the array within, and `scale` times its gradient."""
        array = self.native(x)
        return library_of(array).value_and_grad(kernel, array, factors, scale)

    def accumulate_grad(
        self, kernel: Kernel, x: Any, grad: Any, factors: Factors, scale: float
    ) -> Any:
        """Adds to `grad` in place, where the library of the array within can write."""
        array, target = self.native(x), library_of(grad).native(grad)
        return library_of(array).accumulate_grad(kernel, array, target, factors, scale)

    def add_gradient(
        self, kernel: Kernel, x: Any, grad: Any, factors: Factors, scale: float
    ) -> None:
        """Adds to `grad` in place, where the library of the array within can write."""
        array, target = self.native(x), library_of(grad).native(grad)
        library_of(array).add_gradient(kernel, array, target, factors, scale)

    def prox(self, kernel: Kernel, x: Any, factors: Factors, step: float) -> None:
        """Takes the proximal step in place, where the library of the array within can write."""
        self.check_writable(["x"], [x])
        array = self.native(x)
        library_of(array).prox(kernel, array, factors, step)

    def proximal(self, kernel: Kernel, x: Any, factors: Factors, step: Any) -> Any:
        """Returns the proximal step of the array within, as an array of its library."""
        array = self.native(x)
        return library_of(array).proximal(kernel, array, factors, step)

    def differentiate(
        self, function: Callable[[Any], Any], x: Any, scale: float
    ) -> tuple[Any, Any]:
        """Returns what a function gives, and `scale` times its gradient."""
        array = self.native(x)
        return library_of(array).differentiate(function, array, scale)

    def add_in_place(self, grad: Any, slope: Any) -> None:
        """Adds a gradient to another one."""
        array = self.native(grad)
        library_of(array).add_in_place(array, slope)

    def zero(self, x: Any) -> Any:
        """Returns a penalty of 0."""
        array = self.native(x)
        return library_of(array).zero(array)

    def zeros_like(self, x: Any) -> Any:
        """Returns a gradient of 0."""
        array = self.native(x)
        return library_of(array).zeros_like(array)

    def batch_size(self, x: Any) -> Any:
        """Returns the first dimension of the array within."""
        array = self.native(x)
        return library_of(array).batch_size(array)

    def side(self, x: Any, given: Any) -> Any:
        """Returns an array beside the one within."""
        array = self.native(x)
        return library_of(array).side(array, native(given))

    def has_negative(self, side: Any) -> bool | None:
        """Returns whether an element of the array within is negative, if that is known."""
        array = self.native(side)
        return library_of(array).has_negative(array)

    def value_towards(self, kernel: Kernel, x: Any, factors: Factors, sides: Sides) -> Any:
        """Returns the penalty of the array within."""
        array = self.native(x)
        return library_of(array).value_towards(kernel, array, factors, sides)

    def proximal_towards(
        self, kernel: Kernel, x: Any, factors: Factors, step: Any, sides: Sides
    ) -> Any:
        """Returns the proximal step of the array within."""
        array = self.native(x)
        return library_of(array).proximal_towards(kernel, array, factors, step, sides)

    def number(self, x: Any) -> float | None:
        """Returns the number of the array within."""
        array = self.native(x)
        return library_of(array).number(array)

    def is_recorded(self, x: Any) -> bool:
        """Returns whether a derivative with respect to the array within may be wanted."""
        array = self.native(x)
        return library_of(array).is_recorded(array)

    def check(self, x: Any) -> None:
        """Raises a TypeError if the array within is of no kind that has a penalty."""
        array = self.native(x)
        library_of(array).check(array)

    def is_frozen(self, x: Any) -> bool:
        """Returns whether the array within is not to be trained."""
        array = self.native(x)
        return library_of(array).is_frozen(array)

    def memory(self, x: Any) -> Memory | None:
        """Returns where the elements of the array within are."""
        array = self.native(x)
        return library_of(array).memory(array)

    def memory_key(self, x: Any) -> Hashable | None:
        """Returns what only the very same elements have in common."""
        array = self.native(x)
        return library_of(array).memory_key(array)

    def copy(self, x: Any) -> Any:
        """Returns a copy of the array within."""
        array = self.native(x)
        return library_of(array).copy(array)

    def tied(self, stepped: Any, x: Any, others: Sequence[Any]) -> list[Any]:
        """Returns the array within after its proximal step, and those of others."""
        array = self.native(x)
        return library_of(array).tied(stepped, array, [library_of(y).native(y) for y in others])

    def own_gradient(self, x: Any) -> Any:
        """Returns the gradient that the array within keeps."""
        array = self.native(x)
        return library_of(array).own_gradient(array)

    def keep_gradient(self, x: Any, grad: Any) -> None:
        """Makes `grad` the gradient of the array within."""
        array = self.native(x)
        library_of(array).keep_gradient(array, grad)

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> None:
        """Raises a TypeError that names those that cannot be written in place."""
        for name, array in zip(names, map(self.native, arrays), strict=True):
            library_of(array).check_writable([name], [array])

    def group_class(self, kernel: Kernel | None, x: Any) -> type[Group]:
        """Returns what computes many arrays such as the one within."""
        array = self.native(x)
        return library_of(array).group_class(kernel, array)
