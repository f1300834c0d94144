"""Penalties towards a reference in every array library: NumPy's are in test_towards.py."""

import copy

import numpy as np
import pytest
from arrays import random_array
from frameworks import require, to_library
from taut import Penalties
from taut.kernels import Sides
from taut.regularizers import L1, L1L2, L2
from taut.regularizers._towards import Towards as TowardsPenalty
from towards import Towards

LIBRARIES = ["torch", "jax", "tensorflow"]
FACTORS = [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)]
# What gradients and steps are computed in: XLA has float32 alone unless told otherwise, and
# TensorFlow's eager gradients of float32 are.
PRECISION = {"torch": "float64", "jax": "float32", "tensorflow": "float32"}


def make(dtype="float32", l1=0.3, l2=0.7, shape=(5, 7)):
    x, reference = (random_array(shape, dtype, seed) for seed in (1, 2))
    importance = np.abs(random_array(shape, "float32", 3))
    reference[0, 0] = x[0, 0]  # no slope
    importance[1, 1] = 0
    return Towards(x, reference, importance, l1, l2)


def penalties_of(problem, convert):
    return Penalties(
        [("*", L1L2(problem.l1, problem.l2))],
        reference={"w": convert(problem.reference)},
        importance={"w": convert(problem.importance)},
    )


@pytest.mark.parametrize(("l1", "l2"), FACTORS)
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("sides", ["own", "numpy"])
def test_what_the_formulas_say(library, l1, l2, sides):
    problem = make(l1=l1, l2=l2)
    convert = (lambda x: to_library(library, x)) if sides == "own" else (lambda x: x)
    penalties = penalties_of(problem, convert)
    params = {"w": to_library(library, problem.x)}
    value, grads = penalties.value_and_grad(params, 0.5)
    problem.check(value, np.asarray(grads["w"]), PRECISION[library], 0.5)
    assert float(penalties(params)) == pytest.approx(float(value), rel=1e-6)
    assert float(penalties.breakdown(params)["w"]) == pytest.approx(float(value), rel=1e-6)
    stepped = penalties.proximal(params, 0.4)["w"]
    problem.check_step(np.asarray(stepped), 0.4, PRECISION[library])


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("place", ["x", "reference", "importance"])
def test_nan_and_inf_show(library, special, place):
    problem = make()
    getattr(problem, place)[2, 3] = abs(special) if place == "importance" else special
    problem.__post_init__()
    penalties = penalties_of(problem, lambda x: to_library(library, x))
    value, grads = penalties.value_and_grad({"w": to_library(library, problem.x)})
    problem.check(value, np.asarray(grads["w"]), PRECISION[library])
    assert not np.isfinite(float(value))


def differentiate(library, function, *arrays):
    """Returns the gradients of a function of a library's arrays by its own autodiff."""
    if library == "torch":
        leaves = [each.clone().requires_grad_() for each in arrays]
        function(*leaves).backward()
        return [each.grad for each in leaves]
    if library == "jax":
        return require("jax").grad(function, argnums=tuple(range(len(arrays))))(*arrays)
    tf = require("tensorflow")
    with tf.GradientTape() as tape:
        tape.watch(arrays)
        total = function(*arrays)
    return tape.gradient(total, arrays)


@pytest.mark.parametrize("library", LIBRARIES)
def test_autodiff_of_the_parameters_alone(library):
    """A reference and an importance are constants, and get no gradient or zeros."""
    problem = make()
    arrays = [to_library(library, each) for each in (problem.x, problem.reference)]
    arrays.append(to_library(library, problem.importance))

    def total(x, reference, importance):
        own = {"reference": {"w": reference}, "importance": {"w": importance}}
        return Penalties([("w", L1L2(problem.l1, problem.l2))], **own)({"w": x})

    slope, *others = differentiate(library, total, *arrays)
    problem.check(total(*arrays), np.asarray(slope), PRECISION[library])
    for other in others:
        assert other is None or not np.asarray(other).any()


