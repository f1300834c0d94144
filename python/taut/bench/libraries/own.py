"""taut: one pass of its kernel over NumPy's arrays."""

from collections.abc import Iterator, Mapping

import numpy as np

import taut
from taut.bench.contestant import FACTOR, THRESHOLD, Arrays, Contestant, Outcome
from taut.bench.kinds import Kind
from taut.bench.libraries import Options
from taut.regularizers import (
    L1,
    L2,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
    SoftOrthogonalRegularizer,
)

PENALTIES: Mapping[str, Regularizer] = {
    "l1": L1(FACTOR),
    "l2": L2(FACTOR),
    "orthogonal": OrthogonalRegularizer(FACTOR),
    "soft_orthogonal": SoftOrthogonalRegularizer(FACTOR),
    "group_lasso": GroupLasso(FACTOR),
}
PROX = L1(1.0)
_SMALL_STEP = 1e-9  # of a step that is timed: in place, again and again, it shall leave weights


def begin(options: Options) -> dict[str, str]:
    """Sets taut's threads."""
    taut.set_num_threads(options.threads)
    return {"taut": taut.__version__}


def contestants(kind: Kind, weights: Arrays) -> Iterator[Contestant]:
    """Yields taut as a trainer calls it: gradients are added to arrays that are there."""
    penalty = PENALTIES[kind.penalty]

    def outcome() -> Outcome:
        if kind.operation == "value":
            return Outcome(sum(penalty(x) for x in weights), [])
        if kind.operation == "prox":
            stepped = [x.copy() for x in weights]
            for x in stepped:
                PROX.prox(x, THRESHOLD)
            return Outcome(None, stepped)
        grads = [np.zeros_like(x) for x in weights]
        return Outcome(_accumulate(penalty, weights, grads), grads)

    if kind.operation == "value":
        (x,) = weights
        yield Contestant("taut", lambda: penalty(x), outcome, stores_pairs=False)
    elif kind.operation == "prox":
        (own,) = (x.copy() for x in weights)
        yield Contestant("taut", lambda: PROX.prox(own, _SMALL_STEP), outcome)
    elif len(weights) == 1:
        (x,) = weights
        grad = np.zeros_like(x)
        yield Contestant(
            "taut", lambda: penalty.accumulate_grad(x, grad), outcome, stores_pairs=False
        )
    else:
        grads = _named([np.zeros_like(x) for x in weights])
        bound = taut.Penalties([("*", penalty)]).bind(_named(weights), grads)
        yield Contestant("taut", bound.accumulate_grad, outcome, stores_pairs=False)


def exact(kind: Kind, weights: Arrays) -> Outcome:
    """Returns what taut computes in float64, which all contestants are compared with."""
    numbers = [x.astype(np.float64) for x in weights]
    if kind.operation == "prox":
        return Outcome(None, [PROX.proximal(x, THRESHOLD) for x in numbers])
    penalty = PENALTIES[kind.penalty]
    if kind.operation == "value":
        return Outcome(sum(penalty(x) for x in numbers), [])
    values, grads = zip(*map(penalty.value_and_grad, numbers), strict=True)
    return Outcome(sum(values), grads)


def _accumulate(penalty: Regularizer, weights: Arrays, grads: Arrays) -> float:
    if len(weights) == 1:
        return float(penalty.accumulate_grad(weights[0], grads[0]))
    penalties = taut.Penalties([("*", penalty)])
    return float(penalties.accumulate_grad(_named(weights), _named(grads)))


def _named(arrays: Arrays) -> dict[str, np.ndarray]:
    return {f"layer{number}": x for number, x in enumerate(arrays)}
