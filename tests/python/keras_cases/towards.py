"""Penalties of Keras's models towards the weights that they had."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from taut import Penalties
from taut.regularizers import L1L2, L2


def make_model():
    return keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(2)])


def copies_of(model, change=0.0):
    return {each.path: np.array(ops.convert_to_numpy(each)) + change for each in model.weights}


def test_a_model_and_what_it_was():
    model = make_model()
    reference = copies_of(model)
    importance = {path: np.full_like(each, 2.0) for path, each in reference.items()}
    penalties = Penalties([("*", L2(0.5))], reference=reference, importance=importance)
    bound = penalties.bind(model)
    assert float(bound()) == float(penalties(model)) == 0
    for weight in model.weights:
        weight.assign(weight + 1.0)
    count = sum(each.size for each in reference.values())
    assert float(bound()) == pytest.approx(count, rel=1e-5)
    _, grads = penalties.value_and_grad(model)
    for each in grads.values():
        np.testing.assert_allclose(ops.convert_to_numpy(each), 2.0, rtol=1e-5)


def test_variables_as_references():
    model = make_model()
    before = keras.models.clone_model(model)
    reference = dict(zip(copies_of(model), before.weights, strict=True))
    penalties = Penalties([("*kernel", L1L2(0.1, 0.5)), ("*bias", None)], reference=reference)
    expected = Penalties(
        penalties.rules, reference=dict(zip(reference, copies_of(before).values(), strict=True))
    )
    assert float(penalties(model)) == pytest.approx(float(expected(model)), rel=1e-6)
    before.weights[0].assign(before.weights[0] + 1.0)
    assert float(penalties(model)) != pytest.approx(float(expected(model)), rel=1e-6)


def test_a_step_and_a_missing_name():
    model = make_model()
    reference = copies_of(model, change=1.0)
    penalties = Penalties([("*", L1L2(10.0, 0.0))], reference=reference)
    stepped = penalties.proximal(model, 1.0)
    for path, each in stepped.items():
        np.testing.assert_array_equal(ops.convert_to_numpy(each), reference[path])
    missing = model.weights[-1].path
    del reference[missing]
    with pytest.raises(ValueError, match=f"^{missing}: it has a penalty, and no reference"):
        penalties(model)
