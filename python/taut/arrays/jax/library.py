"""JAX as an array library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from taut.arrays.factors import operand, operands
from taut.arrays.formula import FormulaLibrary
from taut.arrays.jax import calls, operations
from taut.arrays.jax.sharding import varying_like
from taut.arrays.library import Factors
from taut.kernels import Kernel, Presence, Sides


class Jax(FormulaLibrary):
    """JAX arrays, concrete and traced; a call from outside of `jit` is compiled and kept."""

    xp = operations
    plural = "JAX arrays"
    differentiator = "jax.grad"

    def owns(self, cls: type) -> bool:
        """Returns whether objects of a class are arrays or tracers."""
        return issubclass(cls, Array | jax.core.Tracer)

    def value(self, kernel: Kernel, x: Array, factors: Factors) -> Array:
        """Returns the penalty of x as a 0-d array."""
        return _value(x, *self._operands(kernel, x, factors))

    def value_and_grad(
        self, kernel: Kernel, x: Array, factors: Factors, scale: float
    ) -> tuple[Array, Array]:
        """Returns the penalty of x, and `scale` times its gradient."""
        both: tuple[Array, Array] = _value_and_grad(x, *self._operands(kernel, x, factors), scale)
        return both

    def proximal(self, kernel: Kernel, x: Array, factors: Factors, step: Any) -> Array:
        """Returns the proximal step of x."""
        numbers, _, options, _ = self._operands(kernel, x, factors)
        by = operand(step, self)
        kernel.check_step(numbers, by)
        return _proximal(x, numbers, kernel, options, by)

    def has_negative(self, side: Any) -> bool | None:
        """Returns whether an element is negative, of what is not traced; within a trace, too."""
        if isinstance(side, jax.core.Tracer):
            return None
        with jax.ensure_compile_time_eval():
            return bool((side < 0).any())

    def value_towards(self, kernel: Kernel, x: Array, factors: Factors, sides: Sides) -> Array:
        """Returns the penalty of x as a 0-d array."""
        return _value_towards(x, *self._operands(kernel, x, factors), sides)

    def proximal_towards(
        self, kernel: Kernel, x: Array, factors: Factors, step: Any, sides: Sides
    ) -> Array:
        """Returns the proximal step of x."""
        numbers, _, options, _ = self._operands(kernel, x, factors)
        by = operand(step, self)
        kernel.check_step(numbers, by)
        return _proximal(x, numbers, kernel, options, by, sides)

    def _operands(
        self, kernel: Kernel, x: Array, factors: Factors
    ) -> tuple[tuple[Any, ...], Kernel, tuple[Any, ...], Presence]:
        """Returns the numbers, which are operands, so that a schedule compiles nothing."""
        self.check(x)
        factors = operands(factors, self)
        kernel.check(factors, x.shape)
        count = len(kernel.numbers)
        return factors[:count], kernel, factors[count:], kernel.presence(factors)

    def number(self, x: Array) -> float | None:
        """Returns the number of a 0-d array; None for a tracer."""
        return None if isinstance(x, jax.core.Tracer) else float(x)

    def is_recorded(self, x: Array) -> bool:
        """Returns False: what JAX differentiates, it traces."""
        return False

    def differentiate(
        self, function: Callable[[Array], Any], x: Array, scale: Any
    ) -> tuple[Array, Array]:
        """Returns what a function of JAX's operations gives, and `scale` times its gradient."""
        total, pull_back = jax.vjp(lambda weight: jnp.asarray(function(weight)), x)
        by = varying_like(jnp.asarray(scale, total.dtype), total)
        return total, pull_back(by)[0]


JAX = Jax()

_STATIC = (2, 3, 4)  # the kernel, its options, and which terms there are


@partial(jax.jit, static_argnums=_STATIC, inline=True)
def _value(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
) -> Array:
    if kernel.bound_by == "arithmetic":
        return calls.value(x, numbers, kernel, options, presence)
    return operations.value(x, numbers, kernel, options, presence)


@partial(jax.jit, static_argnums=_STATIC, inline=True)
def _value_towards(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
    sides: Sides,
) -> Array:
    return operations.value(x, numbers, kernel, options, presence, sides)


@partial(jax.jit, static_argnums=(2, 3), inline=True)
def _proximal(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    step: Any,
    sides: Sides | None = None,
) -> Array:
    return kernel.stepped(operations, x, (*numbers, *options), step, sides)


@partial(jax.jit, static_argnums=_STATIC)
def _value_and_grad(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
    scale: Any,
) -> tuple[Array, Array]:
    return JAX.differentiate(
        lambda weight: _value(weight, numbers, kernel, options, presence), x, scale
    )
