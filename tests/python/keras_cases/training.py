"""Training goes the way that it goes with Keras's own regularizers."""

import keras
import numpy as np
import pytest
import taut
from keras import layers
from versions import trains


def make_model(regularizers):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(
                16,
                "relu",
                kernel_regularizer=regularizers.L1L2(1e-3, 1e-2),
                activity_regularizer=regularizers.L2(1e-2),
            ),
            layers.Dense(4, kernel_regularizer=regularizers.OrthogonalRegularizer(0.5)),
        ]
    )


def data():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((64, 8)).astype(np.float32)
    return x, (x @ generator.standard_normal((8, 4))).astype(np.float32)


def assert_same_way(jit_compile):
    histories = []
    for regularizers in (keras.regularizers, taut.regularizers):
        model = make_model(regularizers)
        model.compile("sgd", "mse", jit_compile=jit_compile)
        history = model.fit(*data(), epochs=3, batch_size=16, verbose=0, shuffle=False)
        histories.append(history.history["loss"] + [model.evaluate(*data(), verbose=0)])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-4)


@trains
@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_training_goes_the_way_of_keras(jit_compile):
    assert_same_way(jit_compile)
