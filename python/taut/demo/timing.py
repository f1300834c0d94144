"""How long taut takes for a step's penalty, and how long NumPy does."""

import time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from taut.demo import plain
from taut.demo.arrays import Floats
from taut.demo.experiments import Experiment

_CALLS = 300
_STEP = 1e-3  # of proximal steps; their time does not depend on it


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
    other = np.zeros_like(x)
    seconds: tuple[list[float], list[float]] = ([], [])
    # As in the training, with one thread each: for both the matrices are small.
    with threadpool_limits(limits=1, user_api="blas"):
        if experiment.proximal:
            numpys_prox = plain.prox(regularizer)
            for _ in range(_CALLS):
                for function, taken in zip((regularizer.prox, numpys_prox), seconds, strict=True):
                    other[...] = x
                    start = time.perf_counter()
                    function(other, _STEP)
                    taken.append(time.perf_counter() - start)
        else:
            numpys = plain.accumulate_grad(regularizer)
            for _ in range(_CALLS):
                for add, taken in zip((regularizer.accumulate_grad, numpys), seconds, strict=True):
                    start = time.perf_counter()
                    add(x, other)
                    taken.append(time.perf_counter() - start)
    return Times(*(float(np.median(taken)) for taken in seconds))
