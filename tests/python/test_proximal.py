"""Proximal steps that are returned: on every library what `prox` does in place."""

import math

import numpy as np
import oracle
import pytest
from arrays import DTYPES, LAYOUTS, numbers, random_array
from frameworks import require
from hypothesis import given
from hypothesis import strategies as st
from taut.regularizers import (
    L1,
    L1L2,
    L2,
    ActivityRegularizer,
    GroupLasso,
    OrthogonalRegularizer,
    Regularizer,
)
from test_prox import REGULARIZERS as ELEMENTWISE
from test_prox import exact_prox

GROUPS = [GroupLasso(0.3), GroupLasso(0.3, "columns")]
REGULARIZERS = [*ELEMENTWISE, *GROUPS]
STEP = 0.9


def expected(x, regularizer, step=STEP):
    """Returns what `prox` makes of a copy."""
    copy = np.array(x)
    regularizer.prox(copy, step)
    return copy


def special(dtype):
    """Returns numbers of every kind, many of them on the edge of being moved to 0.

    Some rows and columns are as a whole so small, or zeros, and some have what is not finite.
    """
    edges = [0.0, -0.0, math.nan, math.inf, -math.inf, 0.27, -0.27, 0.3, -0.3, 1e-3, 65504.0]
    x = random_array((5000,), dtype)
    x[: len(edges)] = edges
    x = x.reshape(50, 100)
    x[10:20] *= x.dtype.type(0.1)
    x[:, 50:60] *= x.dtype.type(0.1)
    x[20] = x[:, 70] = -0.0
    return x


def assert_same_bits(stepped, wanted):
    assert (stepped.dtype, stepped.shape) == (wanted.dtype, wanted.shape)
    both_nan = np.isnan(oracle.as_doubles(stepped)) & np.isnan(oracle.as_doubles(wanted))
    unsigned = f"u{wanted.itemsize}"
    same = np.ascontiguousarray(stepped).view(unsigned) == np.ascontiguousarray(wanted).view(
        unsigned
    )
    assert np.all(same | both_nan)


def assert_as_kernel(stepped, wanted, regularizer):
    """Checks what a library's own operations made of x beside what the kernel did.

    Its norms are added in another order, whose roundings may change the last digit.
    """
    if regularizer in ELEMENTWISE:
        return assert_same_bits(stepped, wanted)
    assert (stepped.dtype, stepped.shape) == (wanted.dtype, wanted.shape)
    own, by_kernel = oracle.as_doubles(stepped), oracle.as_doubles(wanted)
    last_digit = 2 * oracle.EPSILON[wanted.dtype.name] + 64 * oracle.EPSILON["float64"]
    tiny = oracle.SMALLEST[wanted.dtype.name]
    np.testing.assert_allclose(own, by_kernel, rtol=last_digit, atol=tiny)
    np.testing.assert_array_equal(own == 0, by_kernel == 0)
    has_sign = ~np.isnan(own)
    np.testing.assert_array_equal(np.signbit(own)[has_sign], np.signbit(by_kernel)[has_sign])


# ---- NumPy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_numpy_in_every_layout(level, dtype, layout, regularizer):
    x = LAYOUTS[layout](special(dtype))
    before = x.copy()
    x.flags.writeable = False
    stepped = regularizer.proximal(x, STEP)
    assert_same_bits(stepped, expected(x, regularizer))
    assert_same_bits(x, before)
    assert not np.shares_memory(x, stepped)


def test_what_prox_cannot_write_has_one():
    repeated = np.broadcast_to(np.array([1.0, -0.25]), (3, 2))
    np.testing.assert_array_equal(L1(0.5).proximal(repeated, 1.0), [[0.5, 0.0]] * 3)
    np.testing.assert_array_equal(L1(0.5).proximal([1.0, -0.25], 1.0), [0.5, 0.0])
    assert L1(0.5).proximal(np.float32(2.0), 1.0) == 1.5


@pytest.mark.parametrize("step", [-1.0, math.nan, math.inf, "1", None, np.ones(2)])
def test_a_bad_step(step):
    for x in (np.ones(3), require("jax").numpy.ones(3), require("torch").ones(3)):
        with pytest.raises(ValueError, match="argument `step`: expected a non-negative float"):
            L1(0.1).proximal(x, step)
        with pytest.raises(ValueError, match="beyond the range of float64"):
            L2(1e200).proximal(x, 1e200)


