"""Whether a graph is that of one of Keras's own steps, which never leaves its process.

Any other graph may be saved, and run where there is no taut. But what `fit`, `evaluate` and
`train_on_batch` trace, Keras keeps to itself: neither `export` nor `tf.saved_model.save` takes it.
"""

import sys
from types import FrameType

import tensorflow as tf

from taut.arrays.tensorflow.tracing import may_be_compiled

# The function that Keras traces for each kind of step.
_FUNCTION = "one_step_on_data"
_MODULE = "keras.src.backend.tensorflow.trainer"


def is_in_step() -> bool:
    """Returns whether what is traced is such a step, and all of it runs on this machine's CPU."""
    # The innermost graph: a user's own function that a step calls may be saved as well.
    name = getattr(tf.compat.v1.get_default_graph(), "name", None)
    if name != _FUNCTION or may_be_compiled() or tf.distribute.has_strategy():
        return False
    devices = tf.config.list_logical_devices()
    return _is_called_by_keras() and all(device.device_type == "CPU" for device in devices)


def _is_called_by_keras() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == _FUNCTION and frame.f_globals.get("__name__") == _MODULE:
            return True
        frame = frame.f_back
    return False
