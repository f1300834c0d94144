"""The pictures of the kernels, and of the proximal steps; `draw.py` writes them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from taut.demo import palette
from taut.demo.arrays import Floats
from taut.regularizers import L1, L1L2, L2, GroupLasso, OrthogonalRegularizer

_DOTS_PER_INCH = 100
_THREADS = ("#0072b2", "#e69f00", "#009e73")
_CHOSEN = "#d55e00"

# Much smaller than what the kernel takes, so that all of it can be seen.
_VECTORS = 36
_TILE = 12
_GROUP = 6  # vectors of a table: as in the kernel
_LANES = 32  # as in the kernel
_PIECES = 12


def gram() -> Figure:
    """Returns the three steps of the orthogonal penalty: tiles, signs, look-up."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(_VECTORS, 8)) @ rng.normal(size=(8, 16))
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = units @ units.T
    upper = np.triu(cosines, 1)
    mean = np.abs(upper).sum() / (_VECTORS * (_VECTORS - 1) / 2)
    assert np.isclose(mean, OrthogonalRegularizer(1.0)(x))

    figure = Figure(figsize=(13.2, 5.2), dpi=_DOTS_PER_INCH, layout="constrained")
    first, second, third = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
    lower = np.tril(np.ones_like(cosines, dtype=bool))
    shown = np.ma.masked_where(lower, cosines)
    first.imshow(shown, cmap=palette.WEIGHTS, vmin=-1, vmax=1)
    for row in range(0, _VECTORS, _TILE):
        for column in range(row, _VECTORS, _TILE):
            _outline(first, column, row, _TILE, _TILE, palette.INK, 1.5)
    _title(first, "1. Dot products", "in tiles, above the diagonal, in registers")

    signs = np.sign(cosines) - np.eye(_VECTORS)
    second.imshow(signs, cmap="binary", vmin=-1, vmax=1.6)
    for group in range(0, _VECTORS, _GROUP):
        _outline(second, group, 0, _GROUP, 1, _CHOSEN, 2)
    _title(second, "2. Signs", "one bit for each pair; the first row in groups of six")

    tables, chosen = _tables(units[:, 0], signs[0] > 0)
    third.imshow(tables, cmap=palette.WEIGHTS, aspect="auto", vmin=-2, vmax=2)
    for group, entry in enumerate(chosen):
        _outline(third, group, entry, 1, 1, _CHOSEN, 2)
    third.set(xlabel="group of six vectors", ylabel="its 64 signed sums")
    _title(third, "3. Look-up", "six signs name one of 64 sums")
    return figure


def _tables(numbers: Floats, positive: Any) -> tuple[Floats, list[int]]:
    """Returns the 64 signed sums of each group of six numbers, and which of them signs name."""
    codes = np.arange(2**_GROUP)
    signs = 2.0 * (codes[:, None] >> np.arange(_GROUP) & 1) - 1
    tables = signs @ numbers.reshape(-1, _GROUP).T
    chosen = positive.reshape(-1, _GROUP) @ (1 << np.arange(_GROUP))
    return tables, [int(entry) for entry in chosen]


def sums() -> Figure:
    """Returns how a sum is cut, for one thread and for three."""
    figure = Figure(figsize=(11, 4.2), dpi=_DOTS_PER_INCH, layout="constrained")
    tree, cut = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _draw_tree(tree)
    rng = np.random.default_rng(3)
    for height, threads in ((1.4, 1), (0.0, 3)):
        for piece, owner in enumerate(rng.integers(threads, size=_PIECES)):
            corner = (piece - 0.42, height - 0.42)
            cut.add_patch(Rectangle(corner, 0.84, 0.84, color=_THREADS[owner]))
        words = "by one thread" if threads == 1 else "by three, as each becomes free"
        cut.text(-0.42, height + 0.52, words, size=12, color=palette.INK)
    words = "their sums are added by such a tree, too"
    cut.text(_PIECES / 2 - 0.5, -0.9, words, ha="center", size=12, color=palette.INK)
    cut.set(xlim=(-0.8, _PIECES), ylim=(-1.2, 2.4))
    _title(cut, "Pieces, cut by the array's size", "a thread decides only who does a piece")
    return figure


def _draw_tree(axes: Axes) -> None:
    heights = np.arange(int(np.log2(_LANES)) + 1)
    positions = np.arange(_LANES, dtype=float)
    for height in heights:
        axes.scatter(positions, np.full(len(positions), -height), s=14, color=palette.INK, zorder=2)
        half = len(positions) // 2
        if half == 0:
            break
        middle = (positions[:half] + positions[half:]) / 2
        for below, left, right in zip(middle, positions[:half], positions[half:], strict=True):
            for above in (left, right):
                ends = [above, below], [-height, -height - 1]
                axes.plot(*ends, color=palette.FAINT, linewidth=0.7, zorder=1)
        positions = middle
    axes.set(ylim=(-heights[-1] - 0.5, 0.5))
    _title(axes, "32 lanes, one fixed tree", "element i goes to lane i mod 32 on every processor")


def steps() -> Figure:
    """Returns the proximal steps of each penalty that has one."""
    figure = Figure(figsize=(10, 3.8), dpi=_DOTS_PER_INCH, layout="constrained")
    weights, norms = figure.subplots(1, 2)
    line = np.linspace(-2, 2, 401)
    ways = (
        (L1(0.5), "#000000", "L1(0.5)"),
        (L2(0.5), "#0072b2", "L2(0.5)"),
        (L1L2(l1=0.5, l2=0.5), "#d55e00", "L1L2(0.5, 0.5)"),
    )
    for regularizer, color, label in ways:
        weights.plot(line, regularizer.proximal(line, 1.0), color=color, linewidth=2, label=label)
    weights.set(xlabel="weight", ylabel="after a step of 1")
    lasso, length = GroupLasso(0.5), np.linspace(0, 2, 201)
    groups = np.stack([0.6 * length, 0.8 * length], axis=1)
    shrunk = np.linalg.norm(lasso.proximal(groups, 1.0), axis=1)
    norms.plot(length, shrunk, color="#000000", linewidth=2, label="GroupLasso(0.5), of two")
    norms.set(xlabel="norm of a group", ylabel="after a step of 1", xlim=(0, 2), ylim=(-0.1, 2))
    for axes in (weights, norms):
        axes.axline((0, 0), slope=1, color=palette.FAINT, linewidth=0.8, linestyle="--")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=11)
    return figure


def _title(axes: Axes, title: str, subtitle: str) -> None:
    axes.set_title(title, size=14, weight="bold", color=palette.INK, pad=24)
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "size": 12, "color": palette.FAINT}
    axes.text(0.5, 1.02, subtitle, **style, transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _outline(axes: Axes, x: int, y: int, width: int, height: int, color: str, line: float) -> None:
    corner = (x - 0.5, y - 0.5)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=line))
