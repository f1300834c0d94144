"""What is being traced, and whether a tape records it: TensorFlow has no public names for these.

A version that has moved them gets the answers that are right anywhere.
"""

import tensorflow as tf

try:
    from tensorflow.python.eager.record import could_possibly_record
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
except ImportError:
    could_possibly_record = GraphOrParentsInXlaContext = None


def may_be_recorded() -> bool:
    """Returns whether a tape or an accumulator records what is done now; True if unknown."""
    return could_possibly_record is None or bool(could_possibly_record())


def may_be_compiled() -> bool:
    """Returns whether the graph that is traced goes to XLA; True if unknown."""
    graph = tf.compat.v1.get_default_graph()
    return GraphOrParentsInXlaContext is None or bool(GraphOrParentsInXlaContext(graph))
