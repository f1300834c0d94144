"""The penalties of a whole model."""

import copy
import json
import pickle

import numpy as np
import pytest
import taut
from arrays import DTYPES, random_array
from taut import Penalties
from taut.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer


def model(dtype="float32"):
    return {
        "dense1/kernel": random_array((40, 30), dtype, seed=1),
        "dense1/bias": random_array((30,), dtype, seed=2),
        "dense2/kernel": random_array((300, 200), dtype, seed=3),
        "embedding": random_array((50, 20), dtype, seed=4),
        "head/kernel": random_array((200, 1), dtype, seed=5),
        "empty/kernel": random_array((0, 4), dtype, seed=6),
    }


RULES = [
    ("head/*", L1L2(1e-3, 1e-4)),
    ("*/kernel", L2(1e-4)),
    ("embedding", OrthogonalRegularizer(0.1)),
    ("*/bias", None),
]
RULE_OF = {
    "dense1/kernel": RULES[1],
    "dense2/kernel": RULES[1],
    "embedding": RULES[2],
    "head/kernel": RULES[0],
    "empty/kernel": RULES[1],
}


def pickle_round_trip(x):
    return pickle.loads(pickle.dumps(x))


def zeros(params):
    return {name: np.zeros_like(x) for name, x in params.items()}


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_parameter_gets_what_its_rule_alone_would_give(level, dtype, threads):
    taut.set_num_threads(threads)
    params, penalties = model(dtype), Penalties(RULES)
    alone = {name: rule[1](params[name]) for name, rule in RULE_OF.items()}
    assert penalties.breakdown(params) == alone
    assert penalties(params) == sum(alone.values())
    by_rule = penalties.breakdown(params, by="rule")
    assert list(by_rule) == ["head/*", "*/kernel", "embedding"]
    assert by_rule["head/*"] == alone["head/kernel"]
    assert sum(by_rule.values()) == pytest.approx(sum(alone.values()), rel=1e-12)

    grads = zeros(params)
    assert penalties.accumulate_grad(params, grads, scale=3.0) == sum(alone.values())
    for name, x in params.items():
        expected = np.zeros_like(x)
        if name in RULE_OF:
            RULE_OF[name][1].accumulate_grad(x, expected, 3.0)
        assert grads[name].tobytes() == expected.tobytes()


def test_a_mapping_is_no_list_of_rules():
    with pytest.raises(TypeError, match=r"give list\(rules.items\(\)\)"):
        taut.Penalties({"*": L2()})


def test_the_first_rule_that_matches_wins():
    params = {"a/kernel": np.ones(3), "b/kernel": np.ones(3)}
    rules = [("a/*", None), ("*/kernel", L1(1.0)), ("b/*", L2(5.0))]
    penalties = Penalties(rules, allow_unused=True)
    assert penalties.breakdown(params) == {"b/kernel": 3.0}


def test_identifiers_are_rules():
    assert Penalties([("*", "l2")])({"w": np.ones(100)}) == 1.0
    with pytest.raises(ValueError, match="unknown"):
        Penalties([("*", "unknown")])


def test_a_parameter_that_no_rule_matches_has_no_penalty():
    params = {"w": np.ones(3), "counter": np.arange(3)}  # not even of a dtype that could have one
    assert Penalties([("w", L1(1.0))])(params) == 3


def test_a_rule_that_matches_nothing_is_an_error():
    params = {"w": np.ones(3)}
    with pytest.raises(ValueError, match=r"'kernel'.*'w'"):
        Penalties([("kernel", L1(1.0)), ("*", L2(1.0))])(params)
    assert Penalties([("kernel", L1(1.0)), ("*", L2(1.0))], allow_unused=True)(params) == 3


def test_a_rule_whose_parameters_were_all_taken_is_an_error():
    params, rules = {"w": np.ones(3)}, [("*", L2(1.0)), ("w", L1(1.0))]
    with pytest.raises(ValueError, match=r"taken by rules before them: \['w'\]"):
        Penalties(rules)(params)
    with pytest.raises(ValueError, match=r"taken by rules before them: \['w'\]"):
        Penalties([("*", None), ("w", L1(1.0))])(params)
    assert Penalties(rules, allow_unused=True)(params) == 3


