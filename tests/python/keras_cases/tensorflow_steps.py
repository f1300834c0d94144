"""Keras's own steps on TensorFlow, whose graphs call taut's kernels; no other graph does."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import taut
from keras import layers
from taut.regularizers import L1L2, L2, OrthogonalRegularizer
from versions import IS_OLDEST

if keras.backend.backend() != "tensorflow":
    pytest.skip("there are no graphs", allow_module_level=True)

import tensorflow as tf
from taut.arrays.tensorflow import calls

WIDTH = 24


@pytest.fixture
def called(monkeypatch):
    """Has kernels of any size called, and returns a list of what is asked of the core."""
    monkeypatch.setattr(calls, "_FEWEST_ELEMENTS", 0)
    asked = []

    def recorded(kernel, name):
        def function(*arguments):
            asked.append(name)
            return getattr(kernel, name)(*arguments)

        return function

    for cls in (L1L2, L2, OrthogonalRegularizer):
        kernel = cls._kernel
        functions = {name: recorded(kernel, name) for name in ("value", "value_and_grad")}
        monkeypatch.setattr(cls, "_kernel", dataclasses.replace(kernel, **functions))
    return asked


def make_model(regularizer, **options):
    keras.utils.set_random_seed(0)
    dense = layers.Dense(WIDTH, kernel_regularizer=regularizer, **options)
    return keras.Sequential([keras.Input((WIDTH,)), dense])


def data(count=32):
    return np.random.default_rng(0).standard_normal((2, count, WIDTH)).astype(np.float32)


REGULARIZERS = {
    "L2": lambda module: module.L2(0.1),
    "L1L2": lambda module: module.L1L2(0.1, 0.2),
    "rows": lambda module: module.OrthogonalRegularizer(0.7),
    "columns": lambda module: module.OrthogonalRegularizer(0.7, "columns"),
}


WAYS = {"graph": {}, "loop": {"steps_per_execution": 2}, "eager": {"run_eagerly": True}}


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("how", WAYS)
def test_steps_go_the_way_of_keras(called, name, how):
    weights = []
    for module in (keras.regularizers, taut.regularizers):
        model = make_model(REGULARIZERS[name](module))
        model.compile(keras.optimizers.SGD(0.1), "mse", **WAYS[how])
        model.fit(*data(), epochs=2, batch_size=8, verbose=0, shuffle=False)
        weights.append(model.get_weights()[0])
    assert called
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=1e-5)


def test_a_gradient_comes_along_where_it_will_be_asked_for(called):
    model = make_model(OrthogonalRegularizer(0.7))
    model.compile("sgd", "mse")
    model.train_on_batch(*data())
    assert called == ["value_and_grad"]
    called.clear()
    model.evaluate(*data(), batch_size=32, verbose=0)
    # Keras 3.6 makes no graph of this step by itself.
    assert called == ([] if IS_OLDEST else ["value"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", REGULARIZERS)
def test_weights_of_half_precision(called, name, dtype):
    regularizer = REGULARIZERS[name](taut.regularizers)
    model = make_model(regularizer, dtype=dtype)
    model.compile(keras.optimizers.SGD(0.25), "mse")
    before = model.layers[0].kernel.numpy()
    model.train_on_batch(0 * data()[0], 0 * data()[1])  # so that the loss is the penalty alone
    assert called
    _, grad = regularizer.value_and_grad(before)
    exact = before.astype(np.float64) - 0.25 * grad.astype(np.float64)
    after = model.layers[0].kernel.numpy().astype(np.float64)
    epsilon = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    np.testing.assert_allclose(after, exact, atol=2 * epsilon * np.abs(before).max())


def test_a_small_penalty_that_memory_bounds_is_left_to_tensorflow(monkeypatch):
    asked = []
    kernel = dataclasses.replace(L2._kernel, value=lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(L2, "_kernel", kernel)
    model = make_model(L2(0.1))
    model.compile("sgd", "mse")
    model.train_on_batch(*data())
    assert not asked


class Sharpness(keras.Model):
    """Is trained on the squared norm of its penalty's gradient: a derivative of a derivative."""

    def train_step(self, batch):
        weight = self.layers[-1].kernel.value
        with tf.GradientTape() as outer:
            outer.watch(weight)
            with tf.GradientTape() as inner:
                inner.watch(weight)
                penalty = self.layers[-1].kernel_regularizer(weight)
            loss = tf.reduce_sum(inner.gradient(penalty, weight) ** 2)
        self.layers[-1].kernel.assign(outer.gradient(loss, weight))
        return {"loss": loss}


@pytest.mark.parametrize("name", REGULARIZERS)
def test_second_derivatives_in_a_step(called, name):
    results = []
    for run_eagerly in (False, True):
        inner = make_model(REGULARIZERS[name](taut.regularizers))
        model = Sharpness(inner.inputs, inner.outputs)
        model.compile("sgd", "mse", run_eagerly=run_eagerly)
        model.train_on_batch(*data())
        results.append(model.layers[-1].kernel.numpy())
    assert called
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6)


class Inner(layers.Layer):
    """A layer with a function of its own, which may be saved, in a step of Keras's or without."""

    def __init__(self):
        super().__init__()
        self.penalty = tf.function(OrthogonalRegularizer(0.7))
        self.kernel = self.add_weight(shape=(WIDTH, WIDTH), name="kernel")

    def call(self, x):
        self.add_loss(self.penalty(self.kernel.value))
        return x @ self.kernel


def one_step_on_data(x):
    """A function of the name that Keras gives its own."""
    return OrthogonalRegularizer(0.7)(x)


def test_other_graphs_have_operations_alone(called):
    tf.function(one_step_on_data)(tf.ones((3, 3)))
    model = make_model(OrthogonalRegularizer(0.7))
    tf.function(lambda: model.losses[0])()
    for each in (keras.Sequential([Inner()]), model):
        each.compile("sgd", "mse", jit_compile=each is model)
        each.train_on_batch(*data())
    for strategy in (
        tf.distribute.MirroredStrategy(["CPU:0"]),
        tf.distribute.OneDeviceStrategy("CPU:0"),
    ):
        with strategy.scope():
            distributed = make_model(OrthogonalRegularizer(0.7))
            distributed.compile("sgd", "mse")
        distributed.fit(*data(), verbose=0)
    assert not called


def test_a_trained_model_is_saved_without_taut(tmp_path, called):
    model = make_model(OrthogonalRegularizer(0.7))
    model.compile("sgd", "mse")
    model.fit(*data(), verbose=0)
    assert called
    tf.saved_model.save(model, str(tmp_path / "saved"))
    model.export(str(tmp_path / "exported"), verbose=False)
    program = """if True:
        import sys, tensorflow as tf
        for folder in sys.argv[1:]:
            print(list(tf.saved_model.load(folder).signatures))
        assert "taut" not in sys.modules
    """
    folders = [str(tmp_path / "saved"), str(tmp_path / "exported")]
    subprocess.run([sys.executable, "-c", program, *folders], check=True, timeout=300)
    names = b"".join((tmp_path / f / "saved_model.pb").read_bytes() for f in ("saved", "exported"))
    assert b"PyFunc" not in names
