"""What a framework computed, beside the oracle: a value and a gradient, as arrays."""

import math

import numpy as np
import oracle
import pytest
import test_elementwise
import test_gram
from taut import Penalties
from taut.regularizers import L1, L1L2, L2, GroupLasso, OrthogonalRegularizer

REGULARIZERS = {
    "L1": L1(0.3),
    "L2": L2(0.3),
    "L1L2": L1L2(0.3, 0.7),
    "rows": OrthogonalRegularizer(0.7),
    "columns": OrthogonalRegularizer(0.7, "columns"),
    "groups of rows": GroupLasso(0.7),
    "groups of columns": GroupLasso(0.7, "columns"),
}


def flushed(x):
    """Returns the numbers that XLA and TensorFlow see on the CPU: they take subnormals for 0."""
    smallest = {"float64": 2.0**-1022, "float32": 2.0**-126, "bfloat16": 2.0**-126}
    return np.where(np.abs(x) < smallest.get(x.dtype.name, 0), x.dtype.type(0), x)


def check_penalty(
    regularizer, x, value, grad, scale=1.0, sum_dtype="float64", lost=1e-44, grad_dtype=None
):
    """Checks a penalty, and `scale` times its gradient.

    `sum_dtype` is what sums were taken in, and `grad_dtype` gradients of L1 and L2, if it differs;
    numbers below `lost` may have become 0 on the way.
    """
    assert (grad.shape, grad.dtype) == (x.shape, x.dtype)
    if regularizer._kernel.name == "elementwise":
        check_elementwise(regularizer, x, value, grad, scale, sum_dtype, lost, grad_dtype)
    elif regularizer._kernel.name == "group_lasso":
        check_group_lasso(regularizer, x, value, grad, scale, sum_dtype, lost)
    else:
        check_gram(regularizer, x, value, grad, scale, sum_dtype, lost)


def value_rounding(x, exact):
    """The rounding of a value to float32, in which it may be Inf."""
    return 0 if x.dtype == np.float64 else oracle.EPSILON["float32"] * abs(exact)


def check_elementwise(
    regularizer, x, value, grad, scale, sum_dtype="float64", lost=1e-44, grad_dtype=None
):
    factors = regularizer._factors()
    coarser = oracle.EPSILON[sum_dtype] / oracle.EPSILON["float64"]
    exact = oracle.elementwise_value(x, *factors)
    if x.dtype != np.float64 and abs(exact) > 3.4e38:
        exact = math.inf
    if np.isfinite(exact):
        tolerance = coarser * oracle.elementwise_value_tolerance(x, *factors)
        assert abs(value - exact) <= tolerance + value_rounding(x, exact) + lost
    else:
        np.testing.assert_equal(value, exact)
    slope = np.longdouble(scale) * oracle.elementwise_grad(x, *factors)
    terms = np.abs(slope) * oracle.EPSILON[grad_dtype or sum_dtype] / oracle.EPSILON["float64"]
    test_elementwise.assert_close(grad, slope, terms)


def check_gram(regularizer, x, value, grad, scale, sum_dtype="float64", lost=1e-44):
    factor, mode, _ = regularizer._factors()
    expected = oracle.gram(x, mode)
    exact = factor * expected.value
    coarser = 0 if sum_dtype == "float64" else oracle.EPSILON[sum_dtype]
    slack = factor * expected.value_tolerance + value_rounding(x, exact) + lost
    assert abs(value - exact) <= slack + 16 * sum(x.shape) * coarser * exact
    slope = np.longdouble(factor * scale) * expected.grad
    # A gradient may have been rounded to float32 before it was scaled.
    slack = abs(factor * scale) * expected.grad_tolerance
    slack += np.abs(slope) * 4 * oracle.GRAM_EPSILON[x.dtype.name] + abs(scale) * lost
    slack += np.abs(slope).max(initial=0) * 4 * sum(x.shape) * coarser
    test_gram.assert_close(grad, slope, slack)


def check_group_lasso(regularizer, x, value, grad, scale, sum_dtype="float64", lost=1e-44):
    expected = oracle.group_lasso(x, *regularizer._factors())
    coarser = oracle.EPSILON[sum_dtype] / oracle.EPSILON["float64"]
    exact = expected.value
    if x.dtype != np.float64 and abs(exact) > 3.4e38:
        exact = math.inf
    if np.isfinite(exact):
        tolerance = coarser * expected.value_tolerance()
        # What is lost of numbers is lost of the sum of their squares, beside the largest.
        slack = lost * (regularizer.factor * x.size + 1)
        assert abs(value - exact) <= tolerance + value_rounding(x, exact) + slack
    else:
        np.testing.assert_equal(value, exact)
    slope = np.longdouble(scale) * expected.grad
    # Beside large numbers of its group, a small one's gradient is lost.
    test_elementwise.assert_close(
        grad, slope, coarser * expected.terms(slope), (1 + abs(scale)) * lost
    )


def assert_not_written(x, grad, own):
    """Checks that nothing writes to arrays that cannot be written, for one of your own too."""
    for regularizer in (L2(), OrthogonalRegularizer(), own):
        with pytest.raises(TypeError, match="cannot be written"):
            regularizer.accumulate_grad(x, grad)
    with pytest.raises(TypeError, match="cannot be written"):
        L1().prox(x, 0.1)
    penalties = Penalties([("*", L2(0.1))])
    for call in (
        lambda: penalties.accumulate_grad({"w": x}, {"w": x}),
        lambda: penalties.accumulate_grad({"w": x}),
        lambda: penalties.prox({"w": x}, 0.1),
    ):
        with pytest.raises(TypeError, match="cannot be written"):
            call()
