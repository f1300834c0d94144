"""Soft orthogonality on NumPy arrays."""

import math

import numpy as np
import oracle
import pytest
import taut
from arrays import DTYPES, LAYOUTS, arrays, random_array
from conftest import LEVELS
from hypothesis import given, settings
from hypothesis import strategies as st
from taut import Penalties, _core
from taut.regularizers import SoftOrthogonalRegularizer
from test_gram import assert_close

MODES = ["rows", "columns"]
every_kind = pytest.mark.parametrize(
    ("mode", "diagonal"), [(mode, diagonal) for mode in MODES for diagonal in (True, False)]
)
# Fewer vectors than coordinates, as many, up to twice as many, and more: around the register tiles
# (4, 24, 48), the tiles (192) and the depth blocks (128).
SHAPES = [
    (0, 0),
    (0, 5),
    (5, 0),
    (1, 5),
    (5, 1),
    (3, 2),
    (4, 16),
    (17, 9),
    (24, 48),
    (48, 24),
    (47, 24),
    (97, 97),
    (129, 65),
    (193, 300),
    (700, 30),
]


def check_value(value, expected, factor):
    """Compares a value with what the oracle expects."""
    exact = np.longdouble(factor) * expected.value
    rounding = 4 * oracle.EPSILON["float64"] * exact + oracle.SMALLEST["float64"]
    tolerance = np.longdouble(factor) * expected.value_tolerance + rounding
    if math.isinf(value):
        assert exact + tolerance > 1.797e308
    else:
        assert abs(value - exact) <= tolerance


def check(x, mode="rows", diagonal=True, factor=0.7, scale=1.0, grad=None):
    """Compares the value and both gradients of one matrix with the oracle."""
    regularizer = SoftOrthogonalRegularizer(factor, mode, diagonal)
    expected = oracle.soft_orthogonal(x, mode, diagonal)
    if factor == 0:  # the penalty is skipped
        expected.value_tolerance = 0.0
        expected.grad_tolerance[...] = 0
    value = regularizer(x)
    assert type(value) is float
    check_value(value, expected, factor)

    slope = np.longdouble(factor) * scale * expected.grad
    slack = np.longdouble(factor) * abs(scale) * expected.grad_tolerance
    value_again, fresh = regularizer.value_and_grad(x, scale)
    assert fresh.shape == x.shape
    assert fresh.dtype == x.dtype
    assert_close(fresh, slope, slack)

    grad = np.full_like(x, 0.5) if grad is None else grad
    before = oracle.as_doubles(grad).astype(np.longdouble)
    value_once_more = regularizer.accumulate_grad(x, grad, scale)
    assert_close(grad, before + slope, slack)
    assert value == value_again == value_once_more


def about_unit(x):
    """Returns a matrix whose rows have norms of about 1."""
    scale = 1 / math.sqrt(max(x.shape[1], 1))
    return (oracle.as_doubles(x) * scale).astype(x.dtype)


@every_kind
@settings(max_examples=1000)
@given(
    x=arrays(rank=2),
    factor=st.just(0.0) | st.floats(1e-6, 2),
    scale=st.sampled_from([1.0, 0.0, -0.5, 1e3]),
)
def test_random_matrices_agree_with_the_oracle(mode, diagonal, x, factor, scale):
    check(x, mode, diagonal, factor, scale)


@every_kind
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(level, dtype, mode, diagonal, shape):
    x = about_unit(random_array(shape, dtype, seed=sum(shape)))
    check(x if mode == "rows" else np.ascontiguousarray(x.T), mode, diagonal)


@every_kind
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(level, dtype, layout, mode, diagonal):
    arrange = LAYOUTS[layout]
    x = about_unit(random_array((50, 21), dtype))
    check(arrange(x), mode, diagonal)
    check(x, mode, diagonal, grad=arrange(np.zeros_like(x)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_take_a_float32_gradient(level, dtype):
    x = about_unit(random_array((37, 20), dtype))
    check(x, scale=1e-4, grad=np.zeros(x.shape, np.float32))


@every_kind
def test_the_value_is_the_definition(mode, diagonal):
    x = random_array((30, 12), "float64")
    w = x if mode == "rows" else x.T
    distance = w @ w.T - np.eye(len(w))
    if not diagonal:
        np.fill_diagonal(distance, 0)
    value, grad = SoftOrthogonalRegularizer(0.5, mode, diagonal).value_and_grad(x)
    assert value == pytest.approx(0.5 * np.linalg.norm(distance) ** 2, rel=1e-12)
    slope = 2 * distance @ w
    np.testing.assert_allclose(grad, slope if mode == "rows" else slope.T, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(60, 200), (200, 60), (80, 80)])
def test_an_orthonormal_matrix_has_a_penalty_of_the_square_of_rounding(level, dtype, shape):
    most, least = max(shape), min(shape)
    q, _ = np.linalg.qr(random_array((most, least), "float64"))
    x = (q if shape[0] == most else q.T).astype(dtype)
    error = 4 * oracle.EPSILON[dtype]
    value, grad = SoftOrthogonalRegularizer(1.0).value_and_grad(x)
    surplus = max(shape[0] - shape[1], 0)  # vectors that no coordinate is left for
    assert 0 <= value - surplus <= max((least * error) ** 2, surplus * 2**-52)
    assert np.abs(grad).max() <= least * error
    if surplus == 0:
        assert SoftOrthogonalRegularizer(1.0, diagonal=False)(x) <= (least * error) ** 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_of_equal_angles_keep_their_digits_without_the_diagonal(level, dtype):
    """One vector more than coordinates, as far apart as they can be: what is left of WᵀW is 1/d."""
    length = 64
    points = np.eye(length + 1) - 1 / (length + 1)
    basis, _, _ = np.linalg.svd(points)
    check((points @ basis[:, :length]).astype(DTYPES[dtype]), "rows", False)


@every_kind
@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_number_that_is_not_finite_makes_everything_nan(dtype, special, mode, diagonal):
    regularizer = SoftOrthogonalRegularizer(1.0, mode, diagonal)
    x = random_array((70, 20), dtype)
    x[33, 7] = special
    value, grad = regularizer.value_and_grad(x)
    assert math.isnan(value)
    assert np.isnan(oracle.as_doubles(grad)).all()
    assert math.isnan(regularizer(x))
    accumulated = np.ones_like(x)
    regularizer.accumulate_grad(x, accumulated)
    assert np.isnan(oracle.as_doubles(accumulated)).all()


@every_kind
@pytest.mark.parametrize(("dtype", "huge"), [("float32", 1e38), ("float64", 1e300)])
def test_what_is_beyond_the_range_is_infinite_and_not_nan(dtype, huge, mode, diagonal):
    x = np.full((4, 3), huge, DTYPES[dtype])
    x[0] = 0
    value, grad = SoftOrthogonalRegularizer(1.0, mode, diagonal).value_and_grad(x)
    assert value == math.inf if dtype == "float64" else 1e152 < value < 1e154
    assert not np.isnan(grad).any()
    assert np.isposinf(grad[1:]).all()
    assert (grad[0] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(400, 70), (130, 33), (100, 70), (64, 64)])
