"""How far the trainings are. Without a terminal, the finished bars are printed once."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_NAME_WIDTH = 18
_WIDE = 70  # columns, from which on a bar has all its columns


def bars(console: Console) -> Progress:
    """Returns an empty set of progress bars, to be entered as a context."""
    name = TextColumn(f"{{task.description:<{_NAME_WIDTH}}}")
    if console.width < _WIDE:
        return Progress(name, BarColumn(bar_width=None), console=console, expand=True)
    return Progress(
        name,
        BarColumn(bar_width=15),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[accuracy]}"),
        console=console,
    )


class Bar:
    """The bar of one penalty's trainings."""

    def __init__(self, progress: Progress, name: str, epochs: int) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=epochs, accuracy="")

    def advance(self, accuracy: float) -> None:
        """Notes one more epoch, and the test accuracy after it."""
        self._progress.update(self._task, advance=1, accuracy=f"test accuracy {accuracy:.1%}")
