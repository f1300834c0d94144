"""A further kernel is one room for Keras, too: layers, functional models, saving, Penalties."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import taut
from keras import layers, ops
from versions import trains

sys.path.append(str(Path(__file__).parents[1]))
from toys import Called, Fused

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
PENALTIES = [cls(0.5, power) for cls in (Fused, Called) for power in ("one", "two")]


def to_float(value):
    return float(ops.convert_to_numpy(value))


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_layer_is_saved_and_loaded_with_it(tmp_path, penalty):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_regularizer=penalty)])
    expected = penalty(np.asarray(ops.convert_to_numpy(model.layers[0].kernel)))
    assert to_float(model.losses[0]) == pytest.approx(expected, rel=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.layers[0].kernel_regularizer) is type(penalty)
    assert to_float(again.losses[0]) == pytest.approx(expected, rel=1e-6)


@trains
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_model_is_trained_with_it(penalty):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_regularizer=penalty)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_functional_model_has_it_as_a_node(penalty):
    inputs = keras.Input(batch_shape=(4, 3))
    model = keras.Model(inputs, penalty(inputs))
    again = keras.models.model_from_json(model.to_json())
    for each in (model, again):
        assert to_float(each(X)) == pytest.approx(penalty(X), rel=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_variables_and_penalties(penalty):
    variable = keras.Variable(X)
    assert to_float(penalty(variable)) == pytest.approx(penalty(X), rel=1e-6)
    penalties = taut.Penalties([("*", penalty)])
    total = penalties({"a": variable, "tied": variable})
    assert to_float(total) == pytest.approx(penalty(X), rel=1e-6)
