"""Where the oldest Keras that taut supports differs from the newest."""

import keras

IS_OLDEST = keras.__version__.startswith("3.6.")


def batch_divisor(size: int) -> int:
    """What Keras divides an activity's penalty by; 3.6 forgets what its documentation says."""
    return 1 if IS_OLDEST else size
