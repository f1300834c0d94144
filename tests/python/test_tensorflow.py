"""TensorFlow's tensors: every way to compute a penalty, against the oracle."""

import functools
import math

import numpy as np
import oracle
import pytest
import test_gram
from arrays import DTYPES, arrays, numbers, random_array
from frameworks import require
from hypothesis import given, settings
from hypothesis import strategies as st
from penalty_checks import REGULARIZERS, check_penalty, flushed
from taut.regularizers import L1, L1L2, L2, OrthogonalRegularizer

tf = require("tensorflow")

from taut.arrays.tensorflow import operations  # noqa: E402

ORTHOGONAL = ["rows", "columns"]
GROUPS = ["groups of rows", "groups of columns"]


@functools.cache  # so that graphs are traced once
def evaluation(path, regularizer):
    """Returns a function of x and a scale: the value, and the scaled gradient by a tape."""

    def evaluate(x, scale, penalty=regularizer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = penalty(x)
        return value, tape.gradient(value, x, output_gradients=tf.cast(scale, value.dtype))

    if path == "eager":
        return evaluate
    if path == "operations":
        kernel, factors = regularizer._kernel, regularizer._factors()
        return functools.partial(evaluate, penalty=lambda x: operations.value(kernel, x, factors))
    if path == "unknown shape":
        return lambda x, scale: graph_of_unknown_shape(evaluate, x.dtype, x.shape.rank)(x, scale)
    return tf.function(lambda x, scale: evaluate(x, scale), jit_compile=path == "XLA")


@functools.cache
def graph_of_unknown_shape(evaluate, dtype, rank):
    x, scale = tf.TensorSpec([None] * rank, dtype), tf.TensorSpec([], tf.float32)
    return tf.function(lambda x, scale: evaluate(x, scale), input_signature=[x, scale])


PATHS = ["eager", "operations", "graph", "unknown shape", "XLA"]
EAGER_PATHS = ["eager", "operations"]


def check(path, regularizer, x, scale=1.0):
    """Compares a value and its gradient with the oracle."""
    value, grad = evaluation(path, regularizer)(tf.constant(x), tf.constant(scale))
    assert value.shape == ()
    assert value.dtype == (tf.float64 if x.dtype == np.float64 else tf.float32)
    grad = np.array(grad.numpy(), x.dtype)  # which is no array, without axes
    is_fused = path in ("eager", "XLA")  # else a gradient takes as few passes as it can
    grad_dtype = "float64" if is_fused or x.dtype == np.float64 else "float32"
    check_penalty(regularizer, x, float(value), grad, scale, lost=2e-38, grad_dtype=grad_dtype)


@pytest.mark.parametrize("path", EAGER_PATHS)
@pytest.mark.parametrize("name", ["L1", "L2", "L1L2"])
@settings(max_examples=100)
@given(x=arrays(), scale=st.sampled_from([1.0, 0.0, -0.5, 3.0]))
def test_random_tensors_agree_with_the_oracle(path, name, x, scale):
    check(path, REGULARIZERS[name], flushed(x), scale)


@pytest.mark.parametrize("path", EAGER_PATHS)
@pytest.mark.parametrize("name", [*ORTHOGONAL, *GROUPS])
@settings(max_examples=100)
@given(x=arrays(rank=2), scale=st.sampled_from([1.0, 0.0, -0.5, 1e3]))
def test_random_matrices_agree_with_the_oracle(path, name, x, scale):
    check(path, REGULARIZERS[name], flushed(x), scale)


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("path", ["graph", "unknown shape", "XLA"])
def test_graphs_agree_with_the_oracle(path, dtype, name):
    for seed in range(8):
        x = numbers(dtype, 85, seed).reshape(5, 17).astype(DTYPES[dtype])
        check(path, REGULARIZERS[name], flushed(x), [1.0, 0.0, -0.5, 3.0][seed % 4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("path", PATHS)
def test_nan_and_infinity_stay_where_they_are(path, dtype):
    x = np.array([1, math.nan, -2, math.inf, -math.inf, 0], np.float64).astype(DTYPES[dtype])
    for name, exact in {
        "L1": [0.3, math.nan, -0.3, 0.3, -0.3, 0],
        "L2": [0.6, math.nan, -1.2, math.inf, -math.inf, 0],
    }.items():
        value, grad = evaluation(path, REGULARIZERS[name])(tf.constant(x), tf.constant(1.0))
        assert math.isnan(value)
        np.testing.assert_allclose(oracle.as_doubles(grad), exact, rtol=2 * oracle.EPSILON[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("path", PATHS)
def test_matrices_at_the_edges(path, dtype):
    penalty = evaluation(path, REGULARIZERS["rows"])
    one = tf.constant(1.0)
    if path != "XLA" or dtype == "float32":  # which compiles each
        for shape in ((0, 4), (1, 4), (4, 0)):
            value, grad = penalty(tf.constant(np.full(shape, math.nan).astype(DTYPES[dtype])), one)
            assert value == 0
            assert not np.asarray(grad).any()
    x = oracle.as_doubles(random_array((12, 9), dtype))
    x[2] = 0
    x[3] *= 1e-9
    x[4] = 1e-7 / 2  # its norm is above the floor
    x[5] = 1e-7 / 4
    x[7] *= {"float16": 1e3, "float64": 1e300}.get(dtype, 1e37)
    check(path, REGULARIZERS["rows"], x.astype(DTYPES[dtype]))
    for special in (math.nan, math.inf):
        x[3, 5] = special
        value, grad = penalty(tf.constant(x.astype(DTYPES[dtype])), one)
        assert math.isnan(value)
        assert np.isnan(oracle.as_doubles(grad)).all()


@pytest.mark.parametrize("matrix", test_gram.MATRICES_OF_EXACT_ZEROS)
@pytest.mark.parametrize("path", ["eager", "operations", "unknown shape"])
def test_exact_zeros_of_the_gram_matrix(path, matrix):
    x = test_gram.MATRICES_OF_EXACT_ZEROS[matrix].astype(np.float32)
    penalty = evaluation(path, REGULARIZERS["rows"])
    value, grad = penalty(tf.constant(x), tf.constant(1 / 0.7))
    expected = oracle.gram(x)
    assert float(value) == pytest.approx(0.7 * expected.value, rel=1e-6, abs=0)
    slack = expected.grad_rounding + np.abs(expected.grad) * 1e-6
    test_gram.assert_close(np.asarray(grad), expected.grad, slack)


@pytest.mark.parametrize("path", ["eager", "operations", "graph"])
def test_a_factor_of_0_is_skipped(path):
    x = tf.fill([3, 3], math.nan)
    for regularizer in (L1(0.0), L2(0.0), L1L2(0.0, 0.0), OrthogonalRegularizer(0.0)):
        value, grad = evaluation(path, regularizer)(x, tf.constant(1.0))
        assert value == 0
        assert not np.asarray(grad).any()
    assert L1L2(0.5, 0.0)(tf.constant([1.0, -2.0])) == 1.5


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 23, 64])
def test_lengths_around_the_slices_that_xla_adds(length):
    for name in ("L1", "L2"):
        check("XLA", REGULARIZERS[name], random_array(length, "float32"))


def test_sums_do_not_overflow_or_stick():
    halves, ones = tf.fill([1000], tf.constant(100.0, tf.float16)), tf.ones(1_000_000, tf.bfloat16)
    for function in (lambda regularizer: regularizer, tf.function):
        assert float(function(L2(0.01))(halves)) == pytest.approx(1e5)
        assert float(function(L1(0.01))(ones)) == pytest.approx(10_000)


def test_the_kernel_keeps_subnormals_that_tensorflow_would_flush():
    x = np.full((3, 4), 1e-40, np.float32)
    x[0] *= 1e35
    value, grad = OrthogonalRegularizer(1.0).value_and_grad(x)
    own_value, own_grad = OrthogonalRegularizer(1.0).value_and_grad(tf.constant(x))
    assert own_value == np.float32(value) > 0
    np.testing.assert_array_equal(own_grad, grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("path", ["eager", "operations", "graph"])
def test_a_gradient_is_scaled_before_it_is_rounded(path, dtype):
    check(path, REGULARIZERS["rows"], random_array((200, 40), dtype), 2.0**14)
