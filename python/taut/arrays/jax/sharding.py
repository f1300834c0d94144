"""Arrays that are shared out over devices, where their types say so."""

from collections.abc import Iterable
from typing import Any

import jax
from jax import Array


def gathered(x: Array) -> Array:
    """Returns a matrix that every device has whole, on a mesh whose axes are explicit.

    A kernel that is bound by arithmetic takes it whole; on other meshes XLA gathers it.
    """
    sharding = getattr(_type_of(x), "sharding", None)
    if sharding is None or all(axis is None for axis in getattr(sharding, "spec", ())):
        return x
    whole = jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
    return jax.sharding.reshard(x, whole)


def varying_like(result: Array, *operands: Array) -> Array:
    """Returns what a call gave, marked to differ over axes of `shard_map` as its operands do."""
    axes = tuple(sorted({axis for x in operands for axis in _varying_axes(x)}))
    if not axes:
        return result
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(result, axes, to="varying")
    return jax.lax.pvary(result, axes)


def _varying_axes(x: Array) -> Iterable[str]:
    """Returns the axes of `shard_map` over which x differs; JAX has renamed where its type says."""
    own = _type_of(x)
    manual = getattr(own, "manual_axis_type", None)
    axes: Iterable[str] = getattr(own, "vma", ()) if manual is None else manual.varying
    return axes


def _type_of(x: Any) -> Any:
    """Returns the type that JAX has given x; None from an older JAX, whose types say less."""
    return jax.typeof(x) if hasattr(jax, "typeof") else None
