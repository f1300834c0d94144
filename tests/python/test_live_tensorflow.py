"""Factors that are TensorFlow's tensors and variables: tapes, graphs and XLA."""

import numpy as np
import pytest
import taut
from frameworks import require
from taut.regularizers import L1, L1L2, L2
from test_live_factors import X, every_class

tf = require("tensorflow")

RUN = {
    "eager": lambda function: function,
    "graph": tf.function,
    "XLA": lambda function: tf.function(function, jit_compile=True),
}
every_way = pytest.mark.parametrize("way", RUN)


def slope_of(cls, x=X):
    """The derivative with respect to the factor, by differences in float64."""
    x = np.asarray(x, np.float64)
    return (cls(0.3 + 1e-4)(x) - cls(0.3 - 1e-4)(x)) / 2e-4


def differentiated(way, regularizer, factor, x):
    """Returns a function of nothing: the penalty, and its gradients with respect to both."""

    @RUN[way]
    def both():
        with tf.GradientTape() as tape:
            total = regularizer(x)
        return total, *tape.gradient(total, (factor, x))

    return both


@every_class
@every_way
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_values_and_derivatives(way, cls, dtype):
    x = tf.Variable(tf.cast(tf.constant(X), dtype))
    factor = tf.Variable(0.3)
    regularizer = cls(factor)

    both = differentiated(way, regularizer, factor, x)
    for number in (0.3, 2.0):  # a graph sees what is assigned
        factor.assign(number)
        total, slope, grad = both()
        plain = cls(float(factor))
        rounding = 2.0**-22 if dtype != "float64" else 1e-12
        assert float(total) == pytest.approx(float(plain(x)), rel=rounding)
        expected = plain.value_and_grad(x)[1]
        rounding = {"float64": 1e-10, "float32": 1e-5}.get(dtype, 2.0**-7)
        np.testing.assert_allclose(
            tf.cast(grad, "float64"), tf.cast(expected, "float64"), rtol=rounding, atol=rounding / 8
        )
        wide = tf.cast(x, "float64").numpy()
        assert float(slope) == pytest.approx(slope_of(cls, wide), rel=1e-4)
        assert slope.dtype == tf.float32


@every_class
@every_way
def test_a_factor_of_0(way, cls):
    x, factor = tf.Variable(X), tf.Variable(0.0)
    regularizer = cls(factor)

    both = differentiated(way, regularizer, factor, x)
    total, slope, grad = both()
    assert float(total) == 0
    assert float(slope) == pytest.approx(float(cls(1.0)(x)), rel=1e-5)
    assert not grad.numpy().any()
    broken = X.copy()
    broken[1, 2] = np.nan
    x.assign(broken)
    total, slope, grad = both()
    assert float(total) == 0
    assert np.isnan(slope)  # the term itself is
    assert not grad.numpy().any()


@every_class
@every_way
def test_mixed_derivatives(way, cls):
    x, factor = tf.Variable(X), tf.Variable(0.0)

    @RUN[way]
    def mixed():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                total = cls(factor)(x)
            slope = inner.gradient(total, factor)
        return outer.gradient(slope, x)

    expected = cls(1.0).value_and_grad(x)[1]
    np.testing.assert_allclose(mixed(), expected, rtol=1e-4, atol=1e-6)


@every_class
def test_a_schedule_traces_nothing_anew(cls):
    factor, traces = tf.Variable(0.25), []
    regularizer = cls(factor)

    @tf.function
    def penalty(x):
        traces.append(x)
        return regularizer(x)

    x = tf.constant(X)
    for number in (0.25, 0.0, 2.0):
        factor.assign(number)
        assert float(penalty(x)) == pytest.approx(float(cls(number)(x)), rel=1e-6)
    assert len(traces) == 1
    operand = tf.function(lambda factor, x: cls(factor)(x))
    assert float(operand(tf.constant(0.5), x)) == pytest.approx(float(cls(0.5)(x)), rel=1e-6)


def test_constants_have_derivatives_too():
    x, factor = tf.constant(X), tf.constant(0.0)
    with tf.GradientTape() as tape:
        tape.watch(factor)
        total = L1L2(factor, tf.constant(2, tf.int32))(x)
    assert float(tape.gradient(total, factor)) == pytest.approx(float(L1(1.0)(x)), rel=1e-6)
    assert float(total) == pytest.approx(float(L2(2.0)(x)), rel=1e-6)


def test_a_symbolic_factor_that_is_none():
    for wrong in (tf.ones(2), tf.constant(True), tf.constant(1j)):
        with pytest.raises(ValueError, match="expected a non-negative float"):
            tf.function(lambda factor: L2(factor)(tf.ones(3)), autograph=False)(wrong)
    unknown = tf.function(
        lambda factor: L2(factor)(tf.ones(3)),
        input_signature=[tf.TensorSpec(None)],
        autograph=False,
    )
    with pytest.raises(ValueError, match="expected a non-negative float"):
        unknown(0.5)


def test_a_symbolic_factor_has_no_number():
    with pytest.raises(TypeError, match="is traced by tensorflow and has no number there"):
        tf.function(lambda factor: L2(factor)(X), autograph=False)(tf.constant(0.5))


def test_penalties_give_factors_their_gradients():
    params = {"a": tf.Variable(X), "b": tf.Variable(X + 1)}
    factor = tf.Variable(0.5)
    bound = taut.Penalties([("a", L2(factor)), ("*", L1(0.25))]).bind(params)

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            total = bound()
        return total, tape.gradient(total, factor), bound.value_and_grad(2.0)[1]

    for number in (0.5, 0.0):
        factor.assign(number)
        total, slope, grads = both()
        plain = taut.Penalties([("a", L2(number)), ("*", L1(0.25))])
        assert float(total) == pytest.approx(float(plain(params)), rel=1e-6)
        assert float(slope) == pytest.approx(float(L2(1.0)(X)), rel=1e-6)
        expected = plain.value_and_grad(params, 2.0)[1]
        for name in params:
            np.testing.assert_allclose(grads[name], expected[name], rtol=1e-6)


def test_saved_models_hold_the_variable(tmp_path):
    module = tf.Module()
    module.factor = tf.Variable(0.5)
    regularizer = L2(module.factor)
    module.penalty = tf.function(
        lambda x: regularizer(x), input_signature=[tf.TensorSpec((None, 7))]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    loaded.factor.assign(0.25)
    assert float(loaded.penalty(tf.constant(X))) == pytest.approx(L2(0.25)(X), rel=1e-6)
