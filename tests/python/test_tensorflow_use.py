"""TensorFlow's tensors and variables: tapes, graphs, saved models, and what is refused."""

import dataclasses
import subprocess
import sys

import numpy as np
import penalty_checks
import pytest
from arrays import random_array
from penalty_checks import REGULARIZERS
from taut import Penalties
from taut.regularizers import L1L2, L2, ActivityRegularizer, OrthogonalRegularizer, Regularizer
from test_tensorflow import tf


def by_tape(regularizer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = regularizer(x)
    return value, tape.gradient(value, x)


def same(computed, expected):
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_way_to_a_gradient(name):
    regularizer = REGULARIZERS[name]
    x = random_array((6, 5), "float32")
    value, grad = regularizer.value_and_grad(x)
    tensor, variable = tf.constant(x), tf.Variable(x)
    for compiled in (False, True):
        function = tf.function(lambda x: by_tape(regularizer, x), jit_compile=compiled)
        for given in (tensor, variable):
            same(function(given)[0], value)
            same(function(given)[1], grad)
        same(tf.function(regularizer.value_and_grad, jit_compile=compiled)(tensor)[1], grad)
    for given in (tensor, variable):
        same(by_tape(regularizer, given)[1], grad)
        same(regularizer.value_and_grad(given, scale=-2.0)[1], -2 * grad)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        total = regularizer(tensor)
    same(tape.jacobian(total, tensor), grad)
    for function in (regularizer, tf.function(regularizer)):
        with tf.autodiff.ForwardAccumulator(tensor, tensor + 1) as accumulator:
            total = function(tensor)
        same(accumulator.jvp(total), (grad * (x + 1)).sum())
    same(tf.vectorized_map(regularizer, tf.stack([tensor, tensor])), [value, value])


@pytest.mark.parametrize("name", REGULARIZERS)
def test_second_derivatives(name):
    regularizer = REGULARIZERS[name]
    x = random_array((4, 3), "float64")

    def hessian(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            _, grad = by_tape(regularizer, x)
        return tape.jacobian(grad, x, unconnected_gradients="zero")

    eager = hessian(tf.constant(x))
    for compiled in (False, True):
        graph = tf.function(hessian, jit_compile=compiled)
        np.testing.assert_allclose(eager, graph(tf.constant(x)), atol=1e-12)
    step = 1e-6
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        difference = regularizer.value_and_grad(up)[1] - regularizer.value_and_grad(down)[1]
        np.testing.assert_allclose(
            eager[(..., *index)], difference / (2 * step), rtol=1e-5, atol=1e-8
        )


def test_the_kernel_is_for_eager_tensors_alone(monkeypatch):
    from taut import _core, kernels

    calls = []

    def recorded(x, factors):
        calls.append("value")
        return _core.gram_value(x, factors)

    kernel = dataclasses.replace(kernels.GRAM, value=recorded)
    monkeypatch.setattr(OrthogonalRegularizer, "_kernel", kernel)
    x, regularizer = tf.ones((3, 4)), OrthogonalRegularizer(1.0)
    assert regularizer(x) == 1
    assert calls == ["value"]
    graph = tf.function(lambda: regularizer(x))  # x is a constant in it
    assert float(graph()) == pytest.approx(1.0)
    assert calls == ["value"]


class Model(tf.Module):
    """The penalties of all regularizers, of any number of rows."""

    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def penalty(self, x):
        return tf.add_n([regularizer(x) for regularizer in REGULARIZERS.values()])


def test_a_saved_model_needs_no_taut(tmp_path):
    x = random_array((6, 5), "float32")
    expected = sum(regularizer(x) for regularizer in REGULARIZERS.values())
    tf.saved_model.save(Model(), str(tmp_path / "model"))
    np.save(tmp_path / "x.npy", x)
    grad = sum(regularizer.value_and_grad(x)[1] for regularizer in REGULARIZERS.values())
    np.save(tmp_path / "grad.npy", grad)
    program = f"""if True:
        import sys, numpy, tensorflow as tf
        penalty = tf.saved_model.load({str(tmp_path / "model")!r}).penalty
        x = tf.constant(numpy.load({str(tmp_path / "x.npy")!r}))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = penalty(x)
            grad = tape.gradient(value, x)
        assert "taut" not in sys.modules
        numpy.testing.assert_allclose(value, {expected!r}, rtol=1e-5)
        numpy.testing.assert_allclose(grad, numpy.load({str(tmp_path / "grad.npy")!r}), rtol=1e-5)
        assert outer.gradient(grad, x) is not None
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=200)


@pytest.mark.parametrize("function", [lambda r: r, tf.function])
def test_mistakes_are_told(function):
    for dtype in ("int32", "bool", "complex64"):
        with pytest.raises(TypeError, match=rf"dtype={dtype}: cast it first, with tf\.cast"):
            function(L2())(tf.cast(tf.ones(2), dtype))
    with pytest.raises(ValueError, match=r"must have rank 2.*\(3,\)"):
        function(OrthogonalRegularizer())(tf.ones(3))
    broken = L2(1.0)
    broken.l2 = -1.0
    with pytest.raises(ValueError, match="non-negative"):
        function(broken)(tf.ones(3))
    with pytest.raises(TypeError, match="dense"):
        function(L2())(tf.sparse.from_dense(tf.eye(3)))


class Quartic(Regularizer):
    def __call__(self, x):
        return 0.5 * tf.reduce_sum(x**4)


def test_your_own_regularizers_are_differentiated():
    value, grad = Quartic().value_and_grad(tf.constant([1.0, -2.0]), scale=2.0)
    assert (value, grad.numpy().tolist()) == (8.5, [4.0, -32.0])
    value, grad = Regularizer().value_and_grad(tf.constant([1.0, -2.0]))
    assert (value, grad.numpy().tolist()) == (0, [0, 0])


def test_what_is_written_in_place_is_refused():
    x = tf.Variable(tf.ones((3, 3)))
    penalty_checks.assert_not_written(x, tf.zeros((3, 3)), Quartic())


def test_a_whole_model():
    kernel, bias = random_array((6, 5), "float32"), random_array(5, "float32")
    penalties = Penalties(
        [("*/kernel", REGULARIZERS["rows"]), ("*/bias", L1L2(0.1, 0.2)), ("*", L2(0.1))]
    )
    variable = tf.Variable(kernel)
    params = {
        "dense": {"kernel": variable, "bias": tf.Variable(bias), "again": variable},
        "frozen": tf.Variable(kernel, trainable=False),
    }
    expected = REGULARIZERS["rows"](kernel) + L1L2(0.1, 0.2)(bias)
    bound = penalties.bind(params)
    for total in (penalties(params), bound(), tf.function(bound)()):
        assert float(total) == pytest.approx(expected, rel=1e-6)
    with tf.GradientTape() as tape:
        total = bound()
    grads = tape.gradient(total, [variable, params["dense"]["bias"]])
    same(grads[0], REGULARIZERS["rows"].value_and_grad(kernel)[1])
    same(grads[1], L1L2(0.1, 0.2).value_and_grad(bias)[1])
    breakdown = bound.breakdown()
    assert list(breakdown) == ["dense/kernel", "dense/bias", "dense/again", "frozen"]
    assert (breakdown["dense/again"], breakdown["frozen"]) == (0, 0)


def test_an_activity_is_divided_by_its_batch_size():
    x = random_array((8, 3), "float32")
    regularizer = ActivityRegularizer(L2(0.1))
    value, grad = regularizer.value_and_grad(x)
    unknown = tf.function(
        regularizer.value_and_grad, input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([])]
    )
    for computed in (regularizer.value_and_grad(tf.constant(x)), unknown(x, 1.0)):
        same(computed[0], value)
        same(computed[1], grad)
    assert unknown(x[:0], 1.0)[0] == 0
    with pytest.raises(ValueError, match="batch dimension"):
        regularizer(tf.constant(1.0))


def test_a_frozen_variable_has_a_zero_of_tensorflow():
    frozen = tf.Variable(tf.ones(3, tf.bfloat16), trainable=False)
    total = Penalties([("*", L2(1.0))])({"frozen": frozen})
    assert (total.dtype, float(total)) == (tf.float32, 0.0)
