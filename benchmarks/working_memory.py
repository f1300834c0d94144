"""What the orthogonal penalties take beside x and its gradient, in `accumulate_grad`.

    python benchmarks/working_memory.py

Float32, two threads, each call in a process of its own, whose first calls are of a small matrix.
"""

import argparse
import subprocess
import sys

import numpy as np
import reports
import taut
from taut.bench import memory, tables
from taut.regularizers import OrthogonalRegularizer, SoftOrthogonalRegularizer

SHAPES = (
    (3, 1_000_000),
    (2, 10_000_000),
    (49, 200_000),
    (2048, 2048),
    (4096, 1024),
    (10_500, 400),
    (50_000, 4),
    (200_000, 4),
)
PENALTIES = {
    "orthogonal": OrthogonalRegularizer(0.01),
    "soft orthogonal": SoftOrthogonalRegularizer(0.01),
}
THREADS = 2
TITLE = "What a call in place takes beside x and the gradient, of float32 on two threads"


def measure(name: str, shape: tuple[int, int]) -> None:
    """Prints the bytes that a call of it takes."""
    taut.set_num_threads(THREADS)
    for size in ((64, 64), shape):
        x = np.random.default_rng(0).standard_normal(size, np.float32)
        grad = np.zeros_like(x)
        grad += 1  # so that the system has given all of it
        taken = memory.peak_of(lambda x=x, grad=grad: PENALTIES[name].accumulate_grad(x, grad))
    print(taken)


def main() -> None:
    """Prints a table, or measures one call of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    if arguments := parser.parse_args().measure:
        name, rows, columns = arguments
        measure(name, (int(rows), int(columns)))
        return
    lines = []
    for shape in SHAPES:
        cells = [tables.bytes_in_words(4 * shape[0] * shape[1])]
        for name in PENALTIES:
            command = [sys.executable, __file__, "--measure", name, *map(str, shape)]
            taken = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            cells.append(tables.bytes_in_words(int(taken)))
        lines.append([f"{shape[0]:,} x {shape[1]:,}", *cells])
    reports.show(TITLE, ["shape", "x", *PENALTIES], lines)


if __name__ == "__main__":
    main()