def test_the_bits_do_not_depend_on_threads_or_fused_level(dtype, shape):
    x = about_unit(random_array(shape, dtype))
    for diagonal in (True, False):
        regularizer = SoftOrthogonalRegularizer(1.0, diagonal=diagonal)
        for names in (["x86-64-v2"], ["x86-64-v3", "x86-64-v4"], ["neon"]):
            results = set()
            for name in set(names) & set(LEVELS):
                _core.set_level(name)
                for threads in (1, 2, 3, 8):
                    taut.set_num_threads(threads)
                    value, grad = regularizer.value_and_grad(x)
                    results.add((value, grad.tobytes()))
            assert len(results) == bool(set(names) & set(LEVELS))
    _core.set_level(LEVELS[-1])


def test_the_large_gram_matrix_is_never_stored():
    x = np.full((1_000_000, 3), 1e-3, np.float32)  # whose 10**12 products no memory has
    for diagonal in (True, False):
        value, grad = SoftOrthogonalRegularizer(1.0, diagonal=diagonal).value_and_grad(x)
        norm = 3e-6
        pairs = (norm * 1e6) ** 2 - 1e6 * norm**2
        exact = pairs + 1e6 * (norm - 1) ** 2 if diagonal else pairs
        assert value == pytest.approx(exact, rel=1e-5)
        slope = 4 * 1e-3 * (norm * 1e6 - (1 if diagonal else norm))
        np.testing.assert_allclose(grad, slope, rtol=1e-4)


def test_penalties_compute_it_with_others():
    params = {"a": random_array((9, 4), "float32"), "b": random_array((3, 5), "float32", 1)}
    rules = [
        ("a", SoftOrthogonalRegularizer(0.3)),
        ("b", SoftOrthogonalRegularizer(0.2, "columns", False)),
    ]
    penalties = Penalties(rules)
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    total = penalties.accumulate_grad(params, grads)
    alone = [regularizer.value_and_grad(params[name]) for name, regularizer in rules]
    assert total == pytest.approx(alone[0][0] + alone[1][0])
    for (_, grad), (name, _) in zip(alone, rules, strict=True):
        np.testing.assert_array_equal(grads[name], grad)
    again = Penalties.from_config(penalties.get_config())
    assert again(params) == penalties(params)
    with pytest.raises(
        NotImplementedError, match=r"a: SoftOrthogonal.*proximal step.*GroupLasso have"
    ):
        penalties.prox(params, 0.1)
    with pytest.raises(ValueError, match="c: Inputs to SoftOrthogonalRegularizer must have rank 2"):
        Penalties([("c", rules[0][1])])({"c": np.ones(3)})


def test_its_arguments():
    regularizer = SoftOrthogonalRegularizer()
    assert regularizer.get_config() == {"factor": 0.01, "mode": "rows", "diagonal": True}
    assert SoftOrthogonalRegularizer(None).factor == 0.01
    assert repr(SoftOrthogonalRegularizer(0.5, "columns", False)) == (
        "SoftOrthogonalRegularizer(factor=0.5, mode='columns', diagonal=False)"
    )
    assert taut.regularizers.soft_orthogonal_regularizer is SoftOrthogonalRegularizer
    message = (
        "Invalid value for argument `diagonal`. Expected one of {True, False}. Received: diagonal="
    )
    for diagonal in ("yes", None, 1, [True]):
        with pytest.raises(ValueError, match="argument `diagonal`") as error:
            SoftOrthogonalRegularizer(diagonal=diagonal)
        assert str(error.value) == message + str(diagonal)
    regularizer.diagonal = 1
    with pytest.raises(ValueError, match="argument `diagonal`"):
        regularizer(np.ones((2, 2)))
    regularizer.diagonal = False
    assert regularizer(np.eye(2)) == 0
    regularizer.mode = "typo"
    with pytest.raises(ValueError, match="argument `mode`"):
        regularizer(np.ones((2, 2)))
    for shape in ((), (4,), (4, 4, 4)):
        with pytest.raises(ValueError, match="must have rank 2"):
            SoftOrthogonalRegularizer()(np.ones(shape))
