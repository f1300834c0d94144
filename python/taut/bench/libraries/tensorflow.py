"""TensorFlow: a graph with a gradient tape, as Keras runs its training steps by default."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from taut.bench.contestant import Arrays, Contestant, Outcome
from taut.bench.kinds import Kind
from taut.bench.libraries import Options


def begin(options: Options) -> dict[str, str]:
    """Sets TensorFlow's threads, before it has done anything."""
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    return {"TensorFlow": tf.__version__}


def by_tape(name: str, penalty: Callable[[Any], Any], kind: Kind, weights: Arrays) -> Contestant:
    """Returns a contestant that is a graph of the value, or of value and gradients.

    Args:
        name: The contestant's.
        penalty: Of one tensor.
        kind: Whether gradients are wanted.
        weights: As for `Library.contestants`.
    """
    variables = [tf.Variable(x) for x in weights]

    def total() -> Any:
        first, *others = variables
        return sum((penalty(x) for x in others), penalty(first))

    def differentiate() -> Any:
        with tf.GradientTape() as tape:
            value = total()
        return value, tape.gradient(value, variables)

    if kind.operation == "value":
        graph = tf.function(total, autograph=False)
        return Contestant(name, graph, lambda: Outcome(float(graph()), []))
    graph = tf.function(differentiate, autograph=False)

    def outcome() -> Outcome:
        value, grads = graph()
        return Outcome(float(value), [grad.numpy() for grad in grads])

    return Contestant(name, graph, outcome)
