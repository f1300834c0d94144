"""Calls of a kernel on arrays that are shared out over devices.

A matrix is gathered, since its kernel needs all of it; then each device computes its share of the
work, where the kernel knows shares (`pairs.py`), and its gradient keeps the array's sharding. Of a
batch, each device has its own matrices, and nothing of them is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, ShapeDtypeStruct, lax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from taut import _core
from taut.arrays.jax import pairs
from taut.arrays.jax.operations import value_dtype
from taut.arrays.jax.sharding import (
    Axes,
    count_of,
    explicit_sharding,
    gathered,
    index_of,
    is_manual,
    sharded_like,
    varying_like,
)

# Before these versions, meshes and their types are others: there, XLA gathers a matrix, and every
# device computes all of it.
CAN_SHARE = jax.__version_info__ >= (0, 8)


@dataclass(frozen=True)
class Call:
    """A function of the core that XLA calls on the CPU: a penalty, or that and its gradient.

    It takes x [b..., n, d] and the kernel's numbers, [b...] each, for batch axes b.
    """

    kernel: str
    function: str  # "value" or "value_and_grad"
    options: tuple[tuple[str, Any], ...]

    @property
    def is_known(self) -> bool:
        """Returns whether this build has it."""
        return self._handler(self.function) in _core.jax_handlers

    def whole(self, x: Array, *numbers: Array) -> Any:
        """Returns what it gives for all of x."""
        found = self._results(x, numbers)
        return found if self.function == "value_and_grad" else found[0]

    def _results(self, x: Array, numbers: Sequence[Array]) -> tuple[Array, ...]:
        """Returns the penalty, and the gradient where that is asked for."""
        total = ShapeDtypeStruct(numbers[0].shape, value_dtype(x))
        slope = ShapeDtypeStruct(x.shape, value_dtype(x))
        results = (total,) if self.function == "value" else (total, slope)
        return self.run(self.function, results, x, *numbers)

    def share(
        self, splits: Sequence[Axes], sizes: Mapping[str, int], x: Array, *numbers: Array
    ) -> Any:
        """Returns a device's share, between whom collectives go: the penalty, and its gradient.

        `splits` are the mesh's axes over which each axis of x is split, `sizes` theirs.
        """
        batch = numbers[0].ndim
        over = tuple(name for names in splits[batch:] for name in names)
        if not over:
            return self.whole(x, *numbers)
        if x.size == 0:  # nothing to gather, which XLA would refuse
            total, *slopes = self._results(x, numbers)
        elif self._handler("share_value") in _core.jax_handlers:
            total, *slopes = pairs.share(self, splits, sizes, x, numbers)
        else:
            total, *slopes = self._own(splits, sizes, x, numbers)
        total = lax.psum(total, over).astype(value_dtype(x))
        return (total, *slopes) if slopes else total

    def _own(
        self, splits: Sequence[Axes], sizes: Mapping[str, int], x: Array, numbers: Sequence[Array]
    ) -> Sequence[Array]:
        """Returns the penalty on one device, 0 on all others, and the gradient of x's share."""
        split = [axis for axis in range(numbers[0].ndim, x.ndim) if splits[axis]]
        extents = x.shape
        for axis in split:
            x = lax.all_gather(x, splits[axis], axis=axis, tiled=True)
        total, *slopes = self._results(x, numbers)
        for axis in split:
            own = extents[axis]
            slopes = [
                lax.dynamic_slice_in_dim(slope, index_of(splits[axis]) * own, own, axis)
                for slope in slopes
            ]
            total = jnp.where(index_of(splits[axis]) == 0, total, jnp.zeros_like(total))
        return total, *slopes

    def _handler(self, function: str) -> str:
        return f"taut_{self.kernel}_{function}"

    def run(
        self, function: str, results: tuple[ShapeDtypeStruct, ...], x: Array, *operands: Array
    ) -> tuple[Array, ...]:
        """Returns what a handler of the kernel gives, of these shapes and dtypes."""
        # The handlers take batches: XLA calls them once for all matrices under vmap.
        call = jax.ffi.ffi_call(self._handler(function), results, vmap_method="broadcast_all")
        found = call(x, *operands, **dict(self.options))
        return tuple(varying_like(each, x, *operands) for each in found)


def call(function: Call, x: Array, numbers: Sequence[Array]) -> Any:
    """Returns what a function of the core gives for x, however that is shared out."""
    if CAN_SHARE and not is_manual():
        return _batched(function)(x, *numbers)
    # What `shard_map` hands out is each device's own.
    found = function.whole(gathered(x), *numbers)
    return (found[0], sharded_like(found[1], x)) if isinstance(found, tuple) else found


