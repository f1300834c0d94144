"""L1, L2 and L1L2 on NumPy arrays."""

import math

import numpy as np
import oracle
import pytest
import taut
from arrays import DTYPES, LAYOUTS, arrays, random_array
from conftest import LEVELS
from hypothesis import given, settings
from hypothesis import strategies as st
from taut import _core
from taut.regularizers import L1, L1L2, L2

REGULARIZERS = {
    "L1": (lambda factor: L1(factor), lambda factor: (factor, 0.0)),
    "L2": (lambda factor: L2(factor), lambda factor: (0.0, factor)),
    "L1L2": (lambda factor: L1L2(factor, 0.7), lambda factor: (factor, 0.7)),
}
# Around the 32 lanes, the hardware's vectors, the blocks of 2048, and a piece for each thread.
LENGTHS = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 2047, 2048, 2049, 4100, 70_001]


def check(x, name, factor, scale=1.0, grad=None):
    """Compares the value and both gradients of one input with the oracle."""
    make, factors_of = REGULARIZERS[name]
    regularizer, factors = make(factor), factors_of(factor)
    value = regularizer(x)
    exact = oracle.elementwise_value(x, *factors)
    assert type(value) is float
    if np.isfinite(exact):
        assert abs(value - exact) <= oracle.elementwise_value_tolerance(x, *factors)
    else:
        np.testing.assert_equal(value, exact)

    slope = np.longdouble(scale) * oracle.elementwise_grad(x, *factors)
    value_again, fresh = regularizer.value_and_grad(x, scale)
    assert fresh.shape == x.shape
    assert fresh.dtype == x.dtype
    assert_close(fresh, slope, np.abs(slope))

    grad = np.ones_like(x) if grad is None else grad
    before = oracle.as_doubles(grad).astype(np.longdouble)
    value_once_more = regularizer.accumulate_grad(x, grad, scale)
    assert_close(grad, before + slope, np.abs(before) + np.abs(slope))
    np.testing.assert_equal([value_again, value_once_more], [value, value])


def assert_close(grad, exact, terms, lost=0.0):
    tolerance = oracle.grad_tolerance(exact, grad.dtype.name, terms) + lost
    computed = oracle.as_doubles(grad).astype(np.longdouble)
    with np.errstate(invalid="ignore"):
        largest = float(np.finfo(np.float32).max if grad.dtype.name == "float32" else np.inf)
        limit = {"float16": 65504.0, "bfloat16": 3.39e38}.get(grad.dtype.name, largest)
        # Beyond the largest number, a gradient is infinite in its dtype.
        overflows = np.abs(exact) + tolerance > limit
        close = np.abs(computed - exact) <= tolerance
    same = (computed == exact) | (np.isnan(computed) & np.isnan(exact))
    assert np.all(close | same | (overflows & np.isinf(computed)))


@pytest.mark.parametrize("name", REGULARIZERS)
@settings(max_examples=1000)
@given(
    x=arrays(),
    factor=st.just(0.0) | st.floats(1e-6, 2),
    scale=st.sampled_from([1.0, 0.0, -0.5, 3.0]),
)
def test_random_arrays_agree_with_the_oracle(name, x, factor, scale):
    check(x, name, factor, scale)


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_lengths(level, name, dtype, length):
    check(random_array(length, dtype, seed=length), name, 0.3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300,), (65, 43), (5, 4, 3, 7, 6)])
def test_layouts(level, dtype, layout, shape):
    arrange = LAYOUTS[layout]
    x = arrange(random_array(shape, dtype))
    check(x, "L1L2", 0.3)
    check(x, "L1L2", 0.3, grad=np.ones(shape, DTYPES[dtype]))
    check(np.ascontiguousarray(x), "L1L2", 0.3, grad=arrange(np.ones(shape, DTYPES[dtype])))