def test_nested_mappings_and_pairs():
    nested = {"dense": {"kernel": np.ones(3), "bias": np.ones(2)}, "scale": np.ones(1)}
    penalties = Penalties([("dense/kernel", L1(1.0)), ("scale", L1(10.0))])
    assert penalties.breakdown(nested) == {"dense/kernel": 3.0, "scale": 10.0}
    grads = {"dense": {"kernel": np.zeros(3)}, "scale": np.zeros(1)}
    penalties.accumulate_grad(nested, grads)
    assert grads["dense"]["kernel"].tolist() == [1, 1, 1]
    assert penalties([("dense/kernel", np.ones(4)), ("scale", np.ones(1))]) == 14


def test_the_same_memory_counts_once():
    shared = random_array((20, 30), "float32")
    params = {"embedding": shared, "head": shared.T, "copy": shared.copy(), "part": shared[:10]}
    for regularizer in (L2(0.5), Custom()):
        penalties = Penalties([("*", regularizer)])
        alone = float(regularizer(shared))
        breakdown = penalties.breakdown(params)
        assert breakdown["embedding"] == pytest.approx(alone, rel=1e-6)
        assert breakdown["head"] == 0
        assert breakdown["copy"] == breakdown["embedding"]
        assert breakdown["part"] > 0
        grads = {name: np.zeros_like(x) for name, x in params.items()}
        penalties.accumulate_grad(params, grads)
        assert grads["embedding"].any()
        assert not grads["head"].any()


@pytest.mark.parametrize("wrong", ["shape", "dtype", "read-only", "itself", "x", "none"])
@pytest.mark.parametrize("kind", ["array", "view", "transposed"])
def test_the_gradient_of_a_tied_weight_has_to_fit_though_it_does_not_count(kind, wrong):
    x, grad = np.ones((3, 3)), np.zeros((3, 3))
    tied = {"array": x, "view": x[:], "transposed": x.T}[kind]
    others = {
        "shape": np.zeros(9),
        "dtype": np.zeros((3, 3), np.float32),
        "read-only": np.broadcast_to(np.zeros(3), (3, 3)),
        "itself": np.lib.stride_tricks.as_strided(np.zeros(9), (3, 3), (8, 8)),
        "x": x,
    }
    penalties = Penalties([("*", L2(1.0))])
    params, right = {"a": x, "b": tied}, {"a": grad, "b": np.zeros((3, 3))}
    if wrong == "none":
        assert penalties.accumulate_grad(params, right) == 9
        assert penalties.accumulate_grad(params, {"a": grad, "b": grad}) == 9
        assert (grad == 4).all()
        assert not right["b"].any()
        return
    with pytest.raises(ValueError, match=r"^b: "):
        penalties.accumulate_grad(params, right | {"b": others[wrong]})
    assert not grad.any()
    assert (x == 1).all()


def test_factors_are_read_at_each_call():
    regularizer, params = L2(1.0), {"w": np.ones(3)}
    bound = Penalties([("w", regularizer)]).bind(params)
    assert bound() == 3
    regularizer.l2 = 2.0
    assert bound() == 6
    regularizer.l2 = -1.0
    with pytest.raises(ValueError, match="non-negative"):
        bound()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bound_gradients_get_what_others_would(level, dtype):
    params, rules = model(dtype), [(name, rule[1]) for name, rule in RULE_OF.items()]
    expected = zeros(params)
    total = Penalties(rules).accumulate_grad(params, expected, 0.7)
    own, others = zeros(params), zeros(params)
    bound = Penalties(rules).bind(params, own)
    assert bound.accumulate_grad(scale=0.7) == total
    assert bound.accumulate_grad(others, 0.7) == total
    for name in RULE_OF:
        np.testing.assert_array_equal(own[name], expected[name])
        np.testing.assert_array_equal(others[name], expected[name])


def test_copied_penalties_keep_the_gradients_that_were_copied_with_them():
    x, grad = np.ones(3), np.zeros(3)
    bound = Penalties([("w", L1(0.5))]).bind({"w": x}, {"w": grad})
    for copied in (copy.deepcopy, pickle_round_trip):
        again, its_grad = copied((bound, grad))
        again.accumulate_grad()
        np.testing.assert_array_equal(its_grad, 0.5)
    np.testing.assert_array_equal(grad, 0)


def test_bound_gradients_see_a_schedule_and_new_numbers():
    x, grad, penalty = np.ones(3), np.zeros(3), L2(0.5)
    bound = Penalties([("w", penalty)]).bind({"w": x}, {"w": grad})
    assert bound.accumulate_grad() == 1.5
    penalty.l2 = 0.25
    x[:] = 2
    assert bound.accumulate_grad() == 3
    np.testing.assert_array_equal(grad, 2)
    penalty.l2 = -1.0
    with pytest.raises(ValueError, match=r"w: .*non-negative"):
        bound.accumulate_grad()


