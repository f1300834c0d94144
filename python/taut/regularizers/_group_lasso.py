"""Group lasso: of whole rows or columns."""

from typing import Any

from taut.arrays.factors import Factor, as_factor, number_of, read
from taut.arrays.library import Factors
from taut.kernels import GROUP_LASSO
from taut.kernels.checks import check_option
from taut.regularizers._gram import Mode
from taut.regularizers._kernel import KernelRegularizer
from taut.regularizers._registry import register_builtin

_DEFAULT = 0.01
_MODES = GROUP_LASSO.options["mode"]


class GroupLasso(KernelRegularizer):
    """Penalizes the norms of groups of weights, so that whole groups vanish together.

    The penalty is `factor * sqrt(g) * sum(norm(w))` over the groups w. These are the slices of x
    along its first axis or along its last, with g elements each. x may have any rank from 1 on. At
    rank 1, each element is a group, and this is L1. The gradient is
    `factor * sqrt(g) * w / norm(w)`, and 0 for a group of zeros. `prox` multiplies each group by
    `max(0, 1 - step * factor * sqrt(g) / norm(w))`, which sets whole groups to exactly 0.

    NaN in a group makes the penalty and the group's gradient NaN. Inf makes the penalty Inf, and
    `w / norm(w)` NaN at its place and 0 in the rest of its group. Norms are computed in float64
    without overflow or underflow. The string identifier is 'group_lasso'.

    Args:
        factor: A non-negative number, or a 0-d array or variable that each call reads. None means
            the default.
        mode: "rows" for slices along the first axis, the outputs of a torch layer; "columns" for
            slices along the last axis, the outputs of a Keras layer.

    Raises:
        ValueError: If the factor is negative or not a finite number, or the mode has another value.

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables",
    2006.
    """

    _kernel = GROUP_LASSO
    _settable = ("factor", "mode")

    def __init__(self, factor: Factor | None = _DEFAULT, mode: Mode = "rows") -> None:
        self.factor = as_factor("factor", _DEFAULT if factor is None else factor)
        self.mode = check_option("mode", mode, _MODES)

    def _factors(self) -> Factors:
        factor, mode = self.factor, self.mode
        if type(factor) is float and type(mode) is str and mode in _MODES:
            return factor, mode
        return read(GROUP_LASSO, factor, mode)

    def get_config(self) -> dict[str, Any]:
        """Returns `{"factor": factor, "mode": mode}`, with exactly the number that was given."""
        return {"factor": number_of("factor", self.factor), "mode": self.mode}


register_builtin(GroupLasso, "group_lasso")
