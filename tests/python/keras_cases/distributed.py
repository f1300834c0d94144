"""Keras's distributions: the same steps on several devices as on one.

On JAX the process has four devices; on TensorFlow it makes two of its processor.
"""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers
from taut.regularizers import L1, L2, GroupLasso, OrthogonalRegularizer, SoftOrthogonalRegularizer

X = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((64, 8)).astype(np.float32)
BACKEND = keras.backend.backend()


def trained(scope=None):
    """Returns the losses and the weights of a model after some steps, and the model."""
    with scope or contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        regularizer = OrthogonalRegularizer(0.5, "columns")
        model = keras.Sequential(
            [
                keras.Input((16,)),
                layers.Dense(32, kernel_regularizer=regularizer, bias_regularizer=L1(0.1)),
                layers.Dense(8, kernel_regularizer=GroupLasso(0.01), activity_regularizer=L2(0.01)),
                layers.Dense(8, kernel_regularizer=SoftOrthogonalRegularizer(0.01)),
            ]
        )
        model.compile("sgd", "mse")
    history = model.fit(X, Y, batch_size=32, epochs=3, verbose=0, shuffle=False)
    return history.history["loss"], model.get_weights(), model


def assert_same(losses, weights, expected_losses, expected_weights):
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for ours, theirs in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.fixture
def one_device():
    losses, weights, _ = trained()
    yield losses, weights
    if BACKEND == "jax":
        keras.distribution.set_distribution(None)


@pytest.mark.skipif(BACKEND != "jax", reason="Keras distributes so on JAX")
@pytest.mark.parametrize("kind", ["data", "model"])
def test_distributions(kind, one_device):
    devices = keras.distribution.list_devices()
    assert len(devices) == 4
    if kind == "data":
        distribution = keras.distribution.DataParallel(devices=devices)
    else:
        mesh = keras.distribution.DeviceMesh((2, 2), ("batch", "model"), devices)
        layouts = keras.distribution.LayoutMap(mesh)
        layouts[".*kernel"] = (None, "model")
        layouts[".*bias"] = ("model",)
        distribution = keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
    keras.distribution.set_distribution(distribution)
    losses, weights, model = trained()
    assert_same(losses, weights, *one_device)
    is_whole = model.layers[0].kernel.value.sharding.is_fully_replicated
    assert is_whole == (kind == "data")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a strategy of TensorFlow")
def test_mirrored_strategy():
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, halves)
    losses, weights, _ = trained()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    assert_same(*trained(strategy.scope())[:2], losses, weights)
