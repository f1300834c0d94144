"""Penalties of many tensors: sharded on several meshes, replicated, plain, tied and frozen."""

import pytest
import taut
import torch
from taut.arrays.torch.sharded import owners
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
    SoftOrthogonalRegularizer,
)
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.debug import CommDebugMode
from torch.utils.checkpoint import checkpoint
from world import (
    LAYOUTS,
    SIZE,
    counted_messages,
    mesh_of,
    numbers,
    same_on_all_ranks,
    spread,
    whole,
)


class Cubes(Regularizer):
    def __call__(self, x):
        return 0.1 * (x.double().abs() ** 3).sum().float()


ELEMENTWISE = [("*/l1", L1(0.3)), ("*/l2", L2(0.1)), ("*/l1_l2", L1L2(0.2, 0.1))]
OWNED = [
    ("*/rows", OrthogonalRegularizer(0.2)),
    ("*/columns", OrthogonalRegularizer(0.2, "columns")),
    ("*/filters", OrthogonalRegularizer(0.3, flatten=True)),
    ("*/soft", SoftOrthogonalRegularizer(0.1)),
    ("*/groups", GroupLasso(0.2)),
    ("*/columns_groups", GroupLasso(0.2, "columns")),
]
RULES = [*ELEMENTWISE, *OWNED, ("*/cubes", Cubes()), ("*/none", None)]
SHAPES = {"filters": (5, 2, 3), "l1": (1,), "l2": (7, 3), "soft": (3, 8), "rows": (9, 4)}


def model(dtype=torch.float32, rules=RULES):
    """Returns the parameters of a model, once as they are and once spread out in every way."""
    names = [pattern.removeprefix("*/") for pattern, _ in rules]
    plain, given = {}, {}
    for i, (way, lay) in enumerate({**LAYOUTS, "plain": torch.clone}.items()):
        for j, name in enumerate(names):
            x = numbers(*SHAPES.get(name, (6, 5)), seed=100 * i + j, dtype=dtype)
            plain[f"{way}/{name}"], given[f"{way}/{name}"] = x, lay(x)
    return plain, given


def assert_same(given, plain):
    assert list(given) == list(plain)
    for name, x in given.items():
        if name.endswith("cubes"):
            torch.testing.assert_close(whole(x), plain[name])
        else:
            assert torch.equal(whole(x), plain[name]), name


@pytest.fixture(params=[torch.float32, torch.float64, torch.bfloat16][: 6 // SIZE], ids=str)
def both(request):
    return model(request.param)


@pytest.fixture
def penalties():
    return taut.Penalties(RULES)


def test_values(both, penalties):
    plain, given = both
    expected = penalties(plain)
    value = penalties(given)
    assert value.dtype == expected.dtype
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-5)
    own = penalties.breakdown(plain)
    for name, value in penalties.breakdown(given).items():
        assert same_on_all_ranks(value) == pytest.approx(own[name].item(), rel=1e-5), name


def test_new_gradients(both, penalties):
    plain, given = both
    expected, slopes = penalties.value_and_grad(plain, 0.7)
    value, grads = penalties.value_and_grad(given, 0.7)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-5)
    assert_same(grads, slopes)


def test_gradients_in_place(both, penalties):
    plain, given = both
    start = {name: numbers(*x.shape, seed=5, dtype=x.dtype) for name, x in plain.items()}
    grads = {name: LAYOUTS.get(name.partition("/")[0], torch.clone)(x) for name, x in start.items()}
    bound = penalties.bind(given, grads)
    expected = penalties.accumulate_grad(plain, start, 0.7)
    assert same_on_all_ranks(bound.accumulate_grad(scale=0.7)) == pytest.approx(
        expected.item(), rel=1e-5
    )
    assert_same(grads, start)
    assert bound.accumulate_grad(scale=0.7, value=False) is None
    penalties.accumulate_grad(plain, start, 0.7)
    assert_same(grads, start)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_in_the_graph(both, penalties, scale):
    results = []
    for params in both:
        weights = {name: torch.nn.Parameter(x) for name, x in params.items()}
        (scale * penalties(weights)).backward()
        grads = {name: x.grad for name, x in weights.items() if x.grad is not None}
        results.append(grads)
        for name, grad in grads.items():
            if isinstance(grad, DTensor) and not name.endswith("cubes"):
                assert grad.placements == weights[name].placements
    assert_same(*reversed(results))


