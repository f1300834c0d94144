"""torch tensors that are no plain memory, and code that is traced or transformed."""

import sys

import pytest
import taut
from arrays import random_array
from penalty_checks import REGULARIZERS
from programs import run
from taut.regularizers import L1, L2, OrthogonalRegularizer, Regularizer
from tensors import to_tensor, torch
from torch.fx.experimental.proxy_tensor import make_fx


def zeros_without_memory(*shape):
    return torch._efficientzerotensor(shape)


class Own(Regularizer):
    def __call__(self, x):
        return (x**4).sum()


def test_zeros_without_memory():
    zeros = zeros_without_memory(4, 3)
    for regularizer in (*REGULARIZERS.values(), Own()):
        assert regularizer(zeros) == 0
        value, grad = regularizer.value_and_grad(zeros)
        assert value == 0
        assert not grad.any()
        assert taut.Penalties([("*", regularizer)])({"w": zeros}) == 0
        with pytest.raises(ValueError, match="memory of its own"):
            regularizer.accumulate_grad(torch.ones(4, 3), zeros)
    with pytest.raises(ValueError, match=r"w: .*memory"):
        taut.Penalties([("*", L2())]).accumulate_grad({"w": torch.ones(4, 3)}, {"w": zeros})


def test_memory_that_was_freed():
    x = torch.ones(5)
    bound = taut.Penalties([("*", L2(1.0))]).bind({"w": x})
    x.untyped_storage().resize_(0)
    for call in (lambda: L2()(x), lambda: L2().value_and_grad(x), bound):
        with pytest.raises(ValueError, match="memory of its own"):
            call()


@pytest.mark.filterwarnings("ignore:.*nested:UserWarning")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_refused(layout):
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=layout)
    for call in (
        lambda: L2()(nested),
        lambda: L2().value_and_grad(nested),
        lambda: L2().accumulate_grad(torch.ones(2), nested),
        lambda: taut.Penalties([("*", L2())])({"w": nested}),
    ):
        with pytest.raises(TypeError, match="expected a dense tensor"):
            call()


@pytest.mark.skipif(not hasattr(torch.Tensor, "grad_dtype"), reason="an older torch has none")
@pytest.mark.parametrize("regularizer", [L2(1.0), Own()])
def test_a_gradient_has_the_dtype_that_its_parameter_asks_for(regularizer):
    weights = {name: torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)) for name in "ab"}
    weights["b"].grad_dtype = torch.float32
    penalties = taut.Penalties([("*", regularizer)])
    penalties.accumulate_grad(weights)
    assert [weights[name].grad.dtype for name in "ab"] == [torch.bfloat16, torch.float32]
    assert (weights["a"].grad == weights["b"].grad).all()
    weights["b"].grad = None
    weights["b"].grad_dtype = torch.float64
    before = weights["a"].grad.clone()
    if isinstance(regularizer, L2):  # one that does not fit is told before anything is written
        with pytest.raises(ValueError, match=r"b: .*dtype"):
            penalties.accumulate_grad(weights)
        assert (weights["a"].grad == before).all()


def test_a_parameter_that_was_cast_after_it_was_bound():
    weight = torch.nn.Parameter(torch.ones(3))
    bound = taut.Penalties([("*", L2(1.0))]).bind({"w": weight})
    weight.data = weight.data.double()
    assert bound().dtype == torch.float64
    weight.requires_grad_(False).data = torch.ones(3, dtype=torch.int32)
    (group,) = taut.Penalties([("*", L2(1.0))]).bind({"w": torch.ones(3)})._shares.groups
    group.arrays[0] = weight
    with pytest.raises(TypeError, match="dtype=int32"):
        group.total()


