"""Trains a small Keras network on handwritten digits, with Keras's regularizers and with taut's.

    KERAS_BACKEND=torch python examples/keras_digits.py [--epochs N]

The same code makes both models: only where `regularizers` comes from differs. Prints the accuracy
and the penalties of each. Needs keras with one of its backends, scikit-learn and rich.
"""

import argparse
import time
from types import ModuleType

import keras
import numpy as np
from keras import layers
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from taut import regularizers as taut_regularizers


def make_model(regularizers: ModuleType) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(
                128,
                activation="relu",
                kernel_regularizer=regularizers.L1L2(l1=1e-5, l2=1e-4),
                bias_regularizer=regularizers.L2(1e-4),
                activity_regularizer=regularizers.L2(1e-5),
            ),
            layers.Dense(
                128,
                activation="relu",
                kernel_regularizer=regularizers.OrthogonalRegularizer(factor=0.5, mode="columns"),
            ),
            layers.Dense(10, kernel_regularizer=regularizers.L1(1e-5)),
        ]
    )


def train(model: keras.Model, epochs: int) -> tuple[float, float, float]:
    """Returns the accuracy, the penalties at the end, and the seconds that it took."""
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        (images / 16).astype(np.float32), labels, random_state=0, stratify=labels
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    model.fit(train_images, train_labels, batch_size=64, epochs=epochs, verbose=0, shuffle=False)
    seconds = time.perf_counter() - start
    _, accuracy = model.evaluate(test_images, test_labels, verbose=0)
    model(test_images)
    penalties = sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)
    return accuracy, penalties, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    epochs = parser.parse_args().epochs
    title = f"Keras {keras.__version__} on {keras.backend.backend()}"
    table = Table("regularizers", "accuracy", "penalties", "seconds", title=title)
    for name, regularizers in {"keras": keras.regularizers, "taut": taut_regularizers}.items():
        accuracy, penalties, seconds = train(make_model(regularizers), epochs)
        table.add_row(name, f"{accuracy:.3f}", f"{penalties:.5f}", f"{seconds:.1f}")
    Console(width=80).print(table)


if __name__ == "__main__":
    main()