def test_proximal_steps(penalties):
    rules = [*ELEMENTWISE, *OWNED[-2:]]
    plain, given = model(rules=rules)
    penalties = taut.Penalties(rules)
    expected = penalties.proximal(plain, 0.5)
    assert_same(penalties.proximal(given, 0.5), expected)
    penalties.prox(given, 0.5)
    assert_same(given, expected)


def test_one_sum_for_each_process_group():
    _plain, given = model(rules=ELEMENTWISE)
    bound = taut.Penalties(ELEMENTWISE).bind(given)
    groups = 1 if SIZE == 2 else 3  # of the one mesh, and of each dimension of the other
    grads = {name: torch.zeros_like(x) for name, x in given.items()}
    expected = {"all_reduce": groups}
    for call in (bound, bound.breakdown, lambda: bound.accumulate_grad(grads)):
        with counted_messages() as sent:
            call()
        assert sent == expected
    weights = {name: torch.nn.Parameter(x) for name, x in given.items()}
    bound = taut.Penalties(ELEMENTWISE).bind(weights)
    with counted_messages() as sent:
        bound().backward()
    assert sent == expected
    for call in (
        lambda: bound.accumulate_grad(grads, value=False),
        lambda: bound.accumulate_grad(value=False),
        lambda: bound.prox(0.1),
        lambda: bound.proximal(0.1),
    ):
        with counted_messages() as sent:
            call()
        assert sent == {}


def owned_model(count=6):
    names = [f"{i}/rows" for i in range(count)]
    plain = {name: numbers(6 + i, 5, seed=i) for i, name in enumerate(names)}
    return plain, {name: spread(x, mesh_of(), [Shard(0)]) for name, x in plain.items()}


def test_pieces_travel_to_owners_and_back_in_one_turn():
    _plain, given = owned_model()
    grads = {name: torch.zeros_like(x) for name, x in given.items()}
    bound = taut.Penalties(OWNED, allow_unused=True).bind(given)
    with counted_messages() as sent:
        bound.accumulate_grad(grads, value=False)
    assert sent == {"batch_isend_irecv": 2}
    with counted_messages() as sent:
        bound()
    assert sent == {"batch_isend_irecv": 1, "all_reduce": 1}
    weights = {name: torch.nn.Parameter(x) for name, x in given.items()}
    total = taut.Penalties(OWNED, allow_unused=True).bind(weights)()
    with counted_messages() as sent:
        total.backward()
    assert sent == {}  # they came along with the value


def test_owners_share_the_work(monkeypatch):
    taken = []
    turns = owners.turns

    def watched(owned):
        found = turns(owned)
        taken.extend(move.owner_rank for turn in found for move in turn)
        return found

    monkeypatch.setattr(owners, "turns", watched)
    _, given = owned_model(3 * SIZE)
    taut.Penalties(OWNED, allow_unused=True)(given)
    counts = [taken.count(rank) for rank in range(SIZE)]
    assert sum(counts) == 3 * SIZE
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("size", [1, 500])
def test_turns_have_the_bits_of_one(monkeypatch, size):
    plain, given = owned_model()
    penalties = taut.Penalties(OWNED, allow_unused=True)
    expected, slopes = penalties.value_and_grad(plain, 0.7)
    monkeypatch.setattr(owners, "TURN_BYTES", size)
    with counted_messages() as sent:
        value, grads = penalties.value_and_grad(given, 0.7)
    assert sent["batch_isend_irecv"] > 2
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-6)
    assert_same(grads, slopes)


def test_a_tensor_of_a_wrong_rank_is_an_error_before_anything_is_sent():
    given = {"a/rows": spread(numbers(4, 3, 2), mesh_of(), [Shard(0)])}
    with counted_messages() as sent, pytest.raises(ValueError, match=r"a/rows.*flatten=True"):
        taut.Penalties([("a/rows", OrthogonalRegularizer(0.1))]).accumulate_grad(
            given, {"a/rows": torch.zeros_like(given["a/rows"])}
        )
    assert "batch_isend_irecv" not in sent


def test_a_gradient_of_another_dtype_is_an_error_before_anything_is_written():
    _, given = owned_model(2)
    given["l2"] = spread(numbers(4, 3), mesh_of(), [Shard(0)])
    grads = {name: torch.zeros_like(x) for name, x in given.items()}
    grads["1/rows"] = torch.zeros_like(given["1/rows"], dtype=torch.float64)
    rules = [("l2", L2(0.1)), *OWNED]
    with pytest.raises(ValueError, match="1/rows"):
        taut.Penalties(rules, allow_unused=True).accumulate_grad(given, grads)
    assert not any(grad.to_local().any() for grad in grads.values())


