"""Mistakes are errors on every rank, before anything is written and with nobody left waiting."""

import pytest
import taut
import torch
import torch.distributed as dist
from taut.regularizers import L2, ActivityRegularizer, OrthogonalRegularizer, Regularizer
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from world import LAYOUTS, RANK, SIZE, counted_messages, mesh_of, numbers, same_on_all_ranks, spread

LAST = SIZE - 1


@pytest.fixture(params=LAYOUTS)
def params(request):
    lay = LAYOUTS[request.param]
    return {"a.weight": lay(numbers(5, 4)), "b.weight": lay(numbers(4, 4, seed=1))}


def other_on_the_last_rank(ours, theirs):
    return theirs if RANK == LAST else ours


DISAGREEMENTS = {
    "factor": (L2(0.1), L2(0.2)),
    "class": (L2(0.1), OrthogonalRegularizer(0.1)),
    "mode": (OrthogonalRegularizer(0.1), OrthogonalRegularizer(0.1, "columns")),
    "none": (L2(0.1), None),
    "what is within": (ActivityRegularizer(L2(0.1)), ActivityRegularizer(L2(0.2))),
}


@pytest.mark.parametrize("kind", DISAGREEMENTS)
def test_ranks_with_other_rules(params, kind):
    rule = other_on_the_last_rank(*DISAGREEMENTS[kind])
    penalties = taut.Penalties([("b.weight", L2(0.3)), ("*", rule)])
    grads = {name: torch.zeros_like(x) for name, x in params.items()}
    ways = [
        lambda: penalties(params),
        lambda: penalties.accumulate_grad(params, grads),
        lambda: penalties.bind(params),
        lambda: penalties.prox(params, 0.1),
    ]
    for way in ways:
        with pytest.raises(ValueError, match=rf"differ in: rank 0: a\.weight.*rank {LAST}: a"):
            way()
    assert not any(grad.to_local().any() for grad in grads.values())


@pytest.mark.parametrize("is_given", [True, False])
def test_ranks_with_other_rules_and_importances(params, is_given):
    weights = {name: abs(x) for name, x in params.items()}
    if not is_given:
        weights["a.weight"] = other_on_the_last_rank(weights["a.weight"], None)
    rules = [("b.weight", L2(0.3)), ("*", other_on_the_last_rank(L2(0.1), L2(0.2)))]
    penalties = taut.Penalties(rules, importance=weights)
    with pytest.raises(ValueError, match=rf"differ in: rank 0: a\.weight.*rank {LAST}: a"):
        penalties(params)


def test_ranks_with_other_names(params):
    name = other_on_the_last_rank("a.weight", "c.weight")
    with pytest.raises(ValueError, match=rf"rank 0: a\.weight.*rank {LAST}: c\.weight"):
        taut.Penalties([("*", L2(0.1))]).bind({name: params["a.weight"]})


def test_ranks_with_another_order(params):
    items = list(params.items())
    given = dict(other_on_the_last_rank(items, items[::-1]))
    with pytest.raises(ValueError, match=rf"rank {LAST}: in this order: b\.weight, a\.weight"):
        taut.Penalties([("*", L2(0.1))]).bind(given)


def test_ranks_with_other_placements():
    x = numbers(2 * SIZE, 2 * SIZE)
    placement = other_on_the_last_rank(Shard(0), Shard(1))
    local = x.chunk(SIZE, placement.dim)[RANK]
    given = DTensor.from_local(local, mesh_of(), [placement], run_check=False)
    with pytest.raises(ValueError, match=rf"rank 0: w.*dim=0.*rank {LAST}: w.*dim=1"):
        taut.Penalties([("w", L2(0.1))]).bind({"w": given})


def unmatched(x):
    return [("other", L2(0.1))], {"w": x}, {}


def not_summed(x):
    partial = DTensor.from_local(numbers(4, 3), mesh_of(), [Partial()], run_check=False)
    return [("w", L2(0.1))], {"w": partial}, {}


def of_integers(x):
    whole = torch.ones(4, 3, dtype=torch.int64)
    return [("w", L2(0.1))], {"w": spread(whole, mesh_of(), [Shard(0)])}, {}


def with_a_reference_laid_otherwise(x):
    reference = {"w": spread(numbers(4, 3), mesh_of(), [Replicate()])}
    return [("w", L2(0.1))], {"w": x}, {"reference": reference}


@pytest.mark.parametrize(
    "mistake", [unmatched, not_summed, of_integers, with_a_reference_laid_otherwise]
)
def test_a_mistake_of_one_rank_alone(mistake):
    x = spread(numbers(4, 3), mesh_of(), [Shard(0)])
    given = {"reference": {"w": x}} if mistake is with_a_reference_laid_otherwise else {}
    ours = [("w", L2(0.1))], {"w": x}, given
    rules, params, options = other_on_the_last_rank(ours, mistake(x))
    message = r"w|other" if RANK == LAST else rf"rank {LAST}: failed: "
    with pytest.raises((ValueError, TypeError), match=message):
        taut.Penalties(rules, **options).bind(params)


