"""The LibTorch trainer: it learns, and its penalties are Python's to the last bit."""

import csv
import re
import sys
from pathlib import Path

import pytest
from frameworks import require
from libtorch_programs import build
from programs import WRONG_ARGUMENTS, run
from taut import Penalties
from taut.regularizers import L1, L2, OrthogonalRegularizer

torch = require("torch")
require("sklearn")

pytestmark = pytest.mark.slow  # LibTorch's headers take the compiler long

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = [("hidden.weight", OrthogonalRegularizer(3.0)), ("*.weight", L2(2e-3)), ("*.bias", None)]
RUNS = {
    "none": [("*", None)],
    "in place": RULES,
    "in the graph": RULES,
    "proximal": [("hidden.weight", L1(5e-3))],
}
EPOCHS = 8


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    source = EXAMPLES / "libtorch_trainer"
    return build(source, tmp_path_factory.mktemp("trainer")) / "libtorch_trainer"


@pytest.fixture(scope="module")
def trained(trainer, tmp_path_factory):
    """Returns what each run printed, by its name, and the directory that all of them wrote."""
    directory = tmp_path_factory.mktemp("trained")
    digits = directory / "digits.csv"
    run(sys.executable, EXAMPLES / "cpp_trainer" / "write_digits.py", digits)
    output = run(trainer, digits, "--epochs", EPOCHS, "--save", directory)
    texts = re.split(r"^(\S.*)\n", output, flags=re.MULTILINE)[1:]
    return dict(zip(texts[::2], texts[1::2], strict=True)), directory


def penalties_of(text, name):
    """Returns a penalty before the first epoch, and after each."""
    return [float(number) for number in re.findall(rf"\b{re.escape(name)} (\S+)", text)]


def last_number(text, words):
    return float(re.findall(rf"{words}", text)[-1])


def test_every_run_learns_and_prints_its_penalties(trained):
    assert list(trained[0]) == list(RUNS)
    for name, text in trained[0].items():
        assert len(penalties_of(text, "total")) == EPOCHS + 1
        assert last_number(text, r"accuracy (\S+)%") > 90, name


def test_each_penalty_does_what_it_is_for(trained):
    texts = trained[0]
    for name in ("in place", "in the graph"):
        orthogonal = penalties_of(texts[name], "hidden.weight")
        assert orthogonal[-1] < 0.3 * orthogonal[0]
    zeros = {name: last_number(text, r"(\d+)% of") for name, text in texts.items()}
    assert zeros["proximal"] > 10 > 0 == zeros["none"] == zeros["in place"]


def test_in_place_and_in_the_graph_are_the_same_training_but_for_rounding(trained):
    totals = [penalties_of(trained[0][name], "total") for name in ("in place", "in the graph")]
    assert totals[0] == pytest.approx(totals[1], rel=0.01)


@pytest.mark.parametrize("name", RUNS)
def test_the_penalties_of_the_same_weights_are_those_of_python_to_the_last_bit(trained, name):
    with (trained[1] / "penalties.csv").open(newline="", encoding="ascii") as file:
        written = {what: float.fromhex(x) for run, what, x in csv.reader(file) if run == name}
    # Arrays, whose penalties are not rounded to float32.
    arrays = {
        parameter: torch.load(trained[1] / f"{name}.{parameter}.pt").numpy()
        for parameter in ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
    }
    penalties = Penalties(RUNS[name])
    expected = penalties.breakdown(arrays)
    assert written == {
        **expected,
        "total": penalties(arrays),
        "node": torch.tensor(penalties(arrays), dtype=torch.float32).item(),
    }


@pytest.mark.parametrize(("arguments", "words"), WRONG_ARGUMENTS)
def test_wrong_arguments_are_named(trainer, arguments, words):
    with pytest.raises(AssertionError, match=words):
        run(trainer, *arguments)
