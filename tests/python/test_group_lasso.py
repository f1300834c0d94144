"""Group lasso on NumPy arrays: values, gradients and proximal steps."""

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
from taut.regularizers import L1, GroupLasso
from test_elementwise import assert_close

MODES = ["rows", "columns"]
# Rows and columns that are short and long: around the 32 lanes, the short lines that are taken many
# at a time, the strips of 2048, and groups in one piece or in several.
SHAPES = [
    (1, 1), (1, 7), (7, 1), (2, 3), (3, 2), (31, 33), (33, 31), (32, 32), (5, 63), (70, 64),
    (129, 65), (3, 2049), (2049, 3), (700, 10), (3, 70_001), (70_001, 3), (70_001, 2), (300, 300),
    (66, 4100), (4100, 66), (5, 4, 3), (3, 3, 16, 33), (33, 16, 3, 3), (2, 40_000, 2), (2, 1, 3),
]  # fmt: skip


def check(x, mode, factor=0.3, scale=1.0, grad=None):
    """Compares the value, both gradients and the proximal step of one input with the oracle."""
    regularizer = GroupLasso(factor, mode)
    exact = oracle.group_lasso(x, factor, mode)
    value = regularizer(x)
    assert type(value) is float
    if np.isfinite(exact.value):
        assert abs(value - exact.value) <= exact.value_tolerance() + 2.0**-1074
    else:
        np.testing.assert_equal(value, exact.value)

    slope = np.longdouble(scale) * exact.grad
    value_again, fresh = regularizer.value_and_grad(x, scale)
    assert (fresh.shape, fresh.dtype) == (x.shape, x.dtype)
    assert_close(fresh, slope, exact.terms(slope))

    grad = np.ones_like(x) if grad is None else grad
    before = oracle.as_doubles(grad).astype(np.longdouble)
    value_once_more = regularizer.accumulate_grad(x, grad, scale)
    assert_close(grad, before + slope, np.abs(before) + exact.terms(slope))
    np.testing.assert_equal([value_again, value_once_more], [value, value])


def check_prox(x, mode, factor, step):
    expected = oracle.group_lasso_prox(x, factor, mode, step)
    exact = oracle.group_lasso(x, factor, mode)
    with np.errstate(invalid="ignore", over="ignore"):
        terms = np.abs(oracle.as_doubles(x)) * (2 + exact.members / 8)
        if exact.members == 1:  # L1: a difference
            terms = terms + step * factor
    assert GroupLasso(factor, mode).prox(x, step) is None
    assert_close(x, expected, terms)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=1000)
@given(
    x=arrays().filter(lambda x: x.ndim > 0),
    factor=st.just(0.0) | st.floats(1e-6, 2),
    scale=st.sampled_from([1.0, 0.0, -0.5, 3.0]),
)
def test_random_arrays_agree_with_the_oracle(mode, x, factor, scale):
    check(x, mode, factor, scale)
    if x.flags.writeable:
        check_prox(x, mode, factor, abs(scale))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(level, mode, dtype, shape):
    x = random_array(shape, dtype)
    check(x, mode)
    norms = oracle.group_lasso(x, 1.0, mode).norms
    step = float(np.median(norms)) / math.sqrt(x.size / norms.size)
    check_prox(x, mode, 1.0, step)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300,), (65, 43), (43, 165), (5, 4, 3, 7, 6), (9, 5000)])
