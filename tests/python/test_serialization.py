"""Identifiers, configs, and registration."""

import json
import sys

import numpy as np
import pytest
from taut import Penalties, regularizers
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
    SoftOrthogonalRegularizer,
    _registry,
    deserialize,
    get,
    register_serializable,
    serialize,
)

ALL = [
    L1(0.1),
    L2(0.2),
    L1L2(0.1, 0.2),
    OrthogonalRegularizer(0.3, "columns"),
    SoftOrthogonalRegularizer(0.3, "columns", False),
    GroupLasso(0.3, "columns"),
    ActivityRegularizer(L1L2(0.1, 0.2)),
]


@pytest.fixture(autouse=True)
def fresh_registry(monkeypatch):
    monkeypatch.setattr(_registry, "_registered", {})


@pytest.mark.parametrize("regularizer", ALL, ids=lambda each: type(each).__name__)
def test_a_config_survives_json(regularizer):
    config = serialize(regularizer)
    restored = deserialize(json.loads(json.dumps(config)))
    assert type(restored) is type(regularizer)
    assert serialize(restored) == config
    assert get(config) is not regularizer


def test_the_format_is_keras():
    assert serialize(L2(0.1)) == {
        "module": "taut.regularizers",
        "class_name": "L2",
        "config": {"l2": 0.1},
        "registered_name": "taut>L2",
    }


@pytest.mark.parametrize("module", ["keras.regularizers", "keras.src.regularizers.regularizers"])
@pytest.mark.parametrize("regularizer", ALL[:4], ids=lambda each: type(each).__name__)
def test_reads_what_keras_wrote(regularizer, module):
    config = {
        "module": module,
        "class_name": type(regularizer).__name__,
        "config": regularizer.get_config(),
        "registered_name": None,
    }
    restored = deserialize(config)
    assert type(restored) is type(regularizer)
    assert restored.get_config() == regularizer.get_config()


def test_reads_a_config_that_only_names_a_class_and_its_arguments():
    assert deserialize({"class_name": "L1L2", "config": {"l1": 0.5}}).get_config() == {
        "l1": 0.5,
        "l2": 0.0,
    }
    assert deserialize({"class_name": "L2"}).l2 == 0.01


@pytest.mark.parametrize(
    ("identifier", "cls", "config"),
    [
        ("l1", L1, {"l1": 0.01}),
        ("l2", L2, {"l2": 0.01}),
        ("l1_l2", L1L2, {"l1": 0.01, "l2": 0.01}),
        ("l1l2", L1L2, {"l1": 0.01, "l2": 0.01}),
        ("L1", L1, {"l1": 0.01}),
        ("L1L2", L1L2, {"l1": 0.0, "l2": 0.0}),
        ("orthogonal_regularizer", OrthogonalRegularizer, {"factor": 0.01, "mode": "rows"}),
        ("OrthogonalRegularizer", OrthogonalRegularizer, {"factor": 0.01, "mode": "rows"}),
        (
            "soft_orthogonal_regularizer",
            SoftOrthogonalRegularizer,
            {"factor": 0.01, "mode": "rows", "diagonal": True},
        ),
        ("group_lasso", GroupLasso, {"factor": 0.01, "mode": "rows"}),
        ("GroupLasso", GroupLasso, {"factor": 0.01, "mode": "rows"}),
        (L2, L2, {"l2": 0.01}),
    ],
)
def test_identifiers(identifier, cls, config):
    regularizer = get(identifier)
    assert type(regularizer) is cls
    assert regularizer.get_config() == config


def test_what_is_a_regularizer_already_is_returned():
    regularizer = L2()
    assert get(regularizer) is regularizer
    assert get(len) is len
    assert get(None) is None
    assert deserialize(None) is None
    assert serialize(None) is None


@pytest.mark.parametrize("identifier", ["typo", "", 5, 0.01, [L2()], ("l2",)])
def test_what_is_no_regularizer(identifier):
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier"):
        get(identifier)


def test_an_unknown_class_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"Typo\. Known: .*L1.*OrthogonalRegularizer.*l1_l2"):
        deserialize({"class_name": "Typo", "config": {}})


