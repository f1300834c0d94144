"""torch tensors: every way to compute a penalty, against the oracle."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import math

import numpy as np
import oracle
import pytest
import taut
import test_gram
from arrays import DTYPES, LAYOUTS, arrays, random_array
from frameworks import require
from hypothesis import given, settings
from hypothesis import strategies as st
from penalty_checks import REGULARIZERS, check_penalty
from taut.regularizers import L1, L2, OrthogonalRegularizer, Regularizer

require("torch")

from taut.arrays.torch import operations, operators
from tensors import TENSOR_LAYOUTS, to_array, to_tensor, torch


def by_operations(regularizer):
    return lambda x: operations.value(regularizer._kernel, x, regularizer._factors())


def by_operator(regularizer):
    if isinstance(regularizer, OrthogonalRegularizer):
        return lambda x: operators.value(regularizer._kernel, x, regularizer._factors())
    return by_operations(regularizer)


# How a penalty may be computed.
PATHS = {"kernel": lambda regularizer: regularizer, "operations": by_operations}
ALL_PATHS = PATHS | {"operator": by_operator}


def check(penalty, regularizer, x, scale=1.0):
    """Compares a value and its gradient, which autograd takes, with the oracle."""
    weight = to_tensor(x).detach().requires_grad_()
    value = penalty(weight)
    assert value.shape == ()
    assert value.dtype == (torch.float64 if x.dtype == np.float64 else torch.float32)
    (value.to(torch.float64) * scale).backward()
    assert weight.grad.dtype == weight.dtype
    check_penalty(regularizer, x, value.item(), to_array(weight.grad), scale)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["L1", "L2", "L1L2"])
@settings(max_examples=150)
@given(x=arrays(), scale=st.sampled_from([1.0, 0.0, -0.5, 3.0]))
def test_random_tensors_agree_with_the_oracle(path, name, x, scale):
    x = np.ascontiguousarray(x) if min(x.strides, default=0) < 0 else x
    check(PATHS[path](REGULARIZERS[name]), REGULARIZERS[name], np.array(x, order="K"), scale)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["rows", "columns", "groups of rows", "groups of columns"])
@settings(max_examples=150)
@given(x=arrays(rank=2), scale=st.sampled_from([1.0, 0.0, -0.5, 1e3]))
def test_random_matrices_agree_with_the_oracle(path, name, x, scale):
    check(PATHS[path](REGULARIZERS[name]), REGULARIZERS[name], np.array(x, order="K"), scale)


@pytest.mark.parametrize("layout", TENSOR_LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("path", ALL_PATHS)
def test_layouts(path, name, dtype, layout):
    x = LAYOUTS[layout](random_array((50, 37), dtype))
    check(ALL_PATHS[path](REGULARIZERS[name]), REGULARIZERS[name], x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("path", PATHS)
def test_special_values_stay_where_they_are(path, dtype):
    x = np.array([1, math.nan, -2, math.inf, -math.inf, 0], np.float64).astype(DTYPES[dtype])
    for name, exact in {
        "L1": [0.3, math.nan, -0.3, 0.3, -0.3, 0],
        "L2": [0.6, math.nan, -1.2, math.inf, -math.inf, 0],
    }.items():
        weight = to_tensor(x).requires_grad_()
        value = PATHS[path](REGULARIZERS[name])(weight)
        value.backward()
        assert math.isnan(value.item())
        grad = oracle.as_doubles(to_array(weight.grad))
        np.testing.assert_allclose(grad, exact, rtol=oracle.EPSILON[dtype])


@pytest.mark.parametrize("name", test_gram.MATRICES_OF_EXACT_ZEROS)
@pytest.mark.parametrize("path", ALL_PATHS)
def test_exact_zeros_of_the_gram_matrix(path, name):
    x = test_gram.MATRICES_OF_EXACT_ZEROS[name].astype(np.float32)
    weight = to_tensor(x).requires_grad_()
    value = ALL_PATHS[path](OrthogonalRegularizer(1.0))(weight)
    value.backward()
    expected = oracle.gram(x)
    assert value.item() == pytest.approx(expected.value, rel=1e-6, abs=0)
    slack = expected.grad_rounding + np.abs(expected.grad) * 2e-7
    test_gram.assert_close(to_array(weight.grad), expected.grad, slack)


@pytest.mark.parametrize("path", ALL_PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrices_at_the_edges(path, dtype):
    penalty = ALL_PATHS[path](OrthogonalRegularizer(1.0))
    for shape in ((0, 4), (1, 4), (4, 0)):
        weight = to_tensor(np.full(shape, math.nan).astype(DTYPES[dtype])).requires_grad_()
        value = penalty(weight)
        value.backward()
        assert value.item() == 0
        assert not weight.grad.any()
    for special in (math.nan, math.inf):
        x = random_array((30, 8), dtype)
        x[3, 5] = special
        weight = to_tensor(x).requires_grad_()
        value = penalty(weight)
        value.backward()
        assert math.isnan(value.item())
        assert weight.grad.isnan().all()
    tiny = oracle.as_doubles(random_array((12, 9), dtype))
    tiny[2] = 0
    tiny[3] *= 1e-9
    tiny[5] = 1e-7 / 3
    check(penalty, OrthogonalRegularizer(1.0), tiny.astype(DTYPES[dtype]))


@pytest.mark.parametrize("path", ALL_PATHS)
def test_sums_do_not_overflow_or_stick(path):
    halves = torch.full((1000,), 100.0, dtype=torch.float16)
    assert ALL_PATHS[path](L2(0.01))(halves).item() == pytest.approx(1e5)
    ones = torch.ones(1_000_000, dtype=torch.bfloat16)
    assert ALL_PATHS[path](L1(0.01))(ones).item() == pytest.approx(10_000)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("path", ALL_PATHS)
def test_a_gradient_is_scaled_before_it_is_rounded(path, dtype):
    x = random_array((200, 40), dtype)
    check(ALL_PATHS[path](REGULARIZERS["rows"]), REGULARIZERS["rows"], x, scale=2.0**14)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_without_a_graph(name):
    regularizer = REGULARIZERS[name]
    x = to_tensor(random_array((20, 9), "float32")).requires_grad_()
    value = regularizer(x)
    value.backward()
    own_value, grad = regularizer.value_and_grad(x, scale=2.0)
    assert not own_value.requires_grad
    assert own_value == value.detach()
    torch.testing.assert_close(grad, 2 * x.grad)
    target = torch.ones_like(x)
    assert regularizer.accumulate_grad(x, target, scale=2.0) == value.detach()
    torch.testing.assert_close(target, 1 + grad)
    with torch.no_grad():
        assert not regularizer(x).requires_grad
    assert not regularizer(x.detach()).requires_grad


def test_one_node():
    x = torch.ones(3, 3, requires_grad=True)
    for regularizer in REGULARIZERS.values():
        node = regularizer(x).grad_fn
        assert type(node.next_functions[0][0]).__name__ == "AccumulateGrad"


@pytest.mark.parametrize("name", REGULARIZERS)
def test_derivatives(name):
    regularizer = REGULARIZERS[name]
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(regularizer, x)
    assert torch.autograd.gradgradcheck(regularizer, x)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_transforms(name):
    regularizer = REGULARIZERS[name]
    batch = to_tensor(random_array((3, 6, 5), "float64"))
    values = torch.stack([regularizer(x) for x in batch])
    grads = torch.stack([regularizer.value_and_grad(x)[1] for x in batch])
    torch.testing.assert_close(torch.func.grad(regularizer)(batch[0]), grads[0])
    _, pull_back = torch.func.vjp(regularizer, batch[0])
    torch.testing.assert_close(pull_back(torch.tensor(2.0, dtype=torch.float64))[0], 2 * grads[0])
    torch.testing.assert_close(torch.vmap(regularizer)(batch), values)
    torch.testing.assert_close(torch.vmap(torch.func.grad(regularizer))(batch), grads)
    inner = torch.vmap(regularizer, in_dims=1)
    torch.testing.assert_close(
        torch.func.grad(lambda x: inner(x).sum())(batch.movedim(0, 1)), grads.movedim(0, 1)
    )


@pytest.mark.parametrize("name", REGULARIZERS)
def test_many_directions_at_once(name):
    x = to_tensor(random_array((6, 5), "float64")).requires_grad_()
    grad = REGULARIZERS[name].value_and_grad(x)[1]
    scales = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    (many,) = torch.autograd.grad(REGULARIZERS[name](x), x, scales, is_grads_batched=True)
    torch.testing.assert_close(many, scales[:, None, None] * grad)
    inside = torch.vmap(lambda scale: scale * REGULARIZERS[name](x.detach()))
    torch.testing.assert_close(inside(scales), scales * REGULARIZERS[name](x.detach()))


def test_autocast_changes_nothing():
    x = to_tensor(random_array((20, 9), "float32")).requires_grad_()
    for path in ALL_PATHS.values():
        penalty = path(REGULARIZERS["rows"])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert penalty(x) == penalty(x).float()
            value = penalty(x)
        torch.testing.assert_close(value, REGULARIZERS["rows"](x), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_meta_tensors(name, dtype):
    x = torch.empty(7, 5, dtype=getattr(torch, dtype), device="meta", requires_grad=True)
    value = REGULARIZERS[name](x)
    value.backward()
    assert (value.shape, value.device.type, x.grad.dtype) == ((), "meta", x.dtype)
    total, grad = REGULARIZERS[name].value_and_grad(x)
    assert (total.device.type, grad.shape) == ("meta", x.shape)


def test_what_is_written_in_place_tells_autograd():
    weight, factor = torch.ones(4, 4), torch.ones(4, 4, requires_grad=True)
    loss = (weight * factor).sum()
    L2(1.0).accumulate_grad(torch.ones(4, 4), weight)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    loss = (weight * factor).sum()
    L1(1.0).prox(weight, 0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    penalty = L2(1.0)(factor)
    with torch.no_grad():
        factor.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        penalty.backward()


def test_prox():
    weight = torch.nn.Parameter(torch.tensor([2.0, -0.5, 0.25]))
    assert L1(1.0).prox(weight, 0.5) is None
    assert weight.tolist() == [1.5, 0.0, 0.0]
    with pytest.raises(NotImplementedError):
        OrthogonalRegularizer().prox(torch.eye(3), 0.5)


def test_mistakes_are_told():
    for dtype in (torch.int32, torch.bool, torch.complex64):
        name = str(dtype).removeprefix("torch.")
        with pytest.raises(TypeError, match=rf"dtype={name}: cast it first, with \.to\(torch"):
            L2()(torch.ones(2).to(dtype))
    for x in (torch.ones(3), torch.ones(3, device="meta")):
        with pytest.raises(ValueError, match="must have rank 2"):
            OrthogonalRegularizer()(x)
    with pytest.raises(TypeError, match="dense"):
        L2()(torch.eye(3).to_sparse())
    x, grad = torch.ones(4, 4), torch.ones(4, 4)
    broken = L2(1.0)
    broken.l2 = -1.0
    for weight in (x, x.to("meta")):
        with pytest.raises(ValueError, match="non-negative"):
            broken(weight)
    with pytest.raises(TypeError, match="needs a tensor"):
        L2().accumulate_grad(x, np.ones((4, 4), np.float32))
    with pytest.raises(TypeError, match="int32"):
        L2().accumulate_grad(x, grad.int())
    with pytest.raises(TypeError, match="dense"):
        L2().accumulate_grad(x, grad.to_sparse())
    with pytest.raises(ValueError, match=r"on cpu.*meta"):
        L2().accumulate_grad(x, grad.to("meta"))
    with pytest.raises(ValueError, match="overlap"):
        L2().accumulate_grad(x, x)
    with pytest.raises(ValueError, match="shape"):
        L2().accumulate_grad(x, grad[:3])
    with pytest.raises(ValueError, match="overlap"):
        L2().accumulate_grad(x, torch.ones(4, 1).expand(4, 4))
    assert (grad == 1).all()


def test_a_parameter_that_has_no_gradient_yet():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    for regularizer in (L2(), OrthogonalRegularizer()):
        with pytest.raises(TypeError, match=r"NoneType: call backward\(\) first, or give zeros"):
            regularizer.accumulate_grad(weight, weight.grad)


def test_tensors_that_stand_for_others():
    expanded = torch.full((1, 3), 2.0).expand(4, 3)
    assert L2(1.0)(expanded) == 48
    assert L2(1.0).value_and_grad(expanded)[1].tolist() == [[4.0] * 3] * 4
    negated = torch.complex(torch.ones(3), torch.full((3,), 2.0)).conj().imag
    assert negated.is_neg()
    value, grad = L2(1.0).value_and_grad(negated)
    assert (value, grad.tolist()) == (12, [-4.0] * 3)
    with pytest.raises(ValueError, match="negative bit"):
        L2(1.0).accumulate_grad(torch.ones(3), negated)


def test_a_negated_tensor_is_read_while_it_lives():
    negated = torch.complex(torch.zeros(200_000), torch.full((200_000,), 2.0)).conj().imag
    grad = torch.zeros(200_000)
    assert L2(1.0).accumulate_grad(negated, grad) == 800_000
    assert (grad == -4).all()


def test_second_derivatives_through_the_operator():
    def penalized(penalty):
        x = to_tensor(random_array((6, 5), "float64")).requires_grad_()
        (grad,) = torch.autograd.grad(penalty(x), x, create_graph=True)
        (grad.square().sum() + 0 * x.sum()).backward()
        return x.grad

    expected = penalized(REGULARIZERS["rows"])
    assert expected.any()
    torch.testing.assert_close(penalized(by_operator(REGULARIZERS["rows"])), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch scripts its own formulas
@pytest.mark.parametrize("name", REGULARIZERS)
def test_forward_derivatives(name):
    regularizer = REGULARIZERS[name]
    x, direction = to_tensor(random_array((2, 6, 5), "float64"))
    grad = regularizer.value_and_grad(x)[1]
    value, tangent = torch.func.jvp(regularizer, (x,), (direction,))
    torch.testing.assert_close(value, regularizer(x))
    torch.testing.assert_close(tangent, (grad * direction).sum())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        own = torch.autograd.forward_ad.unpack_dual(regularizer(dual)).tangent
    torch.testing.assert_close(own, tangent)


def test_values_are_where_the_weights_are():
    x = torch.ones(3, requires_grad=True)
    with torch.device("meta"):
        value = L2(1.0)(x)
        total = taut.Penalties([("*", L2(1.0))])({"x": x})
    value.backward()
    assert (value.item(), total.item(), x.grad.tolist()) == (3, 3, [2, 2, 2])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit.trace is old, and in use
def test_what_is_traced_is_no_constant():
    from torch.fx.experimental.proxy_tensor import make_fx

    x, other = torch.ones(3, 2), torch.full((3, 2), 2.0)

    def function_of(regularizer):  # both look at the arguments that it takes
        return lambda x: regularizer(x)

    for regularizer in REGULARIZERS.values():
        penalty = function_of(regularizer)
        for traced in (torch.jit.trace(penalty, x, check_trace=False), make_fx(penalty)(x)):
            torch.testing.assert_close(traced(other), regularizer(other))


class Custom(Regularizer):
    def __call__(self, x):
        return 0.5 * (x**4).sum()


def test_your_own_regularizers_are_differentiated():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    value, grad = Custom().value_and_grad(x, scale=2.0)
    assert (value.item(), grad.tolist(), value.requires_grad) == (8.5, [4.0, -32.0], False)
    target = torch.ones(2)
    assert Custom().accumulate_grad(x, target) == 8.5
    assert target.tolist() == [3.0, -15.0]


def test_one_threads_flush_to_zero_changes_nothing():
    tiny = torch.full((100_000,), 1e-40)
    for threads in (1, 2):
        taut.set_num_threads(threads)
        torch.set_flush_denormal(True)
        value, grad = L1(1.0)(tiny), L2(0.5).value_and_grad(tiny)[1]
        torch.set_flush_denormal(False)
        assert value == pytest.approx(1e-35, rel=1e-3)
        assert (grad == tiny).all()
