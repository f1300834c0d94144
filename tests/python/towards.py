"""Penalties towards a reference, straight from the formulas in long double."""

from dataclasses import dataclass

import numpy as np
import oracle
from numpy.typing import NDArray


@dataclass
class Towards:
    """The penalty of x - reference, each element times its importance; None is 0 and 1."""

    x: NDArray
    reference: NDArray | None
    importance: NDArray | None
    l1: float
    l2: float

    def __post_init__(self):
        x = oracle.as_doubles(self.x).astype(np.longdouble)
        to, weight = (
            np.full(x.shape, otherwise, np.longdouble) if side is None else oracle.as_doubles(side)
            for side, otherwise in ((self.reference, 0), (self.importance, 1))
        )
        self.difference, self.to, self.weight = x - to, to, weight

    def value(self):
        value = 0.0
        if self.l1:
            value += self.l1 * float((self.weight * np.abs(self.difference)).sum())
        if self.l2:
            value += self.l2 * float((self.weight * self.difference**2).sum())
        return value

    def grad(self):
        grad = np.zeros_like(self.difference)
        if self.l1:
            grad += np.longdouble(self.l1) * self.weight * np.sign(self.difference)
        if self.l2:
            grad += 2 * np.longdouble(self.l2) * self.weight * self.difference
        return grad

    def stepped(self, step):
        threshold = step * self.l1 * self.weight
        left = np.maximum(np.abs(self.difference) - threshold, 0)
        return self.to + np.sign(self.difference) * left / (1 + 2 * step * self.l2 * self.weight)

    def check(self, value, grad, epsilon="float64", scale=1.0):
        """Checks a penalty, and `scale` times its gradient, computed with such a precision."""
        exact, coarser = self.value(), oracle.EPSILON[epsilon]
        if not np.isfinite(exact):
            np.testing.assert_equal(float(value), exact)
        else:
            rounding = 0 if self.x.dtype == np.float64 else oracle.EPSILON["float32"]
            slack = (self.x.size + 12) * coarser + rounding
            assert abs(float(value) - exact) <= slack * exact + 1e-44
        assert (grad.shape, grad.dtype) == (self.x.shape, self.x.dtype)
        slope = scale * self.grad()
        self._close(grad, slope, 8 * coarser * np.abs(slope))

    def check_step(self, stepped, step, epsilon="float64"):
        assert (stepped.shape, stepped.dtype) == (self.x.shape, self.x.dtype)
        exact = self.stepped(step)
        terms = np.abs(self.difference) + np.abs(self.to) + step * self.l1 * self.weight
        self._close(stepped, exact, 8 * oracle.EPSILON[epsilon] * terms)

    def _close(self, computed, exact, slack):
        computed = oracle.as_doubles(computed)
        same = (computed == exact) | (np.isnan(computed) & np.isnan(exact))
        tolerance = oracle.grad_tolerance(exact, self.x.dtype.name, np.abs(exact)) + slack
        with np.errstate(invalid="ignore"):
            assert (same | (np.abs(computed - exact) <= tolerance)).all()
