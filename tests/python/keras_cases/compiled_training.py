"""Training with jit_compile=True, which takes torch's compiler a minute."""

import keras
import pytest
from training import assert_same_way
from versions import IS_OLDEST, trains


@trains
def test_compiled_training_goes_the_way_of_keras():
    if keras.backend.backend() == "torch" and IS_OLDEST:
        pytest.skip("Keras 3.6 does not compile for torch")
    assert_same_way(jit_compile=True)