@pytest.mark.parametrize(
    ("grads", "error", "message"),
    [
        ({}, ValueError, "no gradient for the parameter 'w'"),
        ({"w": np.broadcast_to(np.zeros(1), 3)}, ValueError, "w: .*read-only"),
        ({"w": np.zeros(3, int)}, TypeError, "w: .*int64"),
    ],
)
def test_bad_gradients_are_errors_when_they_are_bound(grads, error, message):
    with pytest.raises(error, match=message):
        Penalties([("w", L2())]).bind({"w": np.ones(3)}, grads)


def test_bound_gradients_that_do_not_fit_are_errors_before_anything_is_written():
    params = {"a": np.ones(3), "b": np.ones(3)}
    grads = {"a": np.zeros(3), "b": np.zeros(4)}
    bound = Penalties([("*", L2())]).bind(params, grads)
    with pytest.raises(ValueError, match="b: "):
        bound.accumulate_grad()
    np.testing.assert_array_equal(grads["a"], 0)


def test_bound_gradients_that_were_made_read_only_are_not_written():
    params, grads = {"a": np.ones(3), "b": np.ones(3)}, {"a": np.zeros(3), "b": np.zeros(3)}
    bound = Penalties([("*", L2(1.0))]).bind(params, grads)
    assert bound.accumulate_grad() == 6
    grads["b"].setflags(write=False)
    with pytest.raises(ValueError, match=r"^b: .*read-only"):
        bound.accumulate_grad()
    assert grads["a"].tolist() == grads["b"].tolist() == [2, 2, 2]
    grads["b"].setflags(write=True)
    assert bound.accumulate_grad() == 6
    assert grads["a"].tolist() == grads["b"].tolist() == [4, 4, 4]


def test_bound_gradients_follow_arrays_that_change_in_place():
    x, grad, penalty = random_array((4, 6), "float64"), np.zeros((4, 6)), OrthogonalRegularizer(1.0)
    bound = Penalties([("w", penalty)]).bind({"w": x}, {"w": grad})
    before = bound.accumulate_grad()
    x.shape = (6, 4)
    with pytest.raises(ValueError, match=r"^w: .*shape"):
        bound.accumulate_grad()
    grad.shape = (6, 4)
    grad[:] = 0
    assert bound.accumulate_grad() == bound() == penalty(x) != before
    np.testing.assert_array_equal(grad, penalty.value_and_grad(x)[1])
    x.dtype = np.int64
    with pytest.raises(TypeError, match=r"^w: .*int64"):
        bound.accumulate_grad()
    x.dtype = np.float64
    grad.dtype = np.complex128
    with pytest.raises(TypeError, match=r"^w: expected a gradient .*complex128"):
        bound.accumulate_grad()


def test_bound_gradients_follow_arrays_to_other_memory():
    x, grad, reference = (np.full(100_000, number) for number in (1.0, 0.0, 0.0))
    penalties = Penalties([("w", L1(1.0))], reference={"w": reference})
    bound = penalties.bind({"w": x}, {"w": grad})
    assert bound.accumulate_grad() == 100_000
    for array in (x, grad, reference):
        array.resize(10, refcheck=False)  # which frees what is behind them
    assert bound.accumulate_grad() == 10
    assert grad.tolist() == [2] * 10


def test_bound_penalties_follow_their_arrays():
    params = {"w": np.ones(3), "v": np.ones((2, 2))}
    bound = Penalties([("w", L1(1.0)), ("v", L2(1.0))]).bind(params)
    params["w"][:] = -2
    grads = zeros(params)
    assert bound() == bound.accumulate_grad(grads) == 10
    assert grads["w"].tolist() == [-1, -1, -1]
    assert bound.breakdown() == {"w": 6.0, "v": 4.0}
    bound.prox(0.5)
    assert params["w"].tolist() == [-1.5, -1.5, -1.5]
    assert (params["v"] == 0.5).all()


def test_the_rules_may_change():
    penalties, params = Penalties([("w", L1(1.0))]), {"w": np.full(3, 2.0)}
    assert penalties(params) == 6
    penalties.rules[0] = ("w", L2(1.0))
    assert penalties(params) == 12


class Custom(Regularizer):
    def __call__(self, x):
        return np.abs(x).max()

    def value_and_grad(self, x, scale=1.0):
        return self(x), scale * (np.abs(x) == np.abs(x).max()) * np.sign(x)

    def prox(self, x, step):
        x -= step


