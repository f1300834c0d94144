"""What is of no known library: read where nothing is lost on the way, refused elsewhere."""

import array
import sys

import numpy as np
import pytest
import taut
from frameworks import require
from taut.regularizers import L1, L2, GroupLasso, OrthogonalRegularizer

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


class Frame:
    """Has `__array__`, as data frames, labelled arrays and memory maps of other packages do."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numbers, dtype)


class Exchanged:
    """Has DLPack alone."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __dlpack__(self, **options):
        return self.numbers.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.numbers.__dlpack_device__()


READABLE = {
    "a list": X.tolist(),
    "a tuple of lists": tuple(X.tolist()),
    "a list of arrays": list(X),
    "a memory view": memoryview(X),
    "__array__": Frame(X),
    "DLPack": Exchanged(X),
}


@pytest.mark.parametrize("kind", READABLE)
@pytest.mark.parametrize("regularizer", [L2(0.3), OrthogonalRegularizer(0.3), GroupLasso(0.3)])
def test_what_loses_nothing_is_read(regularizer, kind):
    x = READABLE[kind]
    expected, slope = regularizer.value_and_grad(np.asarray(X, np.float64))
    assert regularizer(x) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(regularizer.value_and_grad(x)[1], slope, rtol=1e-5, atol=1e-8)
    grad = np.zeros_like(np.asarray(x if kind != "DLPack" else X))
    assert regularizer.accumulate_grad(x, grad) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(grad, slope, rtol=1e-5, atol=1e-8)
    if kind != "a list of arrays":  # which Penalties take as so many parameters
        assert taut.Penalties([("*", regularizer)])({"w": x}) == pytest.approx(expected, rel=1e-6)
    with pytest.raises((TypeError, NotImplementedError), match=type(x).__name__ + "|closed form"):
        regularizer.prox(x, 0.1)


def test_numbers_and_buffers_are_read():
    assert L2(1.0)(3.0) == L2(1.0)(np.float64(3.0)) == 9
    if sys.version_info >= (3, 12):  # before, only an array's memoryview tells
        assert L2(1.0)(array.array("d", [1, 2])) == 5


def test_lists_that_are_read_are_told_apart_by_penalties():
    params = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]}
    for regularizer in (L2(1.0), lambda x: (x**2).sum()):
        breakdown = taut.Penalties([("*", regularizer)]).breakdown(params)
        assert breakdown == {"a": 5.0, "b": 25.0, "c": 61.0}


TENSORS = {
    "torch": lambda: require("torch").ones(3, requires_grad=True),
    "jax": lambda: require("jax").numpy.ones(3),
    "tensorflow": lambda: require("tensorflow").Variable([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("library", TENSORS)
@pytest.mark.parametrize("make", [lambda x: [x, x], lambda x: (x, x), lambda x: [[1.0], [x]]])
def test_a_list_of_tensors_is_refused(library, make):
    tensor = TENSORS[library]()
    for call in (
        OrthogonalRegularizer(),
        L2(),
        L2().value_and_grad,
        lambda x: L2().accumulate_grad(x, np.zeros((2, 3))),
    ):
        with pytest.raises(TypeError, match=rf"a list of .*{type(tensor).__name__}: stack them"):
            call(make(tensor))


def test_masks_are_not_lost():
    masked = np.ma.masked_array(X.copy(), mask=X > 0)
    for call in (
        L2(),
        L2().value_and_grad,
        lambda x: L1().prox(x, 0.1),
        lambda x: L2().accumulate_grad(x, np.zeros_like(X)),
        lambda x: taut.Penalties([("*", L1())])({"w": x}),
        lambda x: taut.Penalties([("*", L1())]).prox({"w": x}, 0.1),
        lambda x: L2()([x, x]),
    ):
        with pytest.raises(TypeError, match="MaskedArray"):
            call(masked)
    penalties = taut.Penalties([("*", L1())])
    for accumulate in (
        lambda grad: L2().accumulate_grad(X, grad),
        lambda grad: penalties.accumulate_grad({"w": X}, {"w": grad}),
    ):
        with pytest.raises(TypeError, match="MaskedArray"):
            accumulate(masked)
    assert (masked.data == X).all()
    assert L2(1.0)(masked.filled(0)) == L2(1.0)(np.where(X > 0, 0, X))


@pytest.mark.parametrize("sign", ["backward", "requires_grad", "stop_gradient"])
def test_gradients_of_other_libraries_are_not_lost(sign):
    tensor = type("Tensor", (Frame,), {sign: None})(X)
    with pytest.raises(TypeError, match=r"would lose its gradient.*test_exchanged\.Tensor"):
        L2()(tensor)


@pytest.mark.parametrize("x", [None, "text", b"bytes", {1.0}, object(), {"w": X}, Ellipsis])
def test_what_is_no_array_is_named(x):
    for call in (L2(), L2().value_and_grad, lambda x: L2().prox(x, 0.1)):
        with pytest.raises(TypeError, match=rf"Received: .*{type(x).__name__}"):
            call(x)


def test_what_numpy_reads_as_objects_is_named():
    with pytest.raises(TypeError, match="Received: Frame, which NumPy reads as dtype=object"):
        L2()(Frame([1, None]))


class Parameter:
    """Has `__jax_array__`, as the parameters of flax's nnx do."""

    def __init__(self, value):
        self.value = value

    def __jax_array__(self):
        return self.value


def test_what_is_a_jax_array_to_jax_keeps_its_gradient():
    jax = require("jax")
    parameter = Parameter(jax.numpy.asarray(X))
    for regularizer in (L2(0.3), OrthogonalRegularizer(0.3), lambda x: (x.value**4).sum()):
        penalties = taut.Penalties([("*", regularizer)])

        def loss(x, penalties=penalties):
            return penalties({"w": Parameter(x)})

        value, grad = jax.value_and_grad(loss)(parameter.value)
        total = penalties({"w": parameter, "tied": parameter})
        assert isinstance(total, jax.Array)
        assert float(total) == pytest.approx(float(value), rel=1e-6)
        assert np.asarray(grad).any()
    value, grad = L2(0.3).value_and_grad(parameter)
    assert isinstance(value, jax.Array)
    np.testing.assert_allclose(grad, 0.6 * X, rtol=1e-6)
    compiled = jax.jit(lambda x: L2(0.3)(Parameter(x)))
    assert float(compiled(X)) == pytest.approx(L2(0.3)(X), rel=1e-6)
    bound = taut.Penalties([("*", L2(1.0))]).bind({"w": parameter})
    parameter.value = 2 * parameter.value
    assert float(bound()) == pytest.approx(L2(1.0)(2 * X), rel=1e-6)


def test_a_class_without_a_module_is_told_like_any_other():
    nameless = type("Nameless", (Frame,), {"__module__": None})
    assert L2(1.0)(nameless([1.0, 2.0])) == 5
