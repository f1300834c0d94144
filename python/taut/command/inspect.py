"""`taut inspect`."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from taut.command import CommandError, arguments, extras

HELP = "show the weights of a checkpoint, what to mend first"

# Beside them, each format's reader asks for what it needs.
_MODULES = ("rich",)
_MODULES_OF_PAGES = ("matplotlib",)
# Those of `taut.inspect.order`, which this file does not import for the sake of the others.
ORDERS = (
    *("fix", "file", "name", "size", "l1", "l2"),
    *("zero", "near-zero", "mean-cos", "largest-cos"),
)

_Progress = Callable[[int, int], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `taut inspect`."""
    parser.description = (
        "Measures every tensor of a checkpoint: norms, how much is near zero or exactly zero, NaN "
        "and Inf, how alike its rows are, and its columns; what a person would mend comes first. "
        "Reads .npz, .npy, .safetensors, .keras, .h5, .pt, .pth and .bin, and runs nothing that is "
        "in them."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a checkpoint")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--html",
        type=arguments.output_path,
        metavar="PAGE",
        help="write a page with charts, which needs no other file",
    )
    parser.add_argument(
        "--sort",
        choices=ORDERS,
        default="fix",
        metavar="ORDER",
        help=f"one of {', '.join(ORDERS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=arguments.whole_number(0),
        default=20,
        metavar="N",
        help="tensors to print for each file, 0 for all (default: %(default)s)",
    )
    parser.add_argument(
        "--all-pairs",
        action="store_true",
        help="compare all rows and columns of the largest matrices, too, however long it takes",
    )


def run(options: argparse.Namespace) -> int:
    """Measures the files and prints what was found, with an error for each that can't be read."""
    modules = (() if options.json else _MODULES) + (_MODULES_OF_PAGES if options.html else ())
    extras.require("taut inspect", modules, "inspect")
    from taut.inspect import as_json, vectors, words
    from taut.inspect.inspection import inspect
    from taut.inspect.stored import UnreadableError

    work = float("inf") if options.all_pairs else vectors.WORK
    inspections, errors = [], []
    for path in options.files:
        try:
            with _progress(path) as on_progress:
                inspections.append(inspect(path, work, on_progress))
        except UnreadableError as error:
            errors.append(words.printable(f"{path}: {error}"))
    if options.json:
        print(as_json.text(inspections, options.sort))
    else:
        from rich.console import Console

        from taut.inspect import table

        console = Console(highlight=False)
        for inspection in inspections:
            table.show(console, inspection, options.sort, options.limit)
    if options.html and inspections:
        from taut.inspect import page

        try:
            options.html.write_text(page.html(inspections, options.sort), encoding="utf-8")
        except OSError as error:
            errors.append(f"{options.html}: {error.strerror}")
        else:
            print(f"The page is {words.printable(str(options.html))}", file=sys.stderr)
    sys.stdout.flush()
    if errors:
        raise CommandError("\ntaut: error: ".join(errors))
    return 0


@contextlib.contextmanager
def _progress(path: Path) -> Iterator[_Progress]:
    """Shows how far a file is, on a terminal that is there to see it, and leaves nothing behind."""
    if not sys.stderr.isatty() or not extras.is_there("rich"):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(escape(path.name), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
