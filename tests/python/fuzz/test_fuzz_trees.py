"""Whatever holds parameters: the sum over its leaves, or a TypeError or ValueError."""

import dataclasses
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from hostile import Later, Own, built, odd_things
from hypothesis import example, given
from hypothesis import strategies as st
from taut import Penalties, tree
from taut.regularizers import L2
from watch import nothing_runs

Pair = namedtuple("Pair", ["first", "second"])


@dataclasses.dataclass
class Layer:
    kernel: Any
    bias: Any


arrays = st.builds(
    lambda size, number: np.full(size, float(number)), st.integers(0, 3), st.integers(-3, 3)
)
keys = st.one_of(st.text("ab/", max_size=3), st.integers(0, 2), st.none())


def trees(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.dictionaries(keys, inner, max_size=3),
            st.dictionaries(keys, inner, max_size=3).map(OrderedDict),
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.builds(Pair, inner, inner),
            st.builds(Layer, inner, inner),
        ),
        max_leaves=6,
    )


def arrays_of(params):
    if isinstance(params, np.ndarray):
        return [params]
    if dataclasses.is_dataclass(params):
        params = vars(params)
    inner = params.values() if isinstance(params, dict) else params
    return [array for each in inner for array in arrays_of(each)]


def names_of(params, prefix=""):
    if isinstance(params, np.ndarray):
        return [prefix]
    if isinstance(params, tuple) and hasattr(params, "_fields"):
        params = params._asdict()
    if dataclasses.is_dataclass(params):
        params = vars(params)
    items = params.items() if isinstance(params, dict) else enumerate(params)
    return [
        name
        for key, each in items
        for name in names_of(each, f"{prefix}/{key}" if prefix else f"{key}")
    ]


def is_text(x):
    return isinstance(x, str)


PENALTIES = Penalties([("*", L2(1.0))], allow_unused=True)
PENALTIES.value_and_grad({"w": np.ones(1)})  # imports what is ours, which the first call does


@given(trees(arrays))
def test_the_sum_over_the_leaves(params):
    leaves = arrays_of(params)
    distinct = {id(array): array for array in leaves}.values()
    names = names_of(params)
    is_plain = type(params) is dict and {*map(type, params.values())} == {np.ndarray}
    if isinstance(params, np.ndarray) or (is_plain and not all(map(is_text, params))):
        # An array is no tree, and a plain dictionary of arrays has them under strings.
        with pytest.raises(TypeError, match=r"names and arrays|strings as names"):
            PENALTIES(params)
        return
    if len(set(names)) < len(names):
        with pytest.raises(ValueError, match="Two parameters have the name"):
            PENALTIES(params)
        return
    with nothing_runs():
        total, grads = PENALTIES.value_and_grad(params)
    assert total == sum((array**2).sum() for array in distinct)
    written, firsts = arrays_of(grads), set()
    for array, grad in zip(leaves, written, strict=True):
        is_first = id(array) not in firsts
        firsts.add(id(array))
        np.testing.assert_array_equal(grad, 2 * array if is_first else 0 * array)


def within_itself():
    itself: dict[str, Any] = {"a": np.ones(2)}
    itself["self"] = [itself]
    return itself


def nested(depth):
    params: Any = np.ones(2)
    for _ in range(depth):
        params = {"a": params}
    return params


@given(trees(st.one_of(arrays, odd_things)))
@example(Later(within_itself))
@example(Later(nested, (5_000,)))
@example([Later(nested, (100,))])
@example({"a": Later(nested, (5_000,))})
def test_strange_trees_are_taken_or_refused(given_params):
    params = built(given_params)
    for call in (PENALTIES, PENALTIES.value_and_grad, PENALTIES.bind, tree.leaves):
        try:
            with nothing_runs():
                call(params)
        except (TypeError, ValueError, Own):
            pass
