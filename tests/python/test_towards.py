"""Penalties towards a reference, and weighted: NumPy's arrays, and what is asked of the arrays."""

import copy
import json
import pickle

import numpy as np
import pytest
from arrays import DTYPES, LAYOUTS, random_array
from hypothesis import given
from hypothesis import strategies as st
from taut import Penalties
from taut.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer
from towards import Towards

FACTORS = [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)]


def make_side(shape, dtype, layout, seed):
    return LAYOUTS[layout](random_array(shape, dtype, seed))


@st.composite
def problems(draw):
    """Draws arrays of any dtype and layout, with a reference, an importance, or both."""
    dtype = draw(st.sampled_from(list(DTYPES)))
    rank = draw(st.integers(0, 3))
    shape = draw(st.tuples(*[st.integers(0, {0: 1, 1: 70, 2: 40, 3: 7}[rank])] * rank))
    seed = draw(st.integers(0, 2**32 - 1))
    layouts = st.sampled_from(list(LAYOUTS))
    x = make_side(shape, dtype, draw(layouts), seed)
    sides = [
        None if kind is None else make_side(shape, kind, draw(layouts), seed + i + 1)
        for i, kind in enumerate(draw(st.sampled_from([dtype, "float32", None])) for _ in "ri")
    ]
    if sides[1] is not None:
        np.abs(sides[1], out=sides[1])
    return Towards(x, *sides, *draw(st.sampled_from(FACTORS)))


def penalties_of(problem):
    own = {"reference": problem.reference, "importance": problem.importance}
    tables = {what: None if side is None else {"w": side} for what, side in own.items()}
    return Penalties([("w", L1L2(problem.l1, problem.l2))], **tables)


@given(problems(), st.sampled_from([1.0, -0.7]))
def test_what_the_formulas_say(problem, scale):
    penalties = penalties_of(problem)
    params = {"w": problem.x}
    value, grads = penalties.value_and_grad(params, scale)
    problem.check(value, grads["w"], scale=scale)
    assert penalties(params) == penalties.breakdown(params)["w"] == value
    zeros = {"w": np.zeros_like(problem.x)}
    assert penalties.accumulate_grad(params, zeros, scale) == value
    np.testing.assert_array_equal(zeros["w"], grads["w"] + zeros["w"].dtype.type(0))
    problem.check_step(penalties.proximal(params, 0.4)["w"], 0.4)
    stepped = copy.deepcopy(params)
    penalties.prox(stepped, 0.4)
    np.testing.assert_array_equal(stepped["w"], penalties.proximal(params, 0.4)["w"])


@given(problems())
def test_nothing_beside_an_array_is_the_plain_penalty(problem):
    params, plain = {"w": problem.x}, Penalties([("w", L1L2(problem.l1, problem.l2))])
    zeros, ones = np.zeros_like(problem.x), np.ones_like(problem.x)
    for own in (
        {"reference": {"w": zeros}},
        {"importance": {"w": ones}},
        {"reference": {"w": zeros.astype(np.float32)}, "importance": {"w": ones}},
        {"reference": {"w": None}, "importance": {"w": None}},
    ):
        penalties = Penalties(plain.rules, **own)
        value, grads = penalties.value_and_grad(params, 0.9)
        expected, plain_grads = plain.value_and_grad(params, 0.9)
        assert value == expected
        for found, wanted in (
            (grads["w"], plain_grads["w"]),
            (penalties.proximal(params, 0.4)["w"], plain.proximal(params, 0.4)["w"]),
        ):
            assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("l1", "l2"), FACTORS)
def test_gradients_are_the_slopes_of_the_values(l1, l2):
    generator = np.random.default_rng(0)
    x, reference = generator.standard_normal((2, 3, 4))
    importance = generator.random((3, 4))
    penalties = Penalties(
        [("w", L1L2(l1, l2))], reference={"w": reference}, importance={"w": importance}
    )
    _, grads = penalties.value_and_grad({"w": x})
    step = 1e-6
    for index in np.ndindex(x.shape):
        assert abs(x[index] - reference[index]) > step
        change = np.zeros_like(x)
        change[index] = step
        both = penalties({"w": x + change}) - penalties({"w": x - change})
        assert both / (2 * step) == pytest.approx(grads["w"][index], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("l1", "l2"), FACTORS)
