"""Factors that are tensors: autograd, torch.func, compiled and traced code."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import numpy as np
import pytest
import taut
from frameworks import require
from penalties import PENALTIES
from taut.regularizers import L1, L1L2, L2, OrthogonalRegularizer
from test_live_factors import every_class

torch = require("torch")
from torch.fx.experimental.proxy_tensor import make_fx

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def weight(dtype=torch.float64, shape=(5, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def factor(number=0.3, dtype=torch.float64):
    return torch.nn.Parameter(torch.tensor(number, dtype=dtype))


def by_differences(cls, x, number):
    x = x.detach().double()
    return ((cls(number + 1e-4)(x) - cls(number - 1e-4)(x)) / 2e-4).item()


@every_class
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_node_has_the_bits_of_the_number_and_a_derivative(cls, dtype):
    x, own = weight(dtype), factor()
    live, plain = cls(own)(x), cls(0.3)(x)
    assert torch.equal(live, plain)
    grad, slope = torch.autograd.grad(live, (x, own), grad_outputs=torch.full_like(live, 3.0))
    (expected,) = torch.autograd.grad(plain, x, grad_outputs=torch.full_like(plain, 3.0))
    assert torch.equal(grad, expected)
    assert slope.item() == pytest.approx(3 * by_differences(cls, x, 0.3), rel=1e-5)
    assert slope.dtype == torch.float64
    with torch.no_grad():
        assert not cls(own)(x).requires_grad


@every_class
@pytest.mark.parametrize("number", [0.3, 0.0])
def test_derivatives_of_both_orders(cls, number):
    x, own = weight(), factor(number)
    if number:  # else differences would leave a factor's range
        assert torch.autograd.gradcheck(lambda own, x: cls(own)(x), (own, x))
        assert torch.autograd.gradgradcheck(lambda own, x: cls(own)(x), (own, x))
    slope, grad = torch.autograd.grad(cls(own)(x), (own, x), create_graph=True)
    term = cls(1.0)(x)
    (expected,) = torch.autograd.grad(term, x)
    torch.testing.assert_close(slope, term)
    torch.testing.assert_close(torch.autograd.grad(slope, x, retain_graph=True)[0], expected)
    (mixed,) = torch.autograd.grad(grad, own, grad_outputs=torch.ones_like(x))
    torch.testing.assert_close(mixed, expected.sum())


@every_class
def test_a_factor_alone_may_need_a_gradient(cls):
    x, own = weight().detach(), factor()
    cls(own)(x).backward()
    assert own.grad.item() == pytest.approx(by_differences(cls, x, 0.3), rel=1e-6)


def test_each_of_two_factors_has_its_derivative():
    x, l1, l2 = weight(), factor(0.2), factor(0.0)
    L1L2(l1, l2)(x).backward()
    assert l1.grad.item() == pytest.approx(x.abs().sum().item())
    assert l2.grad.item() == pytest.approx(x.square().sum().item())
    frozen = torch.tensor(0.5, dtype=torch.float64)
    x.grad = l1.grad = None
    L1L2(l1, frozen)(x).backward()
    assert l1.grad.item() == pytest.approx(x.abs().sum().item())
    torch.testing.assert_close(x.grad, 0.2 * x.detach().sign() + x.detach())
    again = torch.autograd.grad(L1L2(l1, l1)(x), l1)[0]
    assert again.item() == pytest.approx((x.abs() + x.square()).sum().item())


@every_class
@pytest.mark.parametrize("way", ["node", "operations"])
def test_a_factor_of_0_lets_no_nan_through(cls, way):
    x, own = weight(), factor(0.0)
    with torch.no_grad():
        x[1, 2] = torch.nan
    in_operations = torch.vmap(lambda each: cls(each)(x))
    total = cls(own)(x) if way == "node" else in_operations(own[None])[0]
    total.backward()
    assert total.item() == 0
    assert not x.grad.any()
    assert torch.isnan(own.grad)  # the term itself is


def test_a_factor_that_has_changed_since_is_an_error():
    x, own = weight(), factor()
    total = L2(own)(x)
    with torch.no_grad():
        own.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own forward mode
@every_class
def test_transforms(cls):
    x, own = weight().detach(), factor().detach()
    expected = by_differences(cls, x, 0.3)

    def penalty(own, x):
        return cls(own)(x)

    slope, grad = torch.func.grad(penalty, (0, 1))(own, x)
    assert slope.item() == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(grad, cls(0.3).value_and_grad(x)[1])
    owns, xs = torch.stack([own, 2 * own]), torch.stack([x, x + 1])
    values = torch.stack([cls(number)(each) for number, each in ((0.3, x), (0.6, x + 1))])
    torch.testing.assert_close(torch.vmap(penalty)(owns, xs), values)
    torch.testing.assert_close(torch.vmap(penalty, (0, None))(owns, x)[0], values[0])
    torch.testing.assert_close(torch.vmap(penalty, (None, 0))(own, xs)[0], values[0])
    _, tangent = torch.func.jvp(lambda own: penalty(own, x), (own,), (torch.ones_like(own),))
    assert tangent.item() == pytest.approx(expected, rel=1e-6)
    slope, total = torch.func.grad_and_value(lambda own: cls(own).value_and_grad(x)[0])(own)
    assert total.item() == pytest.approx(cls(0.3)(x).item())
    assert slope.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
@every_class
def test_compiled_code_takes_factors_as_operands(cls):
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    x, own = weight(), factor()
    regularizer, backend = cls(own), CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x: regularizer(x), fullgraph=True, backend=backend)
    for number in (0.3, 0.5, 0.0):
        with torch.no_grad():
            own.fill_(number)
        x.grad = own.grad = None
        total = compiled(x)
        total.backward()
        value, grad = cls(number).value_and_grad(x)
        torch.testing.assert_close(total.detach(), value)
        torch.testing.assert_close(x.grad, grad)
        assert own.grad.item() == pytest.approx(by_differences(cls, x, 0.3), rel=1e-6)
    assert backend.frame_count == 1


@every_class
def test_traced_code_takes_factors_as_operands(cls):
    x, own = weight().detach(), factor().detach()
    graph = make_fx(lambda own, x: cls(own)(x))(own, x)
    assert graph(2 * own, x).item() == pytest.approx(cls(0.6)(x).item())


@pytest.mark.parametrize("cls", PENALTIES.values(), ids=PENALTIES)
def test_other_devices(cls):
    x = torch.empty((4, 3), device="meta", requires_grad=True)
    for own in (factor(), factor().detach(), torch.nn.Parameter(torch.empty((), device="meta"))):
        assert cls(own)(x).device.type == "meta"
    total = cls(own)(x)
    total.backward()
    assert x.grad.device.type == own.grad.device.type == "meta"
    graph = make_fx(lambda own, x: cls(own)(x))(factor().detach(), x.detach())
    first = next(node for node in graph.graph.nodes if node.op == "call_function")
    assert first.kwargs["device"].type == "meta"  # where the factor is taken to


def test_penalties_give_factors_their_gradients():
    params = {f"{name}{i}": weight(seed=i) for name in "ab" for i in range(2)}
    own = factor(0.5)
    live = taut.Penalties([("a*", OrthogonalRegularizer(own)), ("*", L2(0.25))])
    plain = taut.Penalties([("a*", OrthogonalRegularizer(0.5)), ("*", L2(0.25))])
    total, expected = live(params), plain(params)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    *grads, slope = torch.autograd.grad(total, [*params.values(), own])
    for grad, other in zip(
        grads, torch.autograd.grad(expected, list(params.values())), strict=True
    ):
        assert torch.equal(grad, other)
    terms = taut.Penalties([("a*", OrthogonalRegularizer(1.0)), ("*", None)])(params)
    assert slope.item() == pytest.approx(terms.item(), rel=1e-12)
    for penalties in (live, plain):
        for x in params.values():
            x.grad = None
        penalties.accumulate_grad(params)
        for grad, x in zip(grads, params.values(), strict=True):
            torch.testing.assert_close(x.grad, grad)
    assert own.grad is None  # in place there is no graph
    alone = taut.Penalties([("*", L1(own))])({"x": params["a0"]})
    assert torch.autograd.grad(alone, own)[0].item() == pytest.approx(
        params["a0"].abs().sum().item()
    )


def test_what_needs_no_gradient_stays_in_the_one_node():
    params = {name: weight() for name in "ab"}
    own = torch.tensor(0.5, dtype=torch.float64)
    total = taut.Penalties([("*", L2(own))])(params)
    assert type(total.grad_fn).__name__ == "TotalBackward"
    assert np.isclose(total.item(), L2(0.5)(params["a"]).item() * 2)


def test_a_factor_is_learned():
    x, own = weight(), factor(0.5)
    optimizer = torch.optim.SGD([own], lr=1e-3)
    regularizer = L2(own)
    for _ in range(3):
        optimizer.zero_grad()
        regularizer(x).backward()
        optimizer.step()
    assert own.item() == pytest.approx(0.5 - 3e-3 * x.square().sum().item())
    assert regularizer.get_config() == {"l2": own.item()}


class Swapping(L2):
    """Has a factor whose code gives a tensor other memory."""

    def __init__(self, swap=None):
        self.swap = swap

    @property
    def l2(self):
        if self.swap is not None:
            self.swap.data = torch.zeros(3)
        return 1.0

    @l2.setter
    def l2(self, value):
        pass


@pytest.mark.parametrize(
    "call",
    [
        lambda own, x, g: own.breakdown({"w": x})["w"],
        lambda own, x, g: own({"w": x}),
        lambda own, x, g: own.value_and_grad({"w": x})[0],
        lambda own, x, g: own.accumulate_grad({"w": x}, {"w": g}),
        lambda own, x, g: own.proximal({"w": x}, 0.5)["w"].sum(),
        lambda own, x, g: own.prox({"w": x}, 0.5) or x.sum(),
    ],
    ids=["breakdown", "call", "value_and_grad", "accumulate_grad", "proximal", "prox"],
)
def test_a_factor_is_read_before_a_tensors_address_is_taken(call):
    x, grad, swapping = torch.ones(3), torch.zeros(3), Swapping()
    before = x.detach()  # which keeps the memory
    swapping.swap = x
    assert call(taut.Penalties([("*", swapping)]), x, grad) == 0
    assert not grad.any()
    assert (before == 1).all()


def test_a_factor_is_read_before_a_gradients_address_is_taken():
    x, grad, swapping = torch.ones(3), torch.zeros(3), Swapping()
    before = grad.detach()
    swapping.swap = grad
    assert taut.Penalties([("*", swapping)]).accumulate_grad({"w": x}, {"w": grad}) == 3
    assert (grad == 2).all()
    assert not before.any()
