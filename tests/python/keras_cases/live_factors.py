"""Factors that are Keras's variables: schedules in a compiled `fit`, saving, symbolic tensors."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from taut.regularizers import L2
from versions import trains

sys.path.append(str(Path(__file__).parents[1]))
from penalties import PENALTIES

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).standard_normal((32, 8)).astype(np.float32)
every_class = pytest.mark.parametrize("cls", PENALTIES.values(), ids=PENALTIES)


def variable(number=0.0, trainable=False):
    return keras.Variable(number, trainable=trainable, name="factor")


class Tracked(layers.Layer):
    """Tells Keras of a variable, as an attribute of a layer."""

    def __init__(self, variable):
        super().__init__()
        self.variable = variable


def make_model(cls, factor, is_tracked=True):
    """Returns a model whose weights do not move, so that its loss shows the factor."""
    layer = layers.Dense(4, kernel_regularizer=cls(factor))
    if is_tracked:
        layer.factor = Tracked(factor)
    return keras.Sequential([keras.Input((8,)), layer])


class Schedule(keras.callbacks.Callback):
    """Assigns factors of a list, one for each epoch or for each batch."""

    def __init__(self, factor, numbers, each):
        super().__init__()
        self.factor, self.numbers, self.each = factor, numbers, each

    def on_epoch_begin(self, epoch, logs=None):
        if self.each == "epoch":
            self.factor.assign(self.numbers[epoch])

    def on_train_batch_begin(self, batch, logs=None):
        if self.each == "batch":
            if BACKEND == "jax":
                self.model.jax_state_sync()  # as Keras asks for, before variables are touched
            self.factor.assign(self.numbers[batch])


def losses(model, schedule, jit_compile, epochs, batch_size):
    """Returns the penalty of each epoch, by the losses of `fit`."""
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
    y = np.zeros((len(X), 4), np.float32)
    history = model.fit(*(X, y), batch_size, epochs, verbose=0, shuffle=False, callbacks=[schedule])
    schedule.factor.assign(0.0)
    return np.asarray(history.history["loss"]) - model.evaluate(X, y, verbose=0)


def term(cls, model):
    return cls(1.0)(np.asarray(ops.convert_to_numpy(model.layers[0].kernel)))


@trains
@every_class
@pytest.mark.parametrize("jit_compile", [False, "auto"])
@pytest.mark.parametrize("trainable", [False, True])
def test_a_schedule_in_fit(cls, jit_compile, trainable):
    numbers = [0.0, 1.0, 0.0, 0.5]
    factor = variable(numbers[0], trainable)
    model = make_model(cls, factor)
    found = losses(model, Schedule(factor, numbers, "epoch"), jit_compile, 4, 16)
    np.testing.assert_allclose(found, np.multiply(numbers, term(cls, model)), atol=1e-5, rtol=1e-5)


@trains
@every_class
def test_a_schedule_by_batches(cls):
    factor = variable()
    model = make_model(cls, factor)
    found = losses(model, Schedule(factor, [0.0, 1.0, 2.0, 5.0], "batch"), "auto", 1, 8)
    np.testing.assert_allclose(found, [2.0 * term(cls, model)], rtol=1e-5)


@trains
def test_jax_alone_has_to_be_told_of_a_variable():
    factor = variable(0.5)
    model = make_model(L2, factor, is_tracked=False)
    found = losses(model, Schedule(factor, [0.5, 1.0], "epoch"), "auto", 2, 16)
    change = (found[1] - found[0]) / term(L2, model)
    assert change == pytest.approx(0.0 if BACKEND == "jax" else 0.5, abs=1e-5)


@trains
def test_a_factor_is_learned():
    factor = variable(0.5, trainable=True)
    model = make_model(L2, factor)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    kernel = np.asarray(ops.convert_to_numpy(model.layers[0].kernel))
    model.fit(X, np.zeros((len(X), 4), np.float32), batch_size=32, epochs=1, verbose=0)
    assert float(ops.convert_to_numpy(factor.value)) == pytest.approx(
        0.5 - 1e-3 * L2(1.0)(kernel), rel=1e-5
    )


@every_class
def test_a_saved_model_has_the_number(cls, tmp_path):
    model = make_model(cls, variable(0.25))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    (own,), (penalty,) = loaded.losses, model.losses
    assert float(ops.convert_to_numpy(own)) == pytest.approx(float(ops.convert_to_numpy(penalty)))
    expected = model.layers[0].kernel_regularizer.get_config()
    assert loaded.layers[0].kernel_regularizer.get_config() == expected == cls(0.25).get_config()
    model.save_weights(tmp_path / "model.weights.h5")
    for each in (model, loaded):
        each.load_weights(tmp_path / "model.weights.h5")


@every_class
def test_a_symbolic_tensor(cls, tmp_path):
    factor = variable(0.25)
    inputs = keras.Input((8,), batch_size=4)
    model = keras.Model(inputs, cls(factor)(inputs))
    for number in (0.25, 0.5):
        factor.assign(number)
        found = float(ops.convert_to_numpy(model(X[:4])))
        assert found == pytest.approx(cls(number)(X[:4]), rel=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(ops.convert_to_numpy(loaded(X[:4]))) == pytest.approx(found, rel=1e-6)


def test_a_factor_is_not_cast():
    factor = variable(1e-8)  # 0 in float16
    layer = layers.Dense(4, activity_regularizer=L2(factor), kernel_initializer="ones")
    model = keras.Sequential([keras.Input((8,)), layer])
    for each in (model, layer):
        each.dtype_policy = keras.DTypePolicy("mixed_float16")
    model(np.ones((1, 8), np.float16))
    assert float(ops.convert_to_numpy(model.losses[0])) == pytest.approx(4 * 64e-8, rel=1e-3)


def test_what_is_no_factor():
    wrong = (
        variable(-1.0),
        variable([0.1]),
        keras.Input(()),
        keras.Variable(True, dtype="bool", trainable=False),
    )
    for factor in wrong:
        with pytest.raises(ValueError, match="expected a non-negative float"):
            L2(factor)


def test_a_regularizer_shows_its_variable():
    factor = variable(0.25)
    assert repr(L2(factor)) == f"L2(l2={factor!r})"
    assert L2(factor).get_config() == {"l2": 0.25}
