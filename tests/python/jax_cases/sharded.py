"""Arrays that are shared out over four devices: what is computed where, and what is sent."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import taut
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from taut.regularizers import (
    L1L2,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)

ORTHOGONAL = {mode: OrthogonalRegularizer(1.0, mode) for mode in ("rows", "columns")}
SOFT = {
    "soft": SoftOrthogonalRegularizer(1.0),
    "soft columns": SoftOrthogonalRegularizer(1.0, "columns"),
}
ELEMENTWISE = {"L1L2": L1L2(0.3, 0.1), "L2": L2(0.1)}
GROUPS = {"groups": GroupLasso(0.1), "groups of columns": GroupLasso(0.1, "columns")}
REGULARIZERS = ORTHOGONAL | SOFT | ELEMENTWISE | GROUPS

SPECS = [P(), P("a"), P(("a", "b")), P(None, "a"), P(None, ("a", "b")), P("a", "b"), P("b", "a")]
KINDS = {"auto": AxisType.Auto, "explicit": AxisType.Explicit}


@pytest.fixture(params=KINDS)
def mesh(request):
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(KINDS[request.param],) * 2)
    with jax.set_mesh(mesh):
        yield mesh


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def compiled(function, *operands):
    """Returns the collectives and the handlers in the program of each device."""
    text = jax.jit(function).lower(*operands).compile().as_text()
    pattern = r"\b(all-gather|all-to-all|all-reduce|collective-permute)\(|target=\"(taut_\w+)\""
    return sorted({one or other for one, other in re.findall(pattern, text)})


def check(regularizer, x, sharding):
    """Compares with one device; returns the array, as it is shared out."""
    shared = jax.device_put(x, sharding)
    expected, slope = regularizer.value_and_grad(jnp.asarray(np.asarray(x)))
    atol = 1e-6 * float(abs(slope).max())
    for function in (
        jax.jit(jax.value_and_grad(regularizer)),
        lambda x: regularizer.value_and_grad(x, scale=1.0),
    ):
        value, grad = function(shared)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        np.testing.assert_allclose(grad, slope, rtol=1e-4, atol=atol)
        assert grad.sharding.is_equivalent_to(sharding, grad.ndim)
        assert value.is_fully_replicated
    np.testing.assert_allclose(regularizer(shared), expected, rtol=1e-5)
    return shared


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_shared_array_is_that_of_one_device_and_so_is_its_gradients_sharding(name, spec, mesh):
    check(REGULARIZERS[name], random(64, 40), NamedSharding(mesh, spec))


@pytest.mark.parametrize("mode", ORTHOGONAL)
def test_sizes_that_the_devices_do_not_divide(mode, mesh):
    for vectors, spec in itertools.product(
        (1, 2, 3, 5, 10, 61), (P(None, ("a", "b")), P(None, "b"))
    ):
        x = random(vectors, 24)
        if mode == "columns":
            x, spec = x.T, P(*reversed(spec))
        check(ORTHOGONAL[mode], x, NamedSharding(mesh, spec))


@pytest.mark.parametrize(
    "spec", [P("a"), P(None, "b", None, "a"), P("a", None, "b"), P(None, "a", "b")], ids=str
)
@pytest.mark.parametrize("mode", ORTHOGONAL)
def test_tensors_that_are_read_as_matrices(mode, spec, mesh):
    regularizer = OrthogonalRegularizer(1.0, mode, flatten=True)
    check(regularizer, random(12, 4, 6, 8), NamedSharding(mesh, spec))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types(dtype, mesh):
    x = jnp.asarray(random(32, 24), dtype)
    shared = jax.device_put(x, NamedSharding(mesh, P("a", "b")))
    value, grad = ORTHOGONAL["rows"].value_and_grad(shared, scale=64.0)
    expected, slope = ORTHOGONAL["rows"].value_and_grad(x, scale=64.0)
    assert (value.dtype, grad.dtype) == (jnp.float32, x.dtype)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(grad.astype(float), slope.astype(float), rtol=1e-2, atol=1e-5)


def test_float64(mesh):
    with jax.enable_x64(True):
        x = np.random.default_rng(0).standard_normal((32, 24))
        shared = jax.device_put(x, NamedSharding(mesh, P("a", "b")))
        value, grad = jax.jit(jax.value_and_grad(ORTHOGONAL["rows"]))(shared)
        expected, slope = ORTHOGONAL["rows"].value_and_grad(x)
        np.testing.assert_allclose(value, expected, rtol=1e-14)
        np.testing.assert_allclose(grad, slope, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_one_device_has_that_is_not_finite_is_seen_by_all(number, mesh):
    x = random(32, 24)
    x[30, 3] = number
    shared = jax.device_put(x, NamedSharding(mesh, P(("a", "b"))))
    value, grad = jax.jit(jax.value_and_grad(ORTHOGONAL["rows"]))(shared)
    assert np.isnan(value)
    assert np.isnan(grad).all()


def test_each_device_has_its_own_pairs_to_compute(mesh):
    for spec, sent in [
        (P("a"), ["all-gather", "all-reduce"]),
        (P(None, "a"), ["all-gather", "all-reduce", "all-to-all"]),
    ]:
        x = jax.device_put(random(64, 40), NamedSharding(mesh, spec))
        assert compiled(ORTHOGONAL["rows"], x) == [*sent, "taut_gram_share_value"]
        assert compiled(jax.value_and_grad(ORTHOGONAL["rows"]), x) == [
            "all-gather",
            "all-reduce",
            "all-to-all",  # of the signs, too
            "taut_gram_share_grad",
            "taut_gram_share_signs",
        ]
    whole = jax.device_put(random(64, 40), NamedSharding(mesh, P()))
    assert compiled(jax.value_and_grad(ORTHOGONAL["rows"]), whole) == ["taut_gram_value_and_grad"]


@pytest.mark.parametrize("shape", [(4, 8), (64, 40), (120, 60), (400, 12)], ids=str)
def test_a_gradient_has_one_devices_bits(shape, mesh):
    x = random(*shape)
    x[::5] = np.sign(x[::5])  # some of whose pairs are orthogonal
    x[shape[0] // 2] = 0
    for mode in ORTHOGONAL:
        function = jax.jit(jax.grad(ORTHOGONAL[mode]))
        expected = np.asarray(function(jnp.asarray(x)))
        for spec in (P("a"), P(None, "b"), P("a", "b"), P(None, ("a", "b"))):
            shared = jax.device_put(x, NamedSharding(mesh, spec))
            np.testing.assert_array_equal(np.asarray(function(shared)), expected)


def test_vectors_and_coordinates_that_are_split_and_not_divided(mesh):
    with jax.enable_x64(True):
        x = np.random.default_rng(0).standard_normal((10, 24))  # of five each, two devices' turns
        for mode in ORTHOGONAL:
            function = jax.jit(jax.grad(ORTHOGONAL[mode]))
            turned = x if mode == "rows" else x.T
            for spec in (P("a", "b"), P("b", "a")):
                shared = jax.device_put(turned, NamedSharding(mesh, spec))
                np.testing.assert_array_equal(function(shared), function(jnp.asarray(turned)))


def test_penalties_that_are_jaxs_own_send_sums_alone(mesh):
    for regularizer in (ELEMENTWISE | GROUPS).values():
        for spec in (P("a"), P(None, "b"), P("a", "b")):
            x = jax.device_put(random(64, 40), NamedSharding(mesh, spec))
            assert compiled(jax.value_and_grad(regularizer), x) == ["all-reduce"]


@pytest.mark.parametrize("name", ORTHOGONAL | SOFT)
def test_of_a_stack_each_device_has_its_own_matrices(name, mesh):
    regularizer = REGULARIZERS[name]
    stack = random(8, 24, 16)
    each = [regularizer.value_and_grad(matrix) for matrix in stack]
    for spec in (P("a"), P(("a", "b")), P("a", "b"), P(None, "b"), P("b", None, "a")):
        shared = jax.device_put(stack, NamedSharding(mesh, spec))
        values, grads = jax.jit(jax.vmap(jax.value_and_grad(regularizer)))(shared)
        np.testing.assert_allclose(values, [value for value, _ in each], rtol=1e-5)
        np.testing.assert_allclose(grads, [grad for _, grad in each], rtol=1e-3, atol=1e-6)
        assert grads.sharding.is_equivalent_to(shared.sharding, 3)
        if spec in (P("a"), P(("a", "b"))):
            handler = f"taut_{regularizer._kernel.name}_value_and_grad"
            assert compiled(jax.vmap(jax.value_and_grad(regularizer)), shared) == [handler]


def test_stacks_of_stacks_and_factors(mesh):
    stack = random(4, 2, 24, 16)
    sharding = NamedSharding(mesh, P("a"))
    factors = np.arange(1, 5, dtype=np.float32)

    def total(factor, matrices):
        return jax.vmap(OrthogonalRegularizer(factor))(matrices).sum()

    slopes, grads = jax.jit(jax.vmap(jax.grad(total, (0, 1))))(
        jax.device_put(factors, sharding), jax.device_put(stack, sharding)
    )
    for index, matrices in enumerate(stack):
        parts = [ORTHOGONAL["rows"].value_and_grad(matrix) for matrix in matrices]
        np.testing.assert_allclose(
            np.asarray(slopes)[index], sum(value for value, _ in parts), rtol=1e-5
        )
        expected = [factors[index] * grad for _, grad in parts]
        np.testing.assert_allclose(np.asarray(grads)[index], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_under_shard_map_each_device_has_the_penalty_of_its_own_part(name, mesh):
    regularizer = REGULARIZERS[name]
    x = random(32, 24)
    shared = jax.device_put(x, NamedSharding(mesh, P(("a", "b"))))

    def local(x):
        return jax.lax.psum(regularizer(x), ("a", "b")), jax.grad(regularizer)(x)

    mapped = jax.shard_map(local, in_specs=P(("a", "b")), out_specs=(P(), P(("a", "b"))))
    value, grad = jax.jit(mapped)(shared)
    parts = [regularizer.value_and_grad(part) for part in np.split(x, 4)]
    np.testing.assert_allclose(value, sum(value for value, _ in parts), rtol=1e-5)
    expected = np.concatenate([grad for _, grad in parts])
    np.testing.assert_allclose(grad, expected, rtol=1e-3, atol=1e-6)
    assert not any("all-gather" in name for name in compiled(mapped, shared))


@pytest.mark.parametrize("name", ORTHOGONAL | SOFT)
def test_under_shard_map_over_one_axis_the_other_is_gathered(name, mesh):
    regularizer = REGULARIZERS[name]
    x = random(32, 24)
    shared = jax.device_put(x, NamedSharding(mesh, P("a", "b")))
    mapped = jax.shard_map(
        jax.grad(regularizer), in_specs=P("a"), out_specs=P("a"), axis_names={"a"}
    )
    expected = np.concatenate([regularizer.value_and_grad(part)[1] for part in np.split(x, 2)])
    np.testing.assert_allclose(jax.jit(mapped)(shared), expected, rtol=1e-3, atol=1e-6)


def test_second_derivatives(mesh):
    x = random(8, 4)
    shared = jax.device_put(x, NamedSharding(mesh, P("a")))

    def along(x):
        return jax.jvp(jax.grad(ORTHOGONAL["rows"]), (x,), (x * x,))[1]

    np.testing.assert_allclose(jax.jit(along)(shared), along(jnp.asarray(x)), rtol=1e-3, atol=1e-5)


def test_a_model_trains_as_on_one_device(mesh):
    penalties = taut.Penalties(
        [("*/kernel", ORTHOGONAL["columns"]), ("*/embedding", SOFT["soft"]), ("*", L2(0.1))]
    )

    def step(params, _):
        value, grads = jax.value_and_grad(penalties)(params)
        return jax.tree.map(lambda x, grad: x - 0.1 * grad, params, grads), value

    params = {
        "dense": {"kernel": random(24, 16), "embedding": random(8, 4), "bias": random(16)},
    }
    specs = {"kernel": P("a", "b"), "embedding": P("b"), "bias": P("a")}
    shared = {
        "dense": {
            name: jax.device_put(x, NamedSharding(mesh, specs[name]))
            for name, x in params["dense"].items()
        }
    }
    train = jax.jit(lambda params: jax.lax.scan(step, params, None, length=3))
    last, values = train(shared)
    expected, expected_values = train(jax.tree.map(jnp.asarray, params))
    np.testing.assert_allclose(values, expected_values, rtol=1e-5)
    for name, x in last["dense"].items():
        np.testing.assert_allclose(x, expected["dense"][name], rtol=1e-4, atol=1e-6)
        assert x.sharding.is_equivalent_to(shared["dense"][name].sharding, x.ndim)


def test_a_gradient_may_be_asked_for_in_another_sharding():
    mesh = jax.make_mesh((4,), ("a",), axis_types=(AxisType.Auto,))
    x = random(64, 40)
    wanted = NamedSharding(mesh, P("a"))
    slope = ORTHOGONAL["rows"].value_and_grad(x)[1]
    for spec in (P(), P(None, "a")):
        shared = jax.device_put(x, NamedSharding(mesh, spec))
        grad = jax.jit(jax.grad(ORTHOGONAL["rows"]), out_shardings=wanted)(shared)
        np.testing.assert_allclose(grad, slope, rtol=1e-4, atol=1e-6)
        assert grad.sharding.is_equivalent_to(wanted, 2)


def test_some_devices_of_the_process():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[1:3]), ("a",))
    check(ORTHOGONAL["rows"], random(64, 40), NamedSharding(mesh, P("a")))
