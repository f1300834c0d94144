"""The orthogonal penalty's part of a range of vectors, as the core gives it to Python."""

import numpy as np
import oracle
import pytest
from arrays import DTYPES, random_array
from taut import _core


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("mode", "shape"), [("rows", (60, 17)), ("columns", (17, 60))])
def test_a_range_has_its_own_gradient_and_half_of_its_pairs(dtype, mode, shape):
    x = random_array(shape, dtype)
    expected = oracle.gram(x, mode)
    factors = (0.7, mode, False)
    parts = []
    for begin, end in [(0, 13), (13, 49), (49, 60)]:
        place = np.s_[begin:end] if mode == "rows" else np.s_[:, begin:end]
        grad = np.full_like(x[place], 0.5)
        value = _core.gram_range_value_and_grad(x, grad, factors, begin, end, 2.0)
        slope = np.longdouble(1.4) * expected.grad[place]
        slack = 1.4 * expected.grad_tolerance[place]
        assert_close(grad, slope, slack)
        assert _core.gram_range_accumulate_grad(x, grad, factors, begin, end, -2.0) == value
        assert_close(grad, 0 * slope, 2 * slack + 2 * oracle.EPSILON[dtype] * np.abs(slope))
        parts.append(_core.gram_range_value(x, factors, begin, end))
        assert parts[-1] == pytest.approx(value, rel=60 * oracle.EPSILON["float64"])
    assert abs(sum(parts) - 0.7 * expected.value) <= expected.value_tolerance


def assert_close(computed, exact, slack):
    dtype = str(computed.dtype)
    rounding = oracle.EPSILON[dtype] * np.abs(exact) + oracle.SMALLEST[dtype]
    assert np.all(np.abs(oracle.as_doubles(computed) - exact) <= slack + 1.02 * rounding)


def test_a_range_that_is_not_one_of_the_vectors_is_an_error():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"vectors \[0, 4\). Received: \[2, 5\)"):
        _core.gram_range_value(x, (1.0, "rows", False), 2, 5)
    with pytest.raises(ValueError, match="The gradient must have the shape of the input"):
        _core.gram_range_value_and_grad(x, np.empty((4, 3)), (1.0, "rows", False), 1, 3, 1.0)
    with pytest.raises(ValueError, match="share memory"):
        _core.gram_range_value_and_grad(x, x[:2], (1.0, "rows", False), 2, 4, 1.0)
