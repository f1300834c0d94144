"""Random calls of `taut.Penalties`, for many arrays at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import taut
from arrays_in_memory import Placed, place, place_gradient
from drawn import ELEMENTWISE, REGULARIZERS, WITH_PROX, Made, Make, Rng, draw_flag, draw_shape


@dataclass
class Model:
    """Parameters of a model, with some that are tied, and the penalties of them."""

    penalties: taut.Penalties
    placed: dict[str, Placed]
    gradients: dict[str, Placed]

    def params(self) -> dict[str, Any]:
        """Returns the parameters as a tree, in which the first is there twice."""
        arrays = {name: placed.x for name, placed in self.placed.items()}
        return self.tree(arrays)

    @staticmethod
    def tree(arrays: dict[str, Any]) -> dict[str, Any]:
        """Returns arrays in the structure of the model."""
        first, *others = arrays.values()
        names = list(arrays)[1:]
        return {"tied": [first, first.T], "layers": dict(zip(names, others, strict=True))}


SIGNS = {"reference": np.positive, "importance": np.abs}


def _model(rng: Rng, largest: int, classes: tuple[type[Any], ...], has_sides: bool) -> Model:
    count = int(rng.integers(3, 9))
    rules: list[tuple[str, Any]] = []
    placed: dict[str, Placed] = {}
    for i in range(count):
        cls = classes[rng.integers(len(classes))]
        regularizer = REGULARIZERS[cls](rng)
        name = f"{i}.{cls.__name__}"
        placed[name] = place(rng, draw_shape(rng, regularizer, max(2, largest // count)))
        rules.append((f"*{name}" if i else "tied/*", regularizer))
    gradients = {name: place_gradient(rng, each.x) for name, each in placed.items()}
    sides = {}
    for what, sign in SIGNS.items():
        if has_sides and rng.random() < 0.8:
            arrays = {
                name: place(rng, each.x.shape, each.x.dtype, sign).x
                for name, each in placed.items()
            }
            sides[what] = Model.tree(arrays)
    return Model(taut.Penalties(rules, **sides), placed, gradients)


def _copies(placed: dict[str, Placed]) -> tuple[list[Any], dict[str, Any]]:
    copies = {name: each.copy() for name, each in placed.items()}
    return [memory for memory, _ in copies.values()], {name: x for name, (_, x) in copies.items()}


def _penalties_value(model: Model, rng: Rng) -> Callable[[], Any]:
    params = model.params()
    return lambda: model.penalties(params)


def _penalties_breakdown(model: Model, rng: Rng) -> Callable[[], Any]:
    params = model.params()
    return lambda: [model.penalties.breakdown(params, by) for by in ("name", "rule")]


def _penalties_value_and_grad(model: Model, rng: Rng) -> Callable[[], Any]:
    params, scale = model.params(), float(rng.uniform(-2, 2))
    return lambda: model.penalties.value_and_grad(params, scale)


def _penalties_accumulate_grad(model: Model, rng: Rng) -> Callable[[], Any]:
    params, scale, value = model.params(), float(rng.uniform(-2, 2)), draw_flag(rng)

    def call() -> Any:
        memories, grads = _copies(model.gradients)
        return model.penalties.accumulate_grad(params, Model.tree(grads), scale, value), memories

    return call


def _penalties_prox(model: Model, rng: Rng) -> Callable[[], Any]:
    step = float(10.0 ** rng.uniform(-3, 1))

    def call() -> Any:
        memories, arrays = _copies(model.placed)
        return model.penalties.prox(Model.tree(arrays), step), memories

    return call


def _penalties_proximal(model: Model, rng: Rng) -> Callable[[], Any]:
    params, step = model.params(), float(10.0 ** rng.uniform(-3, 1))
    return lambda: model.penalties.proximal(params, step)


def _penalties_bind(model: Model, rng: Rng) -> Callable[[], Any]:
    params = model.params()
    bound = model.penalties.bind(params)  # which all threads share

    def call() -> Any:
        memories, grads = _copies(model.gradients)
        own = model.penalties.bind(params, Model.tree(grads))
        totals = [own.accumulate_grad(scale=scale) for scale in (0.5, -2.0)]
        return bound(), bound.breakdown("rule"), bound.value_and_grad(0.5), totals, memories

    return call


def _penalties_get_config(model: Model, rng: Rng) -> Callable[[], Any]:
    params = model.params()
    sides = {"reference": model.penalties.reference, "importance": model.penalties.importance}

    def call() -> Any:
        config = model.penalties.get_config()
        return config, taut.Penalties.from_config(config, **sides)(params)

    return call


PENALTIES_METHODS = {
    "__call__": _penalties_value,
    "breakdown": _penalties_breakdown,
    "value_and_grad": _penalties_value_and_grad,
    "accumulate_grad": _penalties_accumulate_grad,
    "prox": _penalties_prox,
    "proximal": _penalties_proximal,
    "bind": _penalties_bind,
    "get_config": _penalties_get_config,
}


def _penalties_entry(method: str, has_sides: bool) -> Make:
    is_step = method in ("prox", "proximal")
    classes = ELEMENTWISE if has_sides else WITH_PROX if is_step else tuple(REGULARIZERS)

    def make(rng: Rng, largest: int) -> Made:
        model = _model(rng, largest, classes, has_sides)
        arrays = ", ".join(f"{name}: {each.text}" for name, each in model.placed.items())
        return f"{model.penalties!r}.{method}({arrays})", PENALTIES_METHODS[method](model, rng)

    return make


def entries() -> dict[str, Make]:
    """Returns what makes calls of each method, with a reference and an importance and without."""
    made: dict[str, Make] = {}
    for method in PENALTIES_METHODS:
        made[f"Penalties.{method}"] = _penalties_entry(method, has_sides=False)
        made[f"Penalties.{method} towards a reference"] = _penalties_entry(method, has_sides=True)
    return made
