"""torch.compile, torch.export, and the operator that they see."""

import subprocess
import sys

import pytest
import taut
from arrays import random_array
from penalty_checks import REGULARIZERS
from taut.regularizers import L2, OrthogonalRegularizer
from tensors import to_tensor, torch


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()


def value_and_grad(penalty, x):
    weight = x.clone().requires_grad_()
    value = penalty(weight)
    value.backward()
    return value.detach(), weight.grad


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_traced_penalty_is_the_eager_one(name, dtype):
    regularizer = REGULARIZERS[name]
    compiled = torch.compile(regularizer, fullgraph=True, backend="aot_eager")
    for shape in ((20, 7), (1, 7)):
        x = to_tensor(random_array(shape, dtype))
        torch.testing.assert_close(
            value_and_grad(compiled, x), value_and_grad(regularizer, x), rtol=1e-6, atol=1e-9
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
def test_a_whole_model_compiled():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    inputs = torch.randn(5, 8)
    penalties = taut.Penalties([("*.bias", None), ("0.*", REGULARIZERS["rows"]), ("*", L2(0.1))])
    bound = penalties.bind(model.named_parameters())

    def loss():
        total = model(inputs).square().mean() + bound()
        for regularizer in REGULARIZERS.values():
            total = total + regularizer(model[0].weight)
        return total

    def gradients(function):
        model.zero_grad()
        value = function()
        value.backward()
        return value.detach(), [p.grad.clone() for p in model.parameters()]

    compiled = torch.compile(loss, fullgraph=True)
    torch.testing.assert_close(gradients(compiled), gradients(loss))


def test_a_schedule_reaches_compiled_code():
    l2, orthogonal = L2(0.1), OrthogonalRegularizer(0.1)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def loss(x):
        return l2(x) + orthogonal(x)

    x = to_tensor(random_array((6, 5), "float32"))
    for factor in (0.1, 0.2, 0.0, 0.4):
        l2.l2 = orthogonal.factor = factor
        torch.testing.assert_close(loss(x), l2(x) + orthogonal(x))


def test_the_first_call_of_all_may_be_a_compiled_one():
    code = """
import torch
from taut.regularizers import OrthogonalRegularizer, L2
x = torch.eye(3).add(1).requires_grad_()
f = torch.compile(lambda x: L2(1.0)(x) + OrthogonalRegularizer()(x), fullgraph=True,
                  backend="aot_eager")
f(x).backward()
assert x.grad.all()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_export(name):
    regularizer = REGULARIZERS[name]

    class Module(torch.nn.Module):
        def forward(self, x):
            return regularizer(x)

    example = to_tensor(random_array((7, 5), "float32"))
    program = torch.export.export(Module(), (example,))
    x = to_tensor(random_array((7, 5), "float32", seed=1))
    torch.testing.assert_close(program.module()(x), regularizer(x))
    operators = {str(node.target) for node in program.graph.nodes}
    assert ("taut.gram.default" in operators) == (name in ("rows", "columns"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("with_slope", [False, True])
def test_opcheck(dtype, with_slope):
    for x in (
        random_array((7, 5), dtype),
        random_array((5, 7), dtype).T,
        random_array((3, 2, 4), dtype),
    ):
        weight = to_tensor(x).clone().requires_grad_(with_slope)
        factors = (0.5, "rows", x.ndim > 2)
        torch.library.opcheck(torch.ops.taut.gram.default, (weight, *factors, with_slope))
        wide = torch.float64 if dtype == "float64" else torch.float32
        slope, scale = weight.detach().to(wide), torch.ones((), dtype=wide)
        operands = (scale.requires_grad_(with_slope), weight, slope, *factors)
        torch.library.opcheck(torch.ops.taut.gram_slope.default, operands)
