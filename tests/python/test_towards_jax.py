"""Penalties towards a reference on JAX: pytrees, jit, grad, vmap, and what is traced."""

import importlib

import numpy as np
import pytest
from arrays import random_array
from frameworks import require
from taut import Penalties
from taut.regularizers import L1L2
from towards import Towards

jax = require("jax")
jnp = jax.numpy
library = importlib.import_module("taut.arrays.jax.library")

RULES = [("*", L1L2(0.3, 0.7))]


def make_trees():
    def tree(seed, function=lambda x: x):
        a, b = (random_array(shape, "float32", seed + i) for i, shape in enumerate([(4, 3), (3,)]))
        return {"layers": [jnp.asarray(function(a)), (jnp.asarray(function(b)),)]}

    return tree(1), tree(3), tree(5, np.abs)


def expected(params, reference, importance):
    leaves = zip(*map(jax.tree.leaves, (params, reference, importance)), strict=True)
    return [Towards(*map(np.asarray, each), 0.3, 0.7) for each in leaves]


def test_pytrees_eager_and_under_jit():
    params, reference, importance = make_trees()

    def total(params, reference, importance):
        return Penalties(RULES, reference=reference, importance=importance)(params)

    exact = sum(each.value() for each in expected(params, reference, importance))
    for function in (total, jax.jit(total)):
        value, grads = jax.value_and_grad(function)(params, reference, importance)
        assert float(value) == pytest.approx(exact, rel=1e-5)
        problems = expected(params, reference, importance)
        for problem, grad in zip(problems, jax.tree.leaves(grads), strict=True):
            problem.check(problem.value(), np.asarray(grad), "float32")
    own = Penalties(RULES, reference=reference, importance=importance)
    value, grads = own.value_and_grad(params)
    assert jax.tree.structure(grads) == jax.tree.structure(params)
    stepped = jax.jit(lambda params: own.proximal(params, 0.4))(params)
    for problem, each in zip(
        expected(params, reference, importance), jax.tree.leaves(stepped), strict=True
    ):
        problem.check_step(np.asarray(each), 0.4, "float32")


def test_a_traced_importance_is_not_looked_at():
    params, reference, importance = make_trees()
    negative = jax.tree.map(jnp.negative, importance)
    total = jax.jit(lambda own: Penalties(RULES, importance=own)(params))
    assert float(total(negative)) == pytest.approx(-float(total(importance)), rel=1e-6)
    with pytest.raises(ValueError, match="an importance must not be negative"):
        Penalties(RULES, reference=reference, importance=negative)(params)


def test_an_importance_from_outside_of_a_trace_is_looked_at_within():
    params, reference, importance = make_trees()
    negative = jax.tree.map(jnp.negative, importance)

    def total_of(importance):
        penalties = Penalties(RULES, reference=reference, importance=importance)
        return lambda params: penalties(params)

    exact = float(total_of(importance)(params))
    for transform in (jax.jit, lambda f: lambda x: jax.value_and_grad(f)(x)[0]):
        assert float(transform(total_of(importance))(params)) == pytest.approx(exact, rel=1e-5)
        with pytest.raises(ValueError, match="an importance must not be negative"):
            transform(total_of(negative))(params)
    step = lambda total, _: (total + total_of(importance)(params), None)  # noqa: E731
    scanned, _ = jax.lax.scan(step, jnp.zeros(()), length=3)
    assert float(scanned) == pytest.approx(3 * exact, rel=1e-5)


def test_eager_calls_compile_once():
    params, reference, importance = make_trees()
    penalties = Penalties(RULES, reference=reference, importance=importance)
    penalties(params)
    penalties.reference = jax.tree.map(lambda x: x + 1, reference)
    before = library._value_towards._cache_size()
    penalties(params)
    assert library._value_towards._cache_size() == before


def test_vmap_over_parameters_and_references():
    params, reference, importance = make_trees()
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), params)
    others = jax.tree.map(lambda x: jnp.stack([x, -x]), reference)

    def total(params, reference):
        return Penalties(RULES, reference=reference, importance=importance)(params)

    both = jax.vmap(total)(many, others)
    for i in range(2):
        alone = total(*jax.tree.map(lambda x, i=i: x[i], (many, others)))
        assert float(both[i]) == pytest.approx(float(alone), rel=1e-5)


def test_double_precision():
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64():
        arrays = [random_array((4, 3), "float64", seed) for seed in (1, 2, 3)]
        problem = Towards(arrays[0], arrays[1], np.abs(arrays[2]), 0.3, 0.7)
        own = {"reference": {"w": problem.reference}, "importance": {"w": problem.importance}}
        params = {"w": jnp.asarray(problem.x)}
        value, grads = Penalties(RULES, **own).value_and_grad(params)
        problem.check(value, np.asarray(grads["w"]))
        problem.check_step(np.asarray(Penalties(RULES, **own).proximal(params, 0.4)["w"]), 0.4)
        second = jax.hessian(lambda x: Penalties(RULES, **own)({"w": x}))(params["w"])
        diagonal = np.diag(np.asarray(second).reshape(12, 12)).reshape(4, 3)
        np.testing.assert_allclose(diagonal, 2 * 0.7 * problem.importance)
