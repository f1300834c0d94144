"""Draws the pictures of the documentation, beside itself.

    python docs/pictures/draw.py [--output DIRECTORY] [--epochs N]

Everything in them is computed by taut; the weights are those of the demo's network. Needs the extra
`demo`, as `pip install "taut[demo]"` installs it.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kernels
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from taut.demo import data, palette
from taut.demo.arrays import Floats
from taut.demo.experiments import EXPERIMENTS, Experiment
from taut.demo.panels import PANELS, Panel
from taut.demo.training import Run, train
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
    SoftOrthogonalRegularizer,
)

_DOTS_PER_INCH = 100
_EXTENT = 1.5  # of a map, to each side of 0
_ARROWS = 11  # along a side of it
_LEVELS = 9
_SUBTITLE: dict[str, Any] = {
    "ha": "center",
    "va": "bottom",
    "size": 12,
    "color": palette.FAINT,
}

# With how each pulls. Of two weights that are one group:
_OF_WEIGHTS: dict[Regularizer, str] = {
    L2(0.1): "pulls large weights harder",
    L1L2(l1=0.1, l2=0.05): "L1's pull and L2's together",
    L1(0.1): "pulls all weights equally hard",
    GroupLasso(0.1): "pulls a group to 0 as a whole",
}
# Of two vectors, one of which stays where it is:
_OF_VECTORS: dict[Regularizer, str] = {
    OrthogonalRegularizer(1.0): "turns vectors to a right angle",
    SoftOrthogonalRegularizer(1.0, diagonal=False): "diagonal=False: only to a right angle",
    SoftOrthogonalRegularizer(1.0): "pulls to a right angle and length 1",
}
_FIXED = np.array([1.0, 0.0])
_HOW_TO_READ = """\
Darker: a larger penalty.
Arrows: where it pulls.

Above, a point is two weights.

Below, a point is the tip of a
vector, beside the orange one,
which stays. Dashed: length 1."""

_TRAINED = ("none", "L2", "L1 prox", "group lasso", "orthogonal columns")
_SOFT = Experiment(
    "soft orthogonal",
    "units orthonormal",
    SoftOrthogonalRegularizer(0.05, mode="columns"),
    seen_in=("norm", "units"),
)


def pulls() -> Figure:
    """Returns maps of each penalty over two numbers, with arrows against its gradient."""
    figure = Figure(figsize=(13.2, 7.4), dpi=_DOTS_PER_INCH, layout="constrained")
    figure.get_layout_engine().set(hspace=0.02)
    axes = figure.subplots(2, 4)
    for axis, (regularizer, title) in zip(axes[0], _OF_WEIGHTS.items(), strict=True):
        _draw_pull(axis, regularizer, title, lambda point: point[None])
    for axis, (regularizer, title) in zip(axes[1], _OF_VECTORS.items(), strict=False):
        _draw_pull(axis, regularizer, title, lambda point: np.stack([point, _FIXED]))
        axis.add_patch(Circle((0, 0), 1, fill=False, linestyle="--", color=palette.INK))
        arrow = {"color": palette.RUNS[1], "width": 3, "headwidth": 10}
        axis.annotate("", _FIXED, (0, 0), arrowprops=arrow)
    axes[1, 3].axis("off")
    axes[1, 3].text(0, 0.95, _HOW_TO_READ, va="top", size=13.5, linespacing=1.5, color=palette.INK)
    return figure


def _draw_pull(
    axes: Axes, regularizer: Regularizer, title: str, array_of: Callable[[Floats], Floats]
) -> None:
    """Draws a map of the penalty of `array_of(point)`, whose first row is the point."""

    def at(points: Floats) -> tuple[Floats, Floats]:
        values, gradients = np.empty(points.shape[:2]), np.empty(points.shape)
        for index in np.ndindex(values.shape):
            values[index], gradient = regularizer.value_and_grad(array_of(points[index]))
            gradients[index] = gradient[0]
        return values, gradients

    fine = _points(120, _EXTENT)
    values, _ = at(fine)
    # As much of the map has one colour as another: the penalties grow too differently for levels
    # of equal height. The darkest colours would hide the arrows.
    levels = np.quantile(values, np.linspace(0, 1, _LEVELS + 1))
    colors = colormaps[palette.COSINES](np.linspace(0, 0.65, _LEVELS))
    axes.contourf(fine[..., 0], fine[..., 1], values, levels=levels, colors=colors)
    coarse = _points(_ARROWS, 0.93 * _EXTENT)
    _, slopes = at(coarse)
    lengths = np.linalg.norm(slopes, axis=-1, keepdims=True)
    longest = np.quantile(lengths, 0.9)
    slopes *= np.minimum(1, longest / np.maximum(lengths, 1e-9)) / longest
    style = {"color": palette.INK, "scale": 9.5, "width": 0.007}
    axes.quiver(coarse[..., 0], coarse[..., 1], -slopes[..., 0], -slopes[..., 1], **style)
    name = type(regularizer).__name__
    axes.set_title(name, size=14, weight="bold", color=palette.INK, pad=24)
    axes.text(0.5, 1.03, title, **_SUBTITLE, transform=axes.transAxes)
    axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], aspect="equal")
    axes.tick_params(colors=palette.FAINT)
    axes.spines[:].set_visible(False)


def _points(count: int, extent: float) -> Floats:
    """Returns the points of a square grid, of shape (count, count, 2)."""
    line = np.linspace(-extent, extent, count)
    return np.stack(np.meshgrid(line, line), axis=-1)


def weights(epochs: int) -> Figure:
    """Returns the first layer of the demo's network, trained with each penalty."""
    digits = data.load(seed=0)
    experiments = [experiment for experiment in EXPERIMENTS if experiment.name in _TRAINED]
    experiments.sort(key=lambda experiment: _TRAINED.index(experiment.name))
    runs = [train(experiment, digits, epochs, seed=0) for experiment in [*experiments, _SOFT]]
    figure = Figure(figsize=(13.8, 6.0), dpi=_DOTS_PER_INCH, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12)
    axes = figure.subplots(2, len(runs))
    for row, panel in zip(axes, PANELS, strict=False):
        _draw_row(row, panel, runs)
    for axis, run in zip(axes[0], runs, strict=True):
        name, effect = run.experiment.name, run.experiment.effect
        axis.set_title(name, size=14, weight="bold", color=palette.INK, pad=24)
        axis.text(0.5, 1.03, effect, **_SUBTITLE, transform=axis.transAxes)
    return figure


