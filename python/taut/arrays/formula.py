"""Array libraries that compute a kernel by its formula, and whose arrays cannot be written."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NoReturn

from numpy import ndarray

from taut.arrays.factors import operand, operands
from taut.arrays.group import Group
from taut.arrays.library import ArrayLibrary, Factors
from taut.kernels import Kernel, Operations, Sides
from taut.kernels.checks import check_dtype


class FormulaLibrary(ArrayLibrary):
    """What such libraries have in common.

    A subclass says which classes it owns (`owns`), has the operations that formulas are made of
    (`xp`), and differentiates functions (`differentiate`). The rest may stay as it is here.

    Attributes:
        xp: The library's operations.
        plural: What errors call its arrays.
        differentiator: What they name in place of a gradient that would be written.
        cast: What they say to write for an array of another dtype.
    """

    xp: Operations
    plural: str = "arrays"
    differentiator: str = "value_and_grad"
    cast: str = '.astype("float32")'

    def check(self, x: Any) -> None:
        """Raises a TypeError for a dtype that has no penalty."""
        check_dtype(x.dtype.name, self.cast)

    def value(self, kernel: Kernel, x: Any, factors: Factors) -> Any:
        """Returns the penalty of x as a 0-d array."""
        self.check(x)
        factors = operands(factors, self)
        kernel.check(factors, x.shape)
        total = kernel.formula(self.xp, x, factors, kernel.presence(factors))
        return self.xp.cast(total, self.xp.value_dtype(x))

    def value_and_grad(
        self, kernel: Kernel, x: Any, factors: Factors, scale: float
    ) -> tuple[Any, Any]:
        """Returns the penalty of x, and `scale` times its gradient."""
        return self.differentiate(lambda weight: self.value(kernel, weight, factors), x, scale)

    def accumulate_grad(
        self, kernel: Kernel, x: Any, grad: Any, factors: Factors, scale: float
    ) -> NoReturn:
        """Raises a TypeError: arrays cannot be written."""
        self._refuse("accumulate_grad", f"take value_and_grad, or {self.differentiator}")

    def prox(self, kernel: Kernel, x: Any, factors: Factors, step: float) -> NoReturn:
        """Raises a TypeError: arrays cannot be written."""
        self._refuse("prox", "take proximal")

    def proximal(self, kernel: Kernel, x: Any, factors: Factors, step: Any) -> Any:
        """Returns the proximal step of x."""
        self.check(x)
        factors, by = operands(factors, self), operand(step, self)
        kernel.check(factors, x.shape)
        kernel.check_step(factors, by)
        return kernel.stepped(self.xp, x, factors, by)

    def check_gradient(self, name: str, x: Any, grad: Any) -> NoReturn:
        """Raises a TypeError: arrays cannot be written."""
        self._refuse("accumulate_grad", f"take value_and_grad, or {self.differentiator}")

    def add_in_place(self, grad: Any, slope: Any) -> NoReturn:
        """Raises a TypeError: arrays cannot be written."""
        self._refuse("accumulate_grad", f"take value_and_grad, or {self.differentiator}")

    def zero(self, x: Any) -> Any:
        """Returns a penalty of 0."""
        return self.xp.cast(self.xp.no_penalty(self.xp.zeros_like(x)), self.xp.value_dtype(x))

    def zeros_like(self, x: Any) -> Any:
        """Returns a gradient of 0."""
        return self.xp.zeros_like(x)

    def batch_size(self, x: Any) -> Any:
        """Returns the first dimension, which is known here."""
        return max(x.shape[0], 1)

    def side(self, x: Any, given: Any) -> Any:
        """Returns an array of this library, or NumPy's, as it is."""
        if isinstance(given, ndarray) or self.owns(type(given)):
            return given
        raise TypeError(
            f"expected one of {self.plural}, or a NumPy array. Received: {type(given).__name__}"
        )

    def has_negative(self, side: Any) -> bool | None:
        """Returns whether one of NumPy's has a negative element; a library may know of its own."""
        return bool((side < 0).any()) if isinstance(side, ndarray) else None

    def value_towards(self, kernel: Kernel, x: Any, factors: Factors, sides: Sides) -> Any:
        """Returns the penalty of x as a 0-d array."""
        self.check(x)
        factors = operands(factors, self)
        kernel.check(factors, x.shape)
        presence = kernel.presence(factors)
        total = kernel.formula(self.xp, x, factors, presence, sides=sides)
        return self.xp.cast(total, self.xp.value_dtype(x))

    def proximal_towards(
        self, kernel: Kernel, x: Any, factors: Factors, step: Any, sides: Sides
    ) -> Any:
        """Returns the proximal step of x."""
        self.check(x)
        factors, by = operands(factors, self), operand(step, self)
        kernel.check(factors, x.shape)
        kernel.check_step(factors, by)
        return kernel.stepped(self.xp, x, factors, by, sides)

    def number(self, x: Any) -> float | None:
        """Returns None: a 0-d array may be differentiated, traced or not."""
        return None

    def is_recorded(self, x: Any) -> bool:
        """Returns True, where a library has numbers, and does not tell who differentiates."""
        return True

    def native(self, x: Any) -> Any:
        """Returns x, which no other library wraps."""
        return x

    def is_frozen(self, x: Any) -> bool:
        """Returns False: arrays do not say whether they are to be trained."""
        return False

    def memory_key(self, x: Any) -> Hashable | None:
        """Returns what tells an array from others: they share no memory that one could see."""
        return id(x)

    def copy(self, x: Any) -> NoReturn:
        """Raises a TypeError: a copy could not be written either."""
        self._refuse("prox", "define proximal")

    def tied(self, stepped: Any, x: Any, others: Sequence[Any]) -> list[Any]:
        """Returns x after its proximal step, for others too, which are x itself."""
        return [stepped, *([stepped] * len(others))]

    def own_gradient(self, x: Any) -> NoReturn:
        """Raises a TypeError: an array has no gradient of its own, and none could be written."""
        self._refuse("accumulate_grad", f"take {self.differentiator} of the penalties")

    def keep_gradient(self, x: Any, grad: Any) -> NoReturn:
        """Raises a TypeError: an array has no gradient of its own."""
        self._refuse("accumulate_grad", f"take {self.differentiator} of the penalties")

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> NoReturn:
        """Raises a TypeError: arrays cannot be written."""
        self._refuse("prox", f"take proximal. Received: {list(names)}")

    def group_class(self, kernel: Kernel | None, x: Any) -> type[Group]:
        """Returns what computes one penalty after the other, so that all can be traced."""
        return Group

    def _refuse(self, function: str, instead: str) -> NoReturn:
        raise TypeError(
            f"{function} writes in place, and {self.plural} cannot be written: {instead}"
        )
