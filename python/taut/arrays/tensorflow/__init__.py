"""TensorFlow's tensors and variables: its own operations, and taut's kernels where they are faster.

That is in the CPU's memory, outside of `tf.function` and in the steps of Keras's own. All else is
made of TensorFlow's operations: other graphs, XLA, saved models, other devices.
"""

from taut.arrays.tensorflow.library import TENSORFLOW, TensorFlow

__all__ = ["TENSORFLOW", "TensorFlow"]
