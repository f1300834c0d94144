"""Proximal steps of a whole model that are returned, in the structure of its parameters."""

import copy
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from arrays import random_array
from frameworks import require
from taut import Penalties
from taut.regularizers import L1, L2, GroupLasso, OrthogonalRegularizer, Regularizer

STEP = 0.5
RULES = [
    ("*bias", None),
    ("blocks/0/kernel", L1(0.6)),
    ("*kernel", GroupLasso(0.3, "columns")),
    ("*", L2(0.3)),
]


class Pair(NamedTuple):
    kernel: Any
    bias: Any


@dataclasses.dataclass
class Layer:
    kernel: Any
    name: str = "layer"


def make(to_array):
    """Returns parameters in containers of every kind."""
    a, b, c, d, e = (
        to_array(random_array((3, 4), "float32", seed=seed)) for seed in (1, 2, 3, 4, 5)
    )
    return {"blocks": [Pair(a, b), Layer(c)], "scales": (d,), "bias": e}


def numpy_of(params):
    """Returns the same with NumPy's arrays, as they are now."""
    pair, layer = params["blocks"]
    arrays = [pair.kernel, pair.bias, layer.kernel, params["scales"][0], params["bias"]]
    a, b, c, d, e = (np.asarray(each) + 0 for each in arrays)
    return {"blocks": [Pair(a, b), Layer(c)], "scales": (d,), "bias": e}


LIBRARIES = {
    "numpy": lambda x: x,
    "torch": lambda x: require("torch").from_numpy(x),
    "jax": lambda x: require("jax").numpy.asarray(x),
    "tensorflow": lambda x: require("tensorflow").constant(x),
    "variables": lambda x: require("tensorflow").Variable(x),
}


def check_as_prox(penalties, params, stepped):
    """Checks what was returned beside what `prox` makes of NumPy's arrays."""
    in_place = numpy_of(params)
    penalties.prox(in_place, STEP)
    for name, own in flat(numpy_of(stepped)).items():
        np.testing.assert_allclose(own, flat(in_place)[name], rtol=1e-6, err_msg=name)
    assert (np.asarray(stepped["blocks"][0].kernel) == 0).any()


def flat(params):
    pair, layer = params["blocks"]
    return {
        "blocks/0/kernel": pair.kernel,
        "blocks/0/bias": pair.bias,
        "blocks/1/kernel": layer.kernel,
        "scales/0": params["scales"][0],
        "bias": params["bias"],
    }


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_and_structure(library):
    params = make(LIBRARIES[library])
    before = copy.deepcopy(flat(numpy_of(params)))
    penalties = Penalties(RULES)
    stepped = penalties.proximal(params, STEP)
    check_as_prox(penalties, params, stepped)
    pair, layer = stepped["blocks"]
    assert (type(pair), type(layer), layer.name) == (Pair, Layer, "layer")
    assert type(stepped["scales"]) is tuple
    assert set(penalties.bind(params).proximal(STEP)) == {
        "blocks/0/kernel",
        "blocks/1/kernel",
        "scales/0",
    }
    for name, x in flat(numpy_of(params)).items():  # nothing was written
        np.testing.assert_array_equal(x, before[name])


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_kernel_has_the_same_bits(library):
    arrays = {name: random_array((50, 7), "float32", seed) for seed, name in enumerate("abc")}
    params = {name: LIBRARIES[library](x) for name, x in arrays.items()}
    penalties = Penalties([("a", L1(0.6)), ("*", L2(0.3))])
    stepped = penalties.proximal(params, STEP)
    penalties.prox(params, STEP)
    for name, x in params.items():
        np.testing.assert_array_equal(stepped[name], x)
        assert stepped[name] is not x


def test_what_has_no_penalty_is_there_as_it_is():
    params = {"kernel": np.ones(3), "bias": np.ones(3)}
    assert Penalties([("kernel", L1())]).proximal(params, 0.1)["bias"] is params["bias"]
    assert Penalties([]).proximal(params, 0.1) == params
    assert Penalties([("kernel", L1())]).proximal([*params.items()], 0.1)["bias"] is params["bias"]
    torch = require("torch")
    layer = torch.nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    stepped = Penalties([("*", L1())]).proximal(layer, 0.1)
    assert stepped["bias"] is layer.bias
    torch.testing.assert_close(stepped["weight"], L1().proximal(layer.weight, 0.1))
    assert stepped["weight"].requires_grad
    with torch.no_grad():
        fast = Penalties([("*", L1())]).proximal(layer, 0.1)
    assert torch.equal(fast["weight"], stepped["weight"])


def tied_views(base):
    """Returns arrays that have the very elements of another one."""
    return {
        "same": base,
        "transposed": base.T,
        "flat": base.reshape(-1) if base.strides[-1] == base.itemsize else base.T.reshape(-1),
    }


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_was_tied_is_tied(order):
    base = np.array(random_array((4, 3), "float64"), order=order)
    params = {**tied_views(base), "reversed": base[::-1, ::-1], "apart": base.copy()}
    frozen_by_rule = Penalties([("apart", L1(0.6)), ("*", L2(0.3)), ("same", L1())], True)
    in_place = copy.deepcopy(params)  # which keeps no ties
    in_place["same"] = own = np.array(base, order=order)
    in_place |= {**tied_views(own), "reversed": own[::-1, ::-1]}
    frozen_by_rule.prox(in_place, STEP)
    stepped = frozen_by_rule.proximal(params, STEP)
    for name in params:
        np.testing.assert_array_equal(stepped[name], in_place[name], err_msg=name)
    # So that they count once from now on, too.
    assert frozen_by_rule(stepped) == frozen_by_rule(in_place)
    assert frozen_by_rule.breakdown(stepped)["transposed"] == 0


