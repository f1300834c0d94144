"""Proximal steps of L1, L2 and both."""

import math

import numpy as np
import oracle
import pytest
from arrays import DTYPES, LAYOUTS, random_array
from hypothesis import given
from hypothesis import strategies as st
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    OrthogonalRegularizer,
    Regularizer,
    SoftOrthogonalRegularizer,
)

REGULARIZERS = [L1(0.3), L2(0.7), L1L2(0.3, 0.7), L1L2(0.0, 0.0)]


def exact_prox(x, regularizer, step):
    """The formula in long double."""
    config = {"l1": 0.0, "l2": 0.0} | regularizer.get_config()
    numbers = oracle.as_doubles(x).astype(np.longdouble)
    left = np.abs(numbers) - np.longdouble(step) * np.longdouble(config["l1"])
    shrunk = np.where(left > 0, np.copysign(left, numbers), 0)
    shrunk[np.isnan(numbers)] = math.nan
    return shrunk / (1 + 2 * np.longdouble(step) * np.longdouble(config["l2"]))


def check(x, regularizer, step):
    expected = exact_prox(x, regularizer, step)
    terms = np.abs(oracle.as_doubles(x)) + step
    tolerance = oracle.grad_tolerance(expected, x.dtype.name, terms)
    assert regularizer.prox(x, step) is None
    computed = oracle.as_doubles(x)
    both_infinite = np.isinf(computed) & (computed == expected)
    with np.errstate(invalid="ignore"):
        close = np.abs(computed - expected) <= tolerance
    assert np.all(close | both_infinite | (np.isnan(computed) & np.isnan(expected)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_layouts(level, dtype, layout, regularizer):
    check(LAYOUTS[layout](random_array((37, 53), dtype)), regularizer, 0.9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 2047, 2048, 2049, 70_001])
def test_lengths(level, dtype, length):
    check(random_array((length,), dtype), L1L2(0.2, 0.4), 0.7)


@given(
    numbers=st.lists(st.floats(width=32), max_size=40),
    l1=st.floats(0, 10),
    l2=st.floats(0, 10),
    step=st.floats(0, 10),
)
def test_any_numbers(numbers, l1, l2, step):
    check(np.array(numbers, np.float64), L1L2(l1, l2), step)


def test_it_is_the_minimum_that_it_claims_to_be():
    regularizer, step = L1L2(0.4, 0.3), 0.6
    for x in np.linspace(-2, 2, 41):
        reached = np.array([x])
        regularizer.prox(reached, step)

        def objective(y, x=x):
            return step * regularizer(np.array([y])) + (y - x) ** 2 / 2

        candidates = np.append(reached[0] + np.linspace(-1e-3, 1e-3, 9), 0.0)
        assert objective(reached[0]) <= min(map(objective, candidates)) + 1e-15


@pytest.mark.parametrize("dtype", DTYPES)
def test_l1_gives_exact_zeros(level, dtype):
    x = np.array([0.5, -0.5, 0.25, -0.75, 1e-3, -0.0, 2.0], DTYPES[dtype])
    L1(0.5).prox(x, 1.0)
    assert oracle.as_doubles(x).tolist() == [0, 0, 0, -0.25, 0, 0, 1.5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_of_0_changes_nothing(level, dtype):
    x = random_array((1000,), dtype)
    before = x.tobytes()
    L1L2(0.5, 0.5).prox(x, 0.0)
    assert x.tobytes() == before


@pytest.mark.parametrize("step", [-1.0, math.nan, math.inf])
def test_a_bad_step_writes_nothing(step):
    x = np.ones(3)
    with pytest.raises(ValueError, match="step"):
        L1(0.1).prox(x, step)
    assert (x == 1).all()


def test_bad_arrays_are_refused():
    x = np.ones(4)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        L1(0.1).prox(x, 1.0)
    with pytest.raises(ValueError, match="overlap itself"):
        L1(0.1).prox(np.lib.stride_tricks.as_strided(np.ones(2), (2, 2), (0, 8)), 1.0)
    with pytest.raises(TypeError, match="int64"):
        L1(0.1).prox(np.ones(3, np.int64), 1.0)
    with pytest.raises(TypeError, match="list"):
        L1(0.1).prox([1.0], 1.0)


@pytest.mark.parametrize("kind", [OrthogonalRegularizer, Regularizer])
def test_what_has_none_says_so(kind):
    regularizer = kind()
    with pytest.raises(NotImplementedError, match="no proximal step"):
        regularizer.prox(np.ones((2, 2)), 1.0)


@pytest.mark.parametrize("kind", [OrthogonalRegularizer, SoftOrthogonalRegularizer])
def test_an_orthogonal_penalty_names_those_that_have_one(kind):
    message = (
        f"^{kind.__name__} has no proximal step in closed form; L1, L2, L1L2, GroupLasso have one$"
    )
    for method in (kind().prox, kind().proximal):
        with pytest.raises(NotImplementedError, match=message):
            method(np.ones((2, 2)), 1.0)