@pytest.mark.parametrize("library", LIBRARIES)
def test_autodiff_of_a_plain_expression_agrees(library):
    problem = make()
    problem.reference[0, 0] += 1  # where |x| has no slope, theirs differ
    arrays = [to_library(library, each) for each in (problem.x, problem.reference)]
    weight = to_library(library, problem.importance)

    def plain(x):
        difference = x - arrays[1]
        total = weight * (0.3 * abs(difference) + 0.7 * difference * difference)
        return require("tensorflow").reduce_sum(total) if library == "tensorflow" else total.sum()

    (expected,) = differentiate(library, plain, arrays[0])
    _, grads = penalties_of(problem, lambda x: to_library(library, x)).value_and_grad(
        {"w": arrays[0]}
    )
    np.testing.assert_allclose(np.asarray(grads["w"]), np.asarray(expected), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("library", LIBRARIES)
def test_errors_name_the_parameter(library):
    convert = lambda x: to_library(library, x)  # noqa: E731
    params = {"v": convert(np.ones((2, 3), np.float32)), "w": convert(np.ones(3, np.float32))}
    for side, error in (
        (convert(np.ones((3, 2), np.float32)), ValueError),
        (convert(np.ones((2, 3), np.float16)), TypeError),
        (object(), TypeError),
    ):
        penalties = Penalties([("*", L2())], reference={"v": side, "w": params["w"]})
        for call in (penalties, penalties.value_and_grad, penalties.bind):
            with pytest.raises(error, match=r"^v: "):
                call(params)
    with pytest.raises(ValueError, match=r"^w: it has a penalty, and no reference"):
        Penalties([("*", L2())], reference={"v": params["v"]})(params)
    with pytest.raises(ValueError, match=r"^w: an importance must not be negative"):
        Penalties([("*", L2())], importance={"v": None, "w": -params["w"]})(params)


@pytest.mark.parametrize("library", ["torch", "tensorflow"])
def test_what_a_trace_could_not_see_is_looked_at_afterwards(library):
    framework = require(library)
    w = to_library(library, np.ones(3, np.float32))
    penalties = Penalties([("w", L2())], importance={"w": -w})
    traced = framework.func.grad if library == "torch" else framework.function
    traced(lambda w: penalties({"w": w}))(w)
    with pytest.raises(ValueError, match=r"^w: an importance must not be negative"):
        penalties({"w": w})


@pytest.mark.parametrize("library", LIBRARIES)
def test_none_for_a_part_is_the_plain_penalty_of_all_within(library):
    convert = lambda *shape: to_library(library, np.ones(shape, np.float32))  # noqa: E731
    params = {"body": {"w": convert(2, 3)}, "head": {"w": convert(3), "b": convert(1)}}
    reference = {"body": {"w": convert(2, 3)}, "head": None}
    assert float(Penalties([("*", L2(1.0))], reference=reference)(params)) == 4
    with pytest.raises(ValueError, match=r"names.*\['hea'\]"):
        Penalties([("*", L2(1.0))], reference=reference | {"hea": None})(params)


def test_a_reference_that_fits_no_longer_is_refused():
    x = to_library("jax", np.ones((2, 3), np.float32))
    for shape in ((1, 3), (4, 2, 3)):
        penalty = TowardsPenalty(L2(1.0), Sides(reference=np.ones(shape, np.float32)))
        with pytest.raises(ValueError, match="The reference must have the shape of the input"):
            penalty(x)


def test_another_librarys_arrays_are_refused():
    tensor = to_library("torch", np.ones(3, np.float32))
    others = [to_library(each, np.ones(3, np.float32)) for each in ("jax", "tensorflow")]
    for other in others:
        with pytest.raises(TypeError, match=r"^w: expected .*, as the reference"):
            Penalties([("w", L2())], reference={"w": tensor})({"w": other})
        with pytest.raises(TypeError, match=r"^w: expected a tensor.*, as the reference"):
            Penalties([("w", L2())], reference={"w": other})({"w": tensor})
        with pytest.raises(TypeError, match=r"^w: expected a NumPy array.*, as the importance"):
            Penalties([("w", L2())], importance={"w": other})({"w": np.ones(3)})


def test_variables_of_tensorflow_are_read_at_each_call():
    tf = require("tensorflow")
    variable, reference = tf.Variable(tf.ones(3)), tf.Variable(tf.zeros(3))
    penalties = Penalties([("w", L2(1.0))], reference={"w": reference})
    bound = penalties.bind({"w": variable})
    assert float(bound()) == 3
    traced = tf.function(lambda: bound())
    assert float(traced()) == 3
    reference.assign(tf.ones(3))
    assert float(bound()) == float(traced()) == 0
    frozen = tf.Variable(tf.ones(3), trainable=False)
    assert float(penalties({"w": frozen})) == 0


def test_in_place_functions_of_what_cannot_be_written():
    for library in ("jax", "tensorflow"):
        array = to_library(library, np.ones(3, np.float32))
        penalties = Penalties([("w", L1())], reference={"w": copy.copy(array)})
        for call in (
            lambda penalties=penalties, array=array: penalties.prox({"w": array}, 0.1),
            lambda penalties=penalties, array=array: penalties.accumulate_grad(
                {"w": array}, {"w": array}
            ),
        ):
            with pytest.raises(TypeError, match="cannot be written"):
                call()