def test_layouts(level, mode, dtype, layout, shape):
    arrange = LAYOUTS[layout]
    x = arrange(random_array(shape, dtype))
    check(x, mode)
    check(x, mode, grad=np.ones(shape, DTYPES[dtype]))
    check(np.ascontiguousarray(x), mode, grad=arrange(np.ones(shape, DTYPES[dtype])))
    check_prox(x, mode, 0.3, 0.9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [(2, 0, 1), (1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_axes_in_any_order(mode, axes):
    x = random_array((11, 12, 13), "float32").transpose(axes)
    check(x, mode)
    check(x[::-1, 1:, ::-2], mode)
    check_prox(x[::2, ::-1], mode, 0.3, 0.9)


@pytest.mark.parametrize("mode", MODES)
def test_broadcast_and_many_axes(mode):
    check(np.broadcast_to(np.float32(0.5), (30, 40)), mode)
    check(np.broadcast_to(random_array(50, "float64"), (30, 50)), mode)
    check(np.broadcast_to(random_array((50, 1), "float64"), (50, 30)), mode)
    check(random_array((1, 2) * 8, "float32").transpose(), mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays_have_no_penalty(mode, shape):
    x = np.zeros(shape)
    assert GroupLasso(0.1, mode)(x) == 0
    assert GroupLasso(0.1, mode).value_and_grad(x)[1].shape == shape
    GroupLasso(0.1, mode).prox(x, 1.0)


def test_a_scalar_has_no_groups():
    x, grad = np.ones(()), np.ones(())
    for call in (
        lambda: GroupLasso()(x),
        lambda: GroupLasso().accumulate_grad(x, grad),
        lambda: GroupLasso().prox(x, 1.0),
    ):
        with pytest.raises(ValueError, match=r"must have rank 1 or more\. .*inputs\.shape=\(\)"):
            call()
    assert x == grad == 1


@pytest.mark.parametrize("mode", MODES)
def test_of_a_vector_it_is_l1(mode):
    x = np.array([0.5, -2, 0, math.inf, math.nan, -math.inf, 3], np.float32)
    np.testing.assert_equal(GroupLasso(0.3, mode).value_and_grad(x), L1(0.3).value_and_grad(x))
    moved, by_l1 = x.copy(), x.copy()
    GroupLasso(0.3, mode).prox(moved, 2.0)
    L1(0.3).prox(by_l1, 2.0)
    np.testing.assert_array_equal(moved, by_l1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (6, 3000), (3000, 70), (3, 70_000)], ids=str)
def test_zeros_nan_and_infinity(level, dtype, layout, shape):
    numbers = random_array(shape, "float64")
    rows = min(shape[0], 6)
    numbers[0] = 0
    numbers[1, 1] = math.nan
    numbers[2, 2] = math.inf
    if rows > 3:
        numbers[3, [0, 3]] = math.nan, -math.inf
        numbers[:, 4] = -0.0
    x = LAYOUTS[layout](numbers.astype(DTYPES[dtype]))
    for mode in MODES:
        check(x, mode)
        check(x[2:], mode)
        check_prox(x.copy(), mode, 0.1, 1.0)


def test_what_nan_and_infinity_do_to_their_group():
    x = np.array([[1, math.nan], [math.inf, 2], [0, 0], [3, 4]])
    value, grad = GroupLasso(0.5).value_and_grad(x)
    assert math.isnan(value)
    weight = 0.5 * math.sqrt(2)
    expected = [[math.nan, math.nan], [math.nan, 0], [0, 0], [0.6 * weight, 0.8 * weight]]
    np.testing.assert_allclose(grad, expected, rtol=1e-15)
    assert GroupLasso(0.5)(x[1:]) == math.inf
    GroupLasso(0.5).prox(x, 1.0)
    np.testing.assert_array_equal(x[0], [math.nan, math.nan])
    np.testing.assert_array_equal(x[1], [math.inf, 2])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(4, 6), (70, 70), (40, 2100), (2, 70_000), (70_000, 2)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        *(("float64", size) for size in (5e-324, 1e-310, 1e-300, 1e-170, 1e160, 1e300, 1e308)),
        *(("float32", size) for size in (1e-45, 1e-30, 1e30, 3e38)),
        ("bfloat16", 1e-30),
        ("bfloat16", 1e30),
    ],
)
def test_nothing_overflows_or_underflows_on_the_way(level, dtype, size, shape, mode):
    x = (np.random.default_rng(0).uniform(-1, 1, shape) * size).astype(DTYPES[dtype])
    x[0] = 0
    x[:, 0] = 1
    check(x, mode, factor=1e-3)
    check_prox(x, mode, 1.0, min(size, 1e200) / math.sqrt(sum(shape)))


@pytest.mark.parametrize(("factor", "scale"), [(1e-300, 1e-20), (1e300, 1e5), (1e-310, 1e300)])
@pytest.mark.parametrize("size", [1e-290, 1.0, 1e290])
def test_factors_at_the_ends_of_the_range(factor, scale, size):
    x = random_array((5, 40), "float64") * size
    exact = oracle.group_lasso(x, factor)
    slope = np.longdouble(scale) * exact.grad
    with np.errstate(over="ignore"):
        _, grad = GroupLasso(factor).value_and_grad(x, scale)
    assert_close(grad, slope, exact.terms(slope))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(6, 50), (50, 6), (3, 4, 5)])
def test_the_gradient_is_the_slope_of_the_value(mode, shape):
    x = random_array(shape, "float64")
    regularizer = GroupLasso(0.3, mode)
    _, grad = regularizer.value_and_grad(x)
    step = 1e-5
    for index in np.ndindex(*shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            values.append(regularizer(moved))
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(grad[index], abs=1e-8)


@pytest.mark.parametrize("mode", MODES)
def test_a_proximal_step_is_the_minimum_that_it_claims_to_be(mode):
    regularizer, step = GroupLasso(0.4, mode), 0.6
    generator = np.random.default_rng(0)
    for _ in range(50):
        x = generator.standard_normal((4, 3)) * generator.uniform(0.1, 2, (4, 1))

        def objective(y, x=x):
            return step * regularizer(y) + ((y - x) ** 2).sum() / 2

        reached = x.copy()
        regularizer.prox(reached, step)
        best = objective(reached)
        for size in (1e-6, 1e-3, 0.1):
            others = reached + size * generator.standard_normal((20, 4, 3))
            assert best <= min(map(objective, others)) + 1e-15
        # By minimizing parabolas above the objective, whose norms are made smooth.
        numeric = x.copy()
        axis = 1 if mode == "rows" else 0
        threshold = step * 0.4 * math.sqrt(x.shape[axis])
        for _ in range(3000):
            norms = np.sqrt((numeric**2).sum(axis=axis, keepdims=True) + 1e-12)
            numeric = x / (1 + threshold / norms)
        np.testing.assert_allclose(reached, numeric, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40, 50), (3, 70_000), (5000, 40)])
