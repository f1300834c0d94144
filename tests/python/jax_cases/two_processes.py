"""One of two processes with two devices each: python two_processes.py ADDRESS INDEX."""

import sys

import jax

jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))

import numpy as np  # noqa: E402
from jax.sharding import AxisType, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402
from taut.regularizers import (  # noqa: E402
    L1L2,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)

X = np.random.default_rng(0).standard_normal((64, 40)).astype(np.float32)


def check(mesh: jax.sharding.Mesh, spec: P) -> None:
    """Compares with all of it in this process."""
    sharding = NamedSharding(mesh, spec)
    shared = jax.make_array_from_callback(X.shape, sharding, lambda place: X[place])
    for regularizer in (
        OrthogonalRegularizer(1.0),
        OrthogonalRegularizer(1.0, "columns"),
        SoftOrthogonalRegularizer(1.0),
        GroupLasso(1.0),
        L1L2(0.1, 0.1),
    ):
        value, grad = jax.jit(jax.value_and_grad(regularizer))(shared)
        expected, slope = regularizer.value_and_grad(X)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        assert grad.sharding.is_equivalent_to(sharding, 2)
        for part in grad.addressable_shards:
            np.testing.assert_allclose(part.data, slope[part.index], rtol=1e-3, atol=1e-6)


assert (jax.process_count(), len(jax.local_devices()), len(jax.devices())) == (2, 2, 4)
for kind in (AxisType.Auto, AxisType.Explicit):
    grid = jax.make_mesh((2, 2), ("across", "within"), axis_types=(kind,) * 2)
    with jax.set_mesh(grid):
        for axes in (
            P(),
            P("across"),
            P("within"),
            P(None, ("across", "within")),
            P("within", "across"),
        ):
            check(grid, axes)
print("equal to one process")
