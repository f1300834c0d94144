"""The demo's results as tables, each with what its columns mean."""

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from taut.demo import effects, metrics
from taut.demo.experiments import Measure
from taut.demo.results import Result

_WIDE = 60  # columns of a terminal, from which on the tables are whole
_NARROW_COLUMNS = 3
_CALL_TITLE = "What was called, and what it did"
_CALL_CAPTION = (
    "w: the first layer's weights. grad: the loss's gradient; accumulate_grad adds the penalty's "
    "to it, in place. prox changes w itself, after the step of the loss."
)

_FORMATS: Mapping[Measure, tuple[str, str]] = {
    "near zero": ("near\nzero", "{:.0%}"),
    "zero": ("exact\nzero", "{:.0%}"),
    "units gone": ("units\ngone", "{:.0f}"),
    "norm": ("norm", "{:.1f}"),
    "units": ("|cos|\nunits", "{:.3f}"),
    "pixels": ("|cos|\npixels", "{:.3f}"),
    "output": ("mean\noutput", "{:.2f}"),
}


def parts(results: Sequence[Result], width: int) -> Iterator[tuple[RenderableType, str]]:
    """Yields what was called, then the weights, then accuracy and time.

    Args:
        results: At least one, the first without a penalty; all of networks of the same shape.
        width: That of the terminal; below 60 columns the tables are cut into several.

    Yields:
        Something to print, and what its columns mean.
    """
    is_narrow = width < _WIDE
    yield (_call_lines(results) if is_narrow else _call_table(results)), _CALL_CAPTION
    most = _NARROW_COLUMNS if is_narrow else _WIDE
    title = "The first layer after the first training"
    yield Group(*_tables(title, _weights(results), most)), _weights_caption(results)
    yield Group(*_tables("What it costs", _costs(results), most)), _costs_caption(results)


def _effect(result: Result, alone: Result) -> str:
    """Returns what a penalty did, with markup, beside what there is without it."""
    if not (words := effects.of(result.run)):
        return result.experiment.effect
    return f"[bold green]{words}[/] (without: {effects.number(result.run, alone.run)})"


def _call(result: Result) -> str:
    call: str = escape(result.experiment.call.replace(").", ")\n  ."))
    return call


def _table(title: str) -> Table:
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=0,  # so that it fits into 80 columns, a log's width, and into 60
        show_edge=False,
    )
    table.add_column("penalty")
    return table


def _call_table(results: Sequence[Result]) -> Table:
    table = _table(_CALL_TITLE)
    table.padding = (0, 1, 0, 0)
    table.add_column("called in each training step", overflow="fold")
    table.add_column("the effect")
    for result in results:
        table.add_row(result.experiment.name, _call(result) or "-", _effect(result, results[0]))
    return table


def _call_lines(results: Sequence[Result]) -> Group:
    lines = [f"[bold]{_CALL_TITLE}[/]"]
    for result in results:
        lines.append(f"\n[bold]{result.experiment.name}[/]")
        lines += [text for text in (_call(result), _effect(result, results[0])) if text]
    return Group(*lines)


def _tables(title: str, columns: Mapping[str, Sequence[str]], most: int) -> Iterator[Table]:
    """Yields tables of at most so many columns, beside the first one of the penalties' names."""
    names, *rest = columns.items()
    for begin in range(0, len(rest), most):
        table = _table(title if begin == 0 else "")
        for heading, _ in rest[begin : begin + most]:
            table.add_column(heading, justify="right", no_wrap=True)
        for row in zip(names[1], *(cells for _, cells in rest[begin : begin + most]), strict=True):
            table.add_row(*row)
        yield table


def _names(results: Sequence[Result]) -> list[str]:
    return [result.experiment.name for result in results]


def _weights(results: Sequence[Result]) -> dict[str, list[str]]:
    """Returns the columns by their headings."""
    columns = {"penalty": _names(results), "penalty\nleft": [*map(_penalty_left, results)]}
    for name, (heading, _) in _FORMATS.items():
        columns[heading] = [_measure(result, name) for result in results]
    return columns


def _penalty_left(result: Result) -> str:
    has_penalty = result.experiment.regularizer is not None
    return f"{result.run.curves.penalty[-1]:.3f}" if has_penalty else "-"


def _measure(result: Result, name: Measure) -> str:
    number = metrics.MEASURES[name](result.run.kernel_after, result.run.output_after)
    cell = _FORMATS[name][1].format(number)
    return f"[bold green]{cell}[/]" if name in result.experiment.seen_in else cell


def _weights_caption(results: Sequence[Result]) -> str:
    pixels, units = results[0].run.kernel_after.shape
    least = metrics.least_mean_cosine(pixels, units)
    return "\n".join(
        (
            "penalty left: its value, in the units of the loss",
            f"near zero: share of weights with |w| < {metrics.NEAR_ZERO}",
            "exact zero: share of weights that are 0, by proximal steps",
            f"units gone: of {units}, those whose weights are all 0",
            "norm: of all weights, the root of the sum of squares",
            f"|cos| units: mean over pairs of the {units} columns, which can all be orthogonal",
            f"|cos| pixels: of the {pixels} rows; in {units} dimensions it is at least {least:.3f}",
            "mean output: of the hidden layer, over the test images",
            "columns are units here, as in Keras's layers; in a torch layer, units are rows",
        )
    )


def _costs(results: Sequence[Result]) -> dict[str, list[str]]:
    """Returns the columns by their headings; in ASCII, for every log to take them."""
    times = [result.times for result in results]
    return {
        "penalty": _names(results),
        "test\naccuracy": [f"{result.mean_accuracy:.1%}" for result in results],
        "\nlowest": [f"{min(result.accuracies):.1%}" for result in results],
        "\nhighest": [f"{max(result.accuracies):.1%}" for result in results],
        "taut\n(us)": [f"{1e6 * t.taut:.1f}" if t else "-" for t in times],
        "NumPy\n(us)": [f"{1e6 * t.numpy:.1f}" if t else "-" for t in times],
        "NumPy\n/ taut": [f"{t.numpy / t.taut:.1f}x" if t else "-" for t in times],
    }


def _costs_caption(results: Sequence[Result]) -> str:
    trainings = len(results[0].accuracies)
    return (
        f"test accuracy: the mean over {trainings} training{'s' * (trainings > 1)}, each with "
        "weights, an order and held-out images of its own; the lowest and the highest of them\n"
        "taut, NumPy: median microseconds of the call above, and of the same written in NumPy, on "
        "one thread each, by turns; the last column is how many times as long NumPy takes"
    )
