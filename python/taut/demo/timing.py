"""How long taut takes for a step's penalty, and how long NumPy does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from taut.bench.timing import interleave
from taut.demo import plain
from taut.demo.arrays import Floats
from taut.demo.experiments import Experiment

_CALLS = 300
_STEP = 1e-9  # of proximal steps, so that the weights stay what they are


@dataclass(frozen=True)
class Times:
    """The medians over some hundred calls, in seconds."""

    taut: float
    numpy: float


def compare(experiment: Experiment, x: Floats) -> Times | None:
    """Times what a training step does for its penalty, by turns with taut and with NumPy.

    Args:
        experiment: Whose penalty.
        x: An array like those that it penalizes; not changed.

    Returns:
        None without a penalty.
    """
    regularizer = experiment.regularizer
    if regularizer is None:
        return None
    written = x.copy()
    calls: dict[str, Callable[[], object]]
    if experiment.proximal:
        calls = {
            "taut": partial(regularizer.prox, written, _STEP),
            "numpy": partial(plain.prox(regularizer), written, _STEP),
        }
    else:
        calls = {
            "taut": partial(regularizer.accumulate_grad, x, written),
            "numpy": partial(plain.accumulate_grad(regularizer), x, written),
        }
    # As in the training, with one thread each: for both the matrices are small.
    with threadpool_limits(limits=1, user_api="blas"):
        seconds = interleave(calls, _CALLS, settling=0.0)
    return Times(**{name: float(np.median(taken)) for name, taken in seconds.items()})
