"""Penalties of each element by itself, against those of the whole tensor in one process."""

import pytest
import taut
import torch
from taut.regularizers import L1, L1L2, L2, ActivityRegularizer, GroupLasso
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from world import (
    DTYPES,
    LAYOUTS,
    SIZE,
    counted_messages,
    mesh_of,
    numbers,
    same_on_all_ranks,
    spread,
    whole,
)

REGULARIZERS = {"l1": L1(0.3), "l2": L2(0.2), "l1l2": L1L2(0.1, 0.7)}
# Even, uneven, empty on some ranks, an axis of one element, vectors, more axes, and nothing at all.
SHAPES = [(8, 6), (5, 3), (1, 4), (3, 1), (9,), (1,), (4, 2, 3), (0, 3)]


@pytest.fixture(params=LAYOUTS)
def lay(request):
    return LAYOUTS[request.param]


@pytest.fixture(params=REGULARIZERS)
def regularizer(request):
    return REGULARIZERS[request.param]


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


def lies_as(x, other):
    return x.placements == other.placements and x.device_mesh == other.device_mesh


def test_value(lay, shape):
    regularizer = L1L2(0.1, 0.7)
    x = numbers(*shape)
    value = regularizer(lay(x))
    assert value.dtype == torch.float32
    assert same_on_all_ranks(value) == pytest.approx(regularizer(x).item(), rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(lay, dtype):
    x = numbers(7, 5, dtype=dtype)
    regularizer = REGULARIZERS["l1l2"]
    value, grad = regularizer.value_and_grad(lay(x), 0.3)
    expected, slope = regularizer.value_and_grad(x, 0.3)
    tolerance = 1e-14 if dtype == torch.float64 else 1e-7
    assert value.dtype == expected.dtype
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=tolerance)
    assert torch.equal(whole(grad), slope)


def test_gradient(lay, regularizer, shape):
    x = numbers(*shape)
    given = lay(x)
    value, grad = regularizer.value_and_grad(given, 0.3)
    expected, slope = regularizer.value_and_grad(x, 0.3)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-6)
    assert lies_as(grad, given)
    assert torch.equal(whole(grad), slope)


def test_gradient_in_place(lay, shape):
    regularizer = L1L2(0.1, 0.7)
    x, start = numbers(*shape), numbers(*shape, seed=1)
    given, grad, slope = lay(x), lay(start.clone()), start.clone()
    value = regularizer.accumulate_grad(given, grad, 0.3)
    expected = regularizer.accumulate_grad(x, slope, 0.3)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-6)
    assert torch.equal(whole(grad), slope)


def test_proximal_step(lay, shape):
    regularizer = L1L2(0.1, 0.7)
    x = numbers(*shape)
    given = lay(x.clone())
    stepped = regularizer.proximal(given, 0.4)
    expected = regularizer.proximal(x, 0.4)
    assert lies_as(stepped, given)
    assert torch.equal(whole(stepped), expected)
    with counted_messages() as sent:
        regularizer.prox(given, 0.4)
    assert sent == {}
    assert torch.equal(whole(given), expected)


def test_in_the_graph(lay, shape):
    regularizer = L1L2(0.1, 0.7)
    x = numbers(*shape)
    given, plain = (each.requires_grad_() for each in (lay(x), x.clone()))
    (3 * regularizer(given)).backward()
    (3 * regularizer(plain)).backward()
    assert lies_as(given.grad, given)
    assert torch.equal(whole(given.grad), plain.grad)


def test_second_derivatives(lay):
    x = numbers(5, 3, dtype=torch.float64)
    results = []
    for weight in (lay(x).requires_grad_(), x.clone().requires_grad_()):
        (slope,) = torch.autograd.grad(L2(0.5)(weight) * 2, weight, create_graph=True)
        total = (slope * slope).sum()
        (total.full_tensor() if isinstance(total, DTensor) else total).backward()
        results.append(whole(weight.grad))
    torch.testing.assert_close(*results)


def test_a_proximal_step_is_differentiable(lay):
    results = []
    x = numbers(5, 3, dtype=torch.float64)
    for weight in (lay(x).requires_grad_(), x.clone().requires_grad_()):
        total = L1L2(0.3, 0.1).proximal(weight, 0.5).square().sum()
        (total.full_tensor() if isinstance(total, DTensor) else total).backward()
        results.append(whole(weight.grad))
    torch.testing.assert_close(*results)


def test_a_gradient_that_is_made(lay, shape):
    weight = torch.nn.Parameter(lay(numbers(*shape)))
    taut.Penalties([("w", L2(0.5))]).accumulate_grad({"w": weight})
    assert lies_as(weight.grad, weight)
    assert torch.equal(whole(weight.grad), numbers(*shape))


