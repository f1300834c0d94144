"""The orthogonal penalty where one matrix is most of the work: every rank does its own vectors."""

import pytest
import taut
import torch
from taut.arrays.torch.sharded import owners
from taut.arrays.torch.sharded.owners import Owned
from taut.regularizers import OrthogonalRegularizer
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from world import SIZE, counted_messages, mesh_of, numbers, same_on_all_ranks, spread, whole

# Vectors: as many for each rank, fewer for the last one, none for some, and not even one each.
COUNTS = [4 * SIZE, 4 * SIZE + 1, SIZE + 1, SIZE - 1]


@pytest.fixture(params=["rows", "columns", "rows, flattened", "columns, flattened"])
def kind(request):
    mode, _, flattened = request.param.partition(", ")
    return mode, bool(flattened)


@pytest.fixture(params=COUNTS)
def matrix(request, kind):
    """Returns the matrix, and the same cut along its vectors."""
    mode, is_flattened = kind
    shape = (request.param, 3, 2) if is_flattened else (request.param, 6)
    if mode == "columns":
        shape = shape[::-1]
    x = numbers(*shape, seed=3, dtype=torch.float64)
    return x, spread(x, mesh_of(), [Shard(0 if mode == "rows" else len(shape) - 1)])


@pytest.fixture
def penalty(kind):
    mode, is_flattened = kind
    return OrthogonalRegularizer(0.7, mode, flatten=is_flattened)


@pytest.fixture(autouse=True)
def by_vectors(monkeypatch):
    """Returns a list of what has been computed by vectors."""
    taken = []
    split = owners.split

    def watched(owned):
        found = split(owned)
        taken.extend(each.place for each in found[1])
        return found

    monkeypatch.setattr(owners, "split", watched)
    monkeypatch.setattr(owners, "NUMBER_RECEIVED", 0)  # else small ones are not worth it
    return taken


def test_values_and_gradients(matrix, penalty, by_vectors):
    x, shared = matrix
    expected, slope = penalty.value_and_grad(x, 0.3)
    assert same_on_all_ranks(penalty(shared)) == pytest.approx(expected.item(), rel=1e-13)
    value, grad = penalty.value_and_grad(shared, 0.3)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-13)
    assert grad.placements == shared.placements
    torch.testing.assert_close(whole(grad), slope, rtol=1e-12, atol=1e-15)
    target = torch.ones_like(shared)
    penalty.accumulate_grad(shared, target, 0.3)
    torch.testing.assert_close(whole(target), 1 + slope, rtol=1e-12, atol=1e-15)
    weight = torch.nn.Parameter(shared)
    (0.3 * taut.Penalties([("w", penalty)])({"w": weight})).backward()
    torch.testing.assert_close(whole(weight.grad), slope, rtol=1e-12, atol=1e-15)
    assert by_vectors


def test_nothing_travels_back():
    shared = spread(numbers(4 * SIZE, 6), mesh_of(), [Shard(0)])
    grad = torch.zeros_like(shared)
    bound = taut.Penalties([("w", OrthogonalRegularizer())]).bind({"w": shared})
    with counted_messages() as sent:
        bound.accumulate_grad({"w": grad}, value=False)
    assert sent == {"batch_isend_irecv": 1}
    with counted_messages() as sent:
        bound()
    assert sent == {"batch_isend_irecv": 1, "all_reduce": 1}


def test_nan_on_one_rank_is_in_every_gradient():
    x = numbers(4 * SIZE, 6)
    x[-1, 0] = torch.nan
    value, grad = OrthogonalRegularizer().value_and_grad(spread(x, mesh_of(), [Shard(0)]))
    assert torch.isnan(value)
    assert torch.isnan(grad.to_local()).all()


@pytest.mark.skipif(SIZE < 4, reason="needs four ranks")
@pytest.mark.parametrize("placements", [[Shard(0), Shard(0)], [Replicate(), Shard(0)]], ids=str)
def test_meshes_of_two_dimensions(placements, by_vectors):
    x = numbers(9, 6, dtype=torch.float64)
    shared = distribute_tensor(x, mesh_of(2, 2), placements)
    expected, slope = OrthogonalRegularizer().value_and_grad(x)
    value, grad = OrthogonalRegularizer().value_and_grad(shared)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-13)
    torch.testing.assert_close(whole(grad), slope, rtol=1e-12, atol=1e-15)
    assert by_vectors


def test_what_is_cut_otherwise_has_an_owner(by_vectors):
    shared = spread(numbers(4 * SIZE, 6), mesh_of(), [Shard(1)])
    OrthogonalRegularizer()(shared)
    assert not by_vectors


class Layout:
    """All that the choice asks of one."""

    def __init__(self, shape, ranks):
        self.shape, self.ranks = shape, tuple(range(ranks))


def chosen(*sizes, has_ranges=True, ranks=4):
    """Returns the places of what ranks compute by vectors, of matrices of these sizes."""
    own = (0, 1) if has_ranges else None
    given = [Owned(i, Layout((n, d), ranks), (d, 1), 4, n, own) for i, (n, d) in enumerate(sizes)]
    return [each.place for each in owners.split(given)[1]]


def test_the_choice_follows_from_the_work_alone(monkeypatch):
    assert chosen((100, 10)) == [0]
    assert chosen((100, 10), (100, 10)) == [0, 1]
    assert chosen(*[(100, 10)] * 4) == []  # as many as ranks
    assert chosen(*[(100, 10)] * 4, (300, 10)) == [4]
    assert chosen((100, 10), has_ranges=False) == []
    # What every rank would receive of many matrices is more than one rank's work.
    assert len(chosen(*[(4096, 4096)] * 100, ranks=512)) == 100
    monkeypatch.undo()
    assert chosen(*[(4096, 4096)] * 100, ranks=512) == []
    assert len(chosen(*[(4096, 4096)] * 30, ranks=512)) == 30
