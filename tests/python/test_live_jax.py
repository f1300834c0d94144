"""Factors that are JAX arrays and tracers."""

import numpy as np
import pytest
import taut
from frameworks import require
from taut import _core
from taut.regularizers import L1L2, L2, OrthogonalRegularizer
from test_jax import doubles
from test_live_factors import X, every_class

jax = require("jax")
jnp = jax.numpy

NUMBER = np.float32(0.3)
x = jnp.asarray(X)


def penalty_of(cls):
    return lambda factor, x: cls(factor)(x)


def slope_of(cls, x=X):
    """The derivative with respect to the factor, by differences in float64."""
    x = np.asarray(x, np.float64)
    return (cls(0.3 + 1e-4)(x) - cls(0.3 - 1e-4)(x)) / 2e-4


def assert_same(cls, found, expected):
    """The kernel gives the same bits; what XLA fuses may be added in another order."""
    rounding = 0 if cls is OrthogonalRegularizer else 2.0**-20
    np.testing.assert_allclose(found, expected, rtol=rounding)


@every_class
def test_a_traced_factor_is_worth_its_number(cls):
    penalty = penalty_of(cls)
    expected, grad = cls(NUMBER).value_and_grad(x, scale=2.0)
    assert_same(cls, jax.jit(penalty)(NUMBER, x), expected)
    value, own = jax.jit(lambda factor, x: cls(factor).value_and_grad(x, scale=2.0))(NUMBER, x)
    assert_same(cls, value, expected)
    assert_same(cls, own, grad)


@every_class
@pytest.mark.parametrize("compile", [jax.jit, lambda function: function], ids=["jit", "eager"])
def test_derivatives(cls, compile):
    penalty = penalty_of(cls)
    expected = slope_of(cls)
    slope, grad = compile(jax.grad(penalty, (0, 1)))(NUMBER, x)
    assert float(slope) == pytest.approx(expected, rel=1e-5)
    assert_same(cls, grad, compile(jax.grad(cls(NUMBER)))(x))
    assert float(compile(jax.grad(penalty))(NUMBER, x)) == pytest.approx(expected, rel=1e-5)
    tangents = jnp.float32(2), jnp.zeros_like(x)
    _, tangent = compile(lambda *args: jax.jvp(penalty, args, tangents))(NUMBER, x)
    assert float(tangent) == pytest.approx(2 * expected, rel=1e-5)
    _, tangent = jax.jvp(lambda factor: penalty(factor, x), (NUMBER,), (jnp.float32(2),))
    assert float(tangent) == pytest.approx(2 * expected, rel=1e-5)
    for dtype in (jnp.float16, jnp.bfloat16):
        slope = compile(jax.grad(penalty))(jnp.asarray(NUMBER, dtype), x.astype(dtype))
        assert slope.dtype == dtype
        assert float(slope) == pytest.approx(slope_of(cls, x.astype(dtype)), rel=2.0**-7)


