"""The C++ and the CMake that docs/embed-in-libtorch.md shows work as it says."""

import re
from pathlib import Path

import pytest
from frameworks import require
from programs import build, run
from test_docs_cpp import blocks

require("torch")

pytestmark = pytest.mark.slow  # LibTorch's headers take the compiler long

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embed-in-libtorch.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Returns what the program on the page prints, built by the project on the page."""
    source = tmp_path_factory.mktemp("page")
    (project,), (program,) = blocks(PAGE, "cmake"), blocks(PAGE, "cpp")
    (source / "CMakeLists.txt").write_text(project, encoding="utf-8")
    (source / "main.cpp").write_text(program, encoding="utf-8")
    return run(build(source, source / "build", finds_taut=True) / "trainer")


def test_the_program_on_the_page_does_what_the_page_says(output):
    assert "penalties 0.00" in output
    assert "L2: 15\n" in output
    assert "after the proximal step -2.5\n" in output
    assert "in the graph -10.5\n" in output  # 3 * (-1 - 2.5)
    assert "expected an array of float64, float32, float16 or bfloat16" in output


def test_what_the_page_shows_of_the_trainer_stands_in_it():
    quoted = re.findall(r"^```cpp (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(quoted) == 2
    for file, text in quoted:
        assert text in (ROOT / "examples" / "libtorch_trainer" / file).read_text(encoding="utf-8")
