"""The classes themselves: defaults, factors, attributes, identity, and what a subclass may do."""

import copy
import fractions
import subprocess
import sys

import numpy as np
import pytest
import taut
from taut import regularizers
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
    SoftOrthogonalRegularizer,
)

FACTORS = [
    (L1, "l1"),
    (L2, "l2"),
    (L1L2, "l1"),
    (L1L2, "l2"),
    (OrthogonalRegularizer, "factor"),
    (SoftOrthogonalRegularizer, "factor"),
    (GroupLasso, "factor"),
]


def test_defaults():
    assert L1().get_config() == {"l1": 0.01}
    assert L2().get_config() == {"l2": 0.01}
    assert L1L2().get_config() == {"l1": 0.0, "l2": 0.0}
    assert regularizers.l1_l2().get_config() == {"l1": 0.01, "l2": 0.01}
    assert OrthogonalRegularizer().get_config() == {"factor": 0.01, "mode": "rows"}
    assert GroupLasso().get_config() == {"factor": 0.01, "mode": "rows"}


def test_none_means_the_default():
    assert L1(None).l1 == 0.01
    assert L2(None).l2 == 0.01
    assert (L1L2(None, None).l1, L1L2(None, None).l2) == (0.0, 0.0)
    assert regularizers.l1_l2(None, None).l1 == 0.01
    assert OrthogonalRegularizer(None).factor == 0.01
    assert GroupLasso(None).factor == 0.01


def test_other_names():
    assert regularizers.l1 is L1
    assert regularizers.l2 is L2
    assert regularizers.orthogonal_regularizer is OrthogonalRegularizer
    assert regularizers.group_lasso is GroupLasso


@pytest.mark.parametrize(("cls", "name"), FACTORS)
@pytest.mark.parametrize(
    "factor",
    [
        *(0, 1, 0.25, np.float32(0.5), np.int64(2), np.float16(0.5), fractions.Fraction(1, 4)),
        *(1 / 3, 1e-300, sys.float_info.max),
    ],
)
def test_any_real_number_is_a_factor(cls, name, factor):
    regularizer = cls(**{name: factor})
    assert getattr(regularizer, name) == float(factor)
    in_config = regularizer.get_config()[name]
    assert type(in_config) is float
    assert in_config == float(factor)


@pytest.mark.parametrize(("cls", "name"), FACTORS)
@pytest.mark.parametrize(
    "factor",
    [
        *(-1, -0.5, float("nan"), float("inf"), "0.1", [0.1], 1j, np.array([0.1])),
        *(True, False, np.True_, np.array(True)),
    ],
)
def test_anything_else_is_not(cls, name, factor):
    with pytest.raises(ValueError, match="expected a non-negative float"):
        cls(**{name: factor})
    regularizer = cls()
    setattr(regularizer, name, factor)
    x, grad = np.ones((2, 2)), np.ones((2, 2))
    with pytest.raises(ValueError, match=f"argument `{name}`: expected a non-negative float"):
        regularizer(x)
    with pytest.raises(ValueError, match="expected a non-negative float"):
        regularizer.value_and_grad(x)
    with pytest.raises(ValueError, match="expected a non-negative float"):
        regularizer.accumulate_grad(x, grad)
    assert (grad == 1).all()


def test_factors_are_read_at_each_call():
    regularizer = L2(1.0)
    x = np.ones(4)
    assert regularizer(x) == 4
    regularizer.l2 = 0.5
    assert regularizer(x) == 2
    assert regularizer.value_and_grad(x)[1].tolist() == [1, 1, 1, 1]
    assert regularizer.get_config() == {"l2": 0.5}


@pytest.mark.parametrize("cls", [OrthogonalRegularizer, GroupLasso])
def test_a_mode_that_is_not_known(cls):
    message = (
        'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. Received: mode='
    )
    for mode in ("diagonal", None, 0, ["rows"]):
        with pytest.raises(ValueError, match="argument `mode`") as error:
            cls(mode=mode)
        assert str(error.value) == message + str(mode)
    regularizer = cls()
    regularizer.mode = "columns"
    assert regularizer.get_config()["mode"] == "columns"
    regularizer.mode = "typo"
    with pytest.raises(ValueError, match="argument `mode`"):
        regularizer(np.ones((2, 2)))


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 4)])
def test_an_orthogonal_penalty_is_of_a_matrix(shape):
    with pytest.raises(ValueError, match="must have rank 2") as error:
        OrthogonalRegularizer(0.1)(np.ones(shape))
    assert str(error.value) == (
        f"Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape={shape}"
    )