class Configured(Regularizer):
    def __init__(self, config):
        self.config = config

    def __call__(self, x):
        return x.double().sum().float()

    def get_config(self):
        return self.config()


def without_a_config():
    raise TypeError("not serializable")


@pytest.mark.parametrize("config", [lambda: {"f": lambda x: x}, without_a_config])
def test_configs_that_differ_by_an_address_agree(config):
    x = spread(numbers(4, 3), mesh_of(), [Shard(0)])
    penalties = taut.Penalties([("w", Configured(config))])
    assert same_on_all_ranks(penalties({"w": x})) == pytest.approx(
        numbers(4, 3).sum().item(), rel=1e-5
    )


def test_configs_that_differ_are_told():
    value = other_on_the_last_rank(1, 2)
    x = spread(numbers(4, 3), mesh_of(), [Shard(0)])
    with pytest.raises(ValueError, match=rf"rank {LAST}: w: Configured"):
        taut.Penalties([("w", Configured(lambda: {"a": value}))])({"w": x})


@pytest.mark.sizes(4)
def test_a_disagreement_on_some_ranks_is_told_to_all():
    rows = mesh_of(2, 2)["tp"]
    params = {
        "a": spread(numbers(4, 3), mesh_of(), [Shard(0)]),
        "b": DTensor.from_local(numbers(2, 3), rows, [Shard(0)]),
    }
    rule = L2(0.2) if RANK == 1 else L2(0.1)
    with pytest.raises(ValueError, match="differ in: rank"):
        taut.Penalties([("a", L2(0.1)), ("b", rule)]).bind(params)


@pytest.mark.sizes(4)
def test_ranks_with_another_order_of_meshes():
    params = {
        "a": spread(numbers(4, 3), mesh_of(), [Shard(0)]),
        "b": spread(numbers(4, 3), mesh_of(2, 2), [Shard(0), Shard(0)]),
    }
    given = dict(other_on_the_last_rank(list(params.items()), list(params.items())[::-1]))
    with pytest.raises(ValueError, match=rf"rank {LAST}: in this order: b, a"):
        taut.Penalties([("*", L2(0.1))]).bind(given)


def test_gradients_that_lie_otherwise_are_refused_before_others_are_written():
    params = {"a": numbers(4), "b": spread(numbers(4, 4), mesh_of(), [Shard(0)])}
    grads = {"a": torch.zeros(4), "b": spread(torch.zeros(4, 4), mesh_of(), [Replicate()])}
    bound = taut.Penalties([("*", L2(0.5))]).bind(params)
    for value in (True, False):
        with pytest.raises(ValueError, match="b: expected a gradient that lies as x does"):
            bound.accumulate_grad(grads, value=value)
    assert not grads["a"].any()


def test_gradients_of_your_own_regularizers_are_checked_before_one_is_written():
    lay = [Shard(0)]
    params = {name: spread(numbers(4, 4), mesh_of(), lay) for name in "ab"}
    grads = {
        "a": spread(torch.zeros(4, 4), mesh_of(), lay),
        "b": spread(torch.zeros(4, 4), mesh_of(), [Replicate()]),
    }
    with pytest.raises(ValueError, match="b: expected a gradient that lies as x does"):
        taut.Penalties([("*", Configured(dict))]).accumulate_grad(params, grads)
    assert not grads["a"].to_local().any()


def test_ranks_with_other_shapes():
    rows = other_on_the_last_rank(2, 3)
    given = DTensor.from_local(
        numbers(rows, 3), mesh_of(), [Shard(0)], run_check=False, shape=(2 * SIZE, 3), stride=(3, 1)
    )
    with pytest.raises(ValueError, match=rf"rank {LAST}: w.*of which this rank holds \(3, 3\)"):
        taut.Penalties([("w", L2(0.1))]).bind({"w": given})


def test_a_rank_where_something_is_frozen():
    weight = nn.Parameter(spread(numbers(4, 3), mesh_of(), [Shard(0)]))
    weight.requires_grad_(RANK != LAST)
    with pytest.raises(ValueError, match=rf"rank {LAST}: w: frozen"):
        taut.Penalties([("w", L2(0.1))]).bind({"w": weight})


def test_ranks_are_asked_once_for_each_bind(params):
    dims = params["a.weight"].device_mesh.ndim
    penalties = taut.Penalties([("*", L2(0.1))])
    with counted_messages() as sent:
        bound = penalties.bind(params)
    assert sent == {"all_reduce": dims}
    with counted_messages() as sent:
        bound.prox(0.1)
        bound.prox(0.1)
    assert sent == {}