def test_a_proximal_step_is_the_minimum(l1, l2):
    generator = np.random.default_rng(1)
    x, reference = generator.standard_normal((2, 50))
    importance = 2 * generator.random(50)
    penalties = Penalties(
        [("w", L1L2(l1, l2))], reference={"w": reference}, importance={"w": importance}
    )
    stepped = penalties.proximal({"w": x}, 0.8)["w"]

    def cost(y):
        difference = y - reference
        penalty = importance * (l1 * np.abs(difference) + l2 * difference**2)
        return 0.8 * penalty + (y - x) ** 2 / 2

    # Each element by itself: the golden section of a convex function.
    low, high = np.minimum(x, reference), np.maximum(x, reference)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(90):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        is_left = cost(left) < cost(right)
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
    np.testing.assert_allclose(stepped, (low + high) / 2, atol=1e-7)
    assert (cost(stepped) <= cost((low + high) / 2) + 1e-15).all()


def make_model():
    names = ("a/kernel", "a/bias", "b/kernel", "b/bias", "frame")
    params = {name: random_array((3, 4), "float64", seed) for seed, name in enumerate(names)}
    reference = {name: random_array((3, 4), "float32", 9 + i) for i, name in enumerate(names)}
    importance = {
        name: np.abs(random_array((3, 4), "float64", 19 + i)) for i, name in enumerate(names)
    }
    reference["frame"] = importance["a/bias"] = None
    rules = [("*/bias", L1(0.3)), ("*/kernel", L2(0.7)), ("frame", OrthogonalRegularizer(0.1))]
    importance["frame"] = None
    return params, rules, reference, importance


def test_many_parameters_are_what_each_is_alone():
    params, rules, reference, importance = make_model()
    penalties = Penalties(rules, reference=reference, importance=importance)
    values = penalties.breakdown(params)
    assert values["frame"] == OrthogonalRegularizer(0.1)(params["frame"])
    grads = {name: np.zeros((3, 4)) for name in params}
    bound = penalties.bind(params, grads)
    total = bound.accumulate_grad()
    assert total == pytest.approx(sum(values.values()), rel=1e-15)
    assert total == penalties.bind(params)() == penalties(params)
    for name in list(params)[:4]:
        l1, l2 = (0.3, 0.0) if "bias" in name else (0.0, 0.7)
        problem = Towards(params[name], reference[name], importance[name], l1, l2)
        problem.check(values[name], grads[name])
    assert penalties.breakdown(params, by="rule")["*/bias"] == pytest.approx(
        values["a/bias"] + values["b/bias"]
    )


def test_what_is_written_to_the_arrays_is_seen():
    params, rules, reference, importance = make_model()
    penalties = Penalties(rules, reference=reference, importance=importance)
    grads = {name: np.zeros((3, 4)) for name in params}
    bound, with_gradients = penalties.bind(params), penalties.bind(params, grads)
    before = bound()
    reference["b/kernel"][...] = params["b/kernel"]
    importance["a/kernel"][...] *= 2
    changed = Penalties(rules, reference=reference, importance=importance)(params)
    assert changed != before
    assert bound() == penalties(params) == with_gradients.accumulate_grad() == changed


def test_structures_of_other_kinds():
    params = {"layers": [np.ones(3), np.ones(2)]}
    reference = {"layers/0": np.zeros(3), "layers/1": [0.5, 0.5]}  # by name, and a list of numbers
    penalties = Penalties([("*", L2(1.0))], reference=reference)
    assert penalties(params) == 3.5
    assert Penalties([("*", L2(1.0))], reference=iter(reference.items()))(params) == 3.5
    stepped = penalties.proximal(params, 0.5)
    np.testing.assert_array_equal(stepped["layers"][1], [0.75, 0.75])


