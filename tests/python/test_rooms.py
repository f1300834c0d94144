"""A further kernel, and a further array library, is one room: a toy of each works everywhere."""

import json

import numpy as np
import penalties
import pytest
import taut
from frameworks import LIBRARIES, require, to_library
from taut import arrays, kernels, regularizers
from taut.regularizers import L1, L2, OrthogonalRegularizer
from taut.regularizers._kernel import KernelRegularizer
from toys import Box, Called, Fused

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
CLASSES = [Fused, Called]
PENALTIES = [cls(0.5, power) for cls in CLASSES for power in ("one", "two")]


def expected(penalty, x=X):
    twin = L1(penalty.strength) if penalty.power == "one" else L2(penalty.strength)
    return twin.value_and_grad(x)


def proximal_of(penalty, x=X):
    twin = L1(penalty.strength) if penalty.power == "one" else L2(penalty.strength)
    return twin.proximal(x, 0.5)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_toy_kernel_on_every_library(library, penalty):
    x = to_library(library, X)
    value, grad = expected(penalty)
    assert float(penalty(x)) == pytest.approx(value, rel=1e-6)
    own_value, own_grad = penalty.value_and_grad(x, scale=2.0)
    assert float(own_value) == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(own_grad, 2 * grad, rtol=1e-6)
    np.testing.assert_allclose(penalty.proximal(x, 0.5), proximal_of(penalty), rtol=1e-6)
    if library in ("jax", "tensorflow"):  # elsewhere it is the core that checks shapes
        with pytest.raises(ValueError, match="Inputs to Powers must have rank 2"):
            penalty(x[0])
    penalty = type(penalty)(0.5, "three")
    with pytest.raises(ValueError, match=r'Expected one of {"one", "two"}\. Received: power=three'):
        penalty(x)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_toy_kernel_in_penalties(library, penalty):
    params = {"a": to_library(library, X), "b": to_library(library, X + 1)}
    penalties = taut.Penalties([("b", L2(0.25)), ("*", penalty)])
    (a, grad), (b, _) = expected(penalty), L2(0.25).value_and_grad(X + 1)
    total = penalties.breakdown(params)
    assert float(total["a"]) == pytest.approx(a, rel=1e-6)
    assert float(total["b"]) == pytest.approx(b, rel=1e-6)
    assert float(penalties(params)) == pytest.approx(a + b, rel=1e-6)
    stepped = penalties.proximal(params, 0.5)
    np.testing.assert_allclose(stepped["a"], proximal_of(penalty), rtol=1e-6)
    np.testing.assert_allclose(stepped["b"], L2(0.25).proximal(X + 1, 0.5), rtol=1e-6)
    if library in ("numpy", "torch"):
        params["c"] = params["a"]  # counts once
        grads = {name: 0 * x for name, x in params.items()}
        penalties.accumulate_grad(params, grads)
        np.testing.assert_allclose(grads["a"], grad, rtol=1e-6)
        assert not grads["c"].any()
        penalties.prox(params, 0.5)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_toy_kernel_in_configs(cls):
    config = json.loads(json.dumps(regularizers.serialize(cls(0.5, "one"))))
    assert config["registered_name"] == f"toys>{cls.__name__}"
    restored = regularizers.deserialize(config)
    assert type(restored) is cls
    assert restored.get_config() == {"strength": 0.5, "power": "one"}
    again = taut.Penalties.from_config(taut.Penalties([("*", restored)]).get_config())
    assert again({"w": X}) == restored(X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_toy_kernel_in_compiled_code(penalty):
    torch, jax = require("torch"), require("jax")
    value, grad = expected(penalty)
    assert float(jax.jit(penalty)(X)) == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(penalty))(X), grad, rtol=1e-6)
    weight = torch.from_numpy(X.copy()).requires_grad_()
    total = torch.compile(penalty, fullgraph=True, backend="aot_eager")(weight)
    total.backward()
    assert total.item() == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(weight.grad, grad, rtol=1e-6)
    graph = torch.export.export(Module(penalty), (weight,)).graph
    operators = {str(node.target) for node in graph.nodes}
    assert ("taut.called_powers.default" in operators) == isinstance(penalty, Called)


