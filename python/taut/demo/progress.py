"""How far the training is. Without a terminal, the finished bars are printed once."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_NAME_WIDTH = 18


def bars(console: Console) -> Progress:
    """Returns an empty set of progress bars, to be entered as a context."""
    return Progress(
        TextColumn(f"{{task.description:<{_NAME_WIDTH}}}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[accuracy]}"),
        console=console,
    )


class Bar:
    """The bar of one training."""

    def __init__(self, progress: Progress, name: str, epochs: int) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=epochs, accuracy="")

    def advance(self, accuracy: float) -> None:
        """Notes one more epoch, and the test accuracy after it."""
        self._progress.update(self._task, advance=1, accuracy=f"accuracy {accuracy:.1%}")
