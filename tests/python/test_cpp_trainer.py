"""The example trainer in C++: it learns, and its penalties are Python's to the last bit."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from frameworks import require
from programs import WRONG_ARGUMENTS, build, run

require("sklearn")

from taut.demo.data import load
from taut.demo.experiments import EXPERIMENTS
from taut.demo.network import HIDDEN_KERNEL
from taut.regularizers import L2

EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp_trainer"
DEMO = {experiment.name: experiment for experiment in EXPERIMENTS}
BOTH_LAYERS = "both layers"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.csv"
    run(sys.executable, EXAMPLE / "write_digits.py", path)
    return path


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return build(EXAMPLE, tmp_path_factory.mktemp("trainer")) / "cpp_trainer"


@pytest.fixture(scope="module")
def trained(trainer, digits, tmp_path_factory):
    """Returns what a training printed, and the directory that it wrote."""
    saved = tmp_path_factory.mktemp("saved")
    return run(trainer, digits, "--epochs", 30, "--save", saved), saved


def rows_of(path):
    with path.open(newline="", encoding="ascii") as file:
        return list(csv.reader(file))


def table_of(output):
    """Returns the cells of the table as numbers, by the run's name."""
    table = output.partition("The first layer after training")[2]
    rows = re.findall(r"^(\S+(?: [a-zA-Z]\S*)*) +(\d.*)$", table, re.MULTILINE)
    return {name: [float(cell.strip("%")) for cell in cells.split()] for name, cells in rows}


def kernel(saved, name, layer):
    return np.loadtxt(saved / f"{name}.{layer}.csv", delimiter=",", dtype=np.float32)


def regularizer_of(name, layer):
    if name == BOTH_LAYERS:
        return L2(2e-3) if layer == "output" else DEMO["orthogonal columns"].regularizer
    assert layer == "hidden"
    assert DEMO[name].target == HIDDEN_KERNEL
    return DEMO[name].regularizer


def test_it_says_how_it_is_called(trainer):
    for option in ("--help", "-h"):
        text = run(trainer, option)
        assert text.startswith("usage: cpp_trainer digits.csv")
        for name in ("--epochs", "--seed", "--save"):
            assert name in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "abc"], "--epochs: not a whole number in its range: 'abc'"),
        (["--epochs", "3.5"], "--epochs: not a whole number in its range: '3.5'"),
        (["--seed", "-1"], "--seed: not a whole number in its range: '-1'"),
        (["--typo"], "--typo needs a value"),
        (["--epochs", "0"], "--epochs must be at least 1"),
    ],
)
def test_wrong_arguments_are_one_line(trainer, arguments, words):
    result = subprocess.run(
        [trainer, "digits.csv", *arguments], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"cpp_trainer: {words}; see cpp_trainer --help\n"


def test_the_script_writes_the_digits_of_the_demo(digits):
    demo = load(seed=0)
    rows = rows_of(digits)
    pixels = np.array([row[2:] for row in rows if row[0] == "train"], np.float32) / np.float32(16)
    np.testing.assert_array_equal(pixels - pixels.mean(axis=0), demo.train_images)
    labels = [int(row[1]) for row in rows if row[0] == "test"]
    np.testing.assert_array_equal(labels, demo.test_labels)


def test_every_penalty_of_the_demo_is_in_the_table_and_learns(trained):
    table = table_of(trained[0])
    assert list(table) == [*DEMO, BOTH_LAYERS]
    assert min(row[0] for row in table.values()) > 93


def test_each_penalty_does_what_it_is_for(trained):
    columns = ["accuracy", "left", "near zero", "zero", "norm", "units", "pixels", "output", "time"]
    table = {
        name: dict(zip(columns, row, strict=True)) for name, row in table_of(trained[0]).items()
    }
    none = table["none"]
    assert table["L1"]["near zero"] > 40 > 10 > none["near zero"]
    assert table["L1 prox"]["zero"] > 40 > 1 > table["L1"]["zero"]
    assert table["group lasso"]["zero"] > 10
    assert table["L2"]["norm"] < 0.7 * none["norm"]
    for name in ("orthogonal columns", BOTH_LAYERS):
        assert table[name]["units"] < 0.2 * none["units"]
    assert table["orthogonal rows"]["pixels"] < 0.6 * none["pixels"]
    assert table["activity L1"]["output"] < 0.5 * none["output"]
    assert all(row["time"] > 0 for name, row in table.items() if name != "none")


def test_the_penalties_of_the_same_weights_are_those_of_python_to_the_last_bit(trained):
    rows = rows_of(trained[1] / "penalties.csv")
    penalized = [name for name in DEMO if name not in ("none", "activity L1")]
    assert [row[0] for row in rows] == [*penalized, BOTH_LAYERS, BOTH_LAYERS]
    for name, layer, penalty in rows:
        weights = kernel(trained[1], name, layer)
        assert weights.shape == ((64, 36) if layer == "hidden" else (36, 10))
        assert float.fromhex(penalty) == regularizer_of(name, layer)(weights) != 0


@pytest.mark.parametrize(("arguments", "words"), WRONG_ARGUMENTS)
def test_wrong_arguments_are_named(trainer, arguments, words):
    with pytest.raises(AssertionError, match=words):
        run(trainer, *arguments)
