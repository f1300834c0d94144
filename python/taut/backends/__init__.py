"""One module per array library, each with the same functions.

    value(kernel, x, factors)                         the penalty
    value_and_grad(kernel, x, factors, scale)         the penalty, and a new array with its gradient
    accumulate_grad(kernel, x, grad, factors, scale)  the penalty; grad += scale * gradient
    prox(x, factors, step)                            x = its proximal step; elementwise only

`kernel` is "elementwise", with the factors (l1, l2), or "gram", with (factor, mode).
"""

from types import ModuleType
from typing import Any

from taut.backends import numpy


def backend_of(x: Any) -> ModuleType:
    """Returns the backend for the array library that `x` belongs to."""
    return numpy
