"""The orthogonal penalty on NumPy arrays."""

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
from taut.regularizers import OrthogonalRegularizer

MODES = ["rows", "columns"]
# Around the register tiles (4, 24, 48), a tile (192), a strip (2304), and the sign blocks (48).
SHAPES = [
    (0, 0),
    (0, 5),
    (5, 0),
    (1, 5),
    (2, 1),
    (3, 2),
    (4, 16),
    (5, 17),
    (24, 15),
    (25, 128),
    (48, 129),
    (95, 33),
    (97, 31),
    (191, 64),
    (193, 40),
    (385, 515),
    (2305, 19),
]


def check(x, mode="rows", factor=0.7, scale=1.0, grad=None):
    """Compares the value and both gradients of one matrix with the oracle."""
    regularizer = OrthogonalRegularizer(factor, mode)
    expected = oracle.gram(x, mode)
    value = regularizer(x)
    assert type(value) is float
    assert abs(value - factor * expected.value) <= factor * expected.value_tolerance

    slope = np.longdouble(factor * scale) * expected.grad
    slack = abs(factor * scale) * expected.grad_tolerance
    value_again, fresh = regularizer.value_and_grad(x, scale)
    assert fresh.shape == x.shape
    assert fresh.dtype == x.dtype
    assert_close(fresh, slope, slack)

    grad = np.full_like(x, 0.5) if grad is None else grad
    before = oracle.as_doubles(grad).astype(np.longdouble)
    value_once_more = regularizer.accumulate_grad(x, grad, scale)
    assert_close(grad, before + slope, slack)
    assert value == value_again == value_once_more
    return expected


def assert_close(grad, exact, slack):
    largest = np.abs(exact) + slack
    tolerance = oracle.grad_tolerance(largest, grad.dtype.name, largest) + slack
    computed = oracle.as_doubles(grad).astype(np.longdouble)
    limit = {"float16": 65504.0, "bfloat16": 3.38e38, "float32": 3.4e38}.get(grad.dtype.name, 1e308)
    with np.errstate(invalid="ignore"):
        overflows = (np.abs(exact) + tolerance > limit) & np.isinf(computed)
        assert np.all((np.abs(computed - exact) <= tolerance) | overflows)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=1000)