LIBRARIES = {
    "numpy": lambda x: x,
    "torch": lambda x: require("torch").from_numpy(x),
    "jax": lambda x: require("jax").numpy.asarray(x),
    "tensorflow": lambda x: require("tensorflow").constant(x),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_has_none_says_so(library):
    x = LIBRARIES[library](np.ones((2, 2), np.float32))
    for regularizer in (OrthogonalRegularizer(), Regularizer(), ActivityRegularizer("l1")):
        with pytest.raises(NotImplementedError, match="no proximal step"):
            regularizer.proximal(x, 1.0)
    integers = LIBRARIES[library](np.ones(3, np.int32))
    with pytest.raises(TypeError, match="int32"):
        L1(0.1).proximal(integers, 1.0)


# ---- torch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_torch(dtype, regularizer):
    require("torch")
    from tensors import TENSOR_LAYOUTS, to_array, to_tensor, torch

    torch.compiler.reset()
    compiled = torch.compile(
        lambda x: regularizer.proximal(x, STEP), fullgraph=True, backend="aot_eager"
    )
    for layout in TENSOR_LAYOUTS:
        x = to_tensor(LAYOUTS[layout](special(dtype)))
        wanted = expected(to_array(x), regularizer)
        for function in (
            lambda x: regularizer.proximal(x, STEP),
            lambda x: regularizer.proximal(x.clone().requires_grad_(), STEP),
            lambda x: torch.vmap(lambda x: regularizer.proximal(x, STEP))(x[None])[0],
            compiled,
            compiled if layout != "contiguous" else lambda x: -negated(regularizer, x),
        ):
            assert_as_kernel(to_array(function(x)), wanted, regularizer)
    assert regularizer.proximal(x.to("meta"), STEP).shape == x.shape


def negated(regularizer, x):
    """Returns minus the step, of a tensor whose negative bit is set."""
    torch = require("torch")
    opposite = torch._neg_view(-x)
    assert opposite.is_neg()
    return -regularizer.proximal(opposite, STEP)


def test_torch_differentiates_it():
    torch = require("torch")
    x = torch.tensor([1.0, -2.0, 0.3, 0.1, -0.2], dtype=torch.float64, requires_grad=True)
    numbers = [
        torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in (0.3, 0.7, 0.9)
    ]

    def step(x, l1, l2, by):
        return L1L2(l1, l2).proximal(x, by)

    assert torch.autograd.gradcheck(lambda x: step(x, 0.3, 0.7, 0.9), x)
    assert torch.autograd.gradcheck(step, (x, *numbers))
    assert torch.autograd.gradgradcheck(step, (x, *numbers))
    slopes = torch.func.grad(lambda x: L1L2(0.3, 0.7).proximal(x, 0.9).sum())(x.detach())
    wanted = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]).double() / 2.26
    torch.testing.assert_close(slopes, wanted)
    with torch.no_grad():
        assert not L1(0.3).proximal(x, 0.9).requires_grad
    half = x.detach().half().requires_grad_()
    compiled = torch.compile(lambda x: L1L2(0.3, 0.7).proximal(x, 0.9), backend="aot_eager")
    compiled(half).sum().backward()
    torch.testing.assert_close(half.grad.double(), wanted, rtol=1e-3, atol=0)


# ---- JAX -----------------------------------------------------------------------------------------


@pytest.fixture
def doubles():
    jax = require("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_jax(dtype, regularizer):
    jax = require("jax")
    x = special(dtype)
    wanted = expected(x, regularizer)
    for function in (
        regularizer.proximal,
        jax.jit(regularizer.proximal),  # whose step is traced
        lambda x, step: jax.vmap(regularizer.proximal, (0, None))(x[None], step)[0],
    ):
        stepped = np.asarray(function(jax.numpy.asarray(x), STEP))
        assert_as_kernel(stepped, wanted, regularizer)


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "float64"])
@pytest.mark.parametrize("regularizer", ELEMENTWISE, ids=repr)
def test_jax_without_float64(dtype, regularizer):
    jax = require("jax")
    x = special(dtype)
    wanted = exact_prox(x, regularizer, STEP)
    stepped = jax.jit(regularizer.proximal)(x, STEP)
    assert stepped.dtype == x.dtype
    computed = oracle.as_doubles(np.asarray(stepped))
    terms = 8 * oracle.EPSILON["float32"] * (np.abs(oracle.as_doubles(x)) + STEP)
    with np.errstate(invalid="ignore"):
        close = np.abs(computed - wanted) <= terms + oracle.grad_tolerance(wanted, dtype, 0 * terms)
    assert np.all(close | (computed == wanted) | (np.isnan(computed) & np.isnan(wanted)))
    inside = np.abs(oracle.as_doubles(x)) < STEP * getattr(regularizer, "l1", 0) * 0.99
    assert not computed[inside].any()


