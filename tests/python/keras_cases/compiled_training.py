"""Training with jit_compile=True, which takes torch's compiler a minute."""

import keras
import numpy as np
import pytest
from live_factors import Schedule, every_class, losses, make_model, term, variable
from training import assert_same_way
from versions import IS_OLDEST, trains

compiles = pytest.mark.skipif(
    IS_OLDEST and keras.backend.backend() == "torch", reason="Keras 3.6 does not compile for torch"
)


@trains
@compiles
def test_compiled_training_goes_the_way_of_keras():
    assert_same_way(jit_compile=True)


@trains
@compiles
@every_class
def test_a_schedule_in_compiled_training(cls):
    factor = variable()
    model = make_model(cls, factor)
    numbers = [0.0, 1.0, 0.5]
    found = losses(model, Schedule(factor, numbers, "epoch"), True, 3, 16)
    np.testing.assert_allclose(found, np.multiply(numbers, term(cls, model)), atol=1e-5, rtol=1e-5)