class Doubled(L2):
    def __call__(self, x):
        return 2 * super().__call__(x)

    def accumulate_grad(self, x, grad, scale=1.0):
        return 2 * super().accumulate_grad(x, grad, 2 * scale)

    def prox(self, x, step):
        super().prox(x, 2 * step)


def test_your_own_regularizers_take_part():
    params = {"a": np.array([1.0, -3.0]), "b": np.ones(2), "c": np.ones(2)}
    penalties = Penalties([("a", Custom()), ("b", Doubled(1.0)), ("c", L1(1.0))])
    assert penalties.breakdown(params) == {"a": 3.0, "b": 4.0, "c": 2.0}
    grads = zeros(params)
    assert penalties.accumulate_grad(params, grads) == 9
    assert [grads[name].tolist() for name in "abc"] == [[0, -1], [4, 4], [1, 1]]
    penalties.prox(params, 0.25)
    assert params["a"].tolist() == [0.75, -3.25]


def test_a_function_is_a_penalty_without_a_gradient():
    params = {"a": np.ones(2), "b": np.ones(2)}
    penalties = Penalties([("a", L1(1.0)), ("b", lambda x: 7.0)])
    assert penalties(params) == 9
    grads = zeros(params)
    with pytest.raises(NotImplementedError, match="accumulate_grad"):
        penalties.accumulate_grad(params, grads)
    assert not grads["a"].any()
    with pytest.raises(NotImplementedError, match="prox"):
        penalties.prox(params, 0.1)
    assert (params["a"] == 1).all()


@pytest.mark.parametrize("name", ["dense2/kernel", "embedding", "head/kernel"])
def test_errors_name_the_parameter_and_nothing_is_written(name):
    params, penalties = model(), Penalties(RULES)
    wrong = np.zeros((3, 3, 3), np.float32)
    grads = zeros(params)
    with pytest.raises(ValueError, match=f"{name}.*shape"):
        penalties.accumulate_grad(params, grads | {name: wrong})
    with pytest.raises(TypeError, match=f"{name}.*list"):
        penalties.accumulate_grad(params, grads | {name: [1.0]})
    with pytest.raises(TypeError, match=f"{name}.*int64"):
        penalties(params | {name: np.ones((3, 3), np.int64)})
    with pytest.raises(ValueError, match=f"no gradient.*{name}"):
        penalties.accumulate_grad(params, {key: grads[key] for key in grads if key != name})
    read_only = np.zeros_like(params[name])
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match=f"{name}.*read-only"):
        penalties.accumulate_grad(params, grads | {name: read_only})
    with pytest.raises(ValueError, match="overlap"):
        penalties.accumulate_grad(params, grads | {name: params[name]})
    assert not any(grad.any() for grad in grads.values())


def test_gradients_that_overlap_each_other_are_refused():
    memory = np.zeros(5)
    params = {"a": np.ones(3), "b": np.ones(3)}
    with pytest.raises(ValueError, match="overlap"):
        Penalties([("*", L2(1.0))]).accumulate_grad(params, {"a": memory[:3], "b": memory[2:]})
    assert not memory.any()
    interleaved = np.zeros(6)
    Penalties([("*", L2(1.0))]).accumulate_grad(
        params, {"a": interleaved[::2], "b": interleaved[1::2]}
    )
    assert (interleaved == 2).all()


