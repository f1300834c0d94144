"""Parameters as people hold them: trees, modules and models, their names, and their gradients."""

import collections
import dataclasses
import typing
import warnings

import numpy as np
import pytest
from frameworks import LIBRARIES, require, to_library
from taut import Penalties
from taut.regularizers import L1, L2, OrthogonalRegularizer

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


class Dense(typing.NamedTuple):
    kernel: typing.Any
    bias: typing.Any


@dataclasses.dataclass
class Block:
    dense: typing.Any
    scales: typing.Any
    name: str = "block"
    activation: typing.Any = np.tanh


def tree(make):
    return {
        "blocks": [Block(Dense(make(1), make(2)), (make(3), make(4))), Block(make(5), [])],
        "head": collections.OrderedDict(kernel=make(6)),
    }


NAMES = [
    "blocks/0/dense/kernel",
    "blocks/0/dense/bias",
    "blocks/0/scales/0",
    "blocks/0/scales/1",
    "blocks/1/dense",
    "head/kernel",
]


def test_names_say_the_path():
    params = tree(lambda number: number * X)
    breakdown = Penalties([("*", L1(1.0))]).breakdown(params)
    assert list(breakdown) == NAMES
    expected = [L1(1.0)(number * X) for number in range(1, 7)]
    assert list(breakdown.values()) == expected
    grads = tree(lambda number: np.zeros_like(X))
    penalties = Penalties([("blocks/*/kernel", L2(1.0)), ("*/scales/*", L1(1.0))])
    penalties.accumulate_grad(params, grads)
    np.testing.assert_array_equal(grads["blocks"][0].dense.kernel, 2 * X)
    np.testing.assert_array_equal(grads["blocks"][0].scales[1], np.sign(X))
    assert not grads["head"]["kernel"].any()


@pytest.mark.parametrize("params", [[X, 2 * X], (X, {"a": 2 * X}), [(X, 2 * X)], Dense(X, 2 * X)])
def test_a_list_or_a_tuple_may_be_the_root(params):
    value, grads = Penalties([("*", L1(1.0))]).value_and_grad(params)
    assert value == L1(1.0)(X) + L1(1.0)(2 * X)
    assert type(grads) is type(params)


def parameter(library, x):
    return require("tensorflow").Variable(x) if library == "tensorflow" else to_library(library, x)


@pytest.mark.parametrize("library", LIBRARIES)
def test_gradients_have_the_structure_of_the_parameters(library):
    params = tree(lambda number: parameter(library, number * X))
    params["tied"] = params["head"]["kernel"]
    rules = [("head/*", OrthogonalRegularizer(0.5)), ("*/kernel", L2(0.5)), ("tied", L1(9.0))]
    value, grads = Penalties(rules).value_and_grad(params, scale=2.0)
    orthogonal, slope = OrthogonalRegularizer(0.5).value_and_grad(6 * X, scale=2.0)
    assert float(value) == pytest.approx(orthogonal + L2(0.5)(X), rel=1e-6)
    first, second = grads["blocks"]
    assert (type(first), type(first.dense), type(grads["head"])) == (
        Block,
        Dense,
        collections.OrderedDict,
    )
    assert first.name == "block"
    np.testing.assert_allclose(first.dense.kernel, 2 * X, rtol=1e-6)
    np.testing.assert_allclose(grads["head"]["kernel"], slope, rtol=1e-5, atol=1e-8)
    for zero in (first.dense.bias, *first.scales, second.dense, grads["tied"]):
        assert not np.asarray(zero).any()
        assert zero.shape == X.shape


def test_value_and_grad_is_traced_by_jax():
    jax = require("jax")
    params = {"a": [jax.numpy.asarray(X)], "b": jax.numpy.ones(3)}
    penalties = Penalties([("a/*", L2(0.5)), ("b", None)])
    value, grads = jax.jit(penalties.value_and_grad)(params)
    expected, slopes = jax.value_and_grad(penalties)(params)
    assert float(value) == pytest.approx(float(expected))
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    np.testing.assert_allclose(grads["a"][0], slopes["a"][0])


def test_value_and_grad_of_your_own():
    torch = require("torch")
    penalties = Penalties([("*", lambda x: (x**3).sum())])
    value, grads = penalties.value_and_grad(iter([("w", torch.full((2,), 2.0))]))
    assert (value.item(), grads["w"].tolist()) == (16, [12, 12])
    with pytest.raises(NotImplementedError, match="value_and_grad"):
        penalties.value_and_grad({"w": X})