def _draw_row(axes: Sequence[Axes], panel: Panel, runs: Sequence[Run]) -> None:
    for axis, run in zip(axes, runs, strict=True):
        axis.imshow(
            panel.image(run.kernel_after, run.output_after),
            cmap=panel.colors,
            vmin=-panel.ceiling if panel.is_signed else 0.0,
            vmax=panel.ceiling,
            interpolation="nearest",
        )
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="#cccccc")
        axis.set_xlabel(panel.caption(run.kernel_after, run.output_after), size=12)
    axes[0].set_ylabel(panel.title, size=14, weight="bold", color=palette.INK)


def zeros() -> Figure:
    """Returns what becomes of one weight that no loss holds, step by step."""
    figure = Figure(figsize=(7.6, 3.4), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    learning_rate, steps = 0.1, 40
    ways = (
        ("L2, gradient", L2(0.5), "#0072b2", 1.8),
        ("L1, prox", L1(0.33), "#000000", 3.6),
        ("L1, gradient", L1(0.33), "#e69f00", 1.8),
    )
    for name, regularizer, color, width in ways:
        weight, path = np.array([0.5]), [0.5]
        for _ in range(steps):
            if name.endswith("prox"):
                regularizer.prox(weight, learning_rate)
            else:
                weight -= learning_rate * regularizer.value_and_grad(weight)[1]
            path.append(float(weight[0]))
        axes.plot(path, color=color, linewidth=width, label=name)
    axes.axhline(0, color=palette.FAINT, linewidth=0.8)
    axes.set(xlabel="step", ylabel="weight", xlim=(0, steps))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=12)
    return figure


def main() -> None:
    """Draws all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    pictures = {
        "gram": kernels.gram(),
        "pulls": pulls(),
        "steps": kernels.steps(),
        "sums": kernels.sums(),
        "weights": weights(arguments.epochs),
        "zeros": zeros(),
    }
    for name, figure in pictures.items():
        # Without matplotlib's name and version in the file.
        figure.savefig(arguments.output / f"{name}.png", metadata={"Software": None})


if __name__ == "__main__":
    main()
