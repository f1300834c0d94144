"""Soft orthogonality: of all vectors in a matrix, and their norms."""

from typing import Any, get_args

from taut.arrays.factors import Factor, as_factor, number_of, read
from taut.arrays.library import Factors
from taut.kernels import SOFT_ORTHOGONAL
from taut.kernels.checks import check_option
from taut.regularizers._gram import Mode
from taut.regularizers._kernel import KernelRegularizer
from taut.regularizers._registry import register_builtin

_DEFAULT = 0.01
_MODES = get_args(Mode)


class SoftOrthogonalRegularizer(KernelRegularizer):
    """Encourages the rows, or the columns, of a matrix to be orthonormal.

    The penalty is `factor * norm(W @ W.T - I)**2`, the sum of all squares. The rows of W are the
    rows of x, or its columns. The gradient is `4 * factor * (W @ W.T - I) @ W`. Without the
    diagonal, the penalty is `factor` times the sum of all `dot(w[i], w[j])**2` with i != j, which
    leaves the norms alone. It is a sum, not a mean as in `OrthogonalRegularizer`: it grows with x.

    More vectors than coordinates cannot be orthonormal: n vectors of length d have a penalty of at
    least `factor * (n - d)`. NaN or Inf in x makes the penalty and the whole gradient NaN. The
    penalty is computed from the smaller of `W @ W.T` and `W.T @ W`, and neither is stored where it
    is large. Without the diagonal, `W.T @ W` is used from twice as many vectors as coordinates on,
    and errors are then relative to `norm(W.T @ W)**2`.

    The string identifier is 'soft_orthogonal_regularizer'.

    Args:
        factor: A non-negative number, or a 0-d array or variable that each call reads. None means
            the default.
        mode: "rows" or "columns": the vectors that should be orthonormal.
        diagonal: Whether their norms should be 1, too.
        flatten: Whether x may have more than two axes, read as in `OrthogonalRegularizer`.

    Raises:
        ValueError: If the factor is negative or not a finite number, or the mode, `diagonal` or
            `flatten` has another value.

    Source: Xie et al., "All You Need is Beyond a Good Init", 2017; without the diagonal Brock et
    al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, section 3.1.
    """

    _kernel = SOFT_ORTHOGONAL
    _settable = ("factor", "mode", "diagonal", "flatten")

    def __init__(
        self,
        factor: Factor | None = _DEFAULT,
        mode: Mode = "rows",
        diagonal: bool = True,
        flatten: bool = False,
    ) -> None:
        self.factor = as_factor("factor", _DEFAULT if factor is None else factor)
        self.mode = check_option("mode", mode, _MODES)
        self.diagonal = check_option("diagonal", diagonal, (True, False))
        self.flatten = check_option("flatten", flatten, (False, True))

    def _factors(self) -> Factors:
        return read(SOFT_ORTHOGONAL, self.factor, self.mode, self.diagonal, self.flatten)

    def __repr__(self) -> str:
        flatten = ", flatten=True" if self.flatten else ""
        return (
            f"{type(self).__name__}(factor={self.factor!r}, mode={self.mode!r}, "
            f"diagonal={self.diagonal!r}{flatten})"
        )

    def get_config(self) -> dict[str, Any]:
        """Returns `{"factor": ..., "mode": ..., "diagonal": ...}`, exactly as they were given.

        It also has "flatten" if that is True.
        """
        config = {
            "factor": number_of("factor", self.factor),
            "mode": self.mode,
            "diagonal": self.diagonal,
        }
        return config | {"flatten": True} if self.flatten else config


register_builtin(SoftOrthogonalRegularizer, "soft_orthogonal_regularizer")
