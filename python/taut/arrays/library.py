"""What taut asks of an array library: the protocol that mypy checks each class against."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from taut.arrays.memory import Memory
from taut.kernels import Kernel, Sides

if TYPE_CHECKING:
    from taut.arrays.group import Group

Factors = tuple[Any, ...]


class ArrayLibrary(Protocol):
    """An array library, with what a kernel, or a user's own function, is to it.

    `FormulaLibrary` has most of this for a library whose arrays cannot be written.

    Attributes:
        differentiates: Whether it differentiates functions of its operations.
    """

    differentiates: bool = True

    def owns(self, cls: type) -> bool:
        """Returns whether arrays of a class are this library's."""

    # ---- one array ----

    def value(self, kernel: Kernel, x: Any, factors: Factors) -> Any:
        """Returns the penalty of x, differentiable where the library differentiates."""

    def value_and_grad(
        self, kernel: Kernel, x: Any, factors: Factors, scale: float
    ) -> tuple[Any, Any]:
        """Returns the penalty of x, and a new array with `scale` times its gradient."""

    def accumulate_grad(
        self, kernel: Kernel, x: Any, grad: Any, factors: Factors, scale: float
    ) -> Any:
        """Adds `scale` times the gradient to `grad`, in place, and returns the penalty."""

    def add_gradient(
        self, kernel: Kernel, x: Any, grad: Any, factors: Factors, scale: float
    ) -> None:
        """Adds `scale` times the gradient to `grad`, in place; the penalty is not asked for."""
        self.accumulate_grad(kernel, x, grad, factors, scale)

    def prox(self, kernel: Kernel, x: Any, factors: Factors, step: float) -> None:
        """Replaces x by the proximal step of a kernel that has one."""

    def check_prox(self, kernel: Kernel, x: Any, factors: Factors, step: float) -> None:
        """Raises what `prox` would, as far as is known before it writes."""
        kernel.check(factors, x.shape)
        kernel.check_step(factors, step)

    def proximal(self, kernel: Kernel, x: Any, factors: Factors, step: Any) -> Any:
        """Returns the proximal step of a kernel that has one, as a new array of x's dtype.

        The step is a float, or `Known` or `Traced`, as factors are.
        """

    def differentiate(
        self, function: Callable[[Any], Any], x: Any, scale: float
    ) -> tuple[Any, Any]:
        """Returns what a user's own function gives, and `scale` times its gradient."""

    def check_slope(self, grad: Any, slope: Any) -> None:
        """Raises a TypeError or a ValueError for a gradient that `add_in_place` could not add.

        Shapes are looked at elsewhere.
        """
        return

    def fresh(self, x: Any) -> Any:
        """Returns what nobody else writes: a copy of x, if x can be written."""
        return x

    def own_penalty(self, x: Any, value: Any) -> Any:
        """Returns a penalty of x, which is real and but one number, in memory of its own.

        That is an array of this library, or the number of another's or of Python's.

        Raises:
            TypeError, ValueError, OverflowError, RuntimeError: If it has no number here.
        """
        return value if self.owns(type(value)) else number_within(value)

    def add_in_place(self, grad: Any, slope: Any) -> None:
        """Adds a gradient to another one."""

    def zero(self, x: Any) -> Any:
        """Returns a penalty of 0, as `value` would give it."""

    def zeros_like(self, x: Any) -> Any:
        """Returns a gradient of 0, of x's shape and dtype."""

    def batch_size(self, x: Any) -> Any:
        """Returns the first dimension of an activity, at least 1, where its shape is symbolic."""

    # ---- one array, with what belongs to it ----

    def side(self, x: Any, given: Any) -> Any:
        """Returns the reference or the importance of x as this library computes with it.

        That is one of its own arrays, or NumPy's: the very memory, which others may write to.

        Raises:
            TypeError: If it is another library's.
            ValueError: If it is on another device.
        """

    def has_negative(self, side: Any) -> bool | None:
        """Returns whether an element is negative; None where it cannot be known, as of a trace."""

    def value_towards(self, kernel: Kernel, x: Any, factors: Factors, sides: Sides) -> Any:
        """Returns the penalty of x as `value` does, of a kernel that takes a reference."""

    def proximal_towards(
        self, kernel: Kernel, x: Any, factors: Factors, step: Any, sides: Sides
    ) -> Any:
        """Returns the proximal step of x as `proximal` does, likewise."""

    # ---- a factor ----

    def factor(self, x: Any) -> Any:
        """Returns the 0-d array within x as `native` does, but in x's own dtype."""
        return self.native(x)

    def number(self, x: Any) -> float | None:
        """Returns the number that a 0-d array holds; None if it is traced and has none yet."""

    def is_recorded(self, x: Any) -> bool:
        """Returns whether a derivative with respect to such an array may be asked for."""

    # ---- one parameter of many ----

    def check_agreement(
        self,
        leaves: Mapping[str, Any],
        penalties: Callable[[], Mapping[str, str]],
        importances: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Checks that processes that share arrays have the same penalties of them.

        Args:
            leaves: Arrays by their names, of this library and of others.
            penalties: Returns, in words, what is computed of those that have a penalty.
            importances: Returns those of the arrays that have one.

        Raises:
            ValueError: On all of them, if they do not, or if an importance that they share is
                negative.
        """
        return  # arrays of most libraries are shared with nobody

    def check_gradient(self, name: str, x: Any, grad: Any) -> None:
        """Raises an error for a gradient of x's shape that could not be added to."""
        return

    def tell_failure(self, leaves: Mapping[str, Any], error: Exception) -> None:
        """Makes `check_agreement` fail in other processes, which would wait for this one."""
        return

    def native(self, x: Any) -> Any:
        """Returns the array within x, as it is now, if x wraps another library's."""

    def check(self, x: Any) -> None:
        """Raises a TypeError if x is of no dtype or kind that has a penalty."""

    def is_observed(self, x: Any) -> bool:
        """Returns whether somebody records or transforms what is done with x, and may refuse it.

        Then the gradients of kernels are computed, as those of your own are, before one is added.
        """
        return False

    def is_frozen(self, x: Any) -> bool:
        """Returns whether x is not to be trained."""

    def memory(self, x: Any) -> Memory | None:
        """Returns where the elements of x are; None for what is not plain memory of the CPU's."""
        return None

    def memory_key(self, x: Any) -> Hashable | None:
        """Returns what only the very same elements have in common; None if there are none."""

    def copy(self, x: Any) -> Any:
        """Returns a copy of x to write to.

        Raises:
            TypeError: If it could not be written.
        """

    def tied(self, stepped: Any, x: Any, others: Sequence[Any]) -> list[Any]:
        """Returns x after its proximal step, and others that hold the very elements of x."""

    def own_gradient(self, x: Any) -> Any:
        """Returns the gradient that x keeps, or zeros for `keep_gradient`.

        Raises:
            TypeError, ValueError: If x keeps none.
        """

    def keep_gradient(self, x: Any, grad: Any) -> None:
        """Makes `grad` the gradient of x."""

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> None:
        """Raises a TypeError that names those that cannot be written in place."""

    def group_class(self, kernel: Kernel | None, x: Any) -> type[Group]:
        """Returns what computes the penalties of a kernel for many arrays such as x.

        Without a kernel, those are of regularizers that are no kernel's.
        """


def number_within(value: Any) -> float:
    """Returns the number of an array of one, of whatever library, or of what is a number."""
    return float(value.item() if hasattr(value, "item") else value)
