"""Where the oldest Keras that taut supports differs from the newest."""

import keras
import pytest

IS_OLDEST = keras.__version__.startswith("3.6.")


def batch_divisor(size: int) -> int:
    """What Keras divides an activity's penalty by; 3.6 forgets what its documentation says."""
    return 1 if IS_OLDEST else size


# Keras 3.6 asks JAX for what it has no longer.
trains = pytest.mark.skipif(
    IS_OLDEST and keras.backend.backend() == "jax", reason="Keras 3.6 does not train on this JAX"
)
