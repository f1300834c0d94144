"""The images in the picture: one view of one network's first layer each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from taut.demo import metrics, palette
from taut.demo.arrays import Floats
from taut.demo.data import SIDE
from taut.demo.experiments import Measure

_GAP = 1  # between two filters, in pixels


@dataclass(frozen=True)
class Panel:
    """A row of the picture: the same view of every network.

    Attributes:
        title: What is seen.
        explanation: How to read it.
        image: Makes the image of a kernel of shape (pixels, units) and of the hidden layer's
            output of shape (images, units).
        colors: A colour map's name.
        color_label: What the colours mean.
        measures: The measures that stand below the image, as (name, format).
        ceiling: The value of the last colour; higher ones have the same.
        is_signed: Whether the values are of both signs.
    """

    title: str
    explanation: str
    image: Callable[[Floats, Floats], Floats]
    colors: str
    color_label: str
    measures: Sequence[tuple[Measure, str]]
    ceiling: float
    is_signed: bool = False

    def caption(self, kernel: Floats, output: Floats) -> str:
        """Returns the measures in words."""
        return "\n".join(
            text.format(metrics.MEASURES[name](kernel, output)) for name, text in self.measures
        )


def filters(kernel: Floats) -> Floats:
    """Returns the units' weights as small images side by side, NaN between them."""
    units = kernel.shape[1]
    across = ceil(sqrt(units))
    step = SIDE + _GAP
    image = np.full((ceil(units / across) * step - _GAP, across * step - _GAP), np.nan)
    for unit in range(units):
        top, left = unit // across * step, unit % across * step
        image[top : top + SIDE, left : left + SIDE] = kernel[:, unit].reshape(SIDE, SIDE)
    return image


PANELS = (
    Panel(
        "Filters",
        "The weights of each of the\n{units} hidden units, as a small\n"
        "image. White: a weight of 0.",
        lambda kernel, output: filters(kernel),
        palette.WEIGHTS,
        "weight",
        (("near zero", "{:.0%} near 0"), ("zero", "{:.0%} exactly 0"), ("norm", "norm {:.1f}")),
        ceiling=0.5,
        is_signed=True,
    ),
    Panel(
        "Overlap of units",
        "|cos| between the weights of\neach two units, the columns of\n"
        "the kernel. White: orthogonal.",
        lambda kernel, output: metrics.cosines(kernel, "columns"),
        palette.COSINES,
        "|cos|",
        (("units", "mean {:.3f}"),),
        ceiling=0.5,
    ),
    Panel(
        "Overlap of pixels",
        "|cos| between each two of the\n{pixels} rows. In {units} dimensions, not\n"
        "all of them can be orthogonal.",
        lambda kernel, output: metrics.cosines(kernel, "rows"),
        palette.COSINES,
        "|cos|",
        (("pixels", "mean {:.3f}"),),
        ceiling=0.5,
    ),
    Panel(
        "Outputs",
        "Of the {units} units (across) for\n{images} images (down, from zeros\n"
        "to nines). White: silent.",
        lambda kernel, output: output,
        palette.OUTPUTS,
        "output",
        (("output", "mean {:.2f}"),),
        ceiling=3.0,
    ),
)