def test_a_proximal_step_gives_whole_groups_of_exact_zeros(level, dtype, shape):
    for mode in MODES:
        x = random_array(shape, dtype)
        groups = x if mode == "rows" else x.T
        groups[:2] *= DTYPES[dtype].type(1e-3)
        norms = oracle.group_lasso(groups, 1.0).norms.ravel()
        stays = norms > 0.101 * math.sqrt(groups.shape[1])
        assert not stays[:2].any()
        GroupLasso(0.1, mode).prox(x, 1.0)
        assert groups[:2].tobytes() == bytes(groups[:2].nbytes)
        assert (oracle.as_doubles(groups[stays]) != 0).any(axis=1).all()


def test_a_step_or_factor_of_0_changes_nothing():
    x = random_array((30, 40), "float32")
    x[0] = -0.0
    before = x.tobytes()
    GroupLasso(0.5).prox(x, 0.0)
    GroupLasso(0.0).prox(x, 1.0)
    assert x.tobytes() == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_float32_gradient_of_a_half_type(level, mode, dtype):
    x = random_array((65, 43), dtype)
    grad = random_array((65, 43), "float32", seed=1)
    check(x, mode, grad=grad)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 300), (3, 150_000), (60_000, 5), (40, 9000)])
def test_the_same_bits_for_all_threads_and_levels(mode, dtype, shape):
    x = random_array(shape, dtype)
    results = set()
    before = _core.level(), taut.get_num_threads()
    try:
        for level in LEVELS:
            _core.set_level(level)
            for threads in (1, 2, 5):
                taut.set_num_threads(threads)
                value, grad = GroupLasso(0.3, mode).value_and_grad(x)
                added, moved = np.ones_like(x), x.copy()
                GroupLasso(0.3, mode).accumulate_grad(x, added)
                GroupLasso(0.3, mode).prox(moved, 2.0)
                results.add((value, grad.tobytes(), added.tobytes(), moved.tobytes()))
    finally:
        _core.set_level(before[0])
        taut.set_num_threads(before[1])
    assert len(results) == 1


@pytest.mark.parametrize("mode", MODES)
def test_bad_arrays_are_refused_before_anything_is_written(mode):
    x, regularizer = np.ones((4, 5)), GroupLasso(0.1, mode)
    with pytest.raises(ValueError, match="overlap the input"):
        regularizer.accumulate_grad(x, x)
    with pytest.raises(ValueError, match="shape"):
        regularizer.accumulate_grad(x, np.ones((5, 4)))
    with pytest.raises(ValueError, match="step"):
        regularizer.prox(x, -1.0)
    with pytest.raises(ValueError, match="overlap itself"):
        regularizer.prox(np.lib.stride_tricks.as_strided(np.ones(2), (2, 2), (0, 8)), 1.0)
    with pytest.raises(TypeError, match="int64"):
        regularizer(np.ones((3, 3), np.int64))
    x.flags.writeable = False
    assert regularizer(x) > 0
    with pytest.raises(ValueError, match="read-only"):
        regularizer.prox(x, 1.0)
    assert (x == 1).all()


def test_penalties_compute_it_beside_others():
    params = {"a": random_array((30, 40), "float32"), "b": random_array((40, 3), "float32")}
    penalties = taut.Penalties([("a", GroupLasso(0.2)), ("b", GroupLasso(0.3, "columns"))])
    expected = {"a": GroupLasso(0.2)(params["a"]), "b": GroupLasso(0.3, "columns")(params["b"])}
    assert penalties.breakdown(params) == expected
    grads = {name: np.ones_like(x) for name, x in params.items()}
    assert penalties.accumulate_grad(params, grads) == sum(expected.values())
    alone = np.ones_like(params["b"])
    GroupLasso(0.3, "columns").accumulate_grad(params["b"], alone)
    np.testing.assert_array_equal(grads["b"], alone)
    moved = params["a"].copy()
    GroupLasso(0.2).prox(moved, 0.5)
    penalties.prox(params, 0.5)
    np.testing.assert_array_equal(params["a"], moved)