def test_a_broadcast_input_and_one_of_many_axes():
    check(np.broadcast_to(np.float32(0.5), (30, 40)), "L1L2", 0.3)
    check(np.broadcast_to(random_array(50, "float64"), (30, 50)), "L2", 0.3)
    check(random_array((1, 2) * 16, "float32").transpose(), "L1", 0.3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(level, dtype):
    tiny, big = {
        "float64": (5e-324, 1e150),
        "float32": (1e-45, 3e38),
        "float16": (6e-8, 65504),
        "bfloat16": (9.2e-41, 3e38),
    }[dtype]
    numbers = [0.0, -0.0, tiny, -tiny, big, -big, 1.0, -2.5]
    for special in ([], [math.inf], [-math.inf], [math.nan], [math.inf, math.nan]):
        x = np.array(numbers * 5 + special, np.float64).astype(DTYPES[dtype])
        for name in REGULARIZERS:
            check(x, name, 0.25)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_stay_where_they_are(level, dtype):
    x = np.array([1, math.nan, -2, math.inf, -math.inf, 0], np.float64).astype(DTYPES[dtype])
    _, l1_grad = L1(0.5).value_and_grad(x)
    np.testing.assert_equal(oracle.as_doubles(l1_grad), [0.5, math.nan, -0.5, 0.5, -0.5, 0])
    _, l2_grad = L2(0.5).value_and_grad(x)
    np.testing.assert_equal(oracle.as_doubles(l2_grad), [1, math.nan, -2, math.inf, -math.inf, 0])
    assert math.isnan(L1(0.5)(x))
    assert math.isnan(L2(0.5)(x))


def test_a_term_whose_factor_is_0_is_skipped():
    x = np.array([math.nan, math.inf, 1.0])
    for regularizer in (L1(0.0), L2(0.0), L1L2(0.0, 0.0)):
        value, grad = regularizer.value_and_grad(x)
        assert value == 0
        assert grad.tolist() == [0, 0, 0]
    assert L1L2(0.5, 0.0)(np.array([1.0, 2.0])) == L1(0.5)(np.array([1.0, 2.0]))


def test_sums_of_half_types_neither_overflow_nor_stick():
    assert L1(0.01)(np.full(10**6, 1.0, DTYPES["bfloat16"])) == pytest.approx(1e4, rel=1e-15)
    assert L2(1.0)(np.full(1000, 300.0, np.float16)) == 9e7


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", REGULARIZERS)
def test_half_types_take_a_float32_gradient(level, dtype, name):
    x = random_array((37, 5), dtype)
    check(x, name, 1e-6, scale=1e-3, grad=np.zeros((37, 5), np.float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_rounded_once_to_nearest_even(level, dtype):
    kind = DTYPES[dtype]
    bits = np.arange(0x7C00 if dtype == "float16" else 0x7F80, dtype=np.uint16)
    x = bits.view(kind)  # every finite number that is not negative
    middles = (oracle.as_doubles(x)[:-1] + oracle.as_doubles(x)[1:]) / 2
    # 2 * l2 * x with x = 1 puts any float64 number before the rounding, as `scale`.
    even = np.where(bits[:-1] % 2 == 0, bits[:-1], bits[1:])
    one = np.ones(1, kind)
    for index in range(0, len(middles), 97):
        for nudge, expected in ((0.0, even), (1e-13, bits[1:]), (-1e-13, bits[:-1])):
            _, grad = L2(0.5).value_and_grad(one, scale=middles[index] * (1 + nudge))
            assert grad.view(np.uint16)[0] == expected[index]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bits_do_not_depend_on_threads_or_level(dtype):
    x = random_array(300_007, dtype)
    regularizer = L1L2(0.3, 0.7)
    results = set()
    for name in LEVELS:
        _core.set_level(name)
        for threads in (1, 2, 3, 8):
            taut.set_num_threads(threads)
            value, grad = regularizer.value_and_grad(x)
            results.add((value, grad.tobytes()))
    _core.set_level(LEVELS[-1])
    assert len(results) == 1


def test_the_bits_do_not_depend_on_the_layout_of_the_gradient():
    x = random_array((301, 217), "float32")
    regularizer = L1L2(0.3, 0.7)
    for arrange in LAYOUTS.values():
        grad = arrange(np.zeros_like(x))
        assert regularizer.accumulate_grad(x, grad) == regularizer(x)
        np.testing.assert_array_equal(grad, regularizer.value_and_grad(x)[1])


def test_transposing_changes_nothing():
    x = random_array((301, 217), "float32")
    assert L1L2(0.3, 0.7)(x.T) == L1L2(0.3, 0.7)(x)
    assert L1L2(0.3, 0.7)(x[::-1, ::-1]) == L1L2(0.3, 0.7)(x)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_gradient_is_the_slope_of_the_value(name):
    regularizer = REGULARIZERS[name][0](0.3)
    x = random_array(40, "float64")
    _, grad = regularizer.value_and_grad(x)
    step = 1e-6
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        slope = (regularizer(up) - regularizer(down)) / (2 * step)
        assert grad[i] == pytest.approx(slope, rel=1e-6, abs=1e-8)
