"""`taut bench`."""

import argparse
from pathlib import Path

from taut.command import arguments, extras

HELP = "time taut beside other libraries, on this machine"

_MODULES = ("rich",)
_MODULES_OF_CHARTS = ("matplotlib",)
# Those of `taut.bench.plan`, which this file does not import for the sake of the others.
KINDS = (
    *("l1", "l1-gradient", "l2", "l2-gradient", "prox", "group-lasso", "model"),
    *("orthogonal", "orthogonal-square", "soft-orthogonal", "memory"),
)


def _kind(text: str) -> str:
    if text not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(KINDS)}")
    return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `taut bench`."""
    parser.description = (
        "Times penalties, gradients and proximal steps beside NumPy, torch, JAX, Keras and Eigen, "
        "as far as they are installed. All compute the same, which is checked first, and take "
        "turns, with as many threads each."
    )
    parser.add_argument(
        "kinds",
        nargs="*",
        metavar="KIND",
        type=_kind,
        help=f"kinds of work, all if none is named: {', '.join(KINDS)}",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller sizes: minutes")
    parser.add_argument(
        "--threads",
        type=arguments.whole_number(1),
        metavar="N",
        help="of each library (default: as many as taut takes by itself)",
    )
    parser.add_argument(
        "--json", type=arguments.output_path, metavar="FILE", help="write all figures there"
    )
    parser.add_argument(
        "--charts", type=Path, metavar="FOLDER", help="draw charts there, as SVG pictures"
    )
    parser.add_argument(
        "--largest",
        type=arguments.whole_number(1),
        metavar="N",
        help="leave out what has more than so many elements",
    )


def run(options: argparse.Namespace) -> int:
    """Measures, prints and draws."""
    modules = _MODULES + (_MODULES_OF_CHARTS if options.charts else ())
    extras.require("taut bench", modules, "bench")
    from taut.bench import program

    return program.run(
        options.kinds,
        quick=options.quick,
        threads=options.threads,
        largest=options.largest,
        json_file=options.json,
        charts_folder=options.charts,
    )
