"""The orthogonal penalty by taut's kernel on the CPU, which XLA calls, under all transforms.

The kernel differentiates once; a second derivative is taken through JAX's own operations.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, ShapeDtypeStruct, lax

from taut import _core
from taut.backends.jax import operations
from taut.backends.jax.operations import value_dtype

for _name, _handler in _core.jax_handlers.items():
    jax.ffi.register_ffi_target(_name, _handler, platform="cpu")

# The handlers take batches: XLA calls them once for all matrices under vmap.
_call = partial(jax.ffi.ffi_call, vmap_method="broadcast_all")


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def gram(x: Array, factor: Array, mode: str) -> Array:
    """Returns the penalty."""

    def call(x: Array, factor: Array) -> Any:
        value = ShapeDtypeStruct((), value_dtype(x.dtype))
        return _call("taut_gram_value", value)(x, factor, mode=mode)

    return _by_platform(call, operations.gram, x, factor, mode)


@gram.defjvp  # type: ignore[untyped-decorator]
def _gram_jvp(mode: str, primals: Any, tangents: Any) -> tuple[Array, Array]:
    value, slope = _value_and_slope(*primals, mode)
    # Linear in the tangent; transposed, a product that is rounded once to the dtype of x.
    return value, (slope * tangents[0].astype(slope.dtype)).sum()


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _value_and_slope(x: Array, factor: Array, mode: str) -> tuple[Array, Array]:
    """Returns the penalty and its gradient, in float32 for the half types."""

    def call(x: Array, factor: Array) -> Any:
        dtype = value_dtype(x.dtype)
        results = ShapeDtypeStruct((), dtype), ShapeDtypeStruct(x.shape, dtype)
        return tuple(_call("taut_gram_value_and_grad", results)(x, factor, mode=mode))

    return _by_platform(call, operations.gram_value_and_slope, x, factor, mode)  # type: ignore[no-any-return]


@_value_and_slope.defjvp  # type: ignore[untyped-decorator]
def _value_and_slope_jvp(mode: str, primals: Any, tangents: Any) -> Any:
    x, factor = primals
    _, tangents_out = jax.jvp(
        lambda x: operations.gram_value_and_slope(x, factor, mode), (x,), (tangents[0],)
    )
    return _value_and_slope(x, factor, mode), tangents_out


def _by_platform(call: Any, operation: Any, x: Array, factor: Array, mode: str) -> Any:
    """Calls the kernel where it is compiled for the CPU, and JAX's operations elsewhere."""
    otherwise = partial(operation, mode=mode)
    if not _core.jax_handlers:
        return otherwise(x, factor)
    factor = jnp.asarray(factor, operations.sum_dtype())
    return lax.platform_dependent(x, factor, cpu=call, default=otherwise)