@pytest.mark.parametrize("regularizer", GROUPS, ids=repr)
def test_groups_on_jax_without_float64(regularizer):
    jax = require("jax")
    x = special("float32")
    wanted = expected(x, regularizer)
    stepped = np.asarray(jax.jit(regularizer.proximal)(x, STEP))
    np.testing.assert_allclose(stepped, wanted, rtol=1e-5)
    np.testing.assert_array_equal(stepped == 0, wanted == 0)
    tiny = jax.numpy.asarray(x[30:40] * np.float32(1e-30))
    huge = jax.numpy.asarray(x[30:40] * np.float32(1e30))
    assert not np.asarray(regularizer.proximal(tiny, STEP)).any()
    np.testing.assert_allclose(regularizer.proximal(huge, STEP), huge, rtol=1e-6)


@pytest.mark.usefixtures("doubles")
def test_jax_differentiates_it():
    jax = require("jax")
    x = jax.numpy.asarray([1.0, -2.0, 0.3, 0.1, -0.2])

    def step(x, l1, l2, by):
        return L1L2(l1, l2).proximal(x, by)

    require("jax.test_util").check_grads(step, (x, 0.3, 0.7, 0.9), 2)
    half = x.astype("float16")
    slopes = jax.grad(lambda x: step(x, 0.3, 0.7, 0.9).sum())(half)
    np.testing.assert_allclose(slopes, np.array([1, 1, 1, 0, 0]) / 2.26, rtol=1e-3)


# ---- TensorFlow ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=repr)
def test_tensorflow(dtype, regularizer):
    tf = require("tensorflow")
    x = special(dtype)
    wanted = expected(x, regularizer)

    def step(x):
        return regularizer.proximal(x, STEP)

    signature = [tf.TensorSpec([None, None], x.dtype)]
    for function in (
        step,
        lambda x: step(tf.Variable(x)),
        tf.function(step, input_signature=signature),
        tf.function(step, jit_compile=True),
        lambda x: tf.function(regularizer.proximal)(x, tf.constant(STEP, tf.float64)),
    ):
        assert_as_kernel(function(tf.constant(x)).numpy(), wanted, regularizer)


def test_tensorflow_differentiates_it():
    tf = require("tensorflow")
    for dtype, tolerance in ((tf.float64, 1e-15), (tf.float16, 1e-3)):
        x = tf.constant([1.0, -2.0, 0.3, 0.1, -0.2], dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            stepped = L1L2(0.3, 0.7).proximal(x, 0.9)
        slopes = tape.gradient(stepped, x)
        np.testing.assert_allclose(slopes, np.array([1, 1, 1, 0, 0]) / 2.26, rtol=tolerance)


# ---- groups --------------------------------------------------------------------------------------

# Of every rank; empty ones; groups of one element.
SHAPES = [(7,), (5, 1), (1, 5), (4, 3, 2), (2, 3, 4, 5), (0, 3), (3, 0), (0,)]


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("library", ["torch", "jax", "tensorflow"])
def test_groups_of_every_rank(library, shape):
    for regularizer in GROUPS:
        x = random_array(shape, "float64")
        stepped = by_library(library, lambda x, r=regularizer: r.proximal(x, STEP), x)
        np.testing.assert_allclose(stepped, expected(x, regularizer), rtol=1e-14)
    scalar = LIBRARIES[library](np.ones((), np.float64))
    with pytest.raises(ValueError, match="rank 1 or more"):
        GroupLasso().proximal(scalar, STEP)


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "tensorflow"])
def test_a_group_of_zeros(library):
    x = np.array([[-0.0, 0.0], [3.0, 4.0]])
    for step, sign in ((0.1, [False, False]), (0.0, [True, False])):  # what is moved to 0 is +0
        stepped = by_library(library, lambda x, step=step: GroupLasso(0.1).proximal(x, step), x)
        assert not stepped[0].any()
        assert np.signbit(stepped[0]).tolist() == sign
        np.testing.assert_allclose(stepped[1], x[1] * (1 - step * 0.1 * 2**0.5 / 5), rtol=1e-15)


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_torch_differentiates_groups(mode):
    torch = require("torch")
    x = torch.tensor([[1.0, -2, 3], [0.1, 0.1, 0], [0, 0, 0], [4, 5, 6]], dtype=torch.float64)
    x.requires_grad_()
    factor, by = (torch.tensor(each).double().requires_grad_() for each in (0.3, 0.9))

    def step(x, factor, by):
        return GroupLasso(factor, mode).proximal(x, by)

    assert torch.autograd.gradcheck(step, (x, factor, by))
    assert torch.autograd.gradgradcheck(step, (x, factor, by))


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_jax_and_tensorflow_differentiate_groups(mode):
    x = np.array([[1.0, -2, 3], [0.1, 0.1, 0], [0, 0, 0], [4, 5, 6]])
    require("jax.test_util").check_grads(
        lambda x, factor, by: GroupLasso(factor, mode).proximal(x, by), (x, 0.3, 0.9), 2
    )
    tf = require("tensorflow")
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(GroupLasso(0.3, mode).proximal(variable, 0.9) ** 2)
    slope = require("jax").grad(lambda x: (GroupLasso(0.3, mode).proximal(x, 0.9) ** 2).sum())(x)
    np.testing.assert_allclose(tape.gradient(total, variable), slope, rtol=1e-12)