def test_a_gradient_that_overlaps_is_an_error():
    x = spread(numbers(2 * SIZE, 3), mesh_of(), [Shard(0)])
    before = whole(x).clone()
    for regularizer in (L2(0.1), OrthogonalRegularizer(0.1)):
        with pytest.raises(ValueError, match="overlap"):
            regularizer.accumulate_grad(x, x)
    assert torch.equal(whole(x), before)


def test_a_factor_that_is_replicated():
    factor = spread(torch.tensor(0.25), mesh_of(), [Replicate()])
    x = numbers(5, 3)
    value = L2(factor)(spread(x, mesh_of(), [Shard(0)]))
    assert same_on_all_ranks(value) == L2(0.25)(x).item()
    assert L2(factor).get_config() == {"l2": 0.25}


@pytest.mark.parametrize("rows", [5, 1])
def test_tied_names_count_once(rows):
    x = spread(numbers(rows, 3), mesh_of(), [Shard(0)])
    given = {"a": x, "b": x, "c": x.detach(), "d": spread(numbers(rows, 3), mesh_of(), [Shard(0)])}
    for regularizer in (L2(0.5), OrthogonalRegularizer(0.5)):
        penalties = taut.Penalties([("*", regularizer)])
        values = penalties.breakdown(given)
        assert [same_on_all_ranks(value) > 0 for value in values.values()] == [
            rows > 1 or isinstance(regularizer, L2),
            False,
            False,
            rows > 1 or isinstance(regularizer, L2),
        ]


def test_what_is_frozen_is_left_out():
    weights = {
        name: torch.nn.Parameter(spread(numbers(5, 3), mesh_of(), [Shard(0)])) for name in "ab"
    }
    bound = taut.Penalties([("*", L2(0.5))]).bind(weights)
    total = same_on_all_ranks(bound())
    weights["b"].requires_grad_(False)
    assert same_on_all_ranks(bound()) == pytest.approx(total / 2, rel=1e-6)
    bound.accumulate_grad()
    assert weights["b"].grad is None
    assert weights["a"].grad.placements == weights["a"].placements


def test_what_is_written_is_told_to_autograd():
    weight = torch.nn.Parameter(spread(numbers(5, 3), mesh_of(), [Shard(0)]))
    penalties = taut.Penalties([("w", L2(0.5))])
    total = penalties({"w": weight})
    penalties.prox({"w": weight}, 0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


REPEATED = [("*/l2", L2(0.1)), ("*/soft", SoftOrthogonalRegularizer(0.1))]


def leaves_of(rules):
    plain, given = model(rules=rules)
    for params in (plain, given):
        for x in params.values():
            x.requires_grad_()
    return plain, given


def test_each_backward_adds_the_same_gradients():
    plain, given = leaves_of(REPEATED)
    for params in (plain, given):
        total = taut.Penalties(REPEATED)(params)
        for _ in range(3):
            total.backward(retain_graph=True)
            for x in params.values():
                x.grad.mul_(2)  # as a loss's gradient is added, or one is clipped
    assert_same(*({name: x.grad for name, x in params.items()} for params in (given, plain)))


@pytest.mark.parametrize("rules", [REPEATED[:1], REPEATED])
def test_penalties_in_a_region_that_is_recomputed(rules):
    plain, given = leaves_of(rules)
    for params in (plain, given):
        bound = taut.Penalties(rules).bind(params)
        one = torch.ones((), requires_grad=True)
        checkpoint(lambda scale, own=bound: own() * scale, one, use_reentrant=False).backward()
    assert_same(*({name: x.grad for name, x in params.items()} for params in (given, plain)))


def test_no_gradients_travel_where_none_are_asked_for():
    _, given = leaves_of([REPEATED[1]])
    bound = taut.Penalties([REPEATED[1]]).bind(given)
    with counted_messages() as for_values, torch.no_grad():
        bound()
    with counted_messages() as for_gradients:
        bound()
    assert for_values["batch_isend_irecv"] < for_gradients["batch_isend_irecv"]


def test_gradients_under_a_mode_that_observes():
    plain, given = leaves_of(REPEATED[:1])
    grads = (
        {name: torch.zeros_like(x) for name, x in plain.items()},
        {name: torch.zeros_like(x.detach()) for name, x in given.items()},
    )
    taut.Penalties(REPEATED[:1]).accumulate_grad(plain, grads[0])
    with CommDebugMode():
        taut.Penalties(REPEATED[:1]).accumulate_grad(given, grads[1])
    assert_same(*grads[::-1])
