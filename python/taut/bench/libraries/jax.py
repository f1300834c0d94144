"""JAX under jit, and taut in it. Its threads are as many as the process may use processors."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from taut.bench.contestant import FACTOR, THRESHOLD, Arrays, Contestant, Outcome
from taut.bench.kinds import Kind
from taut.bench.libraries import Options, own

Penalty = Callable[[Any], Any]


def begin(options: Options) -> dict[str, str]:
    """Keeps to the CPU."""
    jax.config.update("jax_platforms", "cpu")
    return {"JAX": jax.__version__}


def _group_lasso(x: Any) -> Any:
    return FACTOR * math.sqrt(x.shape[1]) * jnp.linalg.norm(x, axis=1).sum()


def _orthogonal(x: Any) -> Any:
    units = x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1e-7)
    cosines = jnp.abs(units @ units.T)
    count = x.shape[0]
    return FACTOR * (cosines.sum() - jnp.trace(cosines)) / (count * (count - 1))


def _soft_orthogonal(x: Any) -> Any:
    return FACTOR * jnp.square(x @ x.T - jnp.eye(x.shape[0], dtype=x.dtype)).sum()


_PENALTIES: Mapping[str, Penalty] = {
    "l1": lambda x: FACTOR * jnp.abs(x).sum(),
    "l2": lambda x: FACTOR * jnp.square(x).sum(),
    "group_lasso": _group_lasso,
    "orthogonal": _orthogonal,
    "soft_orthogonal": _soft_orthogonal,
}


def contestants(kind: Kind, weights: Arrays) -> Iterator[Contestant]:
    """Yields JAX's own operations, and taut on JAX's arrays."""
    if kind.operation == "prox":
        yield _of_step("JAX jit", _step, weights)
        yield _of_step("taut in JAX", lambda x: own.PROX.proximal(x, THRESHOLD), weights)
        return
    yield by_jit("JAX jit", _PENALTIES[kind.penalty], kind, weights)
    yield by_jit("taut in JAX", own.PENALTIES[kind.penalty], kind, weights, stores_pairs=False)


def by_jit(
    name: str, penalty: Penalty, kind: Kind, weights: Arrays, stores_pairs: bool = True
) -> Contestant:
    """Returns a contestant that is compiled, value and gradients as one program.

    Args:
        name: The contestant's.
        penalty: Of one array.
        kind: Whether gradients are wanted.
        weights: As for `Library.contestants`.
        stores_pairs: As in `Contestant`.
    """

    def total(arrays: Sequence[Any]) -> Any:
        first, *others = arrays
        return sum((penalty(x) for x in others), penalty(first))

    arrays = [jnp.asarray(x) for x in weights]
    if kind.operation == "value":
        compiled = jax.jit(total)
        return Contestant(
            name,
            lambda: jax.block_until_ready(compiled(arrays)),
            lambda: Outcome(float(compiled(arrays)), []),
            stores_pairs,
        )
    differentiated = jax.jit(jax.value_and_grad(total))

    def outcome() -> Outcome:
        value, grads = differentiated(arrays)
        return Outcome(float(value), [np.asarray(grad) for grad in grads])

    return Contestant(
        name, lambda: jax.block_until_ready(differentiated(arrays)), outcome, stores_pairs
    )


def _step(x: Any) -> Any:
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - THRESHOLD, 0)


def _of_step(name: str, step: Penalty, weights: Arrays) -> Contestant:
    (x,) = map(jnp.asarray, weights)
    compiled = jax.jit(step)
    return Contestant(
        name,
        lambda: jax.block_until_ready(compiled(x)),
        lambda: Outcome(None, [np.asarray(compiled(x))]),
    )
