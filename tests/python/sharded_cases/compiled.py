"""Compiled code: penalties of pieces within the graph, and what needs a whole outside of it."""

import pytest
import taut
import torch
from taut.regularizers import L1, L1L2, L2, GroupLasso, OrthogonalRegularizer
from torch.distributed.tensor import Shard
from training import RULES, fsdp, gradient, loss_of, make_model, tensor_parallel, wholes
from world import mesh_of, numbers, same_on_all_ranks, spread, whole

pytestmark = pytest.mark.sizes(2)


@pytest.fixture(autouse=True)
def compiled_anew():
    torch._dynamo.reset()


def value_and_grad(function, x):
    weight = x.detach().clone().requires_grad_()
    total = function(weight)
    total.backward()
    return same_on_all_ranks(total), whole(weight.grad)


@pytest.mark.parametrize("rows", [6, 5])
@pytest.mark.parametrize("regularizer", [L1L2(0.1, 0.2), GroupLasso(0.3)], ids=repr)
def test_of_pieces(regularizer, rows):
    x = spread(numbers(rows, 4), mesh_of(), [Shard(0)])
    compiled = torch.compile(regularizer, fullgraph=True)
    value, grad = value_and_grad(compiled, x)
    expected, slope = value_and_grad(regularizer, x)
    assert value == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(grad, slope)


def test_of_wholes():
    x = spread(numbers(6, 4), mesh_of(), [Shard(0)])
    regularizer = OrthogonalRegularizer(0.3)
    value, grad = value_and_grad(torch.compile(regularizer), x)
    expected, slope = value_and_grad(regularizer, x)
    assert value == expected
    assert torch.equal(grad, slope)


def test_of_wholes_in_one_graph():
    x = spread(numbers(6, 4), mesh_of(), [Shard(0)])
    with pytest.raises(Exception, match="not computed in compiled code"):
        torch.compile(OrthogonalRegularizer(0.3), fullgraph=True)(x)


def test_bound_penalties():
    names = {"a": Shard(0), "b": Shard(1)}
    weights = {
        name: torch.nn.Parameter(spread(numbers(4, 6, seed=i), mesh_of(), [placement]))
        for i, (name, placement) in enumerate(names.items())
    } | {"c": torch.nn.Parameter(numbers(3, 3))}
    bound = taut.Penalties([("a", L2(0.1)), ("b", L1(0.2)), ("c", L1(0.1))]).bind(weights)
    results = []
    for function in (bound, torch.compile(bound, fullgraph=True)):
        total = function()
        total.backward()
        results.append((total.item(), [whole(x.grad) for x in weights.values()]))
        for x in weights.values():
            x.grad = None
    torch.testing.assert_close(*results)


def test_penalties_of_a_module_that_is_not_sharded():
    bound = taut.Penalties([("weight", L2(0.1))]).bind(torch.nn.Linear(4, 3))
    assert torch.compile(bound, fullgraph=True)().item() == pytest.approx(bound().item(), rel=1e-6)


@pytest.mark.parametrize("engine", [fsdp, tensor_parallel], ids=["fsdp", "tensor parallel"])
@pytest.mark.parametrize("what", ["the blocks", "the step"])
def test_a_step(engine, what):
    results = []
    for is_compiled in (False, True):
        model = make_model()
        if is_compiled and what == "the blocks":
            model.up.compile()
            model.down.compile()
        model = engine(model)
        bound = taut.Penalties(RULES).bind(list(model.named_parameters()))

        def loss(model=model, bound=bound):
            return loss_of(model) + bound()

        step = torch.compile(loss) if is_compiled and what == "the step" else loss
        for _ in range(2):
            model.zero_grad()
            step().backward()
        results.append(wholes(model, gradient))
    torch.testing.assert_close(*results)
