"""Configs from strangers: a regularizer or a ValueError, and nothing else happens."""

import inspect
import json
import math

import numpy as np
import oracle
import pytest
from hostile import (
    Later,
    Own,
    built,
    configs,
    deep_config,
    deep_list,
    factors,
    odd_things,
    own_config,
    own_list,
)
from hypothesis import example, given
from hypothesis import strategies as st
from taut import Penalties, regularizers
from taut.regularizers import L1, L1L2, L2, Regularizer, deserialize, get, serialize
from watch import nothing_runs

X = np.random.default_rng(0).standard_normal((3, 4))


def check_made(made):
    """What was made is a regularizer, which says the same of itself when it is read again."""
    assert isinstance(made, Regularizer)
    if type(made) is Regularizer:
        return
    config = serialize(made)
    assert serialize(deserialize(json.loads(json.dumps(config)))) == config
    if isinstance(made, L1 | L2 | L1L2):
        l1, l2 = getattr(made, "l1", 0.0), getattr(made, "l2", 0.0)
        expected = oracle.elementwise_value(X, l1, l2)
        tolerance = oracle.elementwise_value_tolerance(X, l1, l2)
        assert math.isclose(made(X), expected, abs_tol=tolerance + 1e-320) or made(X) == expected


@given(configs())
@example(Later(own_config))
@example(Later(deep_config, (5_000,)))
@example(Later(deep_list, (5_000,)))
@example({"class_name": 3, "config": Later(deep_list, (5_000,))})
@example({"class_name": "L2", "config": Later(own_list)})
@example({"class_name": "function", "config": "L2"})
@example({"class_name": "L2", "config": {"l2": 10**5000}})
def test_a_config_makes_a_regularizer_or_is_refused(given_config):
    config = built(given_config)
    for make in (deserialize, get):
        try:
            with nothing_runs():
                made = make(config)
        except (ValueError, Own):
            continue
        if made is None:
            assert config is None
        elif inspect.isclass(config) or inspect.isroutine(config):
            assert callable(made)  # `get` takes classes and functions, which no config holds
        else:
            check_made(made)


@given(st.sampled_from(regularizers.__all__), st.lists(factors, max_size=3))
def test_factors_are_taken_or_refused(name, arguments):
    cls = getattr(regularizers, name)
    if not inspect.isclass(cls) or cls is Regularizer:
        return
    try:
        with nothing_runs():
            made = cls(*built(arguments))
    except (ValueError, Own):
        return
    except TypeError as error:
        if "positional argument" not in str(error):
            raise
        return
    if callable(getattr(made, "regularizer", None)) and not isinstance(
        made.regularizer, Regularizer
    ):
        return  # a class or a function of the caller's
    check_made(made)


rules = st.one_of(
    st.lists(st.tuples(st.text("a*?[]!-/", max_size=6), configs())),
    st.lists(st.lists(st.one_of(st.text(max_size=3), configs()), max_size=3)),
    odd_things,
)


@given(st.one_of(st.fixed_dictionaries({"rules": rules}, optional={
    "allow_unused": odd_things, "match_all": odd_things, "reference": odd_things,
}), configs()))  # fmt: skip
def test_a_config_of_penalties_makes_some_or_is_refused(given_config):
    config = built(given_config)
    try:
        with nothing_runs():
            made = Penalties.from_config(config)
    except (ValueError, Own):
        return
    assert all(rule is None or isinstance(rule, Regularizer) for _, rule in made.rules)
    if any(type(rule) is Regularizer for _, rule in made.rules):
        return  # Keras's configs may name the base class, too, which has no config of its own
    again = Penalties.from_config(json.loads(json.dumps(made.get_config())))
    assert again.get_config() == made.get_config()


@pytest.mark.parametrize("config", [own_config(), deep_config(5_000)])
def test_a_refusal_is_short(config):
    with pytest.raises(ValueError, match="nested too deeply"):
        deserialize(config)
    with pytest.raises(ValueError, match="The module in a config is a string"):
        deserialize({"class_name": "L2", "module": config})
    with pytest.raises(ValueError, match="A config is") as refusal:
        deserialize({"class_name": 3, "config": [config] * 1000, "module": "m" * 10_000})
    assert len(str(refusal.value)) < 2_000
