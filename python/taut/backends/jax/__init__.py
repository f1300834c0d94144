"""JAX arrays: XLA fuses L1 and L2, and calls the kernel for the orthogonal penalty on the CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
from jax import Array

from taut import _checks
from taut.backends.jax import operations
from taut.backends.jax.calls import gram


def value(kernel: str, x: Array, factors: tuple[Any, ...]) -> Array:
    """Returns the penalty of `x` as a 0-d array."""
    numbers, static = _checked(kernel, x, factors)
    return _value(kernel, static, x, numbers)


def value_and_grad(
    kernel: str, x: Array, factors: tuple[Any, ...], scale: float
) -> tuple[Array, Array]:
    """Returns the penalty of `x`, and `scale` times its gradient."""
    numbers, static = _checked(kernel, x, factors)
    return _value_and_grad(kernel, static, x, numbers, scale)  # type: ignore[no-any-return]


def accumulate_grad(
    kernel: str, x: Array, grad: Any, factors: tuple[Any, ...], scale: float
) -> NoReturn:
    """Raises a TypeError: JAX's arrays cannot be written."""
    _refuse("accumulate_grad", "take value_and_grad, or jax.grad")


def prox(x: Array, factors: tuple[Any, ...], step: float) -> NoReturn:
    """Raises a TypeError: JAX's arrays cannot be written."""
    _refuse("prox", "copy them to NumPy arrays for it")


def differentiate(function: Callable[[Array], Any], x: Array, scale: float) -> tuple[Array, Array]:
    """Returns what a function of JAX's operations gives, and `scale` times its gradient."""
    total, pull_back = jax.vjp(lambda weight: jnp.asarray(function(weight)), x)
    return total, pull_back(jnp.asarray(scale, total.dtype))[0]


def add_in_place(grad: Any, slope: Array) -> NoReturn:
    """Raises a TypeError: JAX's arrays cannot be written."""
    _refuse("accumulate_grad", "take value_and_grad, or jax.grad")


def _checked(kernel: str, x: Array, factors: tuple[Any, ...]) -> tuple[tuple[float, ...], Any]:
    """Returns the factors that are operands, so that a schedule compiles nothing, and the rest."""
    _checks.check_dtype(x.dtype.name)
    _checks.check_penalty(kernel, factors, x.shape)
    if kernel == "gram":
        return factors[:1], factors[1]
    return factors, tuple(factor != 0 for factor in factors)


@partial(jax.jit, static_argnums=(0, 1), inline=True)
def _value(kernel: str, static: Any, x: Array, numbers: tuple[Any, ...]) -> Array:
    if kernel == "gram":
        return gram(x, *numbers, static)
    return operations.elementwise(x, *numbers, *static)


@partial(jax.jit, static_argnums=(0, 1))
def _value_and_grad(
    kernel: str, static: Any, x: Array, numbers: tuple[Any, ...], scale: Any
) -> tuple[Array, Array]:
    return differentiate(lambda weight: _value(kernel, static, weight, numbers), x, scale)


def _refuse(function: str, instead: str) -> NoReturn:
    raise TypeError(f"{function} writes in place, and JAX arrays cannot be written: {instead}")


# ---- many arrays: what taut.Penalties asks for ---------------------------------------------------


def is_memory(x: Array) -> bool:
    """Returns False: each array is computed by itself, so that all can be traced."""
    _checks.check_dtype(x.dtype.name)
    return False


def is_frozen(x: Array) -> bool:
    """Returns whether `x` is not to be trained, which JAX cannot say."""
    return False


def native(x: Array) -> Array:
    """Returns `x`, which no other library wraps."""
    return x


def zero(x: Array) -> Array:
    """Returns a penalty of 0."""
    return jnp.zeros((), operations.value_dtype(x.dtype))


def memory_of(x: Array) -> object:
    """Returns what tells an array from others: JAX's never share memory that one could see."""
    return id(x)


def own_gradient(x: Array) -> NoReturn:
    """Raises a TypeError: an array has no gradient of its own, and none could be written."""
    _refuse("accumulate_grad", "take jax.grad of the penalties")


def require_writable(names: list[str], values: list[Any]) -> NoReturn:
    """Raises a TypeError: JAX's arrays cannot be written."""
    _refuse("prox", f"copy them to NumPy arrays for it. Received: {names}")