def test_tied_weights_have_the_arrays_of_the_first_name():
    x = random_array((3, 4), "float64")
    params = {"a": x, "b": x.T}
    reference = {"a": np.ones((3, 4)), "b": np.zeros((4, 3))}
    penalties = Penalties([("*", L2(0.5))], reference=reference)
    alone = Penalties([("*", L2(0.5))], reference={"a": np.ones((3, 4))})
    assert penalties(params) == alone({"a": x})
    assert penalties.breakdown(params)["b"] == 0
    stepped = penalties.proximal(params, 0.4)
    np.testing.assert_array_equal(stepped["b"], stepped["a"].T)


def test_names_that_are_missing_or_unknown():
    params, rules, reference, importance = make_model()
    wrong = {name: side for name, side in reference.items() if name != "b/kernel"}
    with pytest.raises(ValueError, match=r"^b/kernel: it has a penalty, and no reference"):
        Penalties(rules, reference=wrong)(params)
    del importance["b/kernel"]
    with pytest.raises(ValueError, match=r"^b/kernel: it has a penalty, and no importance"):
        Penalties(rules, importance=importance)(params)
    misspelt = reference | {"b/kernels": reference["b/kernel"]}
    with pytest.raises(ValueError, match=r"have a reference: \['b/kernels'\]"):
        Penalties(rules, reference=misspelt)(params)
    Penalties(rules, allow_unused=True, reference=misspelt)(params)
    with pytest.raises(ValueError, match="b/kernel"):  # which stays missing
        Penalties(rules, allow_unused=True, reference=wrong)(params)
    # A copy of all has what needs none.
    more = reference | {"steps": np.ones(1)}
    Penalties([*rules, ("steps", None)], reference=more)(params | {"steps": np.ones(1)})
    Penalties(rules, reference=more)(params | {"steps": np.ones(1)})


class Own(Regularizer):
    def __call__(self, x):
        return float(abs(x).sum())


class Louder(L2):
    def __call__(self, x):
        return 2 * super().__call__(x)


@pytest.mark.parametrize(
    "rule", [OrthogonalRegularizer(), Own(), Louder(), abs], ids=["orthogonal", "own", "sub", "f"]
)
@pytest.mark.parametrize("what", ["reference", "importance"])
def test_a_penalty_that_takes_none(rule, what):
    params = {"w": np.ones((2, 2)), "v": np.ones(2)}
    rules = [("w", rule), ("v", L2())]
    with pytest.raises(ValueError, match=rf"^w: .* takes no {what}. Give None for this name, or"):
        Penalties(rules, **{what: params})(params)
    Penalties(rules, **{what: {"w": None, "v": np.ones(2)}}).bind(params)
    Penalties(rules, **{what: {"v": np.ones(2)}}).bind(params)


def test_a_subclass_that_changes_no_method_takes_one():
    class Renamed(L2):
        """L2 under another name."""

    assert Penalties([("w", Renamed(1.0))], reference={"w": np.ones(3)})({"w": np.ones(3)}) == 0


@pytest.mark.parametrize(
    ("side", "error", "words"),
    [
        (np.ones((4, 3)), ValueError, r"must have the shape of the input.*\(4, 3\) and \(3, 4\)"),
        (np.ones(12), ValueError, "must have the shape"),
        (np.ones((3, 4), np.float16), TypeError, "float16 and float64"),
        (np.ones((3, 4), np.int64), TypeError, "int64 and float64"),
        (object(), TypeError, "expected an array"),
        (np.ma.array(np.ones((3, 4))), TypeError, "without a mask"),
    ],
    ids=["transposed", "flat", "half", "integers", "object", "masked"],
)
def test_arrays_that_do_not_fit(side, error, words):
    params, rules, reference, importance = make_model()
    grads = {name: np.zeros((3, 4)) for name in params}
    before = copy.deepcopy((params, grads))

    def check(penalties):
        for call in (
            penalties,
            lambda params: penalties.accumulate_grad(params, grads),
            lambda params: penalties.prox(params, 0.1),
            lambda params: penalties.bind(params, grads),
        ):
            with pytest.raises(error, match=f"^b/bias: .*{words}"):
                call(params)

    rules = [*rules[:2], ("frame", None)]
    check(Penalties(rules, reference=reference | {"b/bias": side}))
    check(Penalties(rules, importance=importance | {"b/bias": side}))
    np.testing.assert_equal((params, grads), before)


