"""Interleaved timing: every contestant in each round, medians of ratios to one baseline."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import reports
import taut
from taut.bench import tables
from taut.bench.machine import processor
from taut.bench.timing import Contestants, interleave, ratios


def begin(threads: int) -> None:
    """Gives taut and torch so many threads, and prints what takes part."""
    taut.set_num_threads(threads)
    print(f"{processor()}; {threads} threads")
    if "torch" in sys.modules:  # else it stays out: its threads would stand beside another's
        torch = sys.modules["torch"]
        torch.set_num_threads(threads)
        print(f"torch {torch.__version__}")
    taut.show_config()


def run_parts(description: str, threads: int, parts: Mapping[str, Callable[[int], None]]) -> None:
    """Runs the parts that the command line names, or all, each with the number of rounds."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(parts))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    begin(threads)
    for name in arguments.parts or parts:
        parts[name](arguments.rounds)


def compare(
    title: str,
    rounds: int,
    contestants: Contestants,
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Prints the ratios to the first contestant, which takes part twice."""
    baseline, call = next(iter(contestants.items()))
    twice = {baseline: call, f"{baseline} again": call, **contestants}
    print_ratios(title, interleave(twice, rounds, calls, clock), baseline)


def in_words(ratio: float) -> str:
    """Returns a ratio with two digits behind the point, or as many as tell it from 0."""
    return f"{ratio:.2f}" if abs(ratio) >= 0.1 else f"{ratio:.2g}"


def print_ratios(title: str, seconds: Mapping[str, list[float]], baseline: str) -> None:
    """Prints medians and their ratios to the baseline."""
    rows = [
        (name, tables.in_words(statistics.median(seconds[name])), in_words(ratio))
        for name, ratio in ratios(seconds, baseline).items()
    ]
    reports.show(title, ("", "median", f"over {baseline}"), rows)
