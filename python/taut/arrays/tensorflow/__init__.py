"""TensorFlow's tensors and variables: its own operations, and taut's kernel where that is faster.

That is the orthogonal penalty of what lies in the CPU's memory, outside of `tf.function`. All else
is made of TensorFlow's operations, for graphs, XLA, saved models and other devices.
"""

from taut.arrays.tensorflow.library import TENSORFLOW, TensorFlow

__all__ = ["TENSORFLOW", "TensorFlow"]
