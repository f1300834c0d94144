"""Gradients whose penalties are not asked for: the same, and None is returned."""

import numpy as np
import pytest
import taut
from frameworks import require, to_library
from penalties import PENALTIES
from taut.regularizers import L2, ActivityRegularizer, Regularizer

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


class Squares(Regularizer):
    def __call__(self, x):
        return (x * x).sum()

    def value_and_grad(self, x, scale=1.0):
        return self(x), 2 * scale * x


REGULARIZERS = [
    *(make(0.3) for make in PENALTIES.values()),
    ActivityRegularizer(L2(0.3)),
    Squares(),
]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=lambda each: type(each).__name__)
def test_of_a_regularizer(regularizer, library):
    x = to_library(library, X)
    expected, grad = x * 0, x * 0
    regularizer.accumulate_grad(x, expected, 0.5)
    assert regularizer.accumulate_grad(x, grad, 0.5, value=False) is None
    assert (grad == expected).all()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_of_penalties(library):
    params = {type(each).__name__: to_library(library, X) for each in REGULARIZERS}
    penalties = taut.Penalties([(type(each).__name__, each) for each in REGULARIZERS])
    expected, grads = ({name: x * 0 for name, x in params.items()} for _ in range(2))
    penalties.accumulate_grad(params, expected, 0.5)
    assert penalties.accumulate_grad(params, grads, 0.5, value=False) is None
    assert all((grads[name] == expected[name]).all() for name in params)


def test_of_penalties_that_were_bound_with_their_gradients():
    grad = np.zeros_like(X)
    bound = taut.Penalties([("w", L2(0.5))]).bind({"w": X}, {"w": grad})
    assert bound.accumulate_grad(value=False) is None
    assert (grad == X).all()


def test_of_a_parameters_own_gradient():
    torch = require("torch")
    weight = torch.nn.Parameter(torch.from_numpy(X))
    bound = taut.Penalties([("w", L2(0.5))]).bind({"w": weight})
    assert bound.accumulate_grad(value=False) is None
    assert torch.equal(weight.grad, weight)
