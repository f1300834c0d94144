"""What a type checker says of the API."""

import subprocess
import sys

from frameworks import require

PROGRAM = """
import numpy as np
import taut
from taut import regularizers
from taut.regularizers import L1L2, L2, OrthogonalRegularizer

class Tensor: ...

reveal_type(L2()(np.ones(3)))
reveal_type(L2().value_and_grad(np.ones(3)))
reveal_type(L2()(Tensor()))
reveal_type(L2().proximal(np.ones(3), 0.1))
reveal_type(L2().proximal(Tensor(), np.array(0.1)))
reveal_type(regularizers.get("l2"))
reveal_type(regularizers.get(L1L2()))
reveal_type(regularizers.get(None))
L1L2(np.array(0.1), np.float32(0.1))
L2("0.1")
OrthogonalRegularizer(mode="typo")
taut.Penalties([]).breakdown({}, by="size")
"""

EXPECTED = [
    '"float"',
    '"tuple[float, numpy.ndarray[',
    'Tensor"',
    '"numpy.ndarray[',
    'Tensor"',
    'Regularizer"',
    'L1L2"',
    '"None"',
    'expected "SupportsFloat | None"',
    "expected \"Literal['rows', 'columns']\"",
    "expected \"Literal['name', 'rule']\"",
]


def test_what_mypy_reveals(tmp_path):
    require("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(program)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    *lines, _ = found.stdout.splitlines()
    assert len(lines) == len(EXPECTED), found.stdout
    for line, expected in zip(lines, EXPECTED, strict=True):
        assert expected in line


def test_the_package_shows_its_api_alone():
    import taut

    assert sorted(dir(taut)) == sorted(taut.__all__)
