"""The orthogonal penalty at sizes where its Gram matrix is large, or could not be stored."""

import json
import subprocess
import sys

import numpy as np
import pytest
from frameworks import require
from taut.regularizers import OrthogonalRegularizer

# Runs in a process of its own, whose peak of memory is then its own too. The matrix has few
# distinct directions, so that both results are known without a Gram matrix.
REPEATED_DIRECTIONS = """
import json, resource, sys
import numpy as np
from taut.regularizers import OrthogonalRegularizer

count, length, kinds = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
directions = rng.standard_normal((kinds, length))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
kind = rng.integers(kinds, size=count)
norms = rng.uniform(0.5, 2, size=count).astype(np.float32)
x = np.empty((count, length), np.float32)
for begin in range(0, count, 1000):
    rows = slice(begin, begin + 1000)
    x[rows] = directions[kind[rows]] * norms[rows, None]
grad = np.ones_like(x)
regularizer = OrthogonalRegularizer(1.0)
regularizer.value_and_grad(x[:300])

peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
value = regularizer.accumulate_grad(x, grad, scale=count)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak

members = np.bincount(kind, minlength=kinds).astype(float)
cosines = directions @ directions.T
pairs = count * (count - 1) / 2
total = (members @ np.abs(cosines) @ members - count) / 2
directed = np.sign(cosines) @ (members[:, None] * directions) - directions
slopes = directed - directions * (directions * directed).sum(axis=1, keepdims=True)
errors = [
    np.abs(grad[i] - 1 - slopes[kind[i]] * count / pairs / norms[i]).max()
    for i in range(0, count, count // 500)
]
print(json.dumps({
    "megabytes": peak / 1024,
    "value": value, "expected": total / pairs,
    "error": max(errors), "slope": float(np.abs(slopes).max() * count / pairs),
}))
"""


def run_repeated_directions(count, length):
    command = [sys.executable, "-c", REPEATED_DIRECTIONS, str(count), str(length), "23"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(finished.stdout)
    assert result["value"] == pytest.approx(result["expected"], rel=1e-6)
    # The sum of a row's directions is taken in float32, block by block: about count / 48 roundings
    # of a sum of `count` directions, times 2 / count.
    assert result["error"] < 2 * (count / 48) * 2.0**-24 + 2.0**-22 * (1 + result["slope"])
    return result


@pytest.mark.slow
def test_the_gram_matrix_is_never_stored():
    assert run_repeated_directions(50_000, 64)["megabytes"] < 300


@pytest.mark.slow
def test_very_many_short_vectors():
    assert run_repeated_directions(200_000, 16)["megabytes"] < 1000


def count_wrong_signs(grad, units, norms, expected):
    """Estimates how many pairs were given the other sign.

    Each adds twice the other one's direction, and directions are nearly orthogonal to one another:
    so the square of what a row is off by counts them.
    """
    pairs = len(units) * (len(units) - 1) / 2
    off = (grad * norms * pairs - expected) / 2
    return int(np.rint((off**2).sum(axis=1)).sum()) // 2


@pytest.mark.slow
def test_no_more_wrong_signs_than_torch(record_property):
    torch = require("torch")
    x = np.random.default_rng(0).standard_normal((4096, 1024)).astype(np.float32)
    norms = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    units = x / norms
    cosines = units @ units.T
    np.fill_diagonal(cosines, 0)
    directed = np.sign(cosines) @ units
    expected = directed - units * (directed * units).sum(axis=1, keepdims=True)

    one_flipped = expected.copy()
    one_flipped[3] -= 2 * np.sign(cosines[3, 7]) * units[7]
    one_flipped[7] -= 2 * np.sign(cosines[3, 7]) * units[3]
    pairs = 4096 * 4095 / 2
    assert count_wrong_signs(one_flipped / norms / pairs, units, norms, expected) == 1

    value, grad = OrthogonalRegularizer(1.0).value_and_grad(x)
    assert value == pytest.approx(np.abs(cosines).sum() / 4096 / 4095, rel=1e-6)
    wrong = count_wrong_signs(grad, units, norms, expected)

    weight = torch.from_numpy(x.copy()).requires_grad_()
    torch_units = torch.nn.functional.normalize(weight, dim=1, eps=1e-7)
    product = (torch_units @ torch_units.T).fill_diagonal_(0)
    (product.abs().sum() / 4096 / 4095).backward()
    torch_wrong = count_wrong_signs(weight.grad.numpy(), units, norms, expected)

    # A float32 dot product can be off by some roundings of its terms; such pairs are in doubt.
    rounding = 1024**0.5 * 2.0**-24 / 32
    doubtful = int((np.abs(cosines) < rounding).sum() - 4096) // 2  # the diagonal is 0
    record_property("wrong signs", f"taut {wrong}, torch {torch_wrong}, in doubt {doubtful}")
    print(f"wrong signs: taut {wrong}, torch {torch_wrong}; pairs in doubt: {doubtful}")
    assert wrong <= torch_wrong
    assert wrong <= doubtful
