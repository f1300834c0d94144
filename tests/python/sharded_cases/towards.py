"""Penalties towards references, weighted by importances, which lie as their parameters do."""

import pytest
import taut
import torch
from taut.regularizers import L1L2, L2
from torch.distributed.tensor import Shard
from world import LAYOUTS, SIZE, mesh_of, numbers, same_on_all_ranks, spread, whole


def tensors(lay, dtype=torch.float32):
    """Returns parameters, references and importances, plain and spread out."""
    names = ("weight", "bias")
    plain = [
        {
            name: numbers(*shape, seed=10 * i + j, dtype=dtype)
            for j, (name, shape) in enumerate(zip(names, ((5, 4), (3,)), strict=True))
        }
        for i in range(3)
    ]
    plain[2] = {name: x.abs() for name, x in plain[2].items()}
    return plain, [{name: lay(x.clone()) for name, x in each.items()} for each in plain]


@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_towards_a_reference(lay, dtype):
    results = []
    for params, reference, importance in tensors(lay, dtype):
        weights = {name: torch.nn.Parameter(x) for name, x in params.items()}
        rules = [("weight", L1L2(0.1, 0.2)), ("bias", L2(0.3))]
        penalties = taut.Penalties(rules, reference=reference, importance=importance)
        total, grads = penalties.value_and_grad(weights, 0.3)
        (0.7 * penalties(weights)).backward()
        slopes = {name: x.grad.clone() for name, x in weights.items()}
        penalties.accumulate_grad(weights, scale=0.4)
        stepped = penalties.proximal({name: x.detach() for name, x in weights.items()}, 0.5)
        differentiable = penalties.proximal(weights, 0.5)
        penalties.prox(weights, 0.5)
        results.append(
            [
                same_on_all_ranks(total),
                *(grads.values()),
                *slopes.values(),
                *(x.grad for x in weights.values()),
                *stepped.values(),
                *weights.values(),
            ]
        )
        torch.testing.assert_close(
            [whole(x) for x in differentiable.values()], [whole(x) for x in stepped.values()]
        )
    (expected, *plain), (value, *given) = results
    assert value == pytest.approx(expected, rel=1e-6)
    for ours, theirs in zip(given, plain, strict=True):
        assert torch.equal(whole(ours), whole(theirs))


def test_a_reference_that_lies_otherwise_is_refused():
    x = spread(numbers(2 * SIZE, 2 * SIZE), mesh_of(), [Shard(0)])
    for reference in (x.full_tensor(), x.redistribute(placements=[Shard(1)])):
        with pytest.raises(ValueError, match=r"^w: expected a DTensor that lies as the parameter"):
            taut.Penalties([("w", L2(0.1))], reference={"w": reference})({"w": x})


def test_a_negative_importance_on_one_rank_is_an_error_on_all():
    x = spread(numbers(2 * SIZE, 3), mesh_of(), [Shard(0)])
    importance = torch.ones(2 * SIZE, 3)
    importance[-1, 0] = -1
    importance = spread(importance, mesh_of(), [Shard(0)])
    with pytest.raises(ValueError, match="importance must not be negative"):
        taut.Penalties([("w", L2(0.1))], importance={"w": importance})({"w": x})
