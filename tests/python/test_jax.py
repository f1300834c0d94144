"""JAX arrays: every way to compute a penalty, with and without float64, against the oracle."""

import contextlib
import functools
import math

import numpy as np
import oracle
import pytest
import test_gram
from arrays import DTYPES, numbers, random_array
from frameworks import require
from penalty_checks import REGULARIZERS, check_penalty, flushed
from taut import _core
from taut.regularizers import L1, L1L2, L2, OrthogonalRegularizer

jax = require("jax")
jnp = jax.numpy

from taut.arrays.jax import operations  # noqa: E402

ORTHOGONAL = ["rows", "columns"]
GROUPS = ["groups of rows", "groups of columns"]
WITH_AND_WITHOUT = pytest.mark.parametrize("x64", [False, True], ids=["float32 only", "x64"])


@functools.cache  # so that JAX finds what it has compiled
def by_operations(regularizer):
    factor, *options = regularizer._factors()
    return lambda x: operations.value(x, (factor,), regularizer._kernel, (*options,), (None,))


# How the orthogonal penalty may be computed.
PATHS = {"kernel": lambda regularizer: regularizer, "operations": by_operations}


@contextlib.contextmanager
def doubles(enabled):
    """Gives JAX float64, or takes it away."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", enabled)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def dtypes(x64):
    return DTYPES if x64 else [name for name in DTYPES if name != "float64"]


@functools.cache
def evaluation(penalty):
    """Returns a compiled function of x and a scale: the value, and the scaled gradient."""

    def evaluate(x, scale):
        value, pull_back = jax.vjp(penalty, x)
        return value, pull_back(jnp.asarray(scale, value.dtype))[0]

    return jax.jit(evaluate)


def check(penalty, regularizer, x, scale=1.0, x64=True):
    """Compares a value and its gradient, which JAX takes, with the oracle."""
    value, grad = evaluation(penalty)(jnp.asarray(x), scale)
    assert value.shape == ()
    assert value.dtype == (np.float64 if x.dtype == np.float64 else np.float32)
    sum_dtype = "float64" if x64 else "float32"
    check_penalty(regularizer, x, float(value), np.asarray(grad), scale, sum_dtype, lost=2e-38)


def test_the_build_has_the_handlers():
    assert set(_core.jax_handlers) == {
        f"taut_{kernel}_{function}"
        for kernel in ("gram", "soft_orthogonal")
        for function in ("value", "value_and_grad")
    } | {f"taut_gram_share_{function}" for function in ("value", "signs", "grad")}


@WITH_AND_WITHOUT
@pytest.mark.parametrize("name", ["L1", "L2", "L1L2"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5, 4, 3, 2)])
def test_arrays_agree_with_the_oracle(shape, name, x64):
    with doubles(x64):
        for dtype in dtypes(x64):
            for seed in range(8):
                x = flushed(
                    numbers(dtype, math.prod(shape), seed).reshape(shape).astype(DTYPES[dtype])
                )
                # float32's own sums overflow where float64's, rounded to float32, do not.
                if not x64 and dtype != "float16":
                    x = np.clip(x, -1e15, 1e15).astype(x.dtype)
                check(
                    REGULARIZERS[name], REGULARIZERS[name], x, [1.0, 0.0, -0.5, 3.0][seed % 4], x64
                )


@WITH_AND_WITHOUT
@pytest.mark.parametrize("name", [*ORTHOGONAL, *GROUPS])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shape", [(9, 5), (5, 17)])
def test_matrices_agree_with_the_oracle(shape, path, name, x64):
    with doubles(x64):
        for dtype in dtypes(x64):
            for seed in range(8):
                x = flushed(
                    numbers(dtype, math.prod(shape), seed).reshape(shape).astype(DTYPES[dtype])
                )
                scale = [1.0, 0.0, -0.5, 1e3][seed % 4]
                check(PATHS[path](REGULARIZERS[name]), REGULARIZERS[name], x, scale, x64)


@WITH_AND_WITHOUT
def test_nan_and_infinity_stay_where_they_are(x64):
    with doubles(x64):
        for dtype in dtypes(x64):
            x = np.array([1, math.nan, -2, math.inf, -math.inf, 0], np.float64)
            for name, exact in {
                "L1": [0.3, math.nan, -0.3, 0.3, -0.3, 0],
                "L2": [0.6, math.nan, -1.2, math.inf, -math.inf, 0],
            }.items():
                value, grad = evaluation(REGULARIZERS[name])(
                    jnp.asarray(x.astype(DTYPES[dtype])), 1.0
                )
                assert math.isnan(value)
                np.testing.assert_allclose(
                    oracle.as_doubles(grad), exact, rtol=2 * oracle.EPSILON[dtype]
                )


@WITH_AND_WITHOUT
@pytest.mark.parametrize("name", ORTHOGONAL)
@pytest.mark.parametrize("path", PATHS)
def test_matrices_at_the_edges(path, name, x64):
    penalty = PATHS[path](REGULARIZERS[name])
    with doubles(x64):
        for dtype in dtypes(x64):
            x = oracle.as_doubles(random_array((9, 5) if name == "rows" else (5, 9), dtype))
            vectors = x if name == "rows" else x.T
            vectors[2] = 0
            vectors[3] *= 1e-9
            vectors[4] = 1e-7 / 2  # its norm is above the floor
            vectors[5] = 1e-7 / 3
            vectors[7] *= {"float16": 1e3, "float64": 1e300}.get(dtype, 1e37)
            check(penalty, REGULARIZERS[name], x.astype(DTYPES[dtype]), 1.0, x64)
            for special in (math.nan, math.inf):
                vectors[3, 2] = special
                value, grad = evaluation(penalty)(jnp.asarray(x.astype(DTYPES[dtype])), 1.0)
                assert math.isnan(value)
                assert jnp.isnan(grad).all()


@pytest.mark.parametrize("name", ORTHOGONAL)
@pytest.mark.parametrize("path", PATHS)
def test_fewer_than_two_vectors_have_no_penalty(path, name):
    for shape in ((0, 4), (1, 4), (4, 0)):
        x = np.full(shape if name == "rows" else shape[::-1], math.nan, DTYPES["bfloat16"])
        value, grad = evaluation(PATHS[path](REGULARIZERS[name]))(jnp.asarray(x), 1.0)
        assert value == 0
        assert not grad.any()


@pytest.mark.parametrize("matrix", test_gram.MATRICES_OF_EXACT_ZEROS)
@pytest.mark.parametrize("path", PATHS)
def test_exact_zeros_of_the_gram_matrix(path, matrix):
    x = test_gram.MATRICES_OF_EXACT_ZEROS[matrix].astype(np.float32)
    penalty = PATHS[path](REGULARIZERS["rows"])
    value, grad = evaluation(penalty)(jnp.asarray(x), 1 / 0.7)
    expected = oracle.gram(x)
    assert value == pytest.approx(0.7 * expected.value, rel=1e-6, abs=0)
    slack = expected.grad_rounding + np.abs(expected.grad) * 1e-6
    test_gram.assert_close(np.asarray(grad), expected.grad, slack)


@pytest.mark.parametrize("path", PATHS)
def test_a_factor_of_0_is_skipped(path):
    x = jnp.full((3, 3), math.nan)
    for penalty in (L1(0.0), L2(0.0), L1L2(0.0, 0.0), PATHS[path](OrthogonalRegularizer(0.0))):
        value, grad = jax.jit(jax.value_and_grad(penalty))(x)
        assert value == 0
        assert not grad.any()
    assert L1L2(0.5, 0.0)(jnp.array([1.0, -2.0])) == 1.5


@WITH_AND_WITHOUT
def test_sums_do_not_overflow_or_stick(x64):
    with doubles(x64):
        assert L2(0.01)(jnp.full(1000, 100.0, jnp.float16)) == pytest.approx(1e5)
        assert L1(0.01)(jnp.ones(1_000_000, jnp.bfloat16)) == pytest.approx(10_000)


def test_the_kernel_keeps_subnormals_that_xla_would_flush():
    x = np.full((3, 4), 1e-40, np.float32)
    assert OrthogonalRegularizer(1.0)(x) > 0
    x[0] *= 1e35
    value = OrthogonalRegularizer(1.0)(jnp.asarray(x))
    assert value == np.float32(OrthogonalRegularizer(1.0)(x))
    assert value > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("path", PATHS)
def test_a_gradient_is_scaled_before_it_is_rounded(path, dtype):
    x = random_array((200, 40), dtype)
    check(PATHS[path](REGULARIZERS["rows"]), REGULARIZERS["rows"], x, 2.0**14, False)
    _, grad = REGULARIZERS["rows"].value_and_grad(jnp.asarray(x), scale=2.0**14)
    _, expected = REGULARIZERS["rows"].value_and_grad(x, scale=2.0**14)
    np.testing.assert_allclose(
        oracle.as_doubles(grad), oracle.as_doubles(expected), rtol=2 * oracle.EPSILON[dtype]
    )


def test_more_pairs_than_a_32_bit_integer_counts():
    x = jax.ShapeDtypeStruct((50_000, 2), jnp.float32)
    total, slope = jax.eval_shape(jax.value_and_grad(OrthogonalRegularizer(1.0)), x)
    assert (total.shape, slope.shape) == ((), x.shape)