@given(
    x=arrays(rank=2),
    factor=st.just(0.0) | st.floats(1e-6, 2),
    scale=st.sampled_from([1.0, 0.0, -0.5, 1e3]),
)
def test_random_matrices_agree_with_the_oracle(mode, x, factor, scale):
    check(x, mode, factor, scale)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(level, dtype, mode, shape):
    x = random_array(shape, dtype, seed=sum(shape))
    check(x if mode == "rows" else np.ascontiguousarray(x.T), mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(level, dtype, layout, mode):
    arrange = LAYOUTS[layout]
    x = random_array((50, 37), dtype)
    check(arrange(x), mode)
    check(x, mode, grad=arrange(np.zeros_like(x)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_take_a_float32_gradient(level, dtype):
    x = random_array((37, 20), dtype)
    check(x, scale=1e-4, grad=np.zeros(x.shape, np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_fewer_than_two_vectors_have_no_penalty(dtype, mode):
    for x in (np.zeros((0, 4)), np.full((1, 4), 3.0), np.full((1, 4), math.nan), np.zeros((4, 0))):
        x = (x if mode == "rows" else x.T).astype(DTYPES[dtype])
        value, grad = OrthogonalRegularizer(1.0, mode).value_and_grad(x)
        assert value == 0
        assert not grad.any()


MATRICES_OF_EXACT_ZEROS = {
    "identity": np.eye(100),
    "one-hot rows": np.eye(100)[[1, 1, 4, 7, 7, 7, 99, 0] * 15],
    "block-diagonal": np.kron(np.eye(13), np.arange(1.0, 17.0).reshape(4, 4)),
    "antiparallel": np.concatenate([np.eye(8), -np.eye(8)]),
    "integers": np.array([[1, 2, 2], [2, 1, -2], [2, -2, 1], [0, 0, 3], [3, 0, 0]], float),
    "one orthogonal pair among many": np.concatenate(
        [np.ones((200, 4)), [[1, -1, 1, -1]], np.ones((50, 4))]
    ),
    "zero rows": np.concatenate([np.ones((3, 5)), np.zeros((3, 5)), np.eye(5)]),
    "duplicates": np.tile([[1.0, 2.0, -3.0, 4.0]], (30, 1)),
}


@pytest.mark.parametrize("name", MATRICES_OF_EXACT_ZEROS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_exact_zeros_of_the_gram_matrix(level, name, dtype, mode):
    x = MATRICES_OF_EXACT_ZEROS[name].astype(DTYPES[dtype])
    x = x if mode == "rows" else x.T
    expected = oracle.gram(x, mode)
    value, grad = OrthogonalRegularizer(1.0, mode).value_and_grad(x)
    assert value == pytest.approx(expected.value, rel=1e-6, abs=0)
    # Small integers: every dot product is exact, so no sign is in doubt.
    assert_close(grad, expected.grad, expected.grad_rounding)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_orthogonal_matrix_has_exactly_no_gradient(level, dtype):
    value, grad = OrthogonalRegularizer(1.0).value_and_grad(np.eye(300).astype(DTYPES[dtype]))
    assert value == 0
    assert not grad.any()


@pytest.mark.parametrize(
    ("dtype", "tiny", "huge"),
    [("float64", 5e-324, 1e300), ("float32", 1e-45, 1e38), ("bfloat16", 1e-40, 1e38)],
)
def test_range(level, dtype, tiny, huge):
    x = oracle.as_doubles(random_array((12, 9), dtype))
    x[3] = [tiny, 0, -tiny, tiny, 0, 0, 0, 2 * tiny, tiny]
    x[5] *= huge
    x[7] *= 1e-30
    x[8] *= 1e-9
    x[9] = 1e-7 / 3  # its norm is at the floor
    check(x.astype(DTYPES[dtype]))


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_vector_that_is_not_finite_makes_everything_nan(level, dtype, special):
    x = random_array((70, 20), dtype)
    x[33, 7] = special
    for mode in MODES:
        value, grad = OrthogonalRegularizer(1.0, mode).value_and_grad(x)
        assert math.isnan(value)
        assert np.isnan(oracle.as_doubles(grad)).all()
        assert math.isnan(OrthogonalRegularizer(1.0, mode)(x))
        accumulated = np.ones_like(x)
        OrthogonalRegularizer(1.0, mode).accumulate_grad(x, accumulated)
        assert np.isnan(oracle.as_doubles(accumulated)).all()


def test_a_factor_of_0_is_skipped():
    x = np.full((3, 3), math.nan)
    value, grad = OrthogonalRegularizer(0.0).value_and_grad(x)
    assert value == 0
    assert not grad.any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(400, 70), (1300, 33), (64, 64)])
def test_the_bits_do_not_depend_on_threads_or_fused_level(dtype, shape):
    x = random_array(shape, dtype)
    for names in (["x86-64-v2"], ["x86-64-v3", "x86-64-v4"], ["neon"]):
        results = set()
        for name in set(names) & set(LEVELS):
            _core.set_level(name)
            for threads in (1, 2, 3, 8):
                taut.set_num_threads(threads)
                value, grad = OrthogonalRegularizer(1.0).value_and_grad(x)
                results.add((value, grad.tobytes()))
        assert len(results) == bool(set(names) & set(LEVELS))
    _core.set_level(LEVELS[-1])


@pytest.mark.parametrize("mode", MODES)
def test_gradient_is_the_slope_of_the_value(mode):
    regularizer = OrthogonalRegularizer(0.3, mode)
    x = random_array((7, 5), "float64")
    _, grad = regularizer.value_and_grad(x)
    step = 1e-6
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        slope = (regularizer(up) - regularizer(down)) / (2 * step)
        assert grad[index] == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_the_value_at_size():
    x = random_array((2048, 512), "float32")
    expected = oracle.as_doubles(x)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    cosines = np.abs(expected @ expected.T)
    np.fill_diagonal(cosines, 0)
    mean = cosines.sum() / (2048 * 2047)
    assert OrthogonalRegularizer(1.0)(x) == pytest.approx(mean, rel=1e-6)
