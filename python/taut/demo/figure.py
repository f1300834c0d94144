"""The demo's results as one picture.

A row per view of the first layer; a column per network, the first being that of before any
training; accuracy, exact zeros and time below.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from taut.demo import bars, effects, palette
from taut.demo.arrays import Floats, Integers
from taut.demo.data import CLASSES
from taut.demo.panels import PANELS, Panel
from taut.demo.results import Result
from taut.demo.training import Run

_INCHES = (20.4, 16.0)
_DOTS_PER_INCH = 120
_IMAGES_PER_DIGIT = 4
_EXPLANATION_WIDTH = 1.85  # of that of an image
_COLOR_BAR_WIDTH = 0.08
_CODE_WIDTH = 22  # characters above a column


def draw(results: Sequence[Result], test_labels: Integers) -> Figure:
    """Returns the picture; nothing is shown on a screen.

    Args:
        results: One per experiment, all from the same initial weights.
        test_labels: The digits that the test images show.
    """
    runs = [result.run for result in results]
    # A Figure without pyplot asks for no display and leaves no global state.
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH)
    figure.text(
        0.02, 0.97, "taut: what each penalty does", size=24, weight="bold", color=palette.INK
    )
    figure.text(
        0.02,
        0.962,
        "The first layer of a network that learned handwritten digits with each penalty, always "
        "from the same weights. A frame marks what a penalty is meant to change.",
        size=14,
        va="top",
        linespacing=1.4,
        color=palette.FAINT,
    )
    images = _images_by_digit(test_labels)
    grid = GridSpec(
        len(PANELS),
        len(runs) + 3,
        figure,
        width_ratios=[_EXPLANATION_WIDTH, *[1.0] * (len(runs) + 1), _COLOR_BAR_WIDTH],
        left=0.02,
        right=0.95,
        top=0.828,
        bottom=0.278,
        wspace=0.08,
        hspace=0.42,
    )
    for row, panel in enumerate(PANELS):
        axes = [figure.add_subplot(grid[row, column]) for column in range(len(runs) + 3)]
        _draw_row(axes, panel, runs, images)
        if row == 0:
            _title_columns(axes[1:-1], runs)
    _draw_bars(figure, results)
    return figure


def _images_by_digit(labels: Integers) -> Integers:
    """Returns the indices of some images of each digit, from zeros to nines."""
    return np.concatenate(
        [np.flatnonzero(labels == digit)[:_IMAGES_PER_DIGIT] for digit in range(CLASSES)]
    )


def _draw_row(axes: Sequence[Axes], panel: Panel, runs: Sequence[Run], images: Integers) -> None:
    explanation, before, *after, color_bar = axes
    pixels, units = runs[0].kernel_before.shape
    explanation.axis("off")
    explanation.text(0, 1, panel.title, size=16, weight="bold", va="top", color=palette.INK)
    explanation.text(
        0,
        0.84,
        panel.explanation.format(pixels=pixels, units=units, images=len(images)),
        size=12.5,
        va="top",
        linespacing=1.45,
        color=palette.FAINT,
    )
    _draw_image(before, panel, runs[0].kernel_before, runs[0].output_before, images)
    for axis, run, color in zip(after, runs, palette.RUNS, strict=True):
        _draw_image(axis, panel, run.kernel_after, run.output_after, images)
        if any(name in run.experiment.seen_in for name, _ in panel.measures):
            axis.spines[:].set(visible=True, color=color, linewidth=4)
            axis.xaxis.label.set(weight="bold", color=color)
    bar = explanation.figure.colorbar(
        before.images[0], cax=color_bar, extend="both" if panel.is_signed else "max"
    )
    bar.set_label(panel.color_label, color=palette.FAINT)
    bar.outline.set_visible(False)


def _draw_image(axes: Axes, panel: Panel, kernel: Floats, output: Floats, images: Integers) -> None:
    axes.imshow(
        panel.image(kernel, output[images]),
        cmap=panel.colors,
        vmin=-panel.ceiling if panel.is_signed else 0.0,
        vmax=panel.ceiling,
        interpolation="nearest",
        aspect="auto",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#cccccc")
    axes.set_xlabel(panel.caption(kernel, output), size=11, color=palette.FAINT)


def _title_columns(axes: Sequence[Axes], runs: Sequence[Run]) -> None:
    titles = [("before training", "", "the same for all", "", palette.INK)]
    for run, color in zip(runs, palette.RUNS, strict=True):
        experiment = run.experiment
        regularizer = experiment.regularizer
        code = "" if regularizer is None else _broken(repr(regularizer), experiment.proximal)
        effect = effects.of(run).replace("' ", "'\n")
        titles.append((experiment.name, code, experiment.effect, effect, color))
    for axis, (name, code, aim, effect, color) in zip(axes, titles, strict=True):
        place: dict[str, Any] = {"ha": "center", "va": "bottom", "transform": axis.transAxes}
        bold: dict[str, Any] = {**place, "weight": "bold", "color": color}
        axis.text(0.5, 1.76, name.replace(" ", "\n"), size=14, **bold)
        axis.text(0.5, 1.42, code, size=8, family="monospace", color=palette.FAINT, **place)
        axis.text(0.5, 1.29, aim, size=11, color=palette.INK, **place)
        axis.text(0.5, 1.04, effect, size=11, **bold)


def _broken(code: str, proximal: bool) -> str:
    """Returns the code in lines that are no wider than a column."""
    lines = code.replace(", ", ",\n")
    if max(map(len, lines.splitlines())) > _CODE_WIDTH:
        lines = lines.replace("(", "(\n", 1)
    return f"{lines}\n.prox(w, step)" if proximal else lines


def _draw_bars(figure: Figure, results: Sequence[Result]) -> None:
    grid = GridSpec(1, 3, figure, left=0.125, right=0.945, top=0.2, bottom=0.043, wspace=0.22)
    bars.draw([figure.add_subplot(grid[0, column]) for column in range(3)], results)
