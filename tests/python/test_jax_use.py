"""JAX arrays: transforms, whole models, and what is refused."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import os
import subprocess
import sys

import numpy as np
import penalty_checks
import pytest
from arrays import random_array
from frameworks import require
from penalty_checks import REGULARIZERS
from taut import Penalties
from taut.regularizers import L1, L2, ActivityRegularizer, OrthogonalRegularizer, Regularizer

require("jax")

from taut import kernels
from taut.arrays.jax import calls
from test_jax import doubles, jax, jnp


@pytest.mark.parametrize("name", REGULARIZERS)
def test_transforms(name):
    regularizer = REGULARIZERS[name]
    grad = jax.grad(regularizer)
    batch = jnp.asarray(random_array((2, 3, 6, 5), "float32"))
    one = batch[0, 0]
    value, slope = regularizer.value_and_grad(one, scale=1.0)
    numpy_value, numpy_slope = regularizer.value_and_grad(np.asarray(one))
    assert value == pytest.approx(numpy_value, rel=1e-6)
    np.testing.assert_allclose(slope, numpy_slope, rtol=2e-6, atol=1e-8)

    def same(computed, expected):
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-7)

    same(grad(one), slope)
    same(jax.jit(grad)(one), slope)
    same(jax.jit(jax.value_and_grad(regularizer))(one)[1], slope)
    same(regularizer.value_and_grad(one, scale=-2.0)[1], -2 * slope)
    same(jax.jvp(regularizer, (one,), (one + 1,))[1], (slope * (one + 1)).sum())
    same(jax.linearize(regularizer, one)[1](one + 1), (slope * (one + 1)).sum())
    values = jnp.stack([jnp.stack([regularizer(x) for x in row]) for row in batch])
    grads = jnp.stack([jnp.stack([grad(x) for x in row]) for row in batch])
    same(jax.vmap(jax.vmap(regularizer))(batch), values)
    same(jax.jit(jax.vmap(jax.vmap(grad)))(batch), grads)
    same(
        jax.grad(lambda x: jax.vmap(regularizer, in_axes=2)(x).sum())(jnp.moveaxis(batch[0], 0, 2)),
        jnp.moveaxis(grads[0], 0, 2),
    )
    same(jax.jit(lambda x: jax.checkpoint(regularizer)(x))(one), value)
    mapped = jax.lax.map(regularizer, batch[0])
    same(mapped, values[0])


@pytest.mark.parametrize("name", REGULARIZERS)
def test_training_in_a_scan(name):
    regularizer = REGULARIZERS[name]

    def step(x, _):
        value, grad = jax.value_and_grad(regularizer)(x)
        return x - 0.1 * grad, value

    x = jnp.asarray(random_array((6, 5), "float32"))
    last, values = jax.jit(lambda x: jax.lax.scan(step, x, None, length=3))(x)
    for value in values:
        expected, grad = regularizer.value_and_grad(x)
        assert value == pytest.approx(float(expected), rel=1e-6)
        x = x - 0.1 * grad
    np.testing.assert_allclose(last, x, rtol=1e-5, atol=1e-6)
    through = jax.grad(lambda x: jax.lax.scan(step, x, None, length=2)[1].sum())(x)
    assert jnp.isfinite(through).all()


@pytest.mark.parametrize("name", REGULARIZERS)
def test_second_derivatives(name):
    regularizer = REGULARIZERS[name]
    with doubles(True):
        x = random_array((4, 3), "float64")
        hessian = jax.hessian(regularizer)(jnp.asarray(x))
        np.testing.assert_allclose(
            hessian, jax.jit(jax.jacrev(jax.grad(regularizer)))(jnp.asarray(x)), atol=1e-12
        )
        step = 1e-6
        for index in np.ndindex(*x.shape):
            up, down = x.copy(), x.copy()
            up[index] += step
            down[index] -= step
            slope = (regularizer.value_and_grad(up)[1] - regularizer.value_and_grad(down)[1]) / (
                2 * step
            )
            np.testing.assert_allclose(hessian[(..., *index)], slope, rtol=1e-5, atol=1e-8)


def test_xla_calls_the_kernel_on_the_cpu_and_nothing_of_it_elsewhere():
    x = jnp.ones((6, 5))
    compiled = jax.jit(jax.value_and_grad(REGULARIZERS["rows"])).lower(x).compile().as_text()
    assert "taut_gram_value_and_grad" in compiled
    assert " dot(" not in compiled
    if jax.__version_info__ >= (0, 10):  # old ones leave it to XLA to drop the branch
        elsewhere = jax.jit(jax.value_and_grad(REGULARIZERS["rows"])).trace(x)
        assert "taut_gram" not in elsewhere.lower(lowering_platforms=("cuda",)).as_text()


def test_a_schedule_compiles_nothing(caplog):
    x = jnp.ones((7, 3))
    for regularizer, factor in ((OrthogonalRegularizer(0.5), "factor"), (L2(0.5), "l2")):
        values = {}
        for number in (0.5, 0.25, 0.125):
            setattr(regularizer, factor, number)
            caplog.clear()
            with jax.log_compiles():
                values[number] = float(regularizer(x))
                regularizer.value_and_grad(x)
            compiles = [record for record in caplog.records if "Compiling" in record.getMessage()]
            assert bool(compiles) == (number == 0.5)
        assert values[0.5] == 2 * values[0.25] == 4 * values[0.125]


@pytest.mark.parametrize("function", [lambda r: r, jax.jit])
def test_mistakes_are_told(function):
    for dtype in ("int32", "bool", "complex64", "int8"):
        with pytest.raises(TypeError, match=rf"dtype={dtype}: cast it first, with \.astype"):
            function(L2())(jnp.ones(2, dtype))
    for regularizer in (OrthogonalRegularizer(), OrthogonalRegularizer(mode="columns")):
        with pytest.raises(ValueError, match=r"must have rank 2.*\(3,\)"):
            function(regularizer)(jnp.ones(3))
    broken = L2(1.0)
    broken.l2 = -1.0
    with pytest.raises(ValueError, match="non-negative"):
        function(broken)(jnp.ones(3))


def test_an_error_of_the_core_is_one_of_xla():
    with pytest.raises(Exception, match="non-negative"):
        calls.value(
            jnp.ones((3, 3)), (-1.0,), kernels.GRAM, ("rows", False), (True,)
        ).block_until_ready()
    assert OrthogonalRegularizer(1.0)(jnp.ones((3, 3))) == 1


def test_what_is_written_in_place_is_refused():
    x = jnp.ones((3, 3))
    penalty_checks.assert_not_written(x, jnp.zeros((3, 3)), Quartic())


class Quartic(Regularizer):
    def __call__(self, x):
        return 0.5 * (x**4).sum()


def test_your_own_regularizers_are_differentiated():
    x = jnp.array([1.0, -2.0])
    value, grad = Quartic().value_and_grad(x, scale=2.0)
    assert (value, grad.tolist()) == (8.5, [4.0, -32.0])
    value, grad = Regularizer().value_and_grad(x)
    assert (value, grad.tolist()) == (0, [0, 0])


def test_a_whole_model_under_transforms():
    kernel, bias = random_array((6, 5), "float32"), random_array(5, "float32")
    penalties = Penalties(
        [("*/kernel", REGULARIZERS["rows"]), ("*/again", L2(0.1)), ("*/bias", L1(0.1))]
    )

    def params(kernel, bias):
        return {"dense": {"kernel": kernel, "bias": bias, "again": kernel}}

    expected = penalties(params(kernel, bias))
    assert expected == REGULARIZERS["rows"](kernel) + L1(0.1)(bias)  # the second is the first again
    arrays = jnp.asarray(kernel), jnp.asarray(bias)
    assert penalties(params(*arrays)) == pytest.approx(expected, rel=1e-6)
    compiled = jax.jit(jax.value_and_grad(lambda *both: penalties(params(*both)), argnums=(0, 1)))
    value, grads = compiled(*arrays)
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        grads[0], REGULARIZERS["rows"].value_and_grad(kernel)[1], rtol=1e-5, atol=1e-7
    )
    assert grads[1].tolist() == L1(0.1).value_and_grad(bias)[1].tolist()
    breakdown = jax.jit(lambda *both: penalties.breakdown(params(*both)))(*arrays)
    assert set(breakdown) == {"dense/kernel", "dense/bias", "dense/again"}
    assert breakdown["dense/again"] == 0


def test_an_activity_is_divided_by_its_batch_size():
    x = random_array((8, 3), "float32")
    regularizer = ActivityRegularizer(L2(0.1))
    assert jax.jit(regularizer)(jnp.asarray(x)) == pytest.approx(regularizer(x), rel=1e-6)


def test_many_devices_in_one_process():
    program = """if True:
        import jax, numpy, taut
        from jax.sharding import Mesh, NamedSharding, PartitionSpec
        from taut.regularizers import OrthogonalRegularizer
        penalty = OrthogonalRegularizer(1.0)
        x = numpy.random.default_rng(0).standard_normal((8, 6)).astype(numpy.float32)
        mesh = Mesh(numpy.array(jax.devices()), ("rows",))
        shared = jax.device_put(x, NamedSharding(mesh, PartitionSpec("rows")))
        value, grad = jax.jit(jax.value_and_grad(penalty))(shared)
        expected, slope = penalty.value_and_grad(x)
        assert len(shared.sharding.device_set) == 2
        numpy.testing.assert_allclose(value, expected, rtol=1e-6)
        numpy.testing.assert_allclose(grad, slope, rtol=1e-5, atol=1e-7)
    """
    environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, check=True, timeout=100
    )


def test_an_array_that_counted_already_has_a_zero_of_jax():
    x = jnp.ones(3, jnp.bfloat16)
    twice = Penalties([("*", L2(1.0))]).breakdown({"a": x, "b": x})["b"]
    assert (type(twice), twice.dtype, float(twice)) == (type(x), jnp.float32, 0.0)


@pytest.mark.skipif(jax.__version_info__ < (0, 8), reason="an older JAX has no checks of this kind")
@pytest.mark.parametrize("name", REGULARIZERS)
def test_shard_map_with_its_checks(name):
    regularizer = REGULARIZERS[name]
    x = jnp.asarray(random_array((6, 5), "float32"))
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("rows",))
    spec = jax.sharding.PartitionSpec("rows")

    def mapped(function):
        return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec)

    np.testing.assert_allclose(mapped(lambda x: regularizer(x)[None])(x), regularizer(x)[None])
    grad = regularizer.value_and_grad(x)[1]
    for function in (jax.grad(regularizer), lambda x: regularizer.value_and_grad(x)[1]):
        np.testing.assert_allclose(jax.jit(mapped(function))(x), grad, rtol=1e-5, atol=1e-8)
    penalties = Penalties([("*", regularizer)])
    np.testing.assert_allclose(mapped(lambda x: penalties({"w": x})[None])(x)[0], regularizer(x))


@pytest.mark.skipif(jax.__version_info__ < (0, 8), reason="an older JAX has no such meshes")
@pytest.mark.parametrize("axes", [("shared",), (None, "shared"), ()])
@pytest.mark.parametrize("name", REGULARIZERS)
def test_meshes_whose_axes_are_explicit(name, axes):
    regularizer = REGULARIZERS[name]
    x = random_array((6, 5), "float32")
    mesh = jax.make_mesh((1,), ("shared",), axis_types=(jax.sharding.AxisType.Explicit,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
    with jax.set_mesh(mesh):
        shared = jax.device_put(x, sharding)
        value, grad = jax.jit(jax.value_and_grad(regularizer))(shared)
        assert grad.sharding.is_equivalent_to(sharding, 2)
    expected, slope = regularizer.value_and_grad(jnp.asarray(x))
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for found in (grad, jax.grad(regularizer)(shared), regularizer.value_and_grad(shared)[1]):
        np.testing.assert_allclose(found, slope, rtol=1e-5, atol=1e-8)
