"""Where taut is right and Keras is not: both are run, so that the docs stay true.

Each names what Keras gives; a case that fails says that Keras has mended it, and the table in
docs/semantics.md has to lose a row.
"""

import math

import keras
import numpy as np
import pytest
from taut import regularizers
from versions import IS_OLDEST

MENDED = "Keras has mended this: take it out of the table in docs/semantics.md"


def number(value):
    return float(keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")))


def keras_value(regularizer, x):
    """Returns what Keras's own regularizer gives; NaN for an error of its backend's."""
    try:
        return number(regularizer(x))
    except Exception as error:
        if IS_OLDEST or isinstance(error, ZeroDivisionError):
            return math.nan
        raise


class Differentiated(regularizers.Regularizer):
    """A penalty whose gradient is the backend's own."""

    def __init__(self, penalty):
        self.penalty = penalty

    def __call__(self, x):
        return self.penalty(x)


def test_one_vector():
    x = keras.ops.convert_to_tensor(np.ones((1, 4), np.float32))
    assert number(regularizers.OrthogonalRegularizer()(x)) == 0
    assert math.isnan(keras_value(keras.regularizers.OrthogonalRegularizer(), x)), MENDED


def test_the_gradient_of_zero_rows():
    array = np.array([[0, 0], [1, 2], [3, 1]], np.float32)
    _, grad = regularizers.OrthogonalRegularizer(1.0).value_and_grad(
        keras.ops.convert_to_tensor(array)
    )
    assert not keras.ops.convert_to_numpy(grad)[0].any()


def test_the_gradient_of_l1_at_zero():
    x = keras.ops.convert_to_tensor(np.zeros(3, np.float32))
    own, theirs = (
        keras.ops.convert_to_numpy(Differentiated(module.L1(0.5)).value_and_grad(x)[1])
        for module in (regularizers, keras.regularizers)
    )
    assert not own.any()
    assert (theirs == (0.5 if keras.backend.backend() == "jax" else 0.0)).all(), MENDED


def test_sums_of_float16():
    x = keras.ops.convert_to_tensor(np.full(1000, 100, np.float16))
    assert number(regularizers.L2(0.01)(x)) == pytest.approx(1e5)
    assert math.isinf(keras_value(keras.regularizers.L2(0.01), x)), MENDED


def test_sums_of_bfloat16():
    x = keras.ops.cast(keras.ops.ones((1_000_000,)), "bfloat16")
    assert number(regularizers.L1(0.01)(x)) == pytest.approx(10_000)
    theirs = keras_value(keras.regularizers.L1(0.01), x)
    assert theirs != pytest.approx(10_000, rel=1e-5), MENDED


def test_the_string_of_both():
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    with pytest.raises(ValueError, match="l1_l2"):
        keras.regularizers.get("l1_l2")


def test_integers():
    x = keras.ops.convert_to_tensor(np.array([1, 2, 3], np.int32))
    with pytest.raises(TypeError, match="int32"):
        regularizers.L1(0.01)(x)
    theirs = keras_value(keras.regularizers.L1(0.01), x)
    assert IS_OLDEST or theirs == 0, MENDED  # 3.6 computes it, or fails, by its backend


def test_bools():
    with pytest.raises(ValueError, match="non-negative float"):
        regularizers.L1(True)
    assert keras.regularizers.L1(True).get_config() == {"l1": 1.0}, MENDED


def test_exact_configs():
    assert regularizers.L1(0.1).get_config() == {"l1": 0.1}
    assert keras.regularizers.L1(0.1).get_config() != {"l1": 0.1}, MENDED
