"""The penalties that the demo compares."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from taut import regularizers
from taut.demo.network import HIDDEN_KERNEL, HIDDEN_OUTPUT
from taut.regularizers import Regularizer

Measure: TypeAlias = Literal["near zero", "zero", "units gone", "norm", "units", "pixels", "output"]


@dataclass(frozen=True)
class Experiment:
    """One penalty, and where it acts.

    Attributes:
        name: What tables and pictures call it.
        effect: What it does, in a few words.
        regularizer: The penalty, or None for the loss alone.
        target: The array it penalizes: HIDDEN_KERNEL or HIDDEN_OUTPUT.
        seen_in: The measures that show the effect, see `taut.demo.metrics`, the best one last.
        proximal: Whether the penalty acts by its proximal step after each step of the loss, in
            place of its gradient.
    """

    name: str
    effect: str
    regularizer: Regularizer | None
    target: str = HIDDEN_KERNEL
    seen_in: tuple[Measure, ...] = ()
    proximal: bool = False

    @property
    def call(self) -> str:
        """What the training calls after each step, or each gradient, of the loss."""
        if self.regularizer is None:
            return ""
        if self.proximal:
            return f"{self.regularizer!r}.prox(w, step)"
        x = "w" if self.target == HIDDEN_KERNEL else "output"
        return f"{self.regularizer!r}.accumulate_grad({x}, grad)"


# The factors are large enough for each effect to be plain to see, and small enough for the accuracy
# to stay. L1, L2 and group lasso are sums over all weights, the orthogonal penalty is a mean over
# pairs: hence its larger factor.
EXPERIMENTS = (
    Experiment("none", "the loss alone", None),
    Experiment("L1", "most weights zero", regularizers.L1(1e-3), seen_in=("near zero",)),
    Experiment(
        "L1 prox",
        "exact zeros",
        regularizers.L1(1e-3),
        seen_in=("near zero", "zero"),
        proximal=True,
    ),
    Experiment(
        "group lasso",
        "whole units zero",
        regularizers.GroupLasso(1.5e-3, mode="columns"),
        seen_in=("near zero", "zero", "units gone"),
        proximal=True,
    ),
    Experiment("L2", "all weights small", regularizers.L2(2e-3), seen_in=("norm",)),
    Experiment(
        "L1L2",
        "zero or small",
        regularizers.L1L2(l1=5e-4, l2=1e-3),
        seen_in=("norm", "near zero"),
    ),
    Experiment(
        "orthogonal columns",
        "units differ",
        regularizers.OrthogonalRegularizer(3.0, mode="columns"),
        seen_in=("units",),
    ),
    Experiment(
        "orthogonal rows",
        "pixels differ",
        regularizers.OrthogonalRegularizer(3.0, mode="rows"),
        seen_in=("pixels",),
    ),
    Experiment(
        "activity L1",
        "few units active",
        regularizers.ActivityRegularizer(regularizers.L1(2e-2)),
        target=HIDDEN_OUTPUT,
        seen_in=("output",),
    ),
)
