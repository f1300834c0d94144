"""Kernels that are bound by arithmetic, which XLA calls on the CPU, under all transforms.

A kernel differentiates once; a second derivative is taken through JAX's own operations.
"""

from __future__ import annotations

import atexit
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from taut import _core
from taut.arrays.group import add
from taut.arrays.jax import operations
from taut.arrays.jax.operations import sum_dtype
from taut.arrays.jax.sharding import gathered, sharded_like
from taut.arrays.jax.shares import Call, call
from taut.kernels import Kernel, Presence

for _name, _handler in _core.jax_handlers.items():
    jax.ffi.register_ffi_target(_name, _handler, platform="cpu")


@atexit.register  # after JAX's own function, and so called before that waits for XLA's threads
def _abandon_calls() -> None:
    """Ends what XLA still computes where a Ctrl-C ends the process, which would wait for it."""
    if issubclass(getattr(sys, "last_type", None) or object, KeyboardInterrupt):
        _core.abandon_jax_calls()


_STATIC = (2, 3, 4)  # the kernel, its options, and which terms there are


@partial(jax.custom_jvp, nondiff_argnums=_STATIC)
def value(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
) -> Array:
    """Returns the penalty."""
    otherwise = partial(_formula_value, kernel=kernel, options=options, presence=presence)
    return _by_platform("value", otherwise, x, numbers, kernel, options)


@partial(value.defjvp, symbolic_zeros=True)  # so that only what is asked for is computed
def _value_jvp(
    kernel: Kernel, options: tuple[Any, ...], presence: Presence, primals: Any, tangents: Any
) -> tuple[Array, Array]:
    x, numbers = primals
    x_tangent, number_tangents = tangents
    parts = []
    if isinstance(x_tangent, SymbolicZero):
        total = value(x, numbers, kernel, options, presence)
    else:
        total, slope = _value_and_slope(x, numbers, kernel, options, presence)
        # Linear in the tangent; transposed, a product that is rounded once to the dtype of x.
        parts.append((slope * x_tangent.astype(slope.dtype)).sum())
    for index, tangent in enumerate(number_tangents):
        if not isinstance(tangent, SymbolicZero):
            unit = kernel.unit(index, ())
            term = value(x, unit, kernel, options, kernel.presence(unit))
            parts.append(term * tangent.astype(term.dtype))
    return total, add(parts)


@partial(jax.custom_jvp, nondiff_argnums=_STATIC)
def _value_and_slope(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
) -> tuple[Array, Array]:
    """Returns the penalty and its gradient, in float32 for the half types."""
    otherwise = partial(_formula_value_and_slope, kernel=kernel, options=options, presence=presence)
    return _by_platform("value_and_grad", otherwise, x, numbers, kernel, options)  # type: ignore[no-any-return]


@_value_and_slope.defjvp  # type: ignore[untyped-decorator]
def _value_and_slope_jvp(
    kernel: Kernel, options: tuple[Any, ...], presence: Presence, primals: Any, tangents: Any
) -> Any:
    x, numbers = primals
    _, tangents_out = jax.jvp(
        lambda x, numbers: _formula_value_and_slope(x, numbers, kernel, options, presence),
        primals,
        tangents,
    )
    return _value_and_slope(x, numbers, kernel, options, presence), tangents_out


def _formula_value(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
) -> Array:
    return operations.value(gathered(x), numbers, kernel, options, presence)


def _formula_value_and_slope(
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
    presence: Presence,
) -> tuple[Array, Array]:
    total, slope = operations.value_and_slope(gathered(x), numbers, kernel, options, presence)
    return total, sharded_like(slope, x)


def _by_platform(
    function: str,
    otherwise: Any,
    x: Array,
    numbers: tuple[Any, ...],
    kernel: Kernel,
    options: tuple[Any, ...],
) -> Any:
    """Calls the kernel where it is compiled for the CPU, and JAX's operations elsewhere."""
    named = tuple(zip(kernel.options, options, strict=True))
    of_core = Call(kernel.name, function, named)
    if not of_core.is_known:
        return otherwise(x, numbers)
    operands = tuple(jnp.asarray(number, sum_dtype(x)) for number in numbers)
    return lax.platform_dependent(x, operands, cpu=partial(call, of_core), default=otherwise)
