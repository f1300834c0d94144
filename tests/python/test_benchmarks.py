"""The programs in benchmarks/, which no other test runs, still find what they import."""

import subprocess
import sys
from pathlib import Path

from frameworks import require
from programs import ENVIRONMENT

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
IMPORTS = """
import importlib, detailed
for name in [*detailed.PROGRAMS, "mlpack_steps"]:
    importlib.import_module(name)
"""


def test_each_program_can_be_imported():
    for name in ("torch", "jax", "keras", "ml_dtypes", "rich"):
        require(name)
    command = [sys.executable, "-c", IMPORTS]
    subprocess.run(command, cwd=BENCHMARKS, env=ENVIRONMENT, check=True, timeout=120)