@cache
def _batched(function: Call) -> Callable[..., Any]:
    """Returns the call with a rule for `vmap`, by which a batch is seen as a whole."""

    @custom_vmap  # type: ignore[untyped-decorator]
    def batched(x: Array, *numbers: Array) -> Any:
        numbers = tuple(gathered(number) for number in numbers)
        sharding = explicit_sharding(x)
        if sharding is not None:
            return _mapped(function, sharding, x, *numbers)
        doubles = bool(jax.config.jax_enable_x64)
        return _partitioned(function, x.ndim, numbers[0].ndim, doubles)(x, *numbers)

    @batched.def_vmap  # type: ignore[untyped-decorator]
    def rule(size: int, are_batched: Sequence[bool], *operands: Array) -> Any:
        full = [
            x if is_batched else jnp.broadcast_to(x, (size, *x.shape))
            for x, is_batched in zip(operands, are_batched, strict=True)
        ]
        results = batched(*full)
        return results, jax.tree.map(lambda _: True, results)

    return batched  # type: ignore[no-any-return]


def _mapped(function: Call, sharding: NamedSharding, x: Array, *numbers: Array) -> Any:
    """Returns the result on a mesh that x's type tells."""
    splits = _splits(sharding.spec, x.shape, sharding.mesh.shape)
    whole, of_batch = PartitionSpec(*splits), PartitionSpec(*splits[: numbers[0].ndim])
    shared = [
        jax.sharding.reshard(number, NamedSharding(sharding.mesh, of_batch)) for number in numbers
    ]
    return jax.shard_map(
        partial(function.share, splits, sharding.mesh.shape),
        mesh=sharding.mesh,
        axis_names={name for names in splits for name in names},
        in_specs=(whole, *(of_batch for _ in numbers)),
        out_specs=of_batch if function.function == "value" else (of_batch, whole),
    )(x, *shared)


@cache
def _partitioned(function: Call, rank: int, batch: int, doubles: bool) -> Callable[..., Any]:
    """Returns the call with a rule for XLA's partitioner, where x's sharding is known to it.

    That asks on a thread of its own, which has not heard whether JAX has float64 here.
    """
    has_gradient = function.function == "value_and_grad"

    def shardings(mesh: Any, x: Any, numbers: Sequence[Any]) -> tuple[Any, Any, Any]:
        splits = _splits(getattr(x.sharding, "spec", ()), x.shape, mesh.shape)
        whole = NamedSharding(mesh, PartitionSpec(*splits))
        of_batch = NamedSharding(mesh, PartitionSpec(*splits[:batch]))
        results = (of_batch, whole) if has_gradient else of_batch
        return splits, results, (whole, *(of_batch for _ in numbers))

    def infer(mesh: Any, operands: Sequence[Any], _: Any) -> Any:
        return shardings(mesh, operands[0], operands[1:])[1]

    def partition(mesh: Any, operands: Sequence[Any], _: Any) -> Any:
        splits, results, arguments = shardings(mesh, operands[0], operands[1:])

        def share(*operands: Array) -> Any:
            with jax.enable_x64(doubles):
                return function.share(splits, mesh.shape, *operands)

        return mesh, share, results, arguments

    axes = [f"i{axis}" for axis in range(rank)]
    of_x, of_batch = " ".join(axes), " ".join(axes[:batch])

    def rule(_mesh: Any, operands: Sequence[Any], _results: Any) -> str:
        arguments = ", ".join([of_x, *(of_batch for _ in operands[1:])])
        return (
            f"{arguments} -> {of_batch}, {of_x}" if has_gradient else f"{arguments} -> {of_batch}"
        )

    partitioned = custom_partitioning(function.whole)
    partitioned.def_partition(
        partition=partition, infer_sharding_from_operands=infer, sharding_rule=rule
    )
    return partitioned  # type: ignore[no-any-return]


def _splits(
    spec: Sequence[Any], shape: tuple[int, ...], sizes: Mapping[str, int]
) -> tuple[Axes, ...]:
    """Returns a mesh's axes for each axis of an array; none where its devices' parts differ."""
    padded = (*spec, *(None for _ in range(len(shape) - len(spec))))
    named = [
        () if names is None else (names,) if isinstance(names, str) else tuple(names)
        for names in padded
    ]
    return tuple(
        names if extent % count_of(names, sizes) == 0 else ()
        for names, extent in zip(named, shape, strict=True)
    )
