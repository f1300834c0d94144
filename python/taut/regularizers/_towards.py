"""A regularizer with what belongs to one parameter: its reference, and its importance."""

from typing import Any, NoReturn

from taut.arrays import library_of, native
from taut.arrays.factors import read_step
from taut.kernels import Sides
from taut.kernels.checks import check_side
from taut.regularizers._base import Regularizer
from taut.regularizers._kernel import KernelRegularizer


class Towards(Regularizer):
    """What `taut.Penalties` makes of a kernel's regularizer and a parameter's own arrays.

    The arrays are those that a caller gave, and are read at each call. What many arrays of the
    CPU's are is computed in groups, which do not ask this.
    """

    def __init__(self, regularizer: Regularizer, sides: Sides) -> None:
        assert isinstance(regularizer, KernelRegularizer)
        self._regularizer = regularizer
        self._sides = sides

    def __repr__(self) -> str:
        return repr(self._regularizer)

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of the parameter."""
        array, kernel, factors, sides = self._terms(x)
        return library_of(array).value_towards(kernel, array, factors, sides)

    def _check_accumulate_grad(self, x: Any) -> None:
        array, kernel, factors, _ = self._terms(x)
        kernel.check(factors, array.shape)

    def _check_prox(self, x: Any, step: float) -> None:
        self.prox(x, step)

    def prox(self, x: Any, step: float) -> NoReturn:
        """Raises a TypeError: whatever the core can write to is in a group."""
        raise TypeError(
            "prox towards a reference needs arrays in the CPU's memory that can be written: take "
            f"proximal. Received: {type(x).__name__}"
        )

    def proximal(self, x: Any, step: Any) -> Any:
        """Returns the proximal step of the parameter."""
        array, kernel, factors, sides = self._terms(x)
        return library_of(array).proximal_towards(kernel, array, factors, read_step(step), sides)

    def _terms(self, x: Any) -> tuple[Any, ...]:
        array = native(x)
        library = library_of(array)
        sides = Sides(
            *(None if side is None else library.side(array, native(side)) for side in self._sides)
        )
        for what, side in sides._asdict().items():
            if side is not None:
                check_side(what, array, side)
        return array, self._regularizer._kernel, self._regularizer._factors(), sides
