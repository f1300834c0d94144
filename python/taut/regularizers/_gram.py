"""The orthogonal penalty: of each pair of vectors in a matrix."""

from typing import Any, Literal, get_args

from taut.arrays.factors import Factor, as_factor, number_of, read
from taut.arrays.library import Factors
from taut.kernels import GRAM
from taut.kernels.checks import check_option
from taut.regularizers._kernel import KernelRegularizer
from taut.regularizers._registry import register_builtin

Mode = Literal["rows", "columns"]

_DEFAULT = 0.01
_MODES = get_args(Mode)


class OrthogonalRegularizer(KernelRegularizer):
    """Encourages the rows, or the columns, of a matrix to be orthogonal to each other.

    The penalty is `factor` times the mean over all pairs i < j of `abs(dot(u[i], u[j]))`, where
    `u[i] = x[i] / max(norm(x[i]), 1e-7)`. Fewer than two vectors have a penalty of 0. The gradient
    includes that of the normalization. A pair that is exactly orthogonal adds nothing to it. A
    vector with NaN or Inf makes the penalty and the whole gradient NaN.

    The Gram matrix is never stored: memory is proportional to the size of x. The string identifier
    is 'orthogonal_regularizer'.

    Args:
        factor: A non-negative number, or a 0-d array or variable that each call reads. None means
            the default.
        mode: "rows" or "columns": the vectors that should be orthogonal.
        flatten: Whether x may have more than two axes, as the kernels of convolutions do. Its rows
            are then the first axis by the rest (torch's filters), its columns the rest by the last
            axis (Keras's). Without `flatten`, such an x is an error.

    Raises:
        ValueError: If the factor is negative or not a finite number, or the mode or `flatten` has
            another value.

    Source: `keras.regularizers.OrthogonalRegularizer`; `flatten` is taut's own.
    """

    _kernel = GRAM
    _settable = ("factor", "mode", "flatten")

    def __init__(
        self, factor: Factor | None = _DEFAULT, mode: Mode = "rows", flatten: bool = False
    ) -> None:
        self.factor = as_factor("factor", _DEFAULT if factor is None else factor)
        self.mode = check_option("mode", mode, _MODES)
        self.flatten = check_option("flatten", flatten, (False, True))

    def _factors(self) -> Factors:
        factor, mode, flatten = self.factor, self.mode, self.flatten
        is_plain = type(factor) is float and type(mode) is str and type(flatten) is bool
        if is_plain and mode in _MODES:
            return factor, mode, flatten
        return read(GRAM, factor, mode, flatten)

    def __repr__(self) -> str:
        flatten = ", flatten=True" if self.flatten else ""
        return f"{type(self).__name__}(factor={self.factor!r}, mode={self.mode!r}{flatten})"

    def get_config(self) -> dict[str, Any]:
        """Returns `{"factor": factor, "mode": mode}`, with exactly the number that was given.

        It also has "flatten" if that is True. Otherwise the config is Keras's own.
        """
        config = {"factor": number_of("factor", self.factor), "mode": self.mode}
        return config | {"flatten": True} if self.flatten else config


register_builtin(OrthogonalRegularizer, "orthogonal_regularizer")
