"""Where taut is right and Keras is not: both are run, so that the docs stay true.

Each names what Keras gives; a case that fails says that Keras has mended it, and the README's table
has to lose a row.
"""

import math

import keras
import numpy as np
import pytest
from taut import regularizers
from versions import IS_OLDEST

MENDED = "Keras has mended this: take it out of the README's table"


def number(value):
    return float(keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")))


def test_one_vector():
    x = keras.ops.convert_to_tensor(np.ones((1, 4), np.float32))
    assert number(regularizers.OrthogonalRegularizer()(x)) == 0
    try:
        theirs = number(keras.regularizers.OrthogonalRegularizer()(x))
    except ZeroDivisionError:
        theirs = math.nan
    assert math.isnan(theirs), MENDED


def test_the_gradient_of_zero_rows():
    array = np.array([[0, 0], [1, 2], [3, 1]], np.float32)
    _, grad = regularizers.OrthogonalRegularizer(1.0).value_and_grad(
        keras.ops.convert_to_tensor(array)
    )
    assert not keras.ops.convert_to_numpy(grad)[0].any()


def test_sums_of_float16():
    x = keras.ops.convert_to_tensor(np.full(1000, 100, np.float16))
    assert number(regularizers.L2(0.01)(x)) == pytest.approx(1e5)
    assert math.isinf(number(keras.regularizers.L2(0.01)(x))), MENDED


def test_sums_of_bfloat16():
    x = keras.ops.cast(keras.ops.ones((1_000_000,)), "bfloat16")
    assert number(regularizers.L1(0.01)(x)) == pytest.approx(10_000)
    assert number(keras.regularizers.L1(0.01)(x)) != pytest.approx(10_000, rel=1e-5), MENDED


def test_the_string_of_both():
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    with pytest.raises(ValueError, match="l1_l2"):
        keras.regularizers.get("l1_l2")


def test_integers():
    x = keras.ops.convert_to_tensor(np.array([1, 2, 3], np.int32))
    with pytest.raises(TypeError, match="int32"):
        regularizers.L1(0.01)(x)
    theirs = number(keras.regularizers.L1(0.01)(x))
    assert theirs == (pytest.approx(0.06) if IS_OLDEST else 0), MENDED


def test_exact_configs():
    assert regularizers.L1(0.1).get_config() == {"l1": 0.1}
    assert keras.regularizers.L1(0.1).get_config() != {"l1": 0.1}, MENDED
