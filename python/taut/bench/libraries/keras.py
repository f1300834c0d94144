"""Keras's own regularizers and taut's in their place, on the backend that Keras was set to.

Each as its backend's training step runs it by default: eager torch, JAX under jit, a TensorFlow
graph.
"""

from collections.abc import Iterator

import keras

from taut.bench.contestant import FACTOR, Arrays, Contestant
from taut.bench.kinds import Kind
from taut.bench.libraries import Options, own

_CLASSES = {
    "l1": keras.regularizers.L1,
    "l2": keras.regularizers.L2,
    "orthogonal": keras.regularizers.OrthogonalRegularizer,
}
_NAMES = {"torch": "torch", "jax": "JAX", "tensorflow": "TensorFlow"}


def begin(options: Options) -> dict[str, str]:
    """Gives the backend its threads."""
    versions = {"Keras": keras.__version__}
    backend = keras.backend.backend()
    if backend == "torch":
        from taut.bench.libraries import torch

        return versions | torch.begin(options)
    if backend == "jax":
        from taut.bench.libraries import jax

        return versions | jax.begin(options)
    from taut.bench.libraries import tensorflow

    return versions | tensorflow.begin(options)


def contestants(kind: Kind, weights: Arrays) -> Iterator[Contestant]:
    """Yields Keras's own and taut's."""
    backend = keras.backend.backend()
    name = f"Keras, {_NAMES[backend]}"
    for title, penalty in {
        name: _CLASSES[kind.penalty](FACTOR),
        f"taut in {name}": own.PENALTIES[kind.penalty],
    }.items():
        if backend == "torch":
            from taut.bench.libraries import torch

            yield torch.by_autograd(title, torch.total_of(penalty, len(weights)), kind, weights)
        elif backend == "jax":
            from taut.bench.libraries import jax

            yield jax.by_jit(title, penalty, kind, weights)
        else:
            from taut.bench.libraries import tensorflow

            yield tensorflow.by_tape(title, penalty, kind, weights)
