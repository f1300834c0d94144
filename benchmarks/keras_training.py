"""Training steps of Keras models, with taut's regularizers and with Keras's own.

    python benchmarks/keras_training.py [--rounds N] [--width N]... [torch] [jax] [tensorflow]

Each backend runs in a process of its own. Before a step is timed, the losses of both are compared
over a few steps from the same weights. Ratios are medians over interleaved rounds; Keras's own
stands there twice, so that its ratio to itself shows the noise. JAX and TensorFlow take all
processors that they may run on: give them as many as taut has threads, with `taskset -c 0,1`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import timing
from taut import regularizers

THREADS = 2
FACTOR = 1e-4
LAYERS = 4
BATCH = 32  # fit's own default
WIDTHS = [256, 1024]
# How Keras may run a step, as arguments of `compile`. Graphs are its default for TensorFlow.
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "torch": {"eager": {}},
    "jax": {"jit": {}},
    "tensorflow": {
        "XLA": {"jit_compile": True},
        "graph": {"jit_compile": False},
        "eager": {"run_eagerly": True, "jit_compile": False},
    },
}
PENALTIES = {"L2": "L2", "orthogonal": "OrthogonalRegularizer"}


def make_step(width: int, regularizer: Any, way: dict[str, Any]) -> Callable[[], float]:
    """Returns a training step, which returns the loss; all begin with the same weights."""
    import keras

    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(width, activation="relu", kernel_regularizer=regularizer)
        for _ in range(LAYERS)
    ]
    model = keras.Sequential([keras.Input((width,)), *layers])
    model.compile(keras.optimizers.SGD(1e-3), "mse", **way)
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2, BATCH, width), "float32")
    return lambda: float(model.train_on_batch(x, y))


def run(backend: str, widths: list[int], rounds: int) -> None:
    """Compares both kinds of regularizers on the backend that Keras has."""
    import keras

    assert keras.backend.backend() == backend
    timing.begin(THREADS)
    for width in widths:
        for how, way in WAYS[backend].items():
            for title, name in PENALTIES.items():
                steps = {
                    "Keras": make_step(width, getattr(keras.regularizers, name)(FACTOR), way),
                    "taut": make_step(width, getattr(regularizers, name)(FACTOR), way),
                    "no penalty": make_step(width, None, way),
                }
                for _ in range(3):
                    np.testing.assert_allclose(steps["taut"](), steps["Keras"](), rtol=1e-5)
                calls = max(1, (256 * 16 // width) // (4 if title == "orthogonal" else 1))
                timing.compare(f"{backend}, {how}: {title}, {width}", rounds, steps, calls)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", metavar="backend", help=", ".join(WAYS))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--width", type=int, action="append", help="256 and 1024 by default")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for backend in arguments.backends or WAYS:
        if arguments.within:
            run(backend, arguments.width or WIDTHS, arguments.rounds)
            continue
        environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
        command = [sys.executable, *sys.argv[:1], "--within", backend]
        options = [f"--rounds={arguments.rounds}", *(f"--width={w}" for w in arguments.width or [])]
        subprocess.run([*command, *options], env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
