"""Beside torch's own threads, in forked workers, and what the examples show."""

import subprocess
import sys
from pathlib import Path

import pytest
from frameworks import require

require("torch")

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*command, timeout):
    result = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("first", ["taut", "torch"])
def test_imported_before_torch_or_after_it(first):
    second = "torch" if first == "taut" else "taut"
    code = f"""
import {first}, {second}
from taut.regularizers import L2, OrthogonalRegularizer
taut.set_num_threads(2)
torch.set_num_threads(2)
x = torch.ones(1000, 1000)
for _ in range(20):
    assert (x @ x)[0, 0] == 1000
    assert L2(1.0)(x) == 1_000_000
assert OrthogonalRegularizer(1.0)(x).item() > 0.999
assert torch.get_num_threads() == 2
"""
    run("-c", code, timeout=120)


def test_importing_taut_imports_no_framework():
    code = """
import sys, taut
taut.regularizers.L2()([1.0])
assert not {"torch", "jax", "tensorflow", "keras"} & set(sys.modules)
"""
    run("-c", code, timeout=120)


def test_workers_of_a_data_loader_after_taut_used_threads():
    code = """
import taut, torch
from taut.regularizers import L2, OrthogonalRegularizer

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        x = torch.full((600, 600), float(index))
        return L2(1.0)(x), OrthogonalRegularizer(1.0)(x[:200])

taut.set_num_threads(2)
x = torch.ones(2000, 2000)
L2(1.0)(x), OrthogonalRegularizer(1.0)(x[:500]), x @ x
for _ in range(2):
    loader = torch.utils.data.DataLoader(Data(), 4, num_workers=2, multiprocessing_context="fork")
    values = torch.cat([value for value, _ in loader])
    assert values.tolist() == [360_000.0 * i * i for i in range(8)]
    L2(1.0)(x)
"""
    run("-W", "ignore", "-c", code, timeout=120)


def test_two_processes_get_the_gradients_of_one():
    out = run(str(EXAMPLES / "torch_ddp.py"), timeout=240)
    assert out.count("the gradients of 2 processes are those of one") == 2


def digits(*options):
    out = run(str(EXAMPLES / "torch_digits.py"), *options, timeout=900)
    rows = [line.split("│")[1:4] for line in out.splitlines() if line.startswith("│")]
    return {name.strip(): (float(accuracy), float(penalty)) for name, accuracy, penalty in rows}


def assert_alike(rows):
    accuracies, penalties = zip(*rows.values(), strict=True)
    assert min(accuracies) > 0.9
    assert max(accuracies) - min(accuracies) < 0.03
    assert max(penalties) < 1.02 * min(penalties)


def test_the_example_trains_as_torch_does():
    rows = digits("--epochs", "10", "--no-compile")
    assert list(rows) == ["taut, eager", "torch, eager"]
    assert_alike(rows)


@pytest.mark.slow
def test_the_example_compiled():
    rows = digits("--epochs", "10")
    assert len(rows) == 4
    assert_alike(rows)
