"""Charts of a document, as SVG pictures that can be read on a light page and on a dark one."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from taut.bench import tables
from taut.bench.kinds import KINDS, MEMORY_OF, Kind
from taut.bench.results import Document

Point = tuple[float, float, float, float]  # a size; a median with its quartiles

# Colours that stand out from white as much as from black: some four times as bright as the one, or
# a quarter of the other. A library has a colour, a way to use it a line and a mark.
_INK = "#7b818a"
_GRID = "#7b818a40"
_STYLES: Mapping[str, tuple[str, str, str]] = {
    "taut": ("#e0376b", "-", "o"),
    "NumPy": ("#2f9e44", "-", "s"),
    "Eigen": ("#a05cc8", "-", "D"),
    "torch eager": ("#d9600a", "-", "^"),
    "torch.compile": ("#d9600a", ":", "v"),
    "Keras, torch": ("#d9600a", "--", "P"),
    "JAX jit": ("#2f80d0", "-", "<"),
    "Keras, JAX": ("#2f80d0", "--", "P"),
    "Keras, TensorFlow": ("#a07d12", "--", "P"),
}
_PICTURES: Any = {
    "svg.fonttype": "path",  # the same on every machine
    "svg.hashsalt": "taut",  # and the same file each time
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
# What has a chart of times, beside those of ratios.
_TIMED = ("l2-gradient", "orthogonal")


def write(document: Document, folder: Path, only: Collection[str] | None = None) -> list[Path]:
    """Draws what the document has into a folder, which is made if it is not there.

    Args:
        document: At least one kind at one size, or memory; else nothing is drawn.
        folder: Gets a `KIND-ratio.svg` for each kind of work, a `KIND-time.svg` for two of them,
            and `memory.svg`.
        only: The names of those to draw; all if None.

    Returns:
        The pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {name: figure for name, figure in _figures(document) if only is None or name in only}
    for name, figure in figures.items():
        with matplotlib.rc_context(_PICTURES):
            figure.savefig(folder / name, transparent=True, metadata={"Date": None})
    return [folder / name for name in figures]


def _figures(document: Document) -> Iterable[tuple[str, Figure]]:
    for kind in KINDS.values():
        ratios = _lines(document, kind, "ratio")
        if not ratios:
            continue
        del ratios["taut"]
        yield f"{kind.name}-ratio.svg", _ratio_chart(kind, ratios)
        if kind.name in _TIMED:
            yield f"{kind.name}-time.svg", _time_chart(kind, _lines(document, kind, "seconds"))
    if any(peak["bytes"] for peak in document["memory"]):
        yield "memory.svg", _memory_chart(document)


def _lines(document: Document, kind: Kind, what: str) -> dict[str, list[Point]]:
    """Returns the points of each contestant; taut's are those of the first process."""
    found: dict[str, dict[int, Point]] = {}
    for case in document["cases"]:
        if case["kind"] != kind.name:
            continue
        for name, result in case["results"].items():
            if name in _STYLES:
                spread = result["ratio"] if what == "ratio" else result["seconds"]
                point = (case["size"], spread["median"], spread["lower"], spread["upper"])
                found.setdefault(name, {}).setdefault(case["size"], point)
    return {name: sorted(points.values()) for name, points in found.items()}


def _ratio_chart(kind: Kind, lines: Mapping[str, list[Point]]) -> Figure:
    with matplotlib.rc_context(_PICTURES):
        figure, axes = _empty(kind.title, kind.axis, "times as long as taut")
        axes.axhline(1, color=_STYLES["taut"][0], linewidth=2.5, label="taut")
        _draw(axes, lines, lambda ratio: f"{ratio:g}")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.5), max(high, 4))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        _legend(figure, axes)
    return figure


def _time_chart(kind: Kind, lines: Mapping[str, list[Point]]) -> Figure:
    with matplotlib.rc_context(_PICTURES):
        figure, axes = _empty(kind.title, kind.axis, "time of a call")
        _draw(axes, lines, tables.in_words)
        _legend(figure, axes)
    return figure


def _memory_chart(document: Document) -> Figure:
    found: dict[str, list[Point]] = {}
    for peak in document["memory"]:
        if peak["bytes"] and peak["contestant"] in _STYLES:
            size, count = peak["size"], peak["bytes"]
            found.setdefault(peak["contestant"], []).append((size, count, count, count))
    with matplotlib.rc_context(_PICTURES):
        title = MEMORY_OF.title
        figure, axes = _empty(title, MEMORY_OF.axis, "the most memory beside the weights")
        axes.set_yscale("log", base=16)  # whose powers are 1 MB, 16 MB, 256 MB and 4 GB
        _draw(axes, {name: sorted(points) for name, points in found.items()}, tables.bytes_in_words)
        _legend(figure, axes)
    return figure


def _empty(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", weight="bold", size=12, color=_INK)
    axes.set(xscale="log", yscale="log", xlabel=x_label, ylabel=y_label)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw(axes: Axes, lines: Mapping[str, list[Point]], in_words: Callable[[float], str]) -> None:
    """Draws the lines, in the order of `_STYLES`, with bars from quartile to quartile."""
    for name, (color, line, mark) in _STYLES.items():
        if name not in lines:
            continue
        at, medians, lower, upper = zip(*lines[name], strict=True)
        below = [m - low for m, low in zip(medians, lower, strict=True)]
        above = [up - m for m, up in zip(medians, upper, strict=True)]
        axes.errorbar(
            at,
            medians,
            yerr=[below, above],
            label=name,
            color=color,
            linestyle=line,
            linewidth=2.5 if name == "taut" else 1.6,
            marker=mark,
            markersize=5,
            elinewidth=0.8,
        )
    sizes = sorted({point[0] for points in lines.values() for point in points})
    axes.set_xticks(sizes, [_size_in_words(size) for size in sizes])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_words(value)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())


def _size_in_words(size: float) -> str:
    return f"{size / 1e6:.3g} M" if size >= 1e6 else f"{size:,.0f}"


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=10
    )
