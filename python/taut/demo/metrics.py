"""What is measured of the hidden layer: its kernel of shape (pixels, units), and its output."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from taut.demo.arrays import Floats
from taut.demo.experiments import Measure
from taut.regularizers import OrthogonalRegularizer

NEAR_ZERO = 0.01  # beside a standard deviation of 0.18 before the training


def share_near_zero(kernel: Floats) -> float:
    """Returns the share of weights with an absolute value below NEAR_ZERO."""
    return float(np.mean(np.abs(kernel) < NEAR_ZERO))


def mean_cosine(kernel: Floats, mode: Literal["rows", "columns"]) -> float:
    """Returns the mean of |cos| over all pairs of rows, or of columns.

    That is what the orthogonal penalty is a multiple of, hence its value for a factor of 1.
    """
    return float(OrthogonalRegularizer(1.0, mode)(kernel))


def least_mean_cosine(vectors: int, dimensions: int) -> float:
    """Returns a bound that no mean of |cos| over the pairs of that many vectors falls below.

    It is 0 as long as all of them can be orthogonal. Beyond that, the sum of cos² over all i and j
    is at least vectors² / dimensions (Welch, 1974), and |cos| is at least cos².
    """
    return max(0.0, (vectors / dimensions - 1.0) / (vectors - 1.0))


def cosines(kernel: Floats, mode: str) -> Floats:
    """Returns |cos| between all rows, or all columns, as a symmetric matrix."""
    vectors = kernel if mode == "rows" else kernel.T
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit_vectors = vectors / np.maximum(norms, 1e-7)
    absolute: Floats = np.abs(unit_vectors @ unit_vectors.T)
    return absolute


# Each of the kernel and of the output for the test images.
MEASURES: Mapping[Measure, Callable[[Floats, Floats], float]] = {
    "near zero": lambda kernel, output: share_near_zero(kernel),
    "zero": lambda kernel, output: float(np.mean(kernel == 0)),
    "units gone": lambda kernel, output: float(np.count_nonzero(~kernel.any(axis=0))),
    "norm": lambda kernel, output: float(np.linalg.norm(kernel)),
    "units": lambda kernel, output: mean_cosine(kernel, "columns"),
    "pixels": lambda kernel, output: mean_cosine(kernel, "rows"),
    "output": lambda kernel, output: float(output.mean()),
}