@pytest.mark.parametrize(
    "config",
    [
        5,
        "l2",
        {},
        {"config": {}},
        {"class_name": 3, "config": {}},
        {"class_name": "L2", "config": 5},
        {"class_name": "L2", "config": None},
        {"class_name": "L2", "config": {"l3": 0.1}},
        {"class_name": "L2", "config": {"l2": "a"}},
        {"class_name": "L2", "config": {"l2": True}},
        {"class_name": "GroupLasso", "config": {"factor": False}},
        {"class_name": "function", "config": {}},
    ],
)
def test_a_malformed_config(config):
    with pytest.raises(ValueError, match=r"config|expected a non-negative float"):
        deserialize(config)


def test_a_class_of_the_same_name_is_not_mistaken_for_ours():
    for other in (
        {"class_name": "L2", "config": {}, "registered_name": "theirs>L2"},
        {"class_name": "L2", "config": {}, "module": "theirs", "registered_name": "L2"},
    ):
        with pytest.raises(ValueError, match="Could not interpret"):
            deserialize(other)


def test_a_registered_class():
    @register_serializable(package="mine")
    class Custom(Regularizer):
        def __init__(self, strength):
            self.strength = strength

        def get_config(self):
            return {"strength": self.strength}

    config = json.loads(json.dumps(serialize(Custom(0.5))))
    assert config["registered_name"] == "mine>Custom"
    assert deserialize(config).strength == 0.5
    assert type(deserialize(config)) is Custom


def test_what_is_registered_again_replaces_what_was():
    def register():
        @register_serializable(package="mine")
        class Custom(Regularizer):
            def get_config(self):
                return {}

        return Custom

    first, second = register(), register()
    assert type(deserialize(serialize(second()))) is second
    assert type(deserialize(serialize(second()))) is not first


def test_a_registered_function():
    @register_serializable(package="mine")
    def penalty(x):
        return np.sum(x)

    config = serialize(penalty)
    assert config["class_name"] == "function"
    assert deserialize(json.loads(json.dumps(config))) is penalty
    assert get("mine>penalty") is penalty


def test_custom_objects_come_first():
    class Custom(Regularizer):
        def get_config(self):
            return {}

    config = serialize(Custom())
    with pytest.raises(ValueError, match="Could not interpret"):
        deserialize(config)
    assert type(deserialize(config, custom_objects={"Custom": Custom})) is Custom
    assert deserialize({"class_name": "function", "config": "f"}, custom_objects={"f": len}) is len


def test_what_cannot_be_serialized():
    with pytest.raises(NotImplementedError, match="get_config"):
        serialize(Regularizer())
    for thing in (5, "l2", L2):
        with pytest.raises(TypeError, match="can be serialized"):
            serialize(thing)

    class NoConfig:
        pass

    with pytest.raises(ValueError, match="without a get_config"):
        register_serializable()(NoConfig)


def test_the_module_exports_what_keras_does():
    for name in [
        "L1",
        "L2",
        "L1L2",
        "OrthogonalRegularizer",
        "Regularizer",
        "deserialize",
        "get",
        "l1",
        "l1_l2",
        "l2",
        "orthogonal_regularizer",
        "serialize",
    ]:
        assert name in regularizers.__all__
        assert hasattr(regularizers, name)


class L2Again(L2):
    pass


class Within(Regularizer):
    def __call__(self, x):
        return np.sum(x)

    def get_config(self):
        return {}


def test_custom_objects_reach_regularizers_within_regularizers():
    config = json.loads(json.dumps(serialize(ActivityRegularizer(ActivityRegularizer(Within())))))
    with pytest.raises(ValueError, match="Could not interpret"):
        deserialize(config)
    restored = deserialize(config, custom_objects={"Within": Within})
    assert type(restored.regularizer.regularizer) is Within
    with pytest.raises(ValueError, match="Could not interpret"):  # they are of one call
        get("Within")


def test_custom_objects_reach_the_rules_of_penalties():
    config = json.loads(json.dumps(Penalties([("*", Within()), ("b", None)]).get_config()))
    with pytest.raises(ValueError, match="Could not interpret"):
        Penalties.from_config(config)
    restored = Penalties.from_config(config, custom_objects={"Within": Within})
    assert type(restored.rules[0][1]) is Within


def test_custom_objects_come_before_registered_ones():
    class Own(Regularizer):
        def get_config(self):
            return {}

    class Other(Own):
        pass

    register_serializable(package="mine")(Own)
    for name in ("mine>Own", "Own"):
        config = serialize(Own())
        assert type(deserialize(config, custom_objects={name: Other})) is Other
    assert type(deserialize(config)) is Own
    assert type(deserialize(serialize(L2()), custom_objects={"L2": L2Again})) is L2Again


