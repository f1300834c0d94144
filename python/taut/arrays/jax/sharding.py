"""Arrays that are shared out over devices, where their types say so."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

Axes = tuple[str, ...]  # of a mesh, over which an axis of an array is split; the last is the minor


def count_of(names: Axes, sizes: Mapping[str, int]) -> int:
    """Returns how many parts axes of a mesh of such sizes split an array's axis into."""
    return math.prod(sizes[name] for name in names)


def index_of(names: Axes) -> Array | int:
    """Returns which of these parts this device has, where collectives go between devices."""
    return lax.axis_index(names) if names else 0


def explicit_sharding(x: Any) -> Any:
    """Returns the sharding that the type of x tells, on a mesh whose axes are explicit; or None."""
    sharding = getattr(_type_of(x), "sharding", None)
    if sharding is None or all(axis is None for axis in getattr(sharding, "spec", ())):
        return None
    return sharding


def gathered(x: Array) -> Array:
    """Returns an array that every device has whole, where its type says that it is not.

    On other meshes XLA shares out JAX's operations as it likes.
    """
    sharding = explicit_sharding(x)
    if sharding is None:
        return x
    return jax.sharding.reshard(x, NamedSharding(sharding.mesh, PartitionSpec()))


def sharded_like(result: Array, x: Array) -> Array:
    """Returns an array of x's shape with x's sharding, where its type says what that is."""
    sharding = explicit_sharding(x)
    return result if sharding is None else jax.sharding.reshard(result, sharding)


def is_manual() -> bool:
    """Returns whether this is traced for each device by itself, as under `shard_map`."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def varying_like(result: Array, *operands: Array) -> Array:
    """Returns what a call gave, marked to differ over axes of `shard_map` as its operands do."""
    wanted = {axis for x in operands for axis in _varying_axes(x)}
    axes = tuple(sorted(wanted - set(_varying_axes(result))))  # some versions mark it themselves
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
