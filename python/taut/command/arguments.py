"""The kinds of values that options take."""

import argparse
from collections.abc import Callable
from pathlib import Path


def whole_number(least: int) -> Callable[[str], int]:
    """Returns what reads an option's whole number of at least `least`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"not a whole number of at least {least}: {text!r}")
        return number

    return read


def output_path(text: str) -> Path:
    """Returns the path of a file that can be written: said at once, not after the work."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"not a file in an existing directory: {text!r}")
    return path