TRACERS = {
    "jit": lambda function, *x: torch.jit.trace(function, x, check_trace=False),
    "make_fx": lambda function, *x: make_fx(function)(*x),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit.trace is old, and in use
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of torch.autograd's own checks
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("name", REGULARIZERS)
def test_traced_gradients_are_those_of_what_is_given_later(tracer, name):
    regularizer = REGULARIZERS[name]
    x, other = (to_tensor(random_array((4, 3), "float32", seed)) for seed in (1, 2))
    penalties = taut.Penalties([("*", regularizer)])
    expected = regularizer.value_and_grad(other, scale=2.0)

    def accumulated(x, grad):
        return regularizer.accumulate_grad(x, grad, scale=2.0), grad

    def accumulated_by_penalties(x, grad):
        return penalties.accumulate_grad({"w": x}, {"w": grad}, scale=2.0), grad

    traced = TRACERS[tracer](lambda x: regularizer.value_and_grad(x, scale=2.0), x)
    torch.testing.assert_close(traced(other), expected)
    for function in (accumulated, accumulated_by_penalties):
        traced = TRACERS[tracer](function, x, torch.zeros(4, 3))
        torch.testing.assert_close(traced(other, torch.zeros(4, 3)), expected)
    for function in (
        lambda x: penalties({"w": x}),
        lambda x: penalties.breakdown({"w": x})["w"],
    ):
        torch.testing.assert_close(TRACERS[tracer](function, x)(other), regularizer(other))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("tracer", TRACERS)
def test_what_was_bound_before_is_traced_too(tracer):
    weight = torch.ones(3)
    bound = taut.Penalties([("*", L2(1.0))]).bind({"w": weight})
    traced = TRACERS[tracer](lambda x: x.sum() + bound(), torch.ones(2))
    weight.fill_(2)
    assert traced(torch.ones(2)) == 14


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("tracer", TRACERS)
def test_a_proximal_step_cannot_be_traced(tracer):
    for step in (
        lambda x: L1().prox(x, 0.1),
        lambda x: taut.Penalties([("*", L1())]).prox({"w": x}, 0.1),
    ):
        with pytest.raises(TypeError, match="prox writes memory"):
            TRACERS[tracer](step, torch.ones(3))


@pytest.mark.parametrize("name", REGULARIZERS)
def test_value_and_grad_under_transforms(name):
    regularizer = REGULARIZERS[name]
    batch = to_tensor(random_array((3, 4, 3), "float64"))
    each = [regularizer.value_and_grad(x, scale=2.0) for x in batch]
    values, grads = torch.vmap(lambda x: regularizer.value_and_grad(x, scale=2.0))(batch)
    torch.testing.assert_close(values, torch.stack([value for value, _ in each]))
    torch.testing.assert_close(grads, torch.stack([grad for _, grad in each]))

    def norm(gradient):
        return lambda x: gradient(x).square().sum()

    expected = torch.func.grad(norm(torch.func.grad(regularizer)))(batch[0])
    own = torch.func.grad(norm(lambda x: regularizer.value_and_grad(x)[1]))(batch[0])
    torch.testing.assert_close(own, expected)
    (value,) = torch.autograd.grad(regularizer(leaf := batch[0].clone().requires_grad_()), leaf)
    own = torch.func.grad(lambda x: regularizer.value_and_grad(x)[0])(batch[0])
    torch.testing.assert_close(own, value)


# torch's own, from forward mode's first use on.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("is_bound", [False, True])
def test_forward_derivatives_of_penalties(is_bound):
    x, direction = to_tensor(random_array((2, 6, 5), "float64"))
    regularizer = OrthogonalRegularizer(0.5)
    penalties = taut.Penalties([("*", regularizer)])
    slope = (regularizer.value_and_grad(x)[1] * direction).sum()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        bound = penalties.bind({"w": dual})
        for total in (
            bound() if is_bound else penalties({"w": dual}),
            penalties.breakdown({"w": dual})["w"],
        ):
            tangent = torch.autograd.forward_ad.unpack_dual(total).tangent
            torch.testing.assert_close(tangent, slope)


def test_bound_penalties_within_a_transform_of_something_else():
    weight = torch.nn.Parameter(torch.full((3,), 2.0))
    bound = taut.Penalties([("*", L2(1.0))]).bind({"w": weight})
    scaled = torch.vmap(lambda scale: scale * bound())(torch.tensor([1.0, 2.0]))
    assert scaled.tolist() == [12, 24]


ADDING = {**REGULARIZERS, "own": Own()}


def accumulated(regularizer, x):
    """Returns twice the penalty's gradient, added to ones, and the penalty."""
    grad = torch.ones_like(x)
    value = regularizer.accumulate_grad(x, grad, scale=2.0)
    return grad, value


@pytest.mark.parametrize("is_mapped", [True, False])
@pytest.mark.parametrize("name", ADDING)
def test_adding_to_many_gradients_under_vmap(name, is_mapped):
    regularizer = ADDING[name]
    many = to_tensor(random_array((2, 4, 3), "float64"))
    each = list(many) if is_mapped else [many[0]] * 2
    expected, values = map(
        torch.stack, zip(*(accumulated(regularizer, x) for x in each), strict=True)
    )
    penalties = taut.Penalties([("*", regularizer)])
    bound = penalties.bind({"w": many[0]})
    ways = [
        lambda x, grad: regularizer.accumulate_grad(x, grad, scale=2.0),
        lambda x, grad: penalties.accumulate_grad({"w": x}, {"w": grad}, scale=2.0),
    ]
    if not is_mapped:
        ways.append(lambda x, grad: bound.accumulate_grad({"w": grad}, scale=2.0))
    for way in ways:
        grads = torch.ones(2, 4, 3, dtype=torch.float64)
        in_dims = (0 if is_mapped else None, 0)
        totals = torch.vmap(way, in_dims)(many if is_mapped else many[0], grads)
        torch.testing.assert_close(grads, expected)
        torch.testing.assert_close(totals, values)


@pytest.mark.parametrize("name", ADDING)
def test_many_gradients_cannot_be_added_to_one(name):
    regularizer = ADDING[name]
    many, grad = torch.ones(2, 4, 3), torch.ones(4, 3)
    others = torch.ones(2, 4, 3), torch.ones(4, 3)
    penalties = taut.Penalties([("*", regularizer)])
    for way in (
        lambda x: regularizer.accumulate_grad(x, grad),
        lambda x: penalties.accumulate_grad({"w": x}, {"w": grad}),
        lambda x: penalties.accumulate_grad(
            {"a": others[0][0], "w": x, "z": others[0][0]},
            {"a": others[0][1], "w": grad, "z": others[1]},
        ),
    ):
        with pytest.raises(ValueError, match=r"torch\.vmap gives many gradients"):
            torch.vmap(way)(many)
    assert all((x == 1).all() for x in (many, grad, *others))


def test_many_gradients_by_many_factors_or_constants():
    x, grads = torch.ones(3), torch.zeros(2, 3)

    class Scaled(Regularizer):
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return self.factor * x.sum()

    for made in (lambda factor: L1(factor), Scaled):
        with pytest.raises(ValueError, match=r"torch\.vmap gives many gradients"):
            torch.vmap(lambda by, made=made: made(by).accumulate_grad(x, grads[0]))(torch.ones(2))
        assert not grads.any()
        by = torch.tensor([1.0, 2.0])
        torch.vmap(lambda by, grad, made=made: made(by).accumulate_grad(x, grad))(by, grads)
        assert grads.tolist() == [[1] * 3, [2] * 3]
        grads.zero_()


def test_many_of_many_gradients():
    x, grads = to_tensor(random_array((2, 3, 4), "float64")), torch.zeros(2, 3, 4).double()
    add = L2(0.5).accumulate_grad
    torch.vmap(torch.vmap(add))(x, grads)
    torch.testing.assert_close(grads, x)
    with pytest.raises(ValueError, match=r"torch\.vmap gives many gradients"):
        torch.vmap(torch.vmap(add, (0, None)), (0, 0))(x, grads[:, 0])
    with pytest.raises(ValueError, match=r"torch\.vmap gives many gradients"):
        torch.vmap(torch.vmap(add), (0, None))(x, grads[0])
    torch.testing.assert_close(grads, x)


@pytest.mark.parametrize("broken", [0, 1])
def test_transformed_gradients_are_all_known_before_one_is_added_to(broken):
    regularizers = [L2(1.0), L2(1.0)]
    params = {name: torch.ones(3) for name in "ab"}
    grads = {name: torch.zeros(2, 3) for name in "ab"}
    bound = taut.Penalties(list(zip("ab", regularizers, strict=True))).bind(params)
    regularizers[broken].l2 = -1.0
    with pytest.raises(ValueError, match="non-negative"):
        torch.vmap(bound.accumulate_grad)(grads)
    assert not any(grad.any() for grad in grads.values())


REPLACED = """
import itertools
import torch
from taut import Penalties
from taut.regularizers import L1

FAR = 1 << 40
LIES = [lambda *_, lie=lie, **__: lie for lie in (0, 8, FAR, (FAR, FAR), None)]
ADDRESSES = {"data_ptr", "stride", "numel", "element_size", "storage_offset", "untyped_storage"}
methods = {
    name
    for name in dir(torch.nn.Parameter)
    if callable(getattr(torch.nn.Parameter, name)) and not name.startswith("__")
}
assert methods >= ADDRESSES
penalty = L1(0.5)
penalties = Penalties([("*", penalty)])
calls = [
    lambda x, y: penalty(x),
    lambda x, y: penalty.value_and_grad(x),
    lambda x, y: penalty.accumulate_grad(x, y),
    lambda x, y: penalty.accumulate_grad(y, x),
    lambda x, y: penalty.prox(x, 0.1),
    lambda x, y: penalty.proximal(x, 0.1),
    lambda x, y: penalties({"x": x, "y": y}).backward(),
    lambda x, y: penalties.accumulate_grad({"w": x}, {"w": y}),
    lambda x, y: penalties.accumulate_grad({"w": y}, {"w": x}),
    lambda x, y: penalties.prox({"w": x}, 0.1),
    lambda x, y: penalties.proximal({"w": x, "v": x.detach()}, 0.1),
]


def made(name, lie):
    x = torch.nn.Parameter(torch.eye(2))
    setattr(x, name, lie)
    return x


for name, lie, call in itertools.product(methods, LIES, calls):
    try:
        call(made(name, lie), torch.eye(2))
    except Exception:
        pass  # but not the end of the process
for name, lie in itertools.product(ADDRESSES, LIES):
    x, y = made(name, lie), torch.eye(2)
    assert penalty(x) == penalties({"w": x}) == penalties({"w": x, "v": x}) == 1
    assert penalties.accumulate_grad({"w": x}, {"w": y}) == 1
    assert y.tolist() == [[1.5, 0], [0, 1.5]]
    penalties.prox({"w": x}, 1.0)
    assert x.tolist() == [[0.5, 0], [0, 0.5]]
print("it goes on")
"""


def test_what_stands_in_the_place_of_a_tensors_methods_is_no_address():
    assert "it goes on" in run(sys.executable, "-c", REPLACED)
