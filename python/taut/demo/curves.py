"""The training curves in the picture."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from taut.demo import palette
from taut.demo.training import Run


def draw(axes: Sequence[Axes], runs: Sequence[Run]) -> None:
    """Draws the training loss, the test accuracy and the penalties.

    Args:
        axes: One for each of the three.
        runs: At least one.
    """
    loss, accuracy, penalty = axes
    for run, color in zip(runs, palette.RUNS, strict=True):
        style: dict[str, Any] = {"color": color, "linewidth": 1.8, "label": run.experiment.name}
        loss.plot(run.curves.loss, **style)
        accuracy.plot(run.curves.accuracy, **style)
        if run.experiment.regularizer is not None:
            start = run.curves.penalty[0]
            penalty.plot([value / start for value in run.curves.penalty], **style)
    loss.set(title="Training loss, without the penalty", yscale="log")
    lowest = min(0.9, *(run.curves.accuracy[-1] - 0.05 for run in runs))
    accuracy.set(title="Test accuracy", ylim=(lowest, 1.0))
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    penalty.set(title="Penalty, relative to its start", yscale="log")
    for panel in axes:
        panel.title.set(size=14, weight="bold", color=palette.INK)
        panel.set_xlabel("epoch")
        panel.margins(x=0)
        panel.grid(color="#e5e5e5")
        panel.spines[["top", "right"]].set_visible(False)