def test_a_regularizer_shows_its_arguments():
    assert repr(L1L2(0.5, 1e-4)) == "L1L2(l1=0.5, l2=0.0001)"
    assert repr(GroupLasso(0.1, "columns")) == "GroupLasso(factor=0.1, mode='columns')"
    assert repr(OrthogonalRegularizer(0.1)) == "OrthogonalRegularizer(factor=0.1, mode='rows')"


def test_equality_is_identity():
    assert L2(0.1) != L2(0.1)
    regularizer = L2(0.1)
    assert regularizer == regularizer
    assert len({regularizer, regularizer, L2(0.1)}) == 2


def test_a_custom_regularizer_says_that_it_needs_a_gradient():
    class Custom(Regularizer):
        def __call__(self, x):
            return x.sum()

    with pytest.raises(NotImplementedError, match=r"define Custom\.value_and_grad"):
        Custom().value_and_grad(np.ones(3))
    with pytest.raises(NotImplementedError, match="does not implement get_config"):
        Custom().get_config()


def test_a_custom_gradient_accumulates():
    class Sum(Regularizer):
        def __call__(self, x):
            return x.sum()

        def value_and_grad(self, x, scale=1.0):
            return self(x), np.full_like(x, scale)

    grad = np.ones(3)
    assert Sum().accumulate_grad(np.ones(3), grad, scale=2.0) == 3
    assert grad.tolist() == [3, 3, 3]


class TestActivityRegularizer:
    x = np.arange(12.0).reshape(4, 3)

    def test_divides_by_the_batch_size(self):
        plain, activity = L2(0.5), ActivityRegularizer(L2(0.5))
        assert activity(self.x) == plain(self.x) / 4
        value, grad = activity.value_and_grad(self.x, scale=2.0)
        assert value == plain(self.x) / 4
        np.testing.assert_array_equal(grad, plain.value_and_grad(self.x)[1] / 2)
        accumulated = np.ones_like(self.x)
        assert activity.accumulate_grad(self.x, accumulated) == value
        np.testing.assert_array_equal(accumulated, 1 + grad / 2)

    def test_an_empty_batch_has_no_penalty(self):
        assert ActivityRegularizer("l2")(np.zeros((0, 3))) == 0

    def test_takes_any_identifier_but_none(self):
        assert isinstance(ActivityRegularizer("l1").regularizer, L1)
        with pytest.raises(ValueError, match="needs a regularizer"):
            ActivityRegularizer(None)

    def test_needs_a_batch(self):
        with pytest.raises(ValueError, match="batch dimension"):
            ActivityRegularizer("l2")(np.float32(1.0))


def test_importing_taut_imports_numpy_and_nothing_heavier():
    code = """
import sys, numpy
before = set(sys.modules)
import taut
imported = {name.partition(".")[0] for name in set(sys.modules) - before}
third_party = imported - sys.stdlib_module_names
assert third_party - {"numpy"} == {"taut"}, third_party
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_show_config_tells_the_version_and_the_level(capsys):
    taut.show_config()
    text = capsys.readouterr().out
    assert taut.__version__ in text
    assert "SIMD level" in text


MISSPELT = [
    (L1(), "l2"),
    (L2(), "factor"),
    (L1L2(), "L2"),
    (OrthogonalRegularizer(), "l2"),
    (ActivityRegularizer("l2"), "l2"),
]


@pytest.mark.parametrize(("regularizer", "name"), MISSPELT, ids=repr)
def test_a_misspelt_factor_is_an_error(regularizer, name):
    with pytest.raises(AttributeError, match=f"{type(regularizer).__name__} has no '{name}'"):
        setattr(regularizer, name, 0.0)
    own = copy.copy(regularizer)
    own.__class__ = type("Own", (type(regularizer),), {})
    setattr(own, name, 0.5)  # a subclass may have what it likes
    assert getattr(own, name) == 0.5
