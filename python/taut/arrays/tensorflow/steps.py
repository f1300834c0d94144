"""Whether a graph is that of one of Keras's own steps, which never leaves its process.

Any other graph may be saved, and run where there is no taut. What `fit`, `evaluate` and
`train_on_batch` trace, Keras keeps to itself: `export` and `tf.saved_model.save` leave it out.
"""

import sys

import tensorflow as tf

from taut.arrays.tensorflow.operations import is_compiled

# The function that Keras makes a graph of, for each kind of step.
_FUNCTION = "one_step_on_data"
_MODULE = "keras.src.backend.tensorflow.trainer"


def is_in_step() -> bool:
    """Returns whether what is traced is such a step, and all of it runs on this machine's CPU."""
    graph = tf.compat.v1.get_default_graph()
    # The innermost graph: a user's own function that a step calls may be saved as well.
    if getattr(graph, "name", None) != _FUNCTION or is_compiled() or tf.distribute.has_strategy():
        return False
    return _is_called_by_keras() and all(
        device.device_type == "CPU" for device in tf.config.list_logical_devices()
    )


def _is_called_by_keras() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == _FUNCTION and frame.f_globals.get("__name__") == _MODULE:
            return True
        frame = frame.f_back
    return False
