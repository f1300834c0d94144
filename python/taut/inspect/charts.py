"""The page's charts, as SVG whose colours are those of the page."""

import io
import warnings
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from taut.inspect import order, words
from taut.inspect.inspection import Tensor

_MOST = 25  # tensors in a chart
_LONGEST_NAME = 44  # characters
_WIDTH = 9.0  # inches
_HEIGHT_OF_TENSOR = 0.3
_HEIGHT_OF_REST = 1.1

# Each stands for a colour of the page, light or dark, and is replaced by its name there.
_INK, _GRID, _ROWS, _COLUMNS = "#010203", "#010204", "#010205", "#010206"
_NAMES = {_INK: "--ink", _GRID: "--grid", _ROWS: "--first", _COLUMNS: "--second"}


def zeros(tensors: Sequence[Tensor]) -> str | None:
    """Returns bars of how much of each tensor is near zero, and exactly zero; None if none is."""
    chosen = [t for t in order.ordered(tensors, "near-zero") if order.share(t, "near_zero")][:_MOST]
    if not chosen:
        return None
    figure, axes = _figure(chosen)
    places = range(len(chosen))
    for count, color, label in (
        ("near_zero", _ROWS, "near zero"),
        ("zero", _COLUMNS, "exactly zero"),
    ):
        shares = [order.share(tensor, count) or 0.0 for tensor in chosen]
        height = 0.7 if count == "near_zero" else 0.3
        axes.barh(places, shares, height, color=color, label=label)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("share of the elements")
    return _svg(figure, axes, "zeros")


def cosines(tensors: Sequence[Tensor]) -> str | None:
    """Returns the mean and the largest |cos| of each matrix; None if there is no matrix."""
    chosen = [tensor for tensor in order.ordered(tensors, "largest-cos") if tensor.vectors][:_MOST]
    if not chosen:
        return None
    figure, axes = _figure(chosen)
    for mode, color, shift in (("rows", _ROWS, -0.15), ("columns", _COLUMNS, 0.15)):
        sides = [
            (place + shift, side)
            for place, tensor in enumerate(chosen)
            for side in tensor.vectors
            if side.mode == mode
        ]
        for place, side in sides:
            axes.plot([side.mean or 0.0, side.largest], [place, place], color=color, linewidth=2)
        largest = [side.largest for _, side in sides]
        axes.plot(largest, [place for place, _ in sides], "o", color=color, label=mode)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("|cos|, from its mean to the largest")
    return _svg(figure, axes, "cosines")


def _figure(tensors: Sequence[Tensor]) -> tuple[Figure, Axes]:
    height = _HEIGHT_OF_REST + _HEIGHT_OF_TENSOR * len(tensors)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    # A dollar sign in a name is one.
    axes.set_yticks(range(len(tensors)), [_label(t.name) for t in tensors], parse_math=False)
    axes.set_ylim(len(tensors) - 0.4, -0.6)
    return figure, axes


def _label(name: str) -> str:
    name = words.printable(name)
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}...{name[-half:]}"


def _svg(figure: Figure, axes: Axes, name: str) -> str:
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(color=_GRID, labelcolor=_INK, length=0)
    axes.xaxis.label.set_color(_INK)
    legend = figure.legend(loc="outside upper right", ncols=2, frameon=False, labelcolor=_INK)
    legend.set_in_layout(True)
    buffer = io.StringIO()
    # Its own salt, since identifiers of two charts in one page must differ.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has other fonts, in which no character may be missing.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for color, variable in _NAMES.items():
        svg = svg.replace(color, f"var({variable})")
    return svg
