"""torch's DTensors, in worlds of two and of four processes that run the files in sharded_cases/."""

from pathlib import Path

import pytest
from frameworks import require
from worlds import run_world

require("torch")

CASES = Path(__file__).parent / "sharded_cases"
FILES = sorted(file for file in CASES.glob("*.py") if file.name not in ("conftest.py", "world.py"))


@pytest.mark.parametrize("size", [2, 4])
def test_in_a_world_of(size):
    # What other libraries warn of is not ours to mend.
    options = ["-q", "-x", "-o", "filterwarnings=", "-p", "no:cacheprovider"]
    codes, outputs = run_world(size, "-m", "pytest", *options, "--rootdir", CASES, *FILES)
    ends = (f"rank {rank}: {output[-6000:]}" for rank, output in enumerate(outputs))
    assert codes == [0] * size, "\n".join(ends)
