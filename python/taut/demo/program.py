"""What `python -m taut demo` does, from the data to the picture."""

import time
from pathlib import Path

from rich.console import Console

from taut.demo import data, figure, progress, report
from taut.demo.experiments import EXPERIMENTS
from taut.demo.training import UNITS, train


def run(output: Path, epochs: int, seed: int) -> None:
    """Trains once per penalty, prints what came of it, and draws it.

    Args:
        output: The PNG to write.
        epochs: Passes over the training images, per penalty.
        seed: Decides the held-out images, the initial weights and the order of the images.

    Raises:
        OSError: If the picture cannot be written.
    """
    console = Console(highlight=False)
    start = time.perf_counter()
    digits = data.load(seed)
    images, pixels = digits.train_images.shape
    console.print(
        f"A network of {pixels} inputs, {UNITS} hidden units and {data.CLASSES} classes learns "
        f"{images} handwritten digits, once per penalty, from the same weights and in the same "
        "order.\n"
    )
    runs = []
    with progress.bars(console) as bars:
        for experiment in EXPERIMENTS:
            bar = progress.Bar(bars, experiment.name, epochs)
            runs.append(train(experiment, digits, epochs, seed, bar.advance))
    console.print()
    console.print(report.table(runs))
    figure.draw(runs, digits.test_labels).savefig(output, format="png")
    console.print(
        f"\nThe picture of it: {output} ({time.perf_counter() - start:.0f} s in all)",
        markup=False,  # the path is not ours
        soft_wrap=True,
    )
