"""Saving and loading, here and in a new process, with taut and without."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from taut import keras as taut_keras
from taut import regularizers
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)

X = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)


def make_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(
                5,
                kernel_regularizer=L1L2(1e-3, 1e-2),
                bias_regularizer=L1(0.3),
                activity_regularizer=L2(0.1),
            ),
            layers.Dense(4, kernel_regularizer=OrthogonalRegularizer(0.5, "columns")),
        ]
    )


def describe(model):
    """Returns what must be the same after loading, as JSON has it."""
    model(X)
    first, second = model.layers
    found = [
        first.kernel_regularizer,
        first.bias_regularizer,
        first.activity_regularizer,
        first.kernel.regularizer,
        second.kernel_regularizer,
    ]
    return {
        "types": [f"{type(each).__module__}.{type(each).__name__}" for each in found],
        "configs": [each.get_config() for each in found],
        "losses": sorted(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses),
    }


def assert_same(described, model):
    own = describe(model)
    assert all(name.startswith("taut.regularizers.") for name in own["types"])
    assert (described["types"], described["configs"]) == (own["types"], own["configs"])
    np.testing.assert_allclose(described["losses"], own["losses"], rtol=1e-5)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_whole_models(tmp_path, suffix):
    model, path = make_model(), tmp_path / f"model.{suffix}"
    model.save(path)
    assert_same(describe(keras.models.load_model(path)), model)


def test_configs_and_clones():
    model = make_model()
    for again in (
        keras.models.model_from_json(model.to_json()),
        keras.models.clone_model(model),
        keras.Sequential.from_config(model.get_config()),
    ):
        again.set_weights(model.get_weights())
        assert_same(describe(again), model)


def test_weights_alone(tmp_path):
    model, again = make_model(), make_model()
    model.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    assert_same(describe(again), model)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_penalty_that_keras_lacks(tmp_path, suffix):
    layer = layers.Dense(4, kernel_regularizer=SoftOrthogonalRegularizer(0.5, "columns", False))
    model, path = keras.Sequential([keras.Input((6,)), layer]), tmp_path / f"model.{suffix}"
    taut_keras.to_keras(model)  # which leaves it as it is
    model.save(path)
    again = keras.models.load_model(path)
    (regularizer,) = (layer.kernel_regularizer for layer in again.layers)
    assert type(regularizer) is SoftOrthogonalRegularizer
    assert regularizer.get_config() == {"factor": 0.5, "mode": "columns", "diagonal": False}
    loss, expected = (float(keras.ops.convert_to_numpy(each.losses[0])) for each in (again, model))
    assert loss == expected > 0
    assert loss == pytest.approx(regularizer(np.asarray(layer.get_weights()[0])), rel=1e-5)


LOAD = """
import json, sys
{imports}
models = [keras.models.load_model(path) for path in {paths!r}]
kinds = [type(model.layers[0].kernel_regularizer).__module__ for model in models]
described = None
if {describe}:
    # It imports taut.keras, so what is to be shown has been loaded before.
    sys.path.insert(0, {folder!r})
    import saving
    described = [saving.describe(model) for model in models]