def test_an_orthogonal_rule_has_no_proximal_step():
    params = {"a": np.ones(3), "b": np.eye(3)}
    with pytest.raises(NotImplementedError, match=r"b: Orthogonal.*proximal step"):
        Penalties([("a", L1(1.0)), ("b", OrthogonalRegularizer())]).prox(params, 0.1)
    assert (params["a"] == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_prox_of_many_is_that_of_each(level, dtype):
    rules = [("embedding", L1(0.02)), ("*/kernel", L1L2(0.03, 0.4)), ("*/bias", L2(0.1))]
    params, expected = model(dtype), model(dtype)
    Penalties(rules).prox(params, 0.5)
    rules[0][1].prox(expected["embedding"], 0.5)
    rules[2][1].prox(expected["dense1/bias"], 0.5)
    for name in ("dense1/kernel", "dense2/kernel", "head/kernel"):
        rules[1][1].prox(expected[name], 0.5)
    for name, x in params.items():
        assert x.tobytes() == expected[name].tobytes()


def test_config_round_trip():
    penalties = Penalties(RULES, allow_unused=True)
    config = json.loads(json.dumps(penalties.get_config()))
    restored = Penalties.from_config(config)
    assert restored.get_config() == config
    assert restored(model()) == penalties(model())
    assert restored.allow_unused


def test_breakdown_by_something_else():
    with pytest.raises(ValueError, match="by='size'"):
        Penalties([("*", L1())]).breakdown({"w": np.ones(1)}, by="size")


def test_an_overridden_prox_is_called():
    class Own(L2):
        def prox(self, x, step):
            x[...] = 42

    params = {"a": np.ones(3), "b": np.ones(3)}
    Penalties([("a", Own(1.0)), ("b", L2(0.5))]).prox(params, 1.0)
    assert params["a"].tolist() == [42, 42, 42]
    assert params["b"].tolist() == [0.5, 0.5, 0.5]


class Summed(Regularizer):
    def __call__(self, x):
        return x.sum()


def test_only_the_very_same_elements_are_the_same_memory():
    base = np.arange(10.0)
    params = {"a": base[::3], "b": base.reshape(5, 2)[::4], "empty": base[:0], "none": base[:0]}
    for rule in (L1(1.0), Summed()):
        sums = {"a": 18.0, "b": 18.0, "empty": 0.0, "none": 0.0}
        assert Penalties([("*", rule)]).breakdown(params) == sums


def test_a_tie_counts_under_the_first_name_whoever_computes_it():
    shared = np.ones(3)
    params = {"a": shared, "b": shared}
    assert Penalties([("a", Custom()), ("b", L2(7.0))]).breakdown(params) == {"a": 1.0, "b": 0.0}
    assert Penalties([("b", Custom()), ("a", L2(7.0))]).breakdown(params) == {"a": 21.0, "b": 0.0}


def test_prox_needs_arrays_that_it_can_write():
    with pytest.raises(TypeError, match="'a'"):
        Penalties([("a", L1(1.0))]).prox({"a": [1.0, 2.0]}, 1.0)


def test_when_a_custom_one_fails_taut_has_written_nothing():
    params, grads = {"a": np.ones(3), "b": np.ones(3)}, {"a": np.zeros(3), "b": np.zeros(3)}
    grads["a"].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        Penalties([("a", Custom()), ("b", L2(1.0))]).accumulate_grad(params, grads)
    assert not grads["b"].any()


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("wrong", ["shape", "dtype", "memory"])
def test_when_a_gradient_does_not_fit_nothing_is_written(wrong, value):
    x = np.ones(3)
    of = {"shape": np.zeros(4), "dtype": np.zeros(3, np.int64), "memory": x}
    params, grads = {"a": np.ones(3), "b": x}, {"a": np.zeros(3), "b": of[wrong]}
    bound = Penalties([("a", Custom()), ("b", L2(1.0))]).bind(params)
    with pytest.raises((TypeError, ValueError), match=r"^b: "):
        bound.accumulate_grad(grads, value=value)
    assert not grads["a"].any()


def test_gradients_of_custom_ones_are_checked_before_one_is_written():
    grads = {"a": np.zeros(3), "b": np.zeros(4)}
    with pytest.raises(ValueError, match=r"^b: .*the shape of the input"):
        Penalties([("*", Custom())]).accumulate_grad({"a": np.ones(3), "b": np.ones(3)}, grads)
    assert not grads["a"].any()


@pytest.mark.parametrize("wrong", ["read-only", "int64", "complex64", "object", "list"])
def test_gradients_of_custom_ones_that_cannot_be_added_to_are_errors_first(wrong):
    bad = [0.0, 0.0, 0.0] if wrong == "list" else np.zeros(3, wrong.replace("read-only", "f8"))
    if wrong == "read-only":
        bad.flags.writeable = False
    params, grads = {name: np.ones(3) for name in "abc"}, {"a": np.zeros(3), "c": np.zeros(3)}
    penalties = Penalties([("c", L2(1.0)), ("*", Custom())])
    with pytest.raises((TypeError, ValueError), match=f"^b: .*{wrong}|for b.*{wrong}"):
        penalties.accumulate_grad(params, grads | {"b": bad})
    assert not grads["a"].any()
    assert not grads["c"].any()


class Returning(Regularizer):
    """Returns what it was made with."""

    def __init__(self, returned):
        self.returned = returned

    def __call__(self, x):
        return 1.0

    def value_and_grad(self, x, scale=1.0):
        return self.returned


NO_PENALTIES = {
    "None": None,
    "text": "1",
    "complex": 1j,
    "complex scalar": np.complex64(1),
    "list": [1.0],
    "two": np.ones(2),
    "none": np.ones(0),
    "too large": 10**400,
    "date": np.datetime64("2020-01-01"),
    "duration": np.timedelta64(3, "s"),
    "NumPy's text": np.str_("1"),
    "object": np.array(None),
    "record": np.zeros((), "f4,f4"),
}
NO_GRADIENTS = {
    "None": None,
    "text": "1",
    "number": 1.0,
    "longer": np.ones(4),
    "wider": np.ones((1, 3)),
    "one": np.ones(1),
    "complex": np.full(3, 1j),
    "objects": np.full(3, None),
    "texts": np.full(3, "1"),
    "masked": np.ma.ones(3),
    "list of texts": ["1", "1", "1"],
}
NO_PAIRS = {"None": None, "number": 1.0, "gradient": np.ones(3), "three": (1.0, np.ones(3), 0)}
RETURNED = {
    **{f"penalty: {name}": (value, np.ones(3)) for name, value in NO_PENALTIES.items()},
    **{f"gradient: {name}": (1.0, slope) for name, slope in NO_GRADIENTS.items()},
    **{f"pair: {name}": both for name, both in NO_PAIRS.items()},
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_custom_one_returns_is_looked_at_before_one_is_written(name):
    params, grads = {name: np.ones(3) for name in "abcd"}, {name: np.zeros(3) for name in "abcd"}
    rules = [("a", Custom()), ("b", Returning(RETURNED[name])), ("c", Doubled(1.0)), ("d", L2(1.0))]
    with pytest.raises((TypeError, ValueError), match=r"^b: (Returning|expected)") as raised:
        Penalties(rules).accumulate_grad(params, grads)
    assert not any(grad.any() for grad in grads.values())
    assert not hasattr(raised.value, "__notes__")


class CodedError(ValueError):
    """An error that is not made from a message alone."""

    def __init__(self, code, text):
        super().__init__(f"{text} ({code})")
        self.code = code


class Refusing(Custom):
    """Gives an error of its own where it is asked for what may be written."""

    def _check_prox(self, x, step):
        raise CodedError(7, "it has none")


def test_errors_of_others_are_told_with_the_parameters_name():
    with pytest.raises(CodedError, match=r"^b: it has none \(7\)$") as raised:
        Penalties([("b", Refusing())]).prox({"b": np.ones(3)}, 0.1)
    assert raised.value.code == 7


@pytest.mark.parametrize("name", [name for name in RETURNED if "penalty" not in name])
def test_what_a_single_custom_one_returns_is_looked_at(name):
    grad = np.zeros(3)
    with pytest.raises((TypeError, ValueError), match=r"^(Returning|expected)"):
        Returning(RETURNED[name]).accumulate_grad(np.ones(3), grad)
    assert not grad.any()


@pytest.mark.parametrize(
    "slope", [np.ones(3), np.ones(3, np.float16), np.ones(3, int), np.ones(3, bool), [1, 1.0, True]]
)
@pytest.mark.parametrize(
    "value", [1, True, 1.0, np.float32(1), np.ones(()), np.ones(1), np.ones((1, 1), int)]
)
def test_what_a_custom_one_may_return(value, slope):
    grads = {"a": np.zeros(3, np.float32), "b": np.zeros(3)}
    penalties = Penalties([("a", Returning((value, slope))), ("b", L2(1.0))])
    assert penalties.accumulate_grad({"a": np.ones(3), "b": np.ones(3)}, grads) == 4
    assert (grads["a"] == 1).all()


class Filling(Regularizer):
    """Returns the same arrays at each call, which it fills anew."""

    def __init__(self, like):
        self.penalty, self.array = (0 * like[:1]).reshape(()), 0 * like

    def __call__(self, x):
        self.penalty[...] = x.sum()
        return self.penalty

    def value_and_grad(self, x, scale=1.0):
        self.array[...] = scale * x
        return self(x), self.array

    def proximal(self, x, step):
        self.array[...] = step * x
        return self.array


def check_filled(params):
    """Checks the penalties of `a`, three ones, and `b`, three fives."""
    penalties = Penalties([("*", Filling(params["a"]))])
    grads = {name: 0 * x for name, x in params.items()}
    assert penalties(params) == penalties.accumulate_grad(params, grads) == 18
    assert penalties.breakdown(params) == {"a": 3, "b": 15}
    total, slopes = penalties.value_and_grad(params)
    assert total == 18
    for each in (grads, slopes, penalties.proximal(params, 1.0)):
        assert {name: x.tolist() for name, x in each.items()} == {"a": [1] * 3, "b": [5] * 3}


def test_a_custom_one_may_return_the_same_arrays_again():
    check_filled({"a": np.ones(3), "b": np.full(3, 5.0)})


def test_a_custom_one_may_return_a_gradient_that_others_are_added_to():
    grads = {"a": np.zeros(3), "b": np.full(3, 2.0)}
    rules = [("a", Returning((1.0, np.ones(3)))), ("b", Returning((1.0, grads["a"])))]
    Penalties(rules).accumulate_grad({"a": np.ones(3), "b": np.ones(3)}, grads)
    assert (grads["a"] == 1).all()
    assert (grads["b"] == 2).all()


class Freezing(Custom):
    """Makes an array read-only."""

    def __init__(self, array):
        self.array = array

    def value_and_grad(self, x, scale=1.0):
        self.array.flags.writeable = False
        return 1.0, np.ones(3)


@pytest.mark.parametrize("frozen", "abc")
def test_a_gradient_that_a_custom_one_makes_read_only_is_an_error_first(frozen):
    params, grads = {name: np.ones(3) for name in "abc"}, {name: np.zeros(3) for name in "abc"}
    rules = [("a", L2(1.0)), ("b", Returning((1.0, np.ones(3)))), ("c", Freezing(grads[frozen]))]
    with pytest.raises(ValueError, match=f"^{frozen}: .*read-only") as raised:
        Penalties(rules).accumulate_grad(params, grads)
    assert not any(grad.any() for grad in grads.values())
    assert not hasattr(raised.value, "__notes__")


def test_a_penalty_that_nobody_asks_for_is_not_looked_at():
    grads = {"a": np.zeros(3), "b": np.zeros(3)}
    penalties = Penalties([("*", Returning((None, np.ones(3))))])
    assert penalties.accumulate_grad({"a": np.ones(3), "b": np.ones(3)}, grads, value=False) is None
    assert all((grad == 1).all() for grad in grads.values())


def test_a_complex_parameter_of_a_custom_one_has_a_complex_gradient():
    params, grads = {"a": np.full(3, 1j)}, {"a": np.zeros(3, complex)}
    Penalties([("a", Returning((1.0, np.full(3, 2j))))]).accumulate_grad(params, grads)
    assert (grads["a"] == 2j).all()


class AddingNothing(Custom):
    def accumulate_grad(self, x, grad, scale=1.0):
        grad += 1


def test_what_a_custom_one_that_writes_returns_is_an_error_that_names_it():
    params, grads = {name: np.ones(3) for name in "ab"}, {name: np.zeros(3) for name in "ab"}
    penalties = Penalties([("a", AddingNothing()), ("b", L2(1.0))])
    with pytest.raises(TypeError, match=r"^a: AddingNothing must return .*None") as raised:
        penalties.accumulate_grad(params, grads)
    assert raised.value.__notes__ == ["Written before this, at least in part: 'a'"]
    assert not grads["b"].any()


class Failing(Custom):
    def value_and_grad(self, x, scale=1.0):
        raise MemoryError


def test_when_a_custom_one_fails_nothing_is_written():
    params, grads = {name: np.ones(3) for name in "abc"}, {name: np.zeros(3) for name in "abc"}
    penalties = Penalties([("a", Custom()), ("b", Failing()), ("c", L2(1.0))])
    with pytest.raises(MemoryError) as raised:
        penalties.accumulate_grad(params, grads)
    assert not any(grad.any() for grad in grads.values())
    assert not hasattr(raised.value, "__notes__")


class FailingToAdd(Custom):
    def accumulate_grad(self, x, grad, scale=1.0):
        raise MemoryError

    def prox(self, x, step):
        raise MemoryError


def test_what_was_written_before_a_failure_is_named():
    params, grads = {name: np.ones(3) for name in "abc"}, {name: np.zeros(3) for name in "abc"}
    penalties = Penalties([("a", Doubled(1.0)), ("b", FailingToAdd()), ("c", L2(1.0))])
    for call in (
        lambda: penalties.accumulate_grad(params, grads),
        lambda: penalties.prox(params, 0.1),
    ):
        with pytest.raises(MemoryError) as raised:
            call()
        assert raised.value.__notes__ == ["Written before this, at least in part: 'a', 'b'"]
    assert grads["a"].any()
    assert not grads["c"].any()
    assert (params["c"] == 1).all()


@pytest.mark.parametrize("call", ["accumulate_grad", "prox"])
def test_memory_that_custom_ones_share_is_refused(call):
    memory, others = np.ones(5), {"a": np.ones(3), "b": np.ones(3)}
    shared = {"a": memory[:3], "b": memory[2:]}
    penalties = Penalties([("*", Custom())])
    with pytest.raises(ValueError, match=r"^b: .*share memory"):
        penalties.prox(shared, 0.1) if call == "prox" else penalties.accumulate_grad(others, shared)
    assert (memory == 1).all()


@pytest.mark.parametrize("call", ["accumulate_grad", "prox"])
def test_a_custom_one_may_take_arrays_whose_elements_have_no_bytes(call):
    class Nothing(Regularizer):
        def __call__(self, x):
            return 0.0

        def accumulate_grad(self, x, grad, scale=1.0):
            return 0.0

        def prox(self, x, step):
            pass

    def make():
        return np.ndarray((2,), "V0", np.zeros(8, np.uint8), 0, (4,))

    params, grads = {"a": make(), "b": np.ones(3)}, {"a": make(), "b": np.zeros(3)}
    penalties = Penalties([("*", Nothing())])
    if call == "prox":
        penalties.prox(params, 0.1)
    else:
        assert penalties.accumulate_grad(params, grads) == 0


def test_names_that_collide_are_an_error():
    for params in ({"a/b": np.ones(3), "a": {"b": np.ones(5)}}, [("w", np.ones(1))] * 2):
        with pytest.raises(ValueError, match="Two parameters"):
            Penalties([("*", L1(1.0))])(params)


def test_nothing_to_penalize_is_a_float():
    assert type(Penalties([])({})) is float
    assert type(Penalties([("*", L2())], allow_unused=True)({})) is float


@pytest.mark.parametrize(
    "params", [np.ones(3), [1.0, 2.0], "w", 2.0, [("w",)], [(1.5, np.ones(3))]]
)
def test_parameters_need_names(params):
    penalties = Penalties([("*", L1(1.0))], allow_unused=True)
    with pytest.raises(TypeError, match=f"named_parameters.*Received: {type(params).__name__}"):
        penalties(params)
    with pytest.raises(TypeError, match=r"names and arrays"):
        penalties.accumulate_grad({"w": np.ones(3)}, params)


def test_names_are_strings():
    assert Penalties([("layers/0", L1(1.0))])({"layers": {0: np.ones(3)}}) == 3
    with pytest.raises(TypeError, match=r"strings as names.*0"):
        Penalties([("*", L1(1.0))])({0: np.ones(3)})


@pytest.mark.parametrize("rules", [{"*": L1()}, ("*", L1()), [("*", L1(), 2)], [(L1(), "*")]])
def test_rules_are_pairs(rules):
    with pytest.raises(TypeError, match="each a pair of a glob and a regularizer"):
        Penalties(rules)


def test_penalties_can_be_printed_copied_and_pickled():
    penalties = Penalties([("*/kernel", L2(0.5))], allow_unused=True)
    assert repr(penalties) == "Penalties([('*/kernel', L2(l2=0.5))], allow_unused=True)"
    for params in (model(), {"nested": model()}):
        bound = Penalties([("*", L2(0.5))]).bind(params)
        total = bound()
        copies = (copy.deepcopy(bound), pickle.loads(pickle.dumps(bound)))
        for x in params.get("nested", params).values():
            x[...] = 0
        assert bound() == 0
        assert [copied() for copied in copies] == [total, total]


def test_memory_that_a_view_repeats_is_not_what_it_was_made_from():
    whole = np.arange(1.0, 7.0)
    repeated = np.broadcast_to(whole[::3, None], (2, 2))
    penalties = Penalties([("*", L1(1.0))])
    for params in (
        {"whole": whole, "repeated": repeated},
        {"a": {"whole": whole}, "b": {"repeated": repeated}},
    ):
        assert penalties(params) == 21 + 2 * (1 + 4)
    transposed = {"repeated": repeated, "again": repeated.T, "reversed": repeated[::-1]}
    assert penalties(transposed) == 2 * (1 + 4)


def test_messages_say_what_to_do():
    penalties = Penalties([("*", L2(1.0))])
    with pytest.raises(TypeError, match=r"w: .*None: call backward\(\) first"):
        penalties.accumulate_grad({"w": np.ones(3)}, {"w": None})

    class Items:
        def items(self):
            return [("w", np.ones(3))]

    with pytest.raises(TypeError, match=r"Received: Items: pass its \.items\(\)"):
        penalties(Items())
    assert penalties(Items().items()) == 3
