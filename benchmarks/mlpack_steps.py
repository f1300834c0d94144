"""What regularizers add to a training step of mlpack's networks: mlpack's own, and taut's.

    python benchmarks/mlpack_steps.py --mlpack FOLDER --ensmallen FOLDER [--rounds N]

The folders are those that hold mlpack.hpp and ensmallen.hpp. The program in benchmarks/mlpack/ is
built, with CMake, against the taut that pip has installed; it compares gradients before it times,
on one thread. Its figures are medians of a step in turns, on the digits, in float64.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import native
import reports

DIGITS = Path(__file__).parents[1] / "examples" / "cpp_trainer" / "write_digits.py"


def tables(lines: list[str]) -> Iterator[tuple[str, list[list[str]]]]:
    """Yields the title of each table of steps that the program has printed, and its lines.

    A title begins a line, all else has two spaces before it. What stands between a title and the
    columns is the comparison of gradients.
    """
    title, cells = "", []
    for line in lines:
        if not line.startswith("  "):
            if cells:
                yield title, cells
            title, cells = line, []
        elif cells or "step, us" in line:
            cells.append(re.split(r"\s{2,}", line.strip()))
    yield title, cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlpack", required=True, metavar="FOLDER")
    parser.add_argument("--ensmallen", required=True, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        digits = f"{directory}/digits.csv"
        subprocess.run([sys.executable, str(DIGITS), digits], check=True)
        program = native.build(
            "mlpack",
            f"{directory}/build",
            f"-DMLPACK_INCLUDE_DIR={arguments.mlpack}",
            f"-DENSMALLEN_INCLUDE_DIR={arguments.ensmallen}",
        )
        printed = subprocess.run(
            [str(program / "regularizers"), digits, "36", str(arguments.rounds)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        ).stdout
    for title, (columns, *rows) in tables(printed.splitlines()):
        width = len(columns)
        padded = [[*row, *[""] * (width + 1 - len(row))] for row in rows]
        reports.show(title, ["", *columns], padded)
    return 0


if __name__ == "__main__":
    sys.exit(main())
