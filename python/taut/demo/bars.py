"""The numbers in the picture: accuracy, exact zeros and time, a line per penalty."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from taut.demo import metrics, palette
from taut.demo.results import Result

_SIZE = 11


def draw(axes: Sequence[Axes], results: Sequence[Result]) -> None:
    """Draws the three charts, with the penalties from top to bottom.

    Args:
        axes: One for each of the three, from left to right.
        results: At least one with a penalty.
    """
    accuracy, zeros, time = axes
    _accuracies(accuracy, results)
    _zeros(zeros, results)
    _times(time, results)
    for panel in axes:
        panel.title.set(size=14, weight="bold", color=palette.INK)
        panel.set_ylim(len(results) - 0.4, -0.6)
        panel.set_yticks([])
        panel.tick_params(colors=palette.FAINT)
        panel.grid(axis="x", color="#e5e5e5")
        panel.set_axisbelow(True)
        panel.spines[["top", "right", "left"]].set_visible(False)
    accuracy.set_yticks(range(len(results)), [result.experiment.name for result in results])
    for label, color in zip(accuracy.get_yticklabels(), palette.RUNS, strict=True):
        label.set(color=color, weight="bold", size=12)


def _accuracies(axes: Axes, results: Sequence[Result]) -> None:
    lowest = min(min(result.accuracies) for result in results)
    for place, (result, color) in enumerate(zip(results, palette.RUNS, strict=True)):
        axes.plot(result.accuracies, [place] * len(result.accuracies), "o", color=color, alpha=0.35)
        axes.plot(result.mean_accuracy, place, "|", color=color, markersize=16, markeredgewidth=3)
        _note(axes, place, f"{result.mean_accuracy:.1%}")
    axes.set(title="Test accuracy", xlim=(lowest - 0.005, 1.0))
    axes.set_xlabel("a dot for each training, a line and a number for their mean")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))


def _zeros(axes: Axes, results: Sequence[Result]) -> None:
    for place, (result, color) in enumerate(zip(results, palette.RUNS, strict=True)):
        kernel, output = result.run.kernel_after, result.run.output_after
        near = metrics.MEASURES["near zero"](kernel, output)
        exact = metrics.MEASURES["zero"](kernel, output)
        axes.barh(place, near, 0.62, color=color, alpha=0.3)
        axes.barh(place, exact, 0.62, color=color)
        _note(axes, place, f"{exact:.0%}", weight="bold" if exact > 0 else "normal")
    axes.set(title="Weights that are exactly zero", xlim=(0, 1))
    axes.set_xlabel(f"share of the weights; pale: |w| < {metrics.NEAR_ZERO}")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _times(axes: Axes, results: Sequence[Result]) -> None:
    for place, (result, color) in enumerate(zip(results, palette.RUNS, strict=True)):
        if result.times is None:
            continue
        taut, numpy = 1e6 * result.times.taut, 1e6 * result.times.numpy
        axes.plot([taut, numpy], [place, place], color=color, linewidth=2, alpha=0.4)
        axes.plot(taut, place, "o", color=color, markersize=9)
        axes.plot(numpy, place, "o", color=color, markersize=9, fillstyle="none")
        _note(axes, place, f"{taut:.1f} / {numpy:.1f}")
    axes.set(title="Time of the penalty in a step", xscale="log")
    axes.set_xlabel("microseconds: taut (full) / the same in NumPy (hollow)")
    times = [
        1e6 * seconds for result in results if result.times for seconds in astuple(result.times)
    ]
    if times:
        axes.set_xlim(10 ** np.floor(np.log10(min(times))), 10 ** np.ceil(np.log10(max(times))))
    axes.xaxis.set_major_formatter("{x:g}")


def _note(axes: Axes, place: int, text: str, weight: str = "normal") -> None:
    """Writes beside the chart, on the right."""
    axes.text(
        1.015,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        size=_SIZE,
        weight=weight,
        color=palette.INK,
    )