@every_class
def test_a_factor_of_0(cls):
    penalty, zero, ones = penalty_of(cls), jnp.float32(0), jnp.ones_like(x)
    term, grad = cls(1.0).value_and_grad(x)
    assert jax.jit(penalty)(zero, x) == 0
    slope, own = jax.jit(jax.grad(penalty, (0, 1)))(zero, x)
    assert float(slope) == pytest.approx(float(term), rel=1e-6)
    assert not own.any()
    # The derivative of a derivative, in either order.
    mixed = jax.grad(lambda factor: (jax.grad(penalty, 1)(factor, x) * ones).sum())(zero)
    assert float(mixed) == pytest.approx(float(grad.sum()), rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(
        jax.grad(lambda x: jax.grad(penalty)(zero, x))(x), grad, rtol=1e-5, atol=1e-7
    )
    for hidden in (jnp.nan, jnp.inf):
        broken = x.at[1, 2].set(hidden)
        value, (slope, own) = jax.jit(jax.value_and_grad(penalty, (0, 1)))(zero, broken)
        assert value == 0
        assert not own.any()
        assert not jnp.isfinite(slope)  # the term itself is not
    huge = jnp.full((3, 3), 1e30, jnp.float32)  # whose squares are not finite without x64
    value, own = jax.jit(jax.value_and_grad(penalty, 1))(zero, huge)
    assert value == 0
    assert not own.any()


@every_class
def test_a_schedule_compiles_nothing(cls):
    traces = []

    @jax.jit
    def penalty(factor, x):
        traces.append(factor)
        return cls(factor)(x)

    for number in (0.3, 0.0, 2.0):
        assert_same(cls, penalty(jnp.float32(number), x), cls(np.float32(number))(x))
    assert len(traces) == 1

    def step(total, factor):
        return total + cls(factor)(x), None

    total, _ = jax.lax.scan(step, 0.0, jnp.linspace(0, 1, 5))
    assert float(total) == pytest.approx(2.5 * float(cls(1.0)(x)), rel=1e-5)


@every_class
def test_vmap(cls):
    factors, xs = jnp.asarray([0.0, 0.3]), jnp.stack([x, x + 1])
    penalty = penalty_of(cls)
    expected = [0, cls(NUMBER)(x + 1)]
    np.testing.assert_allclose(jax.vmap(penalty)(factors, xs), expected, rtol=1e-6)
    np.testing.assert_allclose(
        jax.vmap(penalty, (0, None))(factors, x), [0, cls(NUMBER)(x)], rtol=1e-6
    )
    slopes = jax.vmap(jax.grad(penalty), (0, None))(factors, x)
    np.testing.assert_allclose(slopes, [cls(1.0)(x)] * 2, rtol=1e-5)


def test_the_kernel_is_called_for_what_is_asked_for_alone():
    penalty = penalty_of(OrthogonalRegularizer)

    def calls(function):
        return str(jax.make_jaxpr(function)(NUMBER, x)).count("ffi_call")

    one = 1 if _core.jax_handlers else 0
    assert calls(penalty) == calls(jax.grad(penalty, 1)) == one
    assert calls(jax.grad(penalty, (0, 1))) == 2 * one


@every_class
def test_float64(cls):
    with doubles(True):
        wide = jnp.asarray(X, jnp.float64)
        value, (slope, grad) = jax.jit(jax.value_and_grad(penalty_of(cls), (0, 1)))(0.3, wide)
        expected, own = cls(0.3).value_and_grad(wide)
        assert_same(cls, value, expected)
        np.testing.assert_allclose(grad, own, rtol=1e-12, atol=1e-15)
        assert float(slope) == pytest.approx(slope_of(cls), rel=1e-8)


def test_each_of_two_factors():
    slopes = jax.grad(lambda l1, l2: L1L2(l1, l2)(x), (0, 1))(0.5, jnp.float32(0))
    np.testing.assert_allclose(slopes, [jnp.abs(x).sum(), jnp.square(x).sum()], rtol=1e-6)
    value = jax.jit(lambda l1: L1L2(l1, 0.25)(x))(0.5)
    assert float(value) == pytest.approx(float(L1L2(0.5, 0.25)(x)), rel=1e-6)


def test_penalties_of_traced_factors():
    params = {"a": x, "b": {"c": x + 1}}

    @jax.jit
    def both(factors, params):
        rules = [("a", L2(factors[0])), ("*", OrthogonalRegularizer(factors[1]))]
        penalties = taut.Penalties(rules)
        return penalties(params), penalties.value_and_grad(params)

    plain = taut.Penalties([("a", L2(NUMBER)), ("*", OrthogonalRegularizer(0.5))])
    expected, slopes = plain.value_and_grad(params)
    total, (value, grads) = both((NUMBER, 0.5), params)
    for found in (total, value):
        assert float(found) == pytest.approx(float(expected), rel=1e-6)
    for own, slope in zip(jax.tree.leaves(grads), jax.tree.leaves(slopes), strict=True):
        np.testing.assert_allclose(own, slope, rtol=1e-6)
    derivatives = jax.grad(lambda factors: both(factors, params)[0])((NUMBER, 0.5))
    terms = L2(1.0)(params["a"]), OrthogonalRegularizer(1.0)(params["b"]["c"])
    np.testing.assert_allclose(derivatives, terms, rtol=1e-6)


@every_class
def test_a_tracer_has_no_number(cls):
    for call in (
        lambda factor: cls(factor)(X),
        lambda factor: cls(factor).value_and_grad(X),
        lambda factor: cls(factor).accumulate_grad(X, X.copy()),
        lambda factor: taut.Penalties([("*", cls(factor))])({"x": X}),
        lambda factor: cls(factor).get_config(),
    ):
        with pytest.raises(TypeError, match="is traced by jax and has no number there"):
            jax.jit(call)(NUMBER)


def test_a_tracer_that_is_no_factor():
    for wrong in (jnp.ones(2), jnp.ones((), bool), jnp.ones((), jnp.complex64)):
        with pytest.raises(ValueError, match="expected a non-negative float"):
            jax.jit(lambda factor: L2(factor)(x))(wrong)
    total = jax.jit(lambda factor: L2(factor)(x))(3)  # an integer is a number
    assert float(total) == pytest.approx(float(L2(3.0)(x)), rel=1e-6)


def test_what_says_how_it_is_an_array():
    class Variable:
        def __init__(self, value):
            self.value = value

        def __jax_array__(self):
            return self.value

    variable = Variable(jnp.float32(0.5))
    regularizer = L2(variable)
    assert regularizer(x) == L2(0.5)(x)
    variable.value = jnp.float32(0.25)
    assert regularizer(x) == L2(0.25)(x)
    assert regularizer.get_config() == {"l2": 0.25}