@pytest.mark.parametrize("original", [False, True])
def test_a_flat_parameter_of_the_first_fsdp_is_refused(original):
    model = FullyShardedDataParallel(
        nn.Sequential(nn.Linear(4, 3)), use_orig_params=original, device_id=torch.device("cpu")
    )
    penalties, parameter = taut.Penalties([("*", L2(0.1))]), next(model.parameters())
    ways = [
        lambda: penalties(model),
        lambda: penalties(list(model.named_parameters())),
        lambda: L2(0.1)(parameter),
        lambda: L2(0.1).accumulate_grad(parameter, torch.zeros_like(parameter)),
        lambda: L2(0.1).prox(parameter, 0.1),
    ]
    for way in ways:
        with pytest.raises(TypeError, match=r"\(FSDP1\).*fully_shard"):
            way()


def test_a_flat_parameter_is_refused_where_no_rule_takes_it():
    model = FullyShardedDataParallel(nn.Linear(4, 3), device_id=torch.device("cpu"))
    with pytest.raises(TypeError, match=r"\(FSDP1\).*fully_shard"):
        taut.Penalties([("*.weight", L2(0.1))], allow_unused=True)(model)


def test_pieces_of_a_pipeline_are_summed():
    stage = nn.Linear(4 + RANK, 3)
    bound = taut.Penalties([("weight", L2(0.1))]).bind(stage, group=dist.group.WORLD)
    own = L2(0.1)(stage.weight).item()
    every = [None] * SIZE
    dist.all_gather_object(every, own)
    total = bound()
    assert same_on_all_ranks(total) == pytest.approx(sum(every), rel=1e-6)
    (2 * total).backward()
    torch.testing.assert_close(stage.weight.grad, 0.4 * stage.weight.detach())
    assert same_on_all_ranks(bound.accumulate_grad()) == pytest.approx(sum(every), rel=1e-6)
    assert same_on_all_ranks(bound.value_and_grad()[0]) == pytest.approx(sum(every), rel=1e-6)
    with counted_messages() as sent:
        assert bound.accumulate_grad(value=False) is None
    assert sent == {}


def test_a_stage_without_penalties_takes_part():
    given = {"w": numbers(3, 2)} if RANK else {}
    bound = taut.Penalties([("w", L2(0.1))], allow_unused=True).bind(given, group=dist.group.WORLD)
    expected = (SIZE - 1) * L2(0.1)(numbers(3, 2)).item()
    assert same_on_all_ranks(bound()) == pytest.approx(expected, rel=1e-6)


def test_numpys_arrays_are_summed_over_a_group():
    x = numbers(3, 2).numpy()
    grads = {"w": x * 0}
    bound = taut.Penalties([("w", L2(0.1))]).bind({"w": x}, grads, group=dist.group.WORLD)
    assert same_on_all_ranks(bound.accumulate_grad()) == pytest.approx(SIZE * L2(0.1)(x), rel=1e-6)


def test_a_group_counts_each_number_once():
    group, penalties = dist.group.WORLD, taut.Penalties([("w", L2(0.1))])
    with pytest.raises(ValueError, match="w: its penalty would count more than once"):
        penalties.bind({"w": spread(numbers(4, 3), mesh_of(), [Shard(0)])}, group=group)
    unpenalized = {"w": numbers(4, 3), "v": spread(numbers(4, 3), mesh_of(), [Shard(0)])}
    penalties.bind(unpenalized, group=group)
    model = nn.Linear(4, 3, bias=False)
    bound = taut.Penalties([("weight", L2(0.1))]).bind(model, group=group)
    fully_shard(model, mesh=mesh_of())
    with pytest.raises(ValueError, match="weight: its penalty would count more than once"):
        bound()
    first = dist.new_group([0])
    if RANK != 0:
        with pytest.raises(ValueError, match="not in the group"):
            penalties.bind({"w": numbers(4, 3)}, group=first)


@pytest.mark.sizes(4)
def test_a_stage_that_is_sharded_itself():
    mesh = mesh_of(2, 2)
    stage = nn.Linear(4 + mesh.get_local_rank("dp"), 3, bias=False)
    fully_shard(stage, mesh=mesh["tp"])
    bound = taut.Penalties([("weight", L2(0.1))]).bind(stage, group=mesh.get_group("dp"))
    own = L2(0.1)(stage.weight).item()
    every = [None, None]
    dist.all_gather_object(every, own, mesh.get_group("dp"))
    assert bound().item() == pytest.approx(sum(every), rel=1e-6)


@pytest.mark.sizes(4)
def test_a_rank_outside_of_the_mesh_is_told_so():
    mesh = dist.device_mesh.DeviceMesh("cpu", [0, 1])
    x = DTensor.from_local(numbers(3, 2), mesh, [Replicate()], run_check=False)
    if RANK < 2:
        assert L2(0.1)(x).item() == pytest.approx(L2(0.1)(numbers(3, 2)).item(), rel=1e-6)
    else:
        with pytest.raises(ValueError, match="no part of the mesh"):
            L2(0.1)(x)