def test_an_importance_is_not_negative():
    params = {"v": np.ones(3), "w": np.ones(3)}
    importance = {"v": np.ones(3), "w": np.array([0.0, 1.0, -1e-300])}
    penalties = Penalties([("*", L2())], importance=importance)
    with pytest.raises(ValueError, match=r"^w: an importance must not be negative"):
        penalties.bind(params)
    importance["w"][2] = np.nan  # which shows
    assert np.isnan(penalties(params))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_an_importance_of_nan_is_no_warning(dtype):
    side = np.array([1.0, np.nan]).astype(dtype)
    penalties = Penalties([("w", L2())], importance={"w": side})
    assert np.isnan(penalties({"w": np.ones(2, dtype)}))


def test_what_is_written_overlaps_no_array_that_is_read():
    memory = np.arange(24.0)
    x, side, other = memory[:8], memory[8:16], memory[16:]
    before = memory.copy()
    for what in ("reference", "importance"):
        penalties = Penalties([("w", L2())], **{what: {"w": side}})
        for grad in (side, memory[15:23], memory[1:9]):
            with pytest.raises(ValueError, match=r"^w: .*overlap"):
                penalties.accumulate_grad({"w": x}, {"w": grad})
            with pytest.raises(ValueError, match=r"^w: .*overlap"):
                penalties.bind({"w": x}, {"w": grad}).accumulate_grad()
        with pytest.raises(ValueError, match=f"^w: x must not overlap the {what}"):
            penalties.prox({"w": side}, 0.1)
        # Nor does it what belongs to another parameter.
        two = Penalties([("*", L2())], **{what: {"v": None, "w": side}})
        with pytest.raises(ValueError, match=r"^v: .*reference or importance"):
            two.accumulate_grad({"v": other, "w": x}, {"v": side, "w": np.zeros(8)})
        with pytest.raises(ValueError, match=r"^v: .*reference or importance"):
            two.prox({"v": side, "w": x}, 0.1)
        assert penalties({"w": side}) >= 0  # reading is fine
    np.testing.assert_array_equal(memory, before)


def test_read_only_arrays():
    side = np.ones(3)
    side.flags.writeable = False
    assert Penalties([("w", L2(1.0))], reference={"w": side})({"w": np.zeros(3)}) == 3


def test_configs_and_what_is_printed():
    params, rules, reference, importance = make_model()
    penalties = Penalties(rules, reference=reference, importance=importance)
    assert repr(penalties).endswith("reference=<4 arrays>, importance=<3 arrays>)")
    config = json.loads(json.dumps(penalties.get_config()))
    assert config["reference"] is True
    assert config["importance"] is True
    for own, missing in (({}, "reference"), ({"reference": reference}, "importance")):
        with pytest.raises(ValueError, match=f"give {missing}="):
            Penalties.from_config(config, **own)
    again = Penalties.from_config(config, reference=reference, importance=importance)
    assert again(params) == penalties(params)
    assert again.get_config() == config
    assert "reference" not in Penalties(rules).get_config()


def test_copies_and_pickles():
    params, rules, reference, importance = make_model()
    penalties = Penalties(rules, reference=reference, importance=importance)
    grads = {name: np.zeros((3, 4)) for name in params}
    bound = penalties.bind(params, grads)
    total = bound.accumulate_grad()
    for make in (copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
        assert make(penalties)(params) == total
        assert make(bound).accumulate_grad() == total
