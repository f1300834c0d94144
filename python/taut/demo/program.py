"""What `taut demo` does, from the data to the picture."""

import time
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from rich.console import Console

from taut.command import CommandError, UsageError
from taut.demo import data, figure, progress, report
from taut.demo.experiments import EXPERIMENTS
from taut.demo.results import collect
from taut.demo.training import UNITS


def run(output: Path, epochs: int, seed: int, seeds: int) -> int:
    """Trains with each penalty, prints what came of it, and draws it.

    Args:
        output: The picture to write; its suffix says the format.
        epochs: Passes over the training images, per training.
        seed: Of the first training: decides the held-out images, the initial weights and the order
            of the images. The others have the next ones.
        seeds: Trainings per penalty.

    Returns:
        0.

    Raises:
        UsageError: Before the training, if matplotlib has no such format.
        CommandError: After it, if the picture cannot be written.
    """
    picture_format = _format(output)
    console = Console(highlight=False)
    start = time.perf_counter()
    digits = data.load(seed)
    images, pixels = digits.train_images.shape
    console.print(
        f"A network of {pixels} inputs, {UNITS} hidden units and {data.CLASSES} classes learns "
        f"{images} handwritten digits {seeds} times with each penalty, always from the same "
        f"{seeds} sets of initial weights.\n"
    )
    results = []
    with progress.bars(console) as bars:
        for experiment in EXPERIMENTS:
            bar = progress.Bar(bars, experiment.name, epochs * seeds)
            every_seed = range(seed, seed + seeds)
            results.append(collect(experiment, digits, epochs, every_seed, bar.advance))
    for part, caption in report.parts(results, console.width):
        console.print()
        console.print(part)
        console.print(caption, style="italic", markup=False)
    with console.status("Drawing the picture"):
        try:
            picture = figure.draw(results, digits.test_labels)
            picture.savefig(output, format=picture_format)
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror or error}") from error
    console.print(
        f"\nThe picture of it: {output} ({time.perf_counter() - start:.0f} s in all)",
        markup=False,  # the path is not ours
        soft_wrap=True,
    )
    return 0


def _format(output: Path) -> str:
    """Returns matplotlib's word for the picture's format."""
    known = FigureCanvasBase.get_supported_filetypes()
    word = output.suffix.removeprefix(".").lower()
    if word not in known:
        raise UsageError(f"{output}: the picture may be {', '.join(sorted(known))}")
    return word
