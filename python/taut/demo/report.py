"""The demo's results as a table."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from taut.demo import metrics
from taut.demo.experiments import Measure
from taut.demo.training import Run

_HEADINGS = (
    "test\naccuracy",
    "penalty\nleft",
    "near\nzero",
    "exact\nzero",
    "norm",
    "|cos|\nunits",
    "|cos|\npixels",
    "mean\noutput",
    "time\n(us)",  # in ASCII, for every log to take it
)

_FORMATS: Mapping[Measure, str] = {
    "near zero": "{:.0%}",
    "zero": "{:.0%}",
    "norm": "{:.1f}",
    "units": "{:.3f}",
    "pixels": "{:.3f}",
    "output": "{:.2f}",
}


def table(runs: Sequence[Run]) -> Table:
    """Returns a table with one row per run; what a penalty aims at stands out.

    Args:
        runs: At least one, all of networks of the same shape.
    """
    pixels, units = runs[0].kernel_after.shape
    result = Table(
        title="The first layer after training",
        caption=_caption(pixels, units),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,  # so that it fits into 80 columns, a log's width
        show_edge=False,
    )
    result.add_column("penalty", no_wrap=True)
    for heading in _HEADINGS:
        result.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        result.add_row(run.experiment.name, *_cells(run))
    return result


def _cells(run: Run) -> list[str]:
    has_penalty = run.experiment.regularizer is not None
    return [
        f"{run.curves.accuracy[-1]:.1%}",
        f"{run.curves.penalty[-1]:.3f}" if has_penalty else "-",
        *_measures(run),
        f"{run.penalty_seconds * 1e6:.0f}" if has_penalty else "-",
    ]


def _measures(run: Run) -> list[str]:
    cells = []
    for name, measure in metrics.MEASURES.items():
        number = measure(run.kernel_after, run.output_after)
        cell = _FORMATS[name].format(number)
        cells.append(f"[bold green]{cell}[/]" if name in run.experiment.seen_in else cell)
    return cells


def _caption(pixels: int, units: int) -> str:
    least = metrics.least_mean_cosine(pixels, units)
    return (
        f"near zero: share of weights with |w| < {metrics.NEAR_ZERO}; norm: that of all weights\n"
        "exact zero: by proximal steps, which L1 prox and group lasso take\n"
        f"|cos| units: mean over pairs of the {units} columns, which can all be orthogonal\n"
        f"|cos| pixels: of the {pixels} rows; in {units} dimensions that is at least {least:.3f}\n"
        "mean output: of the hidden layer, over the test images\n"
        "time: median microseconds per training step for the penalty and its gradient"
    )