def Module(penalty):  # noqa: N802
    torch = require("torch")

    class Inner(torch.nn.Module):
        def forward(self, x):
            return penalty(x)

    return Inner()


@pytest.mark.parametrize(
    "penalty",
    [*(make(0.5) for make in penalties.PENALTIES.values()), *PENALTIES],
    ids=repr,
)
def test_the_toy_library_with_every_kernel(penalty):
    box = Box(X.astype(np.float64))
    value, grad = penalty.value_and_grad(box.numbers)
    assert float(penalty(box).numbers) == pytest.approx(value, rel=1e-6)
    own_value, own_grad = penalty.value_and_grad(box, scale=2.0)
    assert float(own_value.numbers) == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(own_grad.numbers, 2 * grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("penalty", [L1(0.5), L2(0.5), *PENALTIES], ids=repr)
def test_the_toy_library_after_proximal_steps(penalty):
    stepped = penalty.proximal(Box(X), 0.5)
    assert stepped.dtype == X.dtype
    np.testing.assert_array_equal(stepped.numbers, penalty.proximal(X, 0.5))


def test_the_toy_library_in_penalties():
    box = Box(X.astype(np.float64))
    params = {"a": box, "b": Box(2 * X), "tied": box}
    penalties = taut.Penalties([("a", L1(0.5)), ("*", lambda x: penalty_of_box(x))])
    breakdown = penalties.breakdown(params)
    assert float(breakdown["a"].numbers) == pytest.approx(L1(0.5)(X), rel=1e-6)
    assert float(breakdown["b"].numbers) == pytest.approx(2 * np.square(X).sum() * 2, rel=1e-6)
    assert float(breakdown["tied"].numbers) == 0
    with pytest.raises(TypeError, match="boxes cannot be written"):
        penalties.accumulate_grad(params, params)
    with pytest.raises(TypeError, match="boxes cannot be written"):
        taut.Penalties([("*", L1(0.5))]).prox(params, 0.1)
    stepped = taut.Penalties([("a", L1(0.5))], True).proximal(params, 0.1)
    np.testing.assert_array_equal(stepped["a"].numbers, L1(0.5).proximal(box.numbers, 0.1))
    assert stepped["b"] is params["b"]
    for call in (L1(0.5), lambda x: L1(0.5).proximal(x, 1.0)):
        with pytest.raises(TypeError, match="int64"):
            call(Box([1, 2]))


def penalty_of_box(x):
    return Box(np.square(x.numbers).sum())


class Unknown:
    pass


def test_what_is_not_registered_is_an_error():
    for call in (L2(), OrthogonalRegularizer(), Called(), L2().value_and_grad):
        with pytest.raises(TypeError, match=r"Received: .*test_rooms\.Unknown"):
            call(Unknown())
    with pytest.raises(TypeError, match=r"w: .*test_rooms\.Unknown"):
        taut.Penalties([("*", L2())])({"w": Unknown()})
    with pytest.raises(ValueError, match=r"no kernel 'typo'. Known: .*elementwise, gram"):
        kernels.get("typo")
    unregistered = kernels.Kernel("unregistered", "", (), (), len, len, len)
    with pytest.raises(ValueError, match="no kernel 'unregistered'"):
        type("Own", (KernelRegularizer,), {"_kernel": unregistered})
    with pytest.raises(ValueError, match="needs both prox and proximal"):
        kernels.Kernel("half", "", (), (), len, len, len, prox=len)
    with pytest.raises(ValueError, match="a kernel 'gram' already"):
        kernels.register(kernels.Kernel("gram", "", (), (), len, len, len))


def test_a_library_is_asked_for_its_own_classes_alone():
    class Foreign:
        __module__ = "torch.somebody_elses"

        def __array__(self, dtype=None, copy=None):
            return np.ones(3)

    with pytest.raises(TypeError, match=r"Received: torch\.somebody_elses"):
        L2(1.0)(Foreign())
    assert arrays.library_of(X) is arrays.library_of(X[::2])
