"""A trainer on dlib's networks: taut's penalties on its layers' parameters."""

import re
import sys
from pathlib import Path

import pytest
from frameworks import require
from programs import build, require_header, run

require("sklearn")

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_network_of_dlib_learns_the_digits_with_penalties(tmp_path):
    require_header("dlib/dnn.h")
    digits = tmp_path / "digits.csv"
    run(sys.executable, ROOT / "examples" / "cpp_trainer" / "write_digits.py", digits)
    trainer = build(ROOT / "tests" / "cpp" / "consumers" / "dlib", tmp_path / "build")
    # It compares values and slopes with plain loops itself, and looks what each penalty did.
    output = run(trainer / "dlib_trainer", digits)
    penalties = re.findall(r"^(\w+) +accuracy=", output, re.MULTILINE)
    assert penalties == ["none", "L1", "L2", "orthogonal"]
