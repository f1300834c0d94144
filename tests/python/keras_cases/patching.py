"""Keras's names mean taut's classes, and models that are built already change sides."""

import keras
import numpy as np
import pytest
from keras import layers
from taut import keras as taut_keras
from taut import regularizers
from versions import trains

NAMES = ["L1", "L2", "L1L2", "OrthogonalRegularizer"]


def module_of(value):
    return type(value).__module__.partition(".")[0]


def test_names_strings_and_configs():
    theirs = {name: getattr(keras.regularizers, name) for name in NAMES}
    saved = keras.regularizers.serialize(keras.regularizers.L2(0.25))
    taut_keras.patch()
    taut_keras.patch()
    try:
        for name in NAMES:
            assert getattr(keras.regularizers, name) is getattr(regularizers, name)
            assert getattr(keras.src.regularizers, name) is getattr(regularizers, name)
        for identifier in ("l1", "l2", "l1l2", "l1_l2", "L1L2", "orthogonal_regularizer"):
            assert module_of(keras.regularizers.get(identifier)) == "taut"
        assert type(keras.regularizers.deserialize(saved)) is regularizers.L2
        assert type(keras.saving.deserialize_keras_object(saved)) is regularizers.L2
        assert type(keras.regularizers.get(saved)) is regularizers.L2
        with pytest.raises(ValueError, match="typo"):
            keras.regularizers.get("typo")
        dense = layers.Dense(3, kernel_regularizer="l1_l2")
        dense.build((2, 4))
        assert dense.kernel.regularizer.get_config() == {"l1": 0.01, "l2": 0.01}
        # What Keras has not is known by its string alone, and adds no name to Keras.
        assert type(keras.regularizers.get("group_lasso")) is regularizers.GroupLasso
        assert not hasattr(keras.regularizers, "GroupLasso")
    finally:
        taut_keras.unpatch()
    for name in NAMES:
        assert getattr(keras.regularizers, name) is theirs[name]
    assert type(keras.regularizers.get("l2")) is theirs["L2"]
    assert type(keras.regularizers.deserialize(saved)) is theirs["L2"]
    assert type(keras.saving.deserialize_keras_object(saved)) is theirs["L2"]
    with pytest.raises(ValueError, match="l1_l2"):
        keras.regularizers.get("l1_l2")


def make_model(source):
    shared = source.L2(0.25)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, kernel_regularizer=shared, activity_regularizer=source.L1(0.5)),
            layers.Dense(
                4, kernel_regularizer=source.OrthogonalRegularizer(0.5), bias_regularizer=shared
            ),
        ]
    )


def kinds(model):
    first, second = model.layers
    return {
        module_of(each)
        for each in (
            first.kernel_regularizer,
            first.activity_regularizer,
            first.kernel.regularizer,
            second.kernel_regularizer,
            second.kernel.regularizer,
            second.bias.regularizer,
        )
    }


def test_a_model_saved_with_keras_is_loaded_with_taut(tmp_path, patched):
    path = tmp_path / "model.keras"
    taut_keras.unpatch()
    make_model(keras.regularizers).save(path)
    taut_keras.patch()
    assert kinds(keras.models.load_model(path)) == {"taut"}


@trains
def test_a_built_model_changes_sides_and_back():
    model = make_model(keras.regularizers)
    x, y = np.ones((8, 6), np.float32), np.ones((8, 4), np.float32)
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    before = model.evaluate(x, y, verbose=0)
    taut_keras.to_taut(model)
    assert kinds(model) == {"taut"}
    assert model.layers[0].kernel_regularizer is model.layers[1].bias_regularizer
    assert model.evaluate(x, y, verbose=0) == pytest.approx(before, rel=1e-5)
    model.fit(x, y, verbose=0)
    after = model.evaluate(x, y, verbose=0)
    taut_keras.to_keras(model)
    assert kinds(model) == {"keras"}
    assert model.evaluate(x, y, verbose=0) == pytest.approx(after, rel=1e-5)
    # The next step uses them: a factor that is changed changes the loss.
    taut_keras.to_taut(model)
    model.layers[0].kernel_regularizer.l2 = 0.5
    assert model.evaluate(x, y, verbose=0) > after + 0.01


def test_what_keras_has_not_stays():
    model = keras.Sequential(
        [
            layers.Conv1D(3, 2, kernel_regularizer=regularizers.L2(0.1)),
            layers.Conv1D(3, 2, kernel_regularizer=regularizers.OrthogonalRegularizer(0.1)),
        ]
    )
    model.build((1, 5, 4))
    model.layers[1].kernel_regularizer.flatten = True
    with pytest.raises(ValueError, match=r"OrthogonalRegularizer has no flatten"):
        taut_keras.to_keras(model)
    assert all(module_of(each.kernel_regularizer) == "taut" for each in model.layers)
    model.layers[1].kernel_regularizer.flatten = False
    taut_keras.to_keras(model)
    assert all(module_of(each.kernel_regularizer) == "keras" for each in model.layers)


def test_other_regularizers_stay():
    class Own(keras.regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x)

    dense = layers.Dense(3, kernel_regularizer=Own())
    dense.build((2, 4))
    taut_keras.to_taut(dense)
    assert type(dense.kernel.regularizer) is Own