# ---- rounded once --------------------------------------------------------------------------------


def every_half(dtype):
    """Returns all numbers of a half type, but for bfloat16's tiny ones, which may be subnormal."""
    x = np.arange(2**16, dtype=np.uint16).view(DTYPES[dtype])
    with np.errstate(invalid="ignore"):  # of NaNs that signal
        x = x[np.isfinite(x)]
    tiny = (np.abs(oracle.as_doubles(x)) < 2.0**-100) & (dtype == "bfloat16")
    return np.where(tiny, np.zeros_like(x), x)


def by_library(name, step, x):
    """Returns what a library's own operations give, in float64; NumPy has the kernel."""
    if name == "numpy":
        return step(x)
    if name == "jax":
        return np.asarray(step(require("jax").numpy.asarray(x)))
    if name == "tensorflow":
        return step(require("tensorflow").constant(x)).numpy()
    require("torch")
    from tensors import to_array, to_tensor, torch

    return to_array(torch.vmap(step)(to_tensor(x)[None])[0])


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("library", ["torch", "jax", "tensorflow"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_rounded_once(dtype, library):
    x = every_half(dtype)
    # 1 less this is next to the middle of two numbers, where float32 has the middle itself.
    threshold = oracle.EPSILON[dtype] / 2 + 2.0**-40
    for regularizer in (L1(threshold), L1L2(threshold, 0.3), L2(0.7)):
        wanted = expected(x, regularizer, 1.0)
        stepped = by_library(library, lambda x, r=regularizer: r.proximal(x, 1.0), x)
        assert_same_bits(stepped, wanted)
    moved = expected(x, L1(threshold), 1.0)[x == 1]
    assert moved != np.float32(1 - threshold).astype(x.dtype)  # which is rounded twice


# ---- any numbers ---------------------------------------------------------------------------------


@given(
    dtype=st.sampled_from(list(DTYPES)),
    seed=st.integers(0, 2**32 - 1),
    l1=st.floats(0, 10),
    l2=st.floats(0, 10),
    step=st.floats(0, 10),
)
def test_the_operations_have_the_bits_of_the_kernel(dtype, seed, l1, l2, step):
    require("torch")
    from taut.arrays.torch import operations
    from tensors import to_array, to_tensor

    x = numbers(dtype, 300, seed).astype(DTYPES[dtype])
    if dtype == "bfloat16":  # whose subnormals may be rounded twice
        x = np.where(np.abs(x) < 2.0**-100, np.zeros_like(x), x)
    regularizer = L1L2(l1, l2)
    kernel, factors = regularizer._kernel, regularizer._factors()
    stepped = to_array(kernel.stepped(operations, to_tensor(x), factors, step))
    wanted = expected(x, regularizer, step)
    tiny = (np.abs(wanted) < 2.0**-120) & (dtype == "bfloat16")
    assert_same_bits(np.where(tiny, wanted, stepped), wanted)


# ---- regularizers of your own --------------------------------------------------------------------


class Halved(Regularizer):
    def __call__(self, x):
        return (x * x).sum()

    def prox(self, x, step):
        x *= 0.5


def test_it_is_derived_from_a_prox_of_your_own():
    x = np.array([2.0, -4.0])
    x.flags.writeable = False
    np.testing.assert_array_equal(Halved().proximal(x, 1.0), [1.0, -2.0])
    np.testing.assert_array_equal(x, [2.0, -4.0])
    torch = require("torch")
    weight = torch.tensor([2.0, -4.0], requires_grad=True)
    np.testing.assert_array_equal(Halved().proximal(weight, 1.0), [1.0, -2.0])
    assert weight[0] == 2
    with pytest.raises(TypeError, match="JAX arrays cannot be written: define proximal"):
        Halved().proximal(require("jax").numpy.ones(3), 1.0)


def test_it_is_never_that_of_another_penalty():
    class Cubed(L1):
        def __call__(self, x):
            return (abs(x) ** 3).sum()

    class Doubled(L1):
        def prox(self, x, step):
            super().prox(x, 2 * step)

    class Own(L1):
        def proximal(self, x, step):
            return x + step

    with pytest.raises(NotImplementedError, match="Cubed has no proximal step"):
        Cubed(0.5).proximal(np.ones(3), 1.0)
    assert Doubled(0.25).proximal(np.ones(1), 1.0) == 0.5
    assert Own(0.25).proximal(np.ones(1), 1.0) == 2
