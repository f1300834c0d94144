"""Random calls of a regularizer, for one array."""

from typing import Any

from arrays_in_memory import Placed, place, place_gradient
from drawn import REGULARIZERS, WITH_PROX, Made, Make, Rng, draw_flag, draw_shape
from taut import regularizers
from taut.regularizers import ActivityRegularizer


def _regularizer(cls: type[Any], rng: Rng, largest: int) -> tuple[Any, Placed]:
    regularizer = REGULARIZERS[cls](rng)
    return regularizer, place(rng, draw_shape(rng, regularizer, largest))


def _value(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    return "", lambda: regularizer(placed.x)


def _value_and_grad(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    scale = float(rng.uniform(-2, 2))
    return f"scale={scale}", lambda: regularizer.value_and_grad(placed.x, scale)


def _accumulate_grad(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    gradient, scale, value = (
        place_gradient(rng, placed.x),
        float(rng.uniform(-2, 2)),
        draw_flag(rng),
    )

    def call() -> Any:
        memory, into = gradient.copy()
        return regularizer.accumulate_grad(placed.x, into, scale, value), memory

    return f"{gradient.text}, scale={scale}, value={value}", call


def _prox(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    step = float(10.0 ** rng.uniform(-3, 1))

    def call() -> Any:
        memory, x = placed.copy()
        return regularizer.prox(x, step), memory

    return f"step={step}", call


def _proximal(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    step = float(10.0 ** rng.uniform(-3, 1))
    return f"step={step}", lambda: regularizer.proximal(placed.x, step)


def _round_trip(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    def call() -> Any:
        config = regularizers.serialize(regularizer)
        again = regularizers.deserialize(config)
        return config, regularizers.get(config)(placed.x), again.get_config(), repr(again)

    return "", call


METHODS = {
    "__call__": _value,
    "value_and_grad": _value_and_grad,
    "accumulate_grad": _accumulate_grad,
    "prox": _prox,
    "proximal": _proximal,
    "get_config": _round_trip,
}


def _entry_of(cls: type[Any], method: str) -> Make:
    def make(rng: Rng, largest: int) -> Made:
        regularizer, placed = _regularizer(cls, rng, largest)
        arguments, call = METHODS[method](regularizer, placed, rng)
        return f"{regularizer!r}.{method}({placed.text}, {arguments})", call

    return make


def _activity_entry(method: str) -> Make:
    def make(rng: Rng, largest: int) -> Made:
        cls = list(REGULARIZERS)[rng.integers(len(REGULARIZERS))]
        inner, placed = _regularizer(cls, rng, largest)
        activity = ActivityRegularizer(inner)
        arguments, call = METHODS[method](activity, placed, rng)
        return f"{activity!r}.{method}({placed.text}, {arguments})", call

    return make


def entries() -> dict[str, Make]:
    """Returns what makes calls of each method of each regularizer."""
    made: dict[str, Make] = {}
    for cls in REGULARIZERS:
        for method in METHODS:
            if cls in WITH_PROX or method not in ("prox", "proximal"):
                made[f"{cls.__name__}.{method}"] = _entry_of(cls, method)
    for method in ("__call__", "value_and_grad", "accumulate_grad", "get_config"):
        made[f"ActivityRegularizer.{method}"] = _activity_entry(method)
    return made
