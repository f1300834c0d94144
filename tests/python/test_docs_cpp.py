"""The C++ and the CMake that the README and docs/embed-in-cpp.md show work as they say."""

import json
import math
import os
import re
import subprocess
from pathlib import Path

import pytest
from programs import ENVIRONMENT, build, find_program, require_header, run
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


EXAMPLES = [program_of(block) for block in blocks(README, "cpp") + blocks(PAGE, "cpp")]
OF_ARMADILLO = [program for program in EXAMPLES if "taut/armadillo.hpp" in program]


def outputs_of(programs, component, source):
    """Returns what each program prints, once it is built with this component of taut."""
    lines = ["cmake_minimum_required(VERSION 3.21)", "project(examples LANGUAGES CXX)"]
    lines += [f"find_package(taut CONFIG REQUIRED COMPONENTS {component})"]
    # Names that an example introduces to show them need not be used.
    lines += ["add_compile_options(-Wno-unused-variable)"]
    for number, program in enumerate(programs):
        name = f"example{number}"
        (source / f"{name}.cpp").write_text(program, encoding="utf-8")
        lines += [f"add_executable({name} {name}.cpp)"]
        lines += [f"target_link_libraries({name} taut::{component})"]
    (source / "CMakeLists.txt").write_text("\n".join(lines), encoding="utf-8")
    directory = build(source, source / "build")
    return [run(directory / f"example{number}") for number in range(len(programs))]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Returns what each example prints but Armadillo's, those of the README first."""
    programs = [program for program in EXAMPLES if program not in OF_ARMADILLO]
    return outputs_of(programs, "eigen", tmp_path_factory.mktemp("examples"))


def output_with(outputs, text):
    return next(output for output in outputs if text in output)


def test_all_examples_run_and_say_what_the_page_says(outputs):
    assert len(outputs) >= 7
    assert "penalty 15, first slope 1, on " in output_with(outputs, "first slope")
    assert "must have the shape of the input" in output_with(outputs, "The gradient")
    assert "penalty: 6.0" in output_with(outputs, "penalty: 6")


def test_the_example_of_armadillo_runs(tmp_path):
    require_header("armadillo")
    (output,) = outputs_of(OF_ARMADILLO, "armadillo", tmp_path)
    # A tenth of the mean |cos| of random vectors of 64 numbers.
    penalty = float(output.removeprefix("penalty: "))
    assert abs(penalty - 0.1 * (2 / (math.pi * 64)) ** 0.5) < 0.002


def test_the_config_that_an_example_writes_is_read_by_python(outputs):
    text = output_with(outputs, "json: ").partition("json: ")[2]
    regularizer = regularizers.deserialize(json.loads(text))
    assert isinstance(regularizer, regularizers.L1L2)
    assert regularizer.get_config() == {"l1": 1e-5, "l2": 0.1}


PROJECT, COMPONENTS, EIGEN = blocks(PAGE, "cmake")


def project_in(directory, text):
    (directory / "CMakeLists.txt").write_text(text, encoding="utf-8")
    (directory / "main.cpp").write_text(blocks(PAGE, "cpp")[0], encoding="utf-8")
    return directory


def test_the_project_at_the_top_of_the_page_builds_and_runs(tmp_path):
    directory = build(project_in(tmp_path, PROJECT), tmp_path / "build", finds_taut=True)
    assert run(directory / "trainer").startswith("penalty 15, first slope 1, on ")


def test_the_project_finds_eigen_where_pip_has_put_it(tmp_path):
    project = PROJECT.replace("find_package", EIGEN + "find_package") + COMPONENTS
    project_in(tmp_path, project)
    program = "#include <taut/eigen.hpp>\n" + blocks(PAGE, "cpp")[0]
    (tmp_path / "main.cpp").write_text(program, encoding="utf-8")
    build(tmp_path, tmp_path / "build", finds_taut=True, finds_eigen=True)


@pytest.mark.parametrize("text", [PAGE, README], ids=["page", "README"])
@pytest.mark.parametrize("python", ["none", "without_taut"])
def test_without_a_python_that_has_taut_the_message_says_what_to_do(tmp_path, text, python):
    (lines,) = (part for part in blocks(text, "cmake") if "--cmake-dir" in part)
    if python == "none":
        lines = lines.replace("COMMAND python3", "COMMAND no_such_python")
    failing = tmp_path / "python3"
    failing.write_text("#!/bin/sh\necho No module named taut >&2\nexit 1\n", encoding="ascii")
    failing.chmod(0o755)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(trainer LANGUAGES NONE)\n"
        + lines[lines.index("execute_process") :],
        encoding="utf-8",
    )
    path = str(tmp_path) + os.pathsep + ENVIRONMENT["PATH"]
    result = subprocess.run(
        [find_program("cmake"), "-S", tmp_path, "-B", tmp_path / "build"],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PATH": path},
    )
    assert result.returncode != 0
    words = " ".join(result.stderr.split())
    assert "There is no taut in python3 (" in words
    assert "python3 -m pip install taut" in words
    assert "find_package" not in words  # which it does not come to


def test_what_the_page_quotes_stands_where_it_says():
    quotations = re.findall(r"^```cpp (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(quotations) >= 7
    for name, text in quotations:
        file = ROOT / name if "/" in name else TRAINER / name
        assert text in file.read_text(encoding="utf-8")
