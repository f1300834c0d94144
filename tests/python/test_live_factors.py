"""Factors that are 0-d arrays and variables, on every array library."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
import taut
from frameworks import require
from penalties import PENALTIES
from taut import regularizers
from taut.regularizers import L1, L1L2, L2
from toys import Box, Called, Fused

X = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
NUMBER = 0.3
MAKERS = {**PENALTIES, "fused toy": Fused, "called toy": Called}
LIBRARIES = ["numpy", "torch", "torch parameter", "jax", "tensorflow", "tensorflow variable"]

REFUSED = r"Invalid value for argument .*non-negative float"

every_class = pytest.mark.parametrize("cls", MAKERS.values(), ids=MAKERS)
every_library = pytest.mark.parametrize("library", LIBRARIES)


def array(library, x, dtype=None):
    """Returns an array or a number as one of a library, constant or variable."""
    x = np.asarray(x, dtype)
    if library == "numpy":
        return x.copy()
    if library == "torch":
        return require("torch").tensor(x)
    if library == "torch parameter":
        torch = require("torch")
        return torch.nn.Parameter(torch.tensor(x))
    if library == "jax":
        return require("jax").numpy.asarray(x)
    tensorflow = require("tensorflow")
    return tensorflow.constant(x) if library == "tensorflow" else tensorflow.Variable(x)


def number(value):
    """Returns the number in a 0-d array of any library."""
    return float(value.detach() if hasattr(value, "detach") else value)


def numbers(x):
    return np.asarray(x.detach() if hasattr(x, "detach") else x)


@every_class
@every_library
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_a_penalty_is_that_of_the_number(library, cls, dtype):
    if dtype == "int32":  # which no parameter is
        library = library.removesuffix(" parameter")
    factor, x = array(library, 3.25, dtype), array(library, X)
    live, plain = cls(factor), cls(number(factor))
    value, grad = live.value_and_grad(x, scale=2.0)
    expected, slope = plain.value_and_grad(x, scale=2.0)
    assert number(value) == number(expected)
    np.testing.assert_array_equal(numbers(grad), numbers(slope))
    value, expected = live(x), plain(x)
    # TensorFlow multiplies what the kernel gave; all else has the bits of the number.
    rounding = 2.0**-23 if library.startswith("tensorflow") else 0
    assert number(value) == pytest.approx(number(expected), rel=rounding, abs=0)
    assert type(value) is type(expected)
    assert getattr(value, "dtype", None) == getattr(expected, "dtype", None)


@every_class
@pytest.mark.parametrize("owner", LIBRARIES)
@every_library
def test_of_another_library_the_number_counts(library, owner, cls):
    x = array(library, X)
    factor = array(owner, NUMBER)
    expected = number(cls(number(factor))(x))
    assert number(cls(factor)(x)) == pytest.approx(expected, rel=2.0**-23)
    assert number(cls(factor).value_and_grad(x)[0]) == expected


def change(factor, value):
    """Assigns a number to a 0-d array or variable, in place."""
    if hasattr(factor, "assign"):
        factor.assign(value)
    elif hasattr(factor, "detach"):
        factor.detach().fill_(value)
    else:
        factor[...] = value


@pytest.mark.parametrize("library", ["numpy", "torch", "torch parameter", "tensorflow variable"])
@every_class
def test_a_factor_is_read_at_each_call(library, cls):
    x, factor = array(library, X), array(library, 0.25)
    regularizer = cls(factor)
    bound = taut.Penalties([("*", regularizer)]).bind({"x": x})
    for value in (0.25, 0.5, 0.0, 2.0):
        change(factor, value)
        expected = number(cls(value)(x))
        assert number(regularizer(x)) == pytest.approx(expected, rel=2.0**-23)
        assert number(bound()) == pytest.approx(expected, rel=2.0**-23)
        assert set(regularizer.get_config().values()) & {value}
    change(factor, -1.0)
    with pytest.raises(ValueError, match=r"expected a non-negative float\. Received: .*=-1\.0"):
        regularizer(x)


@every_library
@pytest.mark.parametrize("cls", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf, [0.1], [], True, 1j], ids=str)
def test_what_is_no_factor(library, cls, wrong):
    if np.iscomplexobj(wrong) or wrong is True:
        library = library.removesuffix(" parameter")
    factor = array(library, wrong)
    with pytest.raises(ValueError, match=REFUSED):
        cls(factor)
    regularizer = cls(NUMBER)
    for name in set(vars(regularizer)) - {"mode"}:
        setattr(regularizer, name, factor)
    for call in (regularizer, regularizer.value_and_grad, lambda x: regularizer.get_config()):
        with pytest.raises(ValueError, match=REFUSED):
            call(X)


def test_what_is_no_array():
    for wrong in ("0.1", [0.1], (), {}, object(), Box(np.ones(2)), Box(True), 1j, np.ma.array(0.5)):
        with pytest.raises(ValueError, match=REFUSED):
            L2(wrong)


@every_library
@pytest.mark.parametrize("cls", PENALTIES.values(), ids=PENALTIES)
def test_a_config_holds_the_number(library, cls):
    factor = array(library, NUMBER)
    regularizer = cls(factor)
    config = json.loads(json.dumps(regularizers.serialize(regularizer)))
    restored = regularizers.deserialize(config)
    assert restored.get_config() == regularizer.get_config() == cls(number(factor)).get_config()
    assert number(restored(array(library, X))) == number(cls(number(factor))(array(library, X)))
    penalties = taut.Penalties([("*", regularizer)])
    assert taut.Penalties.from_config(penalties.get_config()).get_config() == penalties.get_config()


@every_library
def test_copies_and_pickles_have_a_factor_of_their_own(library):
    regularizer = L2(array(library, 0.25))
    for own in (copy.deepcopy(regularizer), pickle.loads(pickle.dumps(regularizer))):
        assert own.get_config() == {"l2": 0.25}
        assert type(own.l2) is type(regularizer.l2)
        if library not in ("jax", "tensorflow"):
            change(own.l2, 0.5)
            assert (own.get_config(), regularizer.get_config()) == ({"l2": 0.5}, {"l2": 0.25})
    assert copy.copy(regularizer).l2 is regularizer.l2


@every_library
def test_a_regularizer_shows_its_factor(library):
    factor = array(library, 0.25)
    assert repr(L2(factor)) == f"L2(l2={factor!r})"
    assert "0.25" in repr(L2(factor))


def test_numbers_become_floats():
    for factor in (1, np.float32(0.5), np.float16(0.5), np.int8(1)):
        assert type(L2(factor).l2) is float


@every_library
@every_class
def test_penalties(library, cls):
    factor = array(library, NUMBER)
    params = {name: array(library, X + i) for i, name in enumerate("abc")}
    live = taut.Penalties([("b", L2(0.5)), ("*", cls(factor))])
    plain = taut.Penalties([("b", L2(0.5)), ("*", cls(number(factor)))])
    assert number(live(params)) == pytest.approx(number(plain(params)), rel=2.0**-22)
    for name, value in live.breakdown(params).items():
        assert number(value) == pytest.approx(number(plain.breakdown(params)[name]), rel=2.0**-23)
    total, grads = live.value_and_grad(params, scale=2.0)
    expected, slopes = plain.value_and_grad(params, scale=2.0)
    assert number(total) == number(expected)
    for name in params:
        np.testing.assert_array_equal(numbers(grads[name]), numbers(slopes[name]))
    if library in ("numpy", "torch"):
        live.accumulate_grad(params, grads)
        plain.accumulate_grad(params, slopes)
        for name in params:
            np.testing.assert_array_equal(grads[name], slopes[name])


@pytest.mark.parametrize("owner", LIBRARIES)
def test_prox_takes_the_number(owner):
    factor = array(owner, NUMBER)
    x, y = X.copy(), X.copy()
    L1L2(factor, factor).prox(x, 0.5)
    L1L2(number(factor), number(factor)).prox(y, 0.5)
    np.testing.assert_array_equal(x, y)
    taut.Penalties([("*", L1(factor))]).prox({"x": x}, 0.5)
    L1(number(factor)).prox(y, 0.5)
    np.testing.assert_array_equal(x, y)


@every_class
def test_a_factor_of_the_toy_library(cls):
    box = Box(X.astype(np.float64))
    expected, slope = cls(0.5).value_and_grad(box)
    value, grad = cls(Box(0.5)).value_and_grad(box)
    assert number(value.numbers) == pytest.approx(number(expected.numbers), rel=1e-12)
    np.testing.assert_allclose(grad.numbers, slope.numbers, atol=1e-8)
    assert number(cls(Box(0.0))(Box(np.full((2, 2), np.nan))).numbers) == 0
    with pytest.raises(TypeError, match="is traced by toys and has no number there"):
        cls(Box(0.5))(X)
