"""Proximal steps of Keras's variables and models, which are returned."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from taut import Penalties
from taut.regularizers import L1, L1L2, GroupLasso, OrthogonalRegularizer


def test_variables():
    array = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    variable = keras.Variable(array)
    for regularizer in (L1(0.5), L1L2(0.5, 0.25), GroupLasso(0.5), GroupLasso(0.5, "columns")):
        stepped = regularizer.proximal(variable, 0.9)
        assert ops.is_tensor(stepped)
        wanted = regularizer.proximal(array, 0.9)
        np.testing.assert_allclose(ops.convert_to_numpy(stepped), wanted, rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), array)
    with pytest.raises(NotImplementedError, match="no proximal step"):
        OrthogonalRegularizer().proximal(variable, 0.9)
    with pytest.raises(TypeError, match="symbolic"):
        L1().proximal(keras.Input((3,)), 0.9)


def test_a_whole_model():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(2)])
    model.layers[1].trainable = False
    before = {each.path: ops.convert_to_numpy(each) for each in model.weights}
    penalties = Penalties([("*bias", None), ("*kernel", L1(0.5))])
    stepped = penalties.proximal(model, 0.9)
    assert list(stepped) == list(before)
    for weight in model.weights:
        weight.assign(stepped[weight.path])
    moved = model.layers[0].kernel.path
    for weight in model.weights:
        wanted = before[weight.path]
        if weight.path == moved:
            wanted = L1(0.5).proximal(np.asarray(wanted), 0.9)
        np.testing.assert_allclose(ops.convert_to_numpy(weight), wanted, rtol=1e-6)
