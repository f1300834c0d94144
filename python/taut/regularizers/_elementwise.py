"""L1, L2, and both: penalties of each weight by itself."""

from typing import Any

from taut.arrays.factors import Factor, as_factor, number_of, read
from taut.arrays.library import Factors
from taut.kernels import ELEMENTWISE
from taut.regularizers._kernel import KernelRegularizer
from taut.regularizers._registry import register_builtin

_DEFAULT = 0.01


class L1(KernelRegularizer):
    """Penalizes the absolute values: `l1 * sum(abs(x))`.

    Its gradient is `l1 * sign(x)`, with sign(0) = 0. Its string identifier is 'l1'.

    Args:
        l1: A non-negative number, or a 0-d array or variable that each call reads. None means
            the default.

    Raises:
        ValueError: If the factor is negative or not a finite number, where its number is known.

    Source: `keras.regularizers.L1`.
    """

    _kernel = ELEMENTWISE
    _settable = ("l1",)

    def __init__(self, l1: Factor | None = _DEFAULT) -> None:
        self.l1 = as_factor("l1", _DEFAULT if l1 is None else l1)

    def _factors(self) -> Factors:
        l1 = self.l1
        return (l1, 0.0) if type(l1) is float else read(ELEMENTWISE, l1, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns `{"l1": l1}`, with exactly the number that was given."""
        return {"l1": number_of("l1", self.l1)}


class L2(KernelRegularizer):
    """Penalizes the squares: `l2 * sum(square(x))`.

    Its gradient is `2 * l2 * x`. Its string identifier is 'l2'.

    Args:
        l2: A non-negative number, or a 0-d array or variable that each call reads. None means
            the default.

    Raises:
        ValueError: If the factor is negative or not a finite number, where its number is known.

    Source: `keras.regularizers.L2`.
    """

    _kernel = ELEMENTWISE
    _settable = ("l2",)

    def __init__(self, l2: Factor | None = _DEFAULT) -> None:
        self.l2 = as_factor("l2", _DEFAULT if l2 is None else l2)

    def _factors(self) -> Factors:
        l2 = self.l2
        return (0.0, l2) if type(l2) is float else read(ELEMENTWISE, 0.0, l2)

    def get_config(self) -> dict[str, Any]:
        """Returns `{"l2": l2}`, with exactly the number that was given."""
        return {"l2": number_of("l2", self.l2)}


class L1L2(KernelRegularizer):
    """Penalizes absolute values and squares: `l1 * sum(abs(x)) + l2 * sum(square(x))`.

    One pass over x computes both. A term whose factor is 0 is skipped. With the string identifiers
    'l1_l2' and 'l1l2', both factors are 0.01.

    Args:
        l1: The factor of the absolute values: a non-negative number, or a 0-d array or variable
            that each call reads. None means the default.
        l2: The factor of the squares, in the same form.

    Raises:
        ValueError: If a factor is negative or not a finite number, where its number is known.

    Source: `keras.regularizers.L1L2`.
    """

    _kernel = ELEMENTWISE
    _settable = ("l1", "l2")

    def __init__(self, l1: Factor | None = 0.0, l2: Factor | None = 0.0) -> None:
        self.l1 = as_factor("l1", 0.0 if l1 is None else l1)
        self.l2 = as_factor("l2", 0.0 if l2 is None else l2)

    def _factors(self) -> Factors:
        l1, l2 = self.l1, self.l2
        if type(l1) is float and type(l2) is float:
            return l1, l2
        return read(ELEMENTWISE, l1, l2)

    def get_config(self) -> dict[str, Any]:
        """Returns `{"l1": l1, "l2": l2}`, with exactly the numbers that were given."""
        return {"l1": number_of("l1", self.l1), "l2": number_of("l2", self.l2)}


def l1_l2(l1: Factor | None = _DEFAULT, l2: Factor | None = _DEFAULT) -> L1L2:
    """Returns an `L1L2` whose factors are 0.01 by default, as with its string identifier.

    Source: Keras 2's function of this name; in Keras 3 the name is the class itself.
    """
    return L1L2(_DEFAULT if l1 is None else l1, _DEFAULT if l2 is None else l2)


register_builtin(L1, "l1")
register_builtin(L2, "l2")
register_builtin(L1L2, "l1_l2", "l1l2", make=l1_l2)
