"""The C++ and the CMake that the README and docs/embed-in-cpp.md show work as they say."""

import json
import re
from pathlib import Path

import pytest
from programs import build, run
from taut import regularizers

ROOT = Path(__file__).parents[2]
TRAINER = ROOT / "examples" / "cpp_trainer"
PAGE = (ROOT / "docs" / "embed-in-cpp.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What is printed at the end of some examples, so that their results can be looked at.
PRINTED = {"json": "json.c_str()", "penalty": "std::to_string(penalty).c_str()"}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def program_of(block):
    """Returns a whole program that does what the block shows."""
    if "int main" in block:
        return block
    lines = block.splitlines()
    included = ["#include <cstdio>", "#include <taut/taut.hpp>", "#include <vector>"]
    included += [line for line in lines if line.startswith("#include")]
    body = [line for line in lines if not line.startswith("#include")]
    for name, text in PRINTED.items():
        if re.search(rf"\b{name} = ", block):
            body.append(f'std::printf("{name}: %s\\n", {text});')
    return "\n".join([*included, "int main() {", *body, "}\n"])


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Returns what each example prints, those of the README first."""
    source = tmp_path_factory.mktemp("examples")
    programs = [program_of(block) for block in blocks(README, "cpp") + blocks(PAGE, "cpp")]
    lines = ["cmake_minimum_required(VERSION 3.21)", "project(examples LANGUAGES CXX)"]
    lines += ["find_package(taut CONFIG REQUIRED)", "find_package(Eigen3 CONFIG REQUIRED)"]
    # Names that an example introduces to show them need not be used.
    lines += ["add_compile_options(-Wno-unused-variable)"]
    for number, program in enumerate(programs):
        name = f"example{number}"
        (source / f"{name}.cpp").write_text(program, encoding="utf-8")
        lines += [f"add_executable({name} {name}.cpp)"]
        lines += [f"target_link_libraries({name} taut::taut Eigen3::Eigen)"]
    (source / "CMakeLists.txt").write_text("\n".join(lines), encoding="utf-8")
    directory = build(source, source / "build")
    return [run(directory / f"example{number}") for number in range(len(programs))]


def output_with(outputs, text):
    return next(output for output in outputs if text in output)


def test_all_examples_run_and_say_what_the_page_says(outputs):
    assert len(outputs) >= 7
    assert "penalty 15, first slope 1, on " in output_with(outputs, "first slope")
    assert "must have the shape of the input" in output_with(outputs, "The gradient")
    assert "penalty: 6.0" in output_with(outputs, "penalty: 6")


def test_the_config_that_an_example_writes_is_read_by_python(outputs):
    text = output_with(outputs, "json: ").partition("json: ")[2]
    regularizer = regularizers.deserialize(json.loads(text))
    assert isinstance(regularizer, regularizers.L1L2)
    assert regularizer.get_config() == {"l1": 1e-5, "l2": 0.1}


def test_the_project_at_the_top_of_the_page_builds_and_runs(tmp_path):
    (project,) = blocks(PAGE, "cmake")
    (tmp_path / "CMakeLists.txt").write_text(project, encoding="utf-8")
    (tmp_path / "main.cpp").write_text(blocks(PAGE, "cpp")[0], encoding="utf-8")
    directory = build(tmp_path, tmp_path / "build", finds_taut=True)
    assert run(directory / "trainer").startswith("penalty 15, first slope 1, on ")


def test_what_the_page_shows_of_the_trainer_stands_in_it():
    quotations = re.findall(r"^```cpp (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(quotations) >= 4
    for file, text in quotations:
        assert text in (TRAINER / file).read_text(encoding="utf-8")