print(json.dumps([kinds, described]))
"""


def load_in_new_process(imports, *paths, describe=False):
    folder = os.path.dirname(__file__)
    code = LOAD.format(imports=imports, paths=paths, folder=folder, describe=describe)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("imports", ["import keras, taut", "import taut, keras"])
def test_a_new_process(tmp_path, imports):
    model = make_model()
    paths = [str(tmp_path / name) for name in ("model.keras", "model.h5")]
    for path in paths:
        model.save(path)
    inputs = keras.Input((6,))
    functional = str(tmp_path / "functional.keras")
    out = layers.Dense(5, kernel_regularizer=L2(0.1))
    keras.Model(inputs, [L2(0.5)(inputs), out(inputs)]).save(functional)
    load_in_new_process(f"{imports}; keras.saving.load_model({functional!r})", *paths)
    kinds, described = load_in_new_process(imports, *paths, describe=True)
    assert kinds == ["taut.regularizers"] * 2
    for each in described:
        assert_same(each, model)


def test_a_process_without_taut(tmp_path):
    """Keras makes of them its own classes of the same names, without a word."""
    path = str(tmp_path / "model.keras")
    make_model().save(path)
    without = "sys.modules['taut'] = None; import keras"
    kinds, _ = load_in_new_process(without, path)
    assert kinds == ["keras.src.regularizers.regularizers"]
    model = make_model()
    taut_keras.to_keras(model)
    model.save(path)
    kinds, _ = load_in_new_process(without, path)
    assert kinds == ["keras.src.regularizers.regularizers"]


def test_what_keras_has_not_is_saved_and_loaded(tmp_path):
    regularizer = GroupLasso(0.25, "columns")
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, kernel_regularizer=regularizer), layers.Dense(2)]
    )
    model(X)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.layers[0].kernel_regularizer
    assert type(again) is GroupLasso
    assert again.get_config() == {"factor": 0.25, "mode": "columns"}
    kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    for each in (model, loaded):
        each(X)
        (loss,) = each.losses
        assert float(loss) == pytest.approx(regularizer(kernel), rel=1e-5)
    config = keras.regularizers.serialize(regularizer)
    assert config == regularizers.serialize(regularizer)
    assert config["registered_name"] == "taut>GroupLasso"
    assert type(keras.regularizers.deserialize(config)) is GroupLasso


def test_keras_and_taut_read_each_others_configs():
    for regularizer in (L1(0.25), L2(0.1), L1L2(0.1, 0.2), OrthogonalRegularizer(0.1, "columns")):
        theirs = keras.regularizers.serialize(regularizer)
        assert theirs == regularizers.serialize(regularizer)
        for again in (keras.regularizers.deserialize(theirs), regularizers.deserialize(theirs)):
            assert type(again) is type(regularizer)
            assert again.get_config() == regularizer.get_config()
        twin = getattr(keras.regularizers, type(regularizer).__name__)
        own = regularizers.deserialize(
            keras.regularizers.serialize(twin(**regularizer.get_config()))
        )
        assert type(own) is type(regularizer)
        factors = {name: each for name, each in own.get_config().items() if name != "mode"}
        expected = {name: regularizer.get_config()[name] for name in factors}
        assert factors == pytest.approx(expected, rel=1e-7)


def test_what_is_registered_with_one_is_known_to_the_other():
    @regularizers.register_serializable(package="cases")
    class Own(regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x)

        def get_config(self):
            return {}

    config = keras.regularizers.serialize(Own())
    assert config["registered_name"] == "cases>Own"
    assert type(keras.saving.deserialize_keras_object(config)) is Own

    @keras.saving.register_keras_serializable(package="cases")
    class Theirs(keras.regularizers.Regularizer):
        def __call__(self, x):
            return keras.ops.sum(x)

        def get_config(self):
            return {}

    assert type(regularizers.deserialize(keras.regularizers.serialize(Theirs()))) is Theirs


class NoRegularizer:
    """Serializable, callable, and registered; and no regularizer."""

    def __call__(self, x):
        raise AssertionError("it is not to be called")

    def get_config(self):
        return {}


def test_what_is_registered_with_keras_and_no_regularizer_is_refused():
    def penalty(x):
        raise AssertionError("it is not to be called")

    strangers = {
        "Layer": type("OwnLayer", (layers.Dense,), {}),
        "Loss": type("OwnLoss", (keras.losses.MeanSquaredError,), {}),
        "Model": type("OwnModel", (keras.Model,), {}),
        "NoRegularizer": NoRegularizer,
        "penalty": penalty,
    }
    for name, stranger in strangers.items():
        keras.saving.register_keras_serializable("strangers", name)(stranger)
        registered = f"strangers>{name}"
        for config in (
            {"class_name": name, "config": {}, "registered_name": registered},
            {"class_name": registered, "config": {}},
            {"class_name": name, "config": {"units": 3}, "registered_name": registered},
            {"class_name": "function", "config": registered},
            {"class_name": "function", "config": name, "registered_name": registered},
        ):
            within = {"class_name": "ActivityRegularizer", "config": {"regularizer": config}}
            for each in (config, within):
                with pytest.raises(ValueError, match=r"Could not interpret|names"):
                    regularizers.deserialize(each)
        for find in (regularizers.get, ActivityRegularizer):
            with pytest.raises(ValueError, match="Could not interpret"):
                find(registered)
    # Who means a function as a regularizer says so to taut.
    regularizers.register_serializable("strangers", "penalty")(penalty)
    assert regularizers.deserialize(regularizers.serialize(penalty)) is penalty