def test_values_that_are_not_finite(lay):
    x = numbers(5, 3)
    x[4, 1] = torch.inf
    assert same_on_all_ranks(L1(0.1)(lay(x))) == torch.inf
    x[0, 0] = torch.nan
    assert same_on_all_ranks(L1(0.1)(lay(x))) != same_on_all_ranks(L1(0.1)(lay(x)))
    assert same_on_all_ranks(L1(0.0)(lay(x))) == 0


def test_a_factor_with_a_gradient(lay):
    x, results = numbers(5, 3), []
    for weight in (lay(x).requires_grad_(), x.clone().requires_grad_()):
        factor = torch.tensor(0.3, requires_grad=True)
        L1L2(0.1, factor)(weight).backward()
        results.append((factor.grad, whole(weight.grad)))
    torch.testing.assert_close(*results)


def test_a_function_of_your_own_is_differentiated(lay):
    class Cubes(taut.regularizers.Regularizer):
        def __call__(self, x):
            return (x.abs() ** 3).sum()

    x = numbers(6, 4)
    given, plain = lay(x), x.clone()
    value, grad = Cubes().value_and_grad(given)
    expected, slope = Cubes().value_and_grad(plain)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-5)
    assert lies_as(grad, given)
    torch.testing.assert_close(whole(grad), slope)


@pytest.mark.parametrize("mode", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(8, 6), (5, 3), (1, 4), (9,), (4, 2, 3)], ids=str)
def test_group_lasso(lay, mode, shape):
    regularizer, x, start = GroupLasso(0.3, mode), numbers(*shape), numbers(*shape, seed=1)
    given, grad, slope = lay(x.clone()), lay(start.clone()), start.clone()
    value = regularizer.accumulate_grad(given, grad, 0.3)
    expected = regularizer.accumulate_grad(x, slope, 0.3)
    assert same_on_all_ranks(value) == pytest.approx(expected.item(), rel=1e-6)
    assert torch.equal(whole(grad), slope)
    assert torch.equal(whole(regularizer.proximal(given, 2.0)), regularizer.proximal(x, 2.0))
    regularizer.prox(given, 2.0)
    assert torch.equal(whole(given), regularizer.proximal(x, 2.0))


@pytest.mark.parametrize("regularizer", [L2(0.1), ActivityRegularizer(L2(0.1))], ids=repr)
def test_one_message_for_each_dimension_that_cuts(lay, regularizer):
    x = lay(numbers(6, 4))
    grad = lay(numbers(6, 4, seed=1))
    dims = sum(not placement.is_replicate() for placement in x.placements)
    with counted_messages() as sent:
        regularizer.accumulate_grad(x, grad)
    assert sent == ({"all_reduce": dims} if dims else {})
    with counted_messages() as sent:
        assert regularizer.accumulate_grad(x, grad, value=False) is None
    assert sent == {}


def test_a_sum_that_was_not_taken_is_refused():
    x = DTensor.from_local(numbers(3, 2), mesh_of(), [Partial()])
    for call in (L2(0.1), L2(0.1).value_and_grad, lambda x: L2(0.1).prox(x, 0.1)):
        with pytest.raises(TypeError, match="redistribute it to Shard or Replicate"):
            call(x)
    with pytest.raises(TypeError, match=r"^w: .*redistribute it"):
        taut.Penalties([("w", L2(0.1))])({"w": x})


@pytest.mark.parametrize("other", ["placements", "shape", "plain", "sum"])
def test_a_gradient_that_lies_otherwise_is_refused(other):
    x = spread(numbers(4, 2 * SIZE), mesh_of(), [Shard(0)])
    grads = {
        "placements": lambda: spread(torch.zeros(4, 2 * SIZE), mesh_of(), [Shard(1)]),
        "shape": lambda: spread(torch.zeros(4, SIZE), mesh_of(), [Shard(0)]),
        "plain": lambda: torch.zeros(4, 2 * SIZE),
        "sum": lambda: DTensor.from_local(torch.zeros(4, 2 * SIZE), mesh_of(), [Partial()]),
    }
    grad = grads[other]()
    ways = [
        lambda: L2(0.1).accumulate_grad(x, grad),
        lambda: taut.Penalties([("w", L2(0.1))]).accumulate_grad({"w": x}, {"w": grad}),
    ]
    for way in ways:
        with pytest.raises(ValueError, match="expected a gradient that lies as x does"):
            way()
    assert not (grad.to_local() if isinstance(grad, DTensor) else grad).any()


def test_integers_are_refused():
    x = spread(torch.ones(4, 2, dtype=torch.int64), mesh_of(), [Replicate()])
    with pytest.raises(TypeError, match="dtype=int64"):
        L2(0.1)(x)
