"""`__call__` is the contract of a subclass: what it does not define is derived from it, or refused.

On every library that differentiates; on NumPy it is refused.
"""

import numpy as np
import pytest
import taut
from frameworks import require, to_library
from taut.regularizers import (
    L1,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
)

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
LIBRARIES = ["torch", "jax", "tensorflow"]


class TwiceL2(L2):
    def __call__(self, x):
        return 2 * super().__call__(x)


class TwiceOrthogonal(OrthogonalRegularizer):
    def __call__(self, x):
        return 2 * super().__call__(x)


class TwiceGroupLasso(GroupLasso):
    def __call__(self, x):
        return 2 * super().__call__(x)


class TwiceActivity(ActivityRegularizer):
    def __call__(self, x):
        return 2 * super().__call__(x)


TWICE = [
    (TwiceL2(0.3), L2(0.3)),
    (TwiceOrthogonal(0.3), OrthogonalRegularizer(0.3)),
    (TwiceGroupLasso(0.3), GroupLasso(0.3)),
    (TwiceActivity("l2"), ActivityRegularizer("l2")),
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("twice", "once"), TWICE)
def test_a_gradient_is_that_of_the_call_which_was_overridden(library, twice, once):
    x = to_library(library, X)
    value, grad = once.value_and_grad(X)
    own_value, own_grad = twice.value_and_grad(x, scale=3.0)
    assert float(own_value) == pytest.approx(2 * value, rel=1e-6)
    np.testing.assert_allclose(own_grad, 6 * grad, rtol=1e-5, atol=1e-8)
    total = taut.Penalties([("*", twice)])({"w": x})
    assert float(total) == pytest.approx(2 * value, rel=1e-6)
    if library == "torch":
        target = require("torch").zeros(4, 3)
        twice.accumulate_grad(x, target, scale=3.0)
        np.testing.assert_allclose(target, 6 * grad, rtol=1e-5, atol=1e-8)
        target.zero_()
        taut.Penalties([("*", twice)]).accumulate_grad({"w": x}, {"w": target})
        np.testing.assert_allclose(target, 2 * grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("twice", "once"), TWICE)
def test_numpy_cannot_derive_it_and_says_so(twice, once):
    grad = np.zeros_like(X)
    for call in (
        lambda: twice.value_and_grad(X),
        lambda: twice.accumulate_grad(X, grad),
        lambda: taut.Penalties([("*", twice)]).accumulate_grad({"w": X}, {"w": grad}),
    ):
        with pytest.raises(NotImplementedError, match=r"value_and_grad"):
            call()
    assert not grad.any()
    assert twice(X) == 2 * once(X)


class OwnGradient(L2):
    def value_and_grad(self, x, scale=1.0):
        value, grad = super().value_and_grad(x, scale)
        return value, 10 * grad


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_is_accumulated_is_the_gradient_that_was_overridden(library):
    x = X if library == "numpy" else to_library(library, X)
    for accumulate in (
        OwnGradient(0.5).accumulate_grad,
        lambda x, grad: taut.Penalties([("*", OwnGradient(0.5))]).accumulate_grad(
            {"w": x}, {"w": grad}
        ),
    ):
        grad = 0 * x
        assert float(accumulate(x, grad)) == pytest.approx(L2(0.5)(X), rel=1e-6)
        np.testing.assert_allclose(grad, 10 * X, rtol=1e-6)


def test_a_proximal_step_of_another_penalty_is_refused():
    x = X.copy()
    with pytest.raises(NotImplementedError, match="TwiceL2 has no proximal step"):
        TwiceL2(0.3).prox(x, 0.1)
    with pytest.raises(NotImplementedError, match=r"w: TwiceL2.* has no proximal step"):
        taut.Penalties([("*", TwiceL2(0.3))]).prox({"w": x}, 0.1)
    assert (x == X).all()


def test_what_is_not_overridden_is_inherited():
    class Named(L2):
        def get_config(self):
            return {"l2": self.l2, "name": "n"}

    class Again(TwiceL2):
        def value_and_grad(self, x, scale=1.0):
            return self(x), 4 * self.l2 * scale * x

    grad = np.zeros_like(X)
    assert Named(0.3).accumulate_grad(X, grad) == L2(0.3)(X)
    np.testing.assert_array_equal(grad, L2(0.3).value_and_grad(X)[1])
    assert taut.Penalties([("*", Named(0.3))]).accumulate_grad({"w": X}, {"w": grad}) > 0
    Again(0.3).accumulate_grad(X, grad)
    np.testing.assert_allclose(grad, 4 * 2 * 0.3 * X, rtol=1e-5)
    Named(0.3).prox(X.copy(), 0.1)


def test_a_mixin_that_defines_no_penalty_keeps_its_gradient():
    class Gradient(Regularizer):
        def value_and_grad(self, x, scale=1.0):
            return self(x), np.full_like(x, scale)

    class Sum(Gradient):
        def __call__(self, x):
            return x.sum()

    grad = np.zeros_like(X)
    assert Sum().accumulate_grad(X, grad, scale=2.0) == X.sum()
    assert (grad == 2).all()


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_activity_of_a_function_has_a_gradient(library):
    activity = ActivityRegularizer(lambda x: L1(0.3)(x) * 2)
    value, grad = L1(0.3).value_and_grad(X)
    own_value, own_grad = activity.value_and_grad(to_library(library, X))
    assert float(own_value) == pytest.approx(2 * value / 4, rel=1e-6)
    np.testing.assert_allclose(own_grad, 2 * grad / 4, rtol=1e-6)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_constant_has_a_gradient_of_zero(library):
    value, grad = Regularizer().value_and_grad(to_library(library, X))
    assert float(value) == 0
    assert not np.asarray(grad).any()
