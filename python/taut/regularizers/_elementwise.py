"""L1, L2, and both: penalties of each weight by itself."""

from typing import Any

from taut._checks import check_factor
from taut.backends import backend_of
from taut.regularizers._base import KernelRegularizer

_DEFAULT = 0.01


class _Elementwise(KernelRegularizer):
    """What L1, L2 and both have beside the orthogonal penalty."""

    _kernel = "elementwise"

    def prox(self, x: Any, step: float) -> None:
        """Replaces `x` by its proximal step, `argmin_y step * penalty(y) + |y - x|**2 / 2`.

        Each element is moved towards 0 by `step * l1`, to exactly 0 where it is nearer than that,
        and then multiplied by `1 / (1 + 2 * step * l2)`. The subgradient of L1 steps across 0;
        this stops there, so that weights become sparse. NaN stays NaN.

        Args:
            x: A writable array of float64, float32, float16 or bfloat16 that does not overlap
                itself.
            step: How far to go: the learning rate, where this follows a gradient step.

        Raises:
            TypeError: If `x` cannot be written in place, or has another dtype.
            ValueError: If a factor or the step is negative or not finite, or `x` is read-only.
                Nothing has been written then.

        Source: Parikh and Boyd, "Proximal Algorithms", 2014, section 6.5.2.
        """
        backend_of(x).prox(x, self._factors(), step)


class L1(_Elementwise):
    """Penalizes the absolute values: `l1 * sum(abs(x))`.

    Its gradient is `l1 * sign(x)`, with sign(0) = 0. Its string identifier is 'l1'.

    Args:
        l1: The factor, not negative. None means the default.

    Raises:
        ValueError: If the factor is negative or not a finite number.

    Source: `keras.regularizers.L1`.
    """

    def __init__(self, l1: float | None = _DEFAULT) -> None:
        self.l1 = check_factor("l1", _DEFAULT if l1 is None else l1)

    def _factors(self) -> tuple[float, float]:
        l1 = self.l1
        return (l1 if type(l1) is float else check_factor("l1", l1)), 0.0

    def get_config(self) -> dict[str, Any]:
        """Returns `{"l1": l1}`, exactly the factor that was given."""
        return {"l1": float(self.l1)}


class L2(_Elementwise):
    """Penalizes the squares: `l2 * sum(square(x))`.

    Its gradient is `2 * l2 * x`. Its string identifier is 'l2'.

    Args:
        l2: The factor, not negative. None means the default.

    Raises:
        ValueError: If the factor is negative or not a finite number.

    Source: `keras.regularizers.L2`.
    """

    def __init__(self, l2: float | None = _DEFAULT) -> None:
        self.l2 = check_factor("l2", _DEFAULT if l2 is None else l2)

    def _factors(self) -> tuple[float, float]:
        l2 = self.l2
        return 0.0, (l2 if type(l2) is float else check_factor("l2", l2))

    def get_config(self) -> dict[str, Any]:
        """Returns `{"l2": l2}`, exactly the factor that was given."""
        return {"l2": float(self.l2)}


class L1L2(_Elementwise):
    """Penalizes absolute values and squares: `l1 * sum(abs(x)) + l2 * sum(square(x))`.

    Both in one pass over x; a term whose factor is 0 is skipped. Its string identifiers 'l1_l2' and
    'l1l2' have 0.01 for both factors.

    Args:
        l1: The factor of the absolute values, not negative. None means the default.
        l2: The factor of the squares, not negative. None means the default.

    Raises:
        ValueError: If a factor is negative or not a finite number.

    Source: `keras.regularizers.L1L2`.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = check_factor("l1", 0.0 if l1 is None else l1)
        self.l2 = check_factor("l2", 0.0 if l2 is None else l2)

    def _factors(self) -> tuple[float, float]:
        l1, l2 = self.l1, self.l2
        if type(l1) is float and type(l2) is float:
            return l1, l2
        return check_factor("l1", l1), check_factor("l2", l2)

    def get_config(self) -> dict[str, Any]:
        """Returns `{"l1": l1, "l2": l2}`, exactly the factors that were given."""
        return {"l1": float(self.l1), "l2": float(self.l2)}


def l1_l2(l1: float | None = _DEFAULT, l2: float | None = _DEFAULT) -> L1L2:
    """Returns an `L1L2` whose factors are 0.01 unless given, as its string identifier has them.

    Source: Keras 2's function of this name; in Keras 3 the name is the class itself.
    """
    return L1L2(_DEFAULT if l1 is None else l1, _DEFAULT if l2 is None else l2)
