"""`taut demo`."""

import argparse

from taut.command import arguments, extras

HELP = "show what each penalty does to a network"

_MODULES = ("matplotlib", "rich", "sklearn", "threadpoolctl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the demo's arguments."""
    parser.description = (
        "Trains a small network on handwritten digits with each penalty, and shows what each did "
        "to the weights: a table, and a picture."
    )
    parser.add_argument(
        "--output",
        type=arguments.output_path,
        default="demo.png",
        metavar="FILE",
        help="the picture to write, in the format of its suffix: .png, .pdf, .svg and others that "
        "matplotlib knows (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=arguments.whole_number(1),
        default=60,
        metavar="N",
        help="passes over the data per training (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=arguments.whole_number(0),
        default=0,
        metavar="N",
        help="of the first training's weights and order of the data (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=arguments.whole_number(1),
        default=5,
        metavar="N",
        help="trainings per penalty, for the spread of their accuracy (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Trains, prints and draws."""
    extras.require("The demo", _MODULES, "demo")
    from taut.demo import program

    return program.run(options.output, options.epochs, options.seed, options.seeds)
