"""Random calls of everything that taut offers for NumPy arrays.

A call is made of a seed and its number alone, and gives the same bits each time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import taut
from arrays_in_memory import Placed, digest, place, place_gradient
from taut import regularizers
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
)

Rng = np.random.Generator
# What a call is, in words, and the call.
Made = tuple[str, Callable[[], Any]]


@dataclass(frozen=True)
class Call:
    """A call whose arguments stay as they are, so that any thread may make it at any time."""

    index: int
    text: str
    function: Callable[[], Any]

    def digest(self) -> str:
        """Makes the call, and returns what only the same results have in common."""
        return digest(self.function())


# ---- what is drawn -------------------------------------------------------------------------------


def _factor(rng: Rng) -> float:
    return 0.0 if rng.random() < 0.1 else float(10.0 ** rng.uniform(-4, 1))


def _mode(rng: Rng) -> Any:
    return str(rng.choice(["rows", "columns"]))


def _flag(rng: Rng) -> bool:
    return bool(rng.random() < 0.5)


REGULARIZERS: dict[type[Any], Callable[[Rng], Any]] = {
    L1: lambda rng: L1(_factor(rng)),
    L2: lambda rng: L2(_factor(rng)),
    L1L2: lambda rng: L1L2(_factor(rng), _factor(rng)),
    OrthogonalRegularizer: lambda rng: OrthogonalRegularizer(_factor(rng), _mode(rng), _flag(rng)),
    SoftOrthogonalRegularizer: lambda rng: SoftOrthogonalRegularizer(
        _factor(rng), _mode(rng), _flag(rng), _flag(rng)
    ),
    GroupLasso: lambda rng: GroupLasso(_factor(rng), _mode(rng)),
}
ELEMENTWISE = (L1, L2, L1L2)
WITH_PROX = (*ELEMENTWISE, GroupLasso)
MOST_VECTORS = 320  # beyond them a matrix takes long, and nothing new happens until 2,000


def _shape(rng: Rng, regularizer: Any, largest: int) -> tuple[int, ...]:
    """Returns a shape that the regularizer takes, of up to `largest` elements; small ones often."""
    size = math.exp(rng.uniform(0, math.log(largest)))
    if isinstance(regularizer, WITH_PROX):
        rank = int(rng.integers(1, 5))
        first = size ** rng.uniform(0, 1)
    else:
        rank = int(rng.integers(2, 5)) if regularizer.flatten else 2
        first = rng.uniform(1, min(size, MOST_VECTORS))
    middle = [int(rng.integers(1, 4)) for _ in range(rank - 2)]
    last = size / math.prod([first, *middle])
    shape = (round(first), *middle, max(1, round(last))) if rank > 1 else (round(size),)
    turned = shape[::-1] if getattr(regularizer, "mode", "rows") == "columns" else shape
    return (0, *turned[1:]) if rng.random() < 0.01 else turned


# ---- regularizers --------------------------------------------------------------------------------


def _regularizer(cls: type[Any], rng: Rng, largest: int) -> tuple[Any, Placed]:
    regularizer = REGULARIZERS[cls](rng)
    return regularizer, place(rng, _shape(rng, regularizer, largest))


def _value(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    return "", lambda: regularizer(placed.x)


def _value_and_grad(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    scale = float(rng.uniform(-2, 2))
    return f"scale={scale}", lambda: regularizer.value_and_grad(placed.x, scale)


def _accumulate_grad(regularizer: Any, placed: Placed, rng: Rng) -> Made:
    gradient, scale, value = place_gradient(rng, placed.x), float(rng.uniform(-2, 2)), _flag(rng)

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


def _entry_of(cls: type[Any], method: str) -> Callable[[Rng, int], Made]:
    def make(rng: Rng, largest: int) -> Made:
        regularizer, placed = _regularizer(cls, rng, largest)
        arguments, call = METHODS[method](regularizer, placed, rng)
        return f"{regularizer!r}.{method}({placed.text}, {arguments})", call

    return make


def _activity_entry(method: str) -> Callable[[Rng, int], Made]:
    def make(rng: Rng, largest: int) -> Made:
        cls = list(REGULARIZERS)[rng.integers(len(REGULARIZERS))]
        inner, placed = _regularizer(cls, rng, largest)
        activity = ActivityRegularizer(inner)
        arguments, call = METHODS[method](activity, placed, rng)
        return f"{activity!r}.{method}({placed.text}, {arguments})", call

    return make


# ---- penalties of many arrays --------------------------------------------------------------------


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
        placed[name] = place(rng, _shape(rng, regularizer, max(2, largest // count)))
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
    params, scale, value = model.params(), float(rng.uniform(-2, 2)), _flag(rng)

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


def _penalties_entry(method: str, has_sides: bool) -> Callable[[Rng, int], Made]:
    is_step = method in ("prox", "proximal")
    classes = ELEMENTWISE if has_sides else WITH_PROX if is_step else tuple(REGULARIZERS)

    def make(rng: Rng, largest: int) -> Made:
        model = _model(rng, largest, classes, has_sides)
        arrays = ", ".join(f"{name}: {each.text}" for name, each in model.placed.items())
        return f"{model.penalties!r}.{method}({arrays})", PENALTIES_METHODS[method](model, rng)

    return make


# ---- the rest ------------------------------------------------------------------------------------


def _trim_memory(rng: Rng, largest: int) -> Made:
    return "taut.trim_memory()", taut.trim_memory


def _get(rng: Rng, largest: int) -> Made:
    name = str(rng.choice(["l1", "l2", "l1_l2", "orthogonal_regularizer", "group_lasso"]))
    placed = place(rng, _shape(rng, OrthogonalRegularizer(), largest))
    return f"get({name!r})({placed.text})", lambda: regularizers.get(name)(placed.x)


def _refused(rng: Rng, largest: int) -> Made:
    """Each is an error of its own, and writes nothing."""
    placed = place(rng, _shape(rng, OrthogonalRegularizer(), largest))
    integers = np.zeros(placed.x.shape, np.int32)
    wrong_calls: list[Callable[[], Any]] = [
        lambda: L2(0.1).accumulate_grad(placed.x, placed.x),
        lambda: L1(0.1).prox(placed.copy()[1], -1.0),
        lambda: L1(-1.0)(placed.x),
        lambda: L1L2(0.1, float("nan")).value_and_grad(placed.x),
        lambda: OrthogonalRegularizer()(placed.x.ravel()),
        lambda: GroupLasso(0.1)(integers),
        lambda: taut.Penalties([("x", L1()), ("y", L2())])({"x": placed.x}),
        lambda: taut.Penalties([("x", OrthogonalRegularizer())])({"x": placed.x.ravel()}),
        lambda: regularizers.get("no such regularizer"),
    ]
    number = int(rng.integers(len(wrong_calls)))

    def call() -> Any:
        try:
            return wrong_calls[number]()
        except (TypeError, ValueError) as error:
            return type(error).__name__, str(error)

    return f"wrong call {number} of {placed.text}", call


def _entries() -> dict[str, Callable[[Rng, int], Made]]:
    entries: dict[str, Callable[[Rng, int], Made]] = {}
    for cls in REGULARIZERS:
        for method in METHODS:
            if cls in WITH_PROX or method not in ("prox", "proximal"):
                entries[f"{cls.__name__}.{method}"] = _entry_of(cls, method)
    for method in ("__call__", "value_and_grad", "accumulate_grad", "get_config"):
        entries[f"ActivityRegularizer.{method}"] = _activity_entry(method)
    for method in PENALTIES_METHODS:
        entries[f"Penalties.{method}"] = _penalties_entry(method, has_sides=False)
        entries[f"Penalties.{method} towards a reference"] = _penalties_entry(method, True)
    return entries | {"trim_memory": _trim_memory, "get": _get, "a mistake": _refused}


ENTRIES = _entries()


def make_call(seed: int, index: int, largest: int) -> Call:
    """Returns the index-th call of a seed, whose arrays have `largest` elements at most.

    As many calls as there are entries, one after the other, have one of each.
    """
    name = list(ENTRIES)[index % len(ENTRIES)]
    text, function = ENTRIES[name](np.random.default_rng([seed, index]), largest)
    return Call(index, text, function)


def make_long_call(seed: int, index: int, vectors: int) -> Call:
    """Returns a call that is long enough to be interrupted in its midst; its index is negative."""
    rng = np.random.default_rng([seed, -index, vectors])
    cls = (OrthogonalRegularizer, SoftOrthogonalRegularizer)[index % 2]
    regularizer, placed = cls(0.5), place(rng, (vectors, vectors // 4), np.dtype("float32"))
    text = f"{regularizer!r}.value_and_grad({placed.text})"
    return Call(index, text, lambda: regularizer.value_and_grad(placed.x))
