"""The command line: `python -m taut demo`, and where C++ programs find taut."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from taut import _core

# Beside the compiled module, which an editable installation keeps apart from the Python files.
_DIRECTORIES = (
    ("--cmake-dir", "lib/cmake/taut", "the package for CMake's find_package(taut CONFIG)"),
    ("--include-dir", "include", "the C++ headers"),
    ("--pkg-config-dir", "lib/pkgconfig", "taut.pc, for PKG_CONFIG_PATH"),
)
_DEMO_MODULES = ("matplotlib", "rich", "sklearn", "threadpoolctl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Args:
        arguments: The command line without the program's name; the process's own unless given.

    Returns:
        The process's exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.directory is not None:
        print(Path(_core.__file__).parent / options.directory)
        return 0
    if options.command is None:
        parser.error("a command or an option is needed")
    return _demo(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m taut", description="What taut can do alone.")
    for option, directory, content in _DIRECTORIES:
        parser.add_argument(
            option,
            action="store_const",
            dest="directory",
            const=directory,
            help=f"print the directory of {content}",
        )
    commands = parser.add_subparsers(dest="command")
    demo = commands.add_parser(
        "demo",
        help="show what each penalty does to a network",
        description="Trains a small network on handwritten digits once per penalty, and shows "
        "what each did to the weights: a table, and a picture.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--output", type=picture_path, default="demo.png", help="the PNG to write")
    demo.add_argument(
        "--epochs", type=positive_integer, default=60, help="passes over the data per run"
    )
    demo.add_argument(
        "--seed", type=not_negative_integer, default=0, help="of weights and data order"
    )
    return parser


def picture_path(text: str) -> Path:
    """Returns the path of a file that can be written; said at once, not after the training."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"not a file in an existing directory: {text!r}")
    return path


def positive_integer(text: str) -> int:
    """Returns the number that an option of at least 1 was given."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1: {text!r}")
    return number


def not_negative_integer(text: str) -> int:
    """Returns the number that an option of at least 0 was given."""
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"must not be negative: {text!r}")
    return number


def _demo(options: argparse.Namespace) -> int:
    missing = [module for module in _DEMO_MODULES if find_spec(module) is None]
    if missing:
        print(f'The demo needs {", ".join(missing)}: pip install "taut[demo]"', file=sys.stderr)
        return 1
    # Only here: nothing else of taut needs what the demo needs.
    from taut.demo import command

    command.run(options.output, epochs=options.epochs, seed=options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