def test_registered_pytrees_of_jax():
    jax = require("jax")

    @jax.tree_util.register_pytree_with_keys_class
    class Linear:  # as a module of equinox
        def __init__(self, weight, activation):
            self.weight, self.activation = weight, activation

        def tree_flatten_with_keys(self):
            key = jax.tree_util.GetAttrKey
            children = (key("weight"), self.weight), (key("activation"), self.activation)
            return children, None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

    params = [Linear(jax.numpy.asarray(X), jax.nn.relu), Linear(jax.numpy.ones(3), None)]
    penalties = Penalties([("0/weight", L2(0.5)), ("1/*", L1(1.0))])
    assert list(penalties.breakdown(params)) == ["0/weight", "1/weight"]
    value, grads = penalties.value_and_grad(params)
    assert float(value) == pytest.approx(L2(0.5)(X) + 3, rel=1e-6)
    np.testing.assert_allclose(grads[0].weight, X)
    assert grads[0].activation is jax.nn.relu


def test_a_module_is_followed():
    torch = require("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    model[1].weight.requires_grad_(False)
    rules = [("*.bias", None), ("*", L2(1.0))]
    bound = Penalties(rules).bind(model)
    named = Penalties(rules).bind(model.named_parameters())
    assert bound() == named() == Penalties(rules)(model)
    before = bound().item()
    twice = {name: 2 * x for name, x in model.state_dict().items()}
    model.load_state_dict(twice, assign=True)
    assert bound().item() == pytest.approx(4 * before, rel=1e-6)
    bound.accumulate_grad()
    torch.testing.assert_close(model[0].weight.grad, 2 * model[0].weight.detach())
    assert set(bound.breakdown()) == {"0.weight", "1.weight"}
    assert named().item() == pytest.approx(before, rel=1e-6)
    value, grads = Penalties([("net/*.weight", L1(1.0))]).value_and_grad({"net": model})
    assert float(value) > 0
    assert set(grads["net"]) == {name for name, _ in model.named_parameters()}


def test_a_lazy_module_is_followed():
    torch = require("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.nn.Sequential(torch.nn.LazyLinear(4))
    model(torch.ones(2, 3))
    bound = Penalties([("0.weight", L2(1.0))]).bind(model)
    model[0].weight = torch.nn.Parameter(torch.ones(4, 3))
    assert bound() == 12


def test_exact_names_that_hold_brackets():
    params = {"layers[0]": X, "layers0": 2 * X, "layers[1]": 3 * X}
    penalties = Penalties([("layers[0]", L1(1.0)), ("layers[[]1]", L2(1.0))])
    assert list(penalties.breakdown(params)) == ["layers[0]", "layers0", "layers[1]"]
    assert Penalties([("layers[1]", L1(1.0))]).breakdown({"layers[1]": X}) == {
        "layers[1]": L1(1.0)(X)
    }


def test_every_parameter_may_be_asked_to_match():
    penalties = Penalties([("a", L1(1.0)), ("b", None)], match_all=True)
    assert penalties({"a": X, "b": X[:1]}) == L1(1.0)(X)
    with pytest.raises(ValueError, match=r"No rule matches these parameters: \['c'\]"):
        penalties({"a": X, "b": X, "c": X})
    assert Penalties.from_config(penalties.get_config()).match_all
    assert (
        repr(Penalties([], match_all=True)) == "Penalties([], allow_unused=False, match_all=True)"
    )


def test_bound_gradients_are_kept():
    grads = {"w": np.zeros_like(X)}
    bound = Penalties([("*", L2(1.0))]).bind({"w": X}, grads)
    bound.accumulate_grad()
    bound.accumulate_grad(scale=2.0)
    np.testing.assert_allclose(grads["w"], 6 * X, rtol=1e-6)
    other = np.zeros_like(X)
    bound.accumulate_grad({"w": other})
    np.testing.assert_allclose(other, 2 * X)


def test_lists_of_numbers_are_arrays_and_empty_ones_are_nothing():
    params = {"w": [[1.0, 2.0], [3.0, 4.0]], "empty": [], "nested": [[], {}], "lists": [[], [[]]]}
    assert Penalties([("*", L1(1.0))]).breakdown(params) == {"w": 10.0}
    with pytest.raises(ValueError, match="Two parameters"):
        Penalties([("*", L1(1.0))])({"a": [X], "a/0": X})


def test_trees_without_an_end_are_refused():
    within_itself = {"w": X}
    within_itself["self"] = [within_itself]
    nested = X
    for _ in range(5_000):
        nested = {"a": nested}
    for params in (within_itself, nested, [1.0, [within_itself]]):
        for call in (Penalties([("*", L1())]), Penalties([("*", L1())]).value_and_grad):
            with pytest.raises(ValueError, match="nested too deeply, or within themselves"):
                call(params)