def test_what_was_tied_with_gaps_between_is_tied():
    base = np.arange(48.0).reshape(6, 8)[::2, 1::3]
    params = {"a": base, "b": base.T[::-1]}
    penalties = Penalties([("*", L1(3.0))])
    stepped = penalties.proximal(params, 1.0)
    np.testing.assert_array_equal(stepped["a"], np.maximum(base - 3, 0))
    np.testing.assert_array_equal(stepped["b"], stepped["a"].T[::-1])
    assert np.shares_memory(stepped["a"], stepped["b"])


@pytest.mark.parametrize("has_graph", [False, True])
def test_tied_parameters_of_torch(has_graph):
    torch = require("torch")
    first = torch.randn(4, 3).requires_grad_(has_graph)
    params = {"a": first, "b": first, "c": first.T, "d": first[:, 0]}
    penalties = Penalties([("[abc]", L1(0.6)), ("d", None)])
    stepped = penalties.proximal(params, STEP)
    torch.testing.assert_close(stepped["a"], L1(0.6).proximal(first, STEP))
    torch.testing.assert_close(stepped["b"], stepped["a"])
    torch.testing.assert_close(stepped["c"], stepped["a"].T)
    assert penalties.breakdown(stepped)["c"] == 0
    frozen = torch.nn.Parameter(first.detach(), requires_grad=False)
    same = torch.nn.Parameter(frozen.detach())  # of the same memory
    stepped = penalties.proximal({"a": frozen, "b": same, "c": frozen.T.detach(), "d": first}, STEP)
    torch.testing.assert_close(stepped["a"], L1(0.6).proximal(first, STEP))


def test_tied_arrays_of_jax():
    jnp = require("jax").numpy
    x = jnp.ones(3)
    stepped = Penalties([("*", L1(0.5))]).proximal({"a": x, "b": x}, 1.0)
    assert stepped["a"] is stepped["b"]


def test_jax_compiled_with_a_traced_step():
    jax = require("jax")
    params = {"dense": {"kernel": jax.numpy.ones((3, 2)), "bias": jax.numpy.ones(2)}}
    penalties = Penalties([("*/kernel", L1(0.5)), ("*/bias", None)])
    stepped = jax.jit(penalties.proximal)(params, 1.0)
    np.testing.assert_array_equal(stepped["dense"]["kernel"], np.full((3, 2), 0.5))
    np.testing.assert_array_equal(stepped["dense"]["bias"], [1, 1])


def test_torch_compiled():
    torch = require("torch")
    torch.compiler.reset()
    params = {"a": torch.ones(3), "b": torch.ones(2)}
    penalties = Penalties([("a", L1(0.5)), ("b", None)])
    bound = penalties.bind(params)
    compiled = torch.compile(bound.proximal, fullgraph=True, backend="aot_eager")
    assert compiled(1.0)["a"].tolist() == [0.5] * 3


def test_tensorflow_in_a_graph():
    tf = require("tensorflow")
    kernel = tf.Variable(tf.ones(3))
    bound = Penalties([("*", L1(0.5))]).bind({"kernel": kernel})

    @tf.function
    def step():
        kernel.assign(bound.proximal(1.0)["kernel"])

    step()
    assert kernel.numpy().tolist() == [0.5] * 3


class Halved(Regularizer):
    def __call__(self, x):
        return (x * x).sum()

    def prox(self, x, step):
        x *= 0.5


class Returned(Regularizer):
    def __call__(self, x):
        return (x * x).sum()

    def proximal(self, x, step):
        return x * step


def test_regularizers_of_your_own():
    params = {"a": np.full(2, 2.0), "b": np.full(2, 2.0), "c": np.full(2, 2.0)}
    penalties = Penalties([("a", L1(1.0)), ("b", Halved()), ("c", Returned())])
    stepped = penalties.proximal(params, 0.25)
    assert [each[0] for each in stepped.values()] == [1.75, 1.0, 0.5]
    with pytest.raises(NotImplementedError, match=r"c: <.*Returned.*has no proximal step"):
        penalties.prox(params, 0.25)
    for regularizer in (OrthogonalRegularizer(), lambda x: x.sum()):
        penalties = Penalties([("a", L1(1.0)), ("b", regularizer)], True)
        with pytest.raises(NotImplementedError, match=r"^b: .*no proximal step"):
            penalties.proximal(params, 0.25)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "tensorflow"])
def test_bad_input(library):
    params = {"a": LIBRARIES[library](np.ones(3, np.float32))}
    for step in (-1.0, float("nan"), "1", True):
        with pytest.raises(ValueError, match="argument `step`"):
            Penalties([("*", L1())]).proximal(params, step)
    with pytest.raises(ValueError, match="match no parameter"):
        Penalties([("b", L1())]).proximal(params, 0.1)
    params = {"a": LIBRARIES[library](np.ones(3, np.int32))}
    with pytest.raises(TypeError, match=r"a: .*int32|int32"):
        Penalties([("*", L1())]).proximal(params, 0.1)
