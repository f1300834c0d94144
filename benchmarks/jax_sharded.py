"""What the orthogonal penalty costs in JAX where four devices share a matrix: processor time.

    python benchmarks/jax_sharded.py [--rounds N]

The devices are XLA's on the CPU of this machine, so that the work of all adds up. Beside one device
stand four that share the matrix, by its vectors or by their coordinates; and four of which each has
and computes all of it. taut has one thread per device. Each figure is verified before it is timed;
ratios are medians over interleaved rounds.
"""

import argparse
import os
import sys
import time

DEVICES = 4
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"

import jax  # noqa: E402
import numpy as np  # noqa: E402
import timing  # noqa: E402
from gram import FACTOR, exact, verify  # noqa: E402
from jax.sharding import AxisType, Mesh, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402
from taut.regularizers import OrthogonalRegularizer  # noqa: E402

SHAPES = [(1024, 1024), (2048, 1024), (4096, 256), (4096, 1024)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.begin(1)
    print(f"JAX {jax.__version__}")
    mesh = jax.make_mesh((DEVICES,), ("shared",), axis_types=(AxisType.Auto,))
    one = Mesh(np.array(jax.devices()[:1]), ("shared",))
    function = jax.jit(jax.value_and_grad(OrthogonalRegularizer(FACTOR)))
    for shape in SHAPES:
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        shared = {
            "one device": NamedSharding(one, P()),
            "four, by vectors": NamedSharding(mesh, P("shared")),
            "four, by coordinates": NamedSharding(mesh, P(None, "shared")),
            "four, each with all": NamedSharding(mesh, P()),
        }
        arrays = {name: jax.device_put(x, sharding) for name, sharding in shared.items()}
        contestants = {
            name: lambda weight=weight: jax.block_until_ready(function(weight))
            for name, weight in arrays.items()
        }
        expected = exact(x)
        for name, call in contestants.items():
            verify(name, call(), expected)
        title = f"{shape[0]} x {shape[1]} float32, processor time"
        timing.compare(title, rounds, contestants, clock=time.process_time)
    return 0


if __name__ == "__main__":
    sys.exit(main())