def test_an_activity_regularizer_shows_what_is_within():
    assert repr(ActivityRegularizer(L2(0.5))) == "ActivityRegularizer(L2(l2=0.5))"


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("l1", L1),
        ("l2", L2),
        ("l1_l2", L1L2),
        ("l1l2", L1L2),
        ("orthogonal_regularizer", OrthogonalRegularizer),
        ("soft_orthogonal_regularizer", SoftOrthogonalRegularizer),
        ("group_lasso", GroupLasso),
    ],
)
def test_an_identifier_names_a_class_in_a_config_too(name, cls):
    config = cls().get_config() | {"l1": 0.5} if cls in (L1, L1L2) else cls().get_config()
    restored = deserialize({"class_name": name, "config": config})
    assert (type(restored), restored.get_config()) == (cls, config)


@pytest.mark.parametrize("name", [["taut>L2"], {}, 5])
def test_a_registered_name_is_a_string(name):
    with pytest.raises(ValueError, match="registered name in a config is a string"):
        deserialize({"class_name": "L2", "config": {}, "registered_name": name})


def test_a_factor_that_is_too_large_for_a_float():
    for cls in (L1, L2, OrthogonalRegularizer):
        with pytest.raises(ValueError, match="expected a non-negative float"):
            cls(10**400)
    with pytest.raises(ValueError, match="expected a non-negative float"):
        deserialize({"class_name": "L2", "config": {"l2": 10**400}})


def test_a_config_that_is_nested_too_deeply_is_refused():
    config = serialize(L2(0.1))
    for _ in range(sys.getrecursionlimit()):
        config = {"class_name": "ActivityRegularizer", "config": {"regularizer": config}}
    with pytest.raises(ValueError, match="nested too deeply"):
        deserialize(config)


def test_integers_of_many_digits_are_refused_in_few_words():
    for number in (10**400, -(10**400), 10**5000):
        with pytest.raises(
            ValueError, match=r"non-negative float\. Received: l2=<an integer of \d+ bits>"
        ):
            L2(number)


def test_a_factor_is_no_list_of_any_depth():
    nested = [0.5]
    for _ in range(sys.getrecursionlimit()):
        nested = [nested]
    itself = []
    itself += [itself, itself]
    for factor in (nested, itself, [[1], [1, 2]]):
        for make in (
            L2,
            lambda factor: deserialize({"class_name": "L2", "config": {"l2": factor}}),
        ):
            with pytest.raises(ValueError, match="expected a non-negative float") as refusal:
                make(factor)
            assert len(str(refusal.value)) < 1000
        with pytest.raises(ValueError, match="Expected one of"):
            OrthogonalRegularizer(mode=factor)


@pytest.mark.parametrize("name", ["L2", "l2", "taut>L2", "mine>Custom"])
def test_a_class_is_no_function(name):
    register_serializable(package="mine", name="Custom")(L2Again)
    with pytest.raises(ValueError, match=r"names none|Could not interpret"):
        deserialize({"class_name": "function", "config": name})


def test_what_is_not_called_is_no_regularizer():
    class Settings:
        def get_config(self):
            return {}

    for config in (
        {"class_name": "Settings", "config": {}},
        {"class_name": "number", "config": {}},
    ):
        with pytest.raises(ValueError, match="A config names a class of regularizers"):
            deserialize(config, custom_objects={"Settings": Settings, "number": 5})
    with pytest.raises(ValueError, match="names none: 5"):
        deserialize({"class_name": "function", "config": "number"}, custom_objects={"number": 5})


def test_a_class_that_needs_arguments_is_not_made_of_its_name():
    register_serializable(package="mine", name="Needy")(Needy)
    with pytest.raises(ValueError, match="Needy does not take this config"):
        get("mine>Needy")


class Needy(Within):
    def __init__(self, strength):
        self.strength = strength


@pytest.mark.parametrize(
    "config",
    [
        5,
        {},
        {"rules": None},
        {"rules": "l2"},
        {"rules": [["*"]]},
        {"rules": [[1, None]]},
        {"rules": [["*", {}]]},
        {"rules": [["*", ""]]},
        {"rules": [["*", {"class_name": "Typo"}]]},
        {"rules": [], "allow_unused": "yes"},
        {"rules": [], "match_all": None},
        {"rules": [], "reference": True},
    ],
)
def test_a_malformed_config_of_penalties(config):
    with pytest.raises(ValueError, match=r"config|Invalid|interpret"):
        Penalties.from_config(config)
