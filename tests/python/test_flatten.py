"""`flatten=True`: the kernels of convolutions, read as matrices."""

import functools
import json

import numpy as np
import oracle
import pytest
import taut
from arrays import DTYPES, LAYOUTS, arrays, random_array
from frameworks import LIBRARIES, require, to_library
from hypothesis import given, settings
from hypothesis import strategies as st
from penalty_checks import check_gram
from taut import regularizers
from taut.regularizers import OrthogonalRegularizer, SoftOrthogonalRegularizer
from test_gram import assert_close
from test_soft_orthogonal import check_value

MODES = ["rows", "columns"]
SHAPE = (6, 3, 2, 5)


def as_matrix(x, mode):
    """Returns the matrix that a tensor is read as: a copy, or NumPy's view."""
    first, last = x.shape[0], x.shape[-1]
    rest = int(np.prod(x.shape[1:] if mode == "rows" else x.shape[:-1]))
    return x.reshape((first, rest) if mode == "rows" else (rest, last))


PENALTIES = {
    "orthogonal": OrthogonalRegularizer,
    "soft": SoftOrthogonalRegularizer,
    "soft, no diagonal": functools.partial(SoftOrthogonalRegularizer, diagonal=False),
}
every_penalty = pytest.mark.parametrize(
    ("penalty", "mode"),
    [(penalty, mode) for penalty in PENALTIES.values() for mode in MODES],
    ids=[f"{name}, {mode}" for name in PENALTIES for mode in MODES],
)


def expected_of(penalty, mode, x, scale=1.0):
    """Returns the penalty and the gradient of the matrix, the latter in x's shape."""
    value, grad = penalty(0.7, mode).value_and_grad(as_matrix(x, mode), scale)
    return value, grad.reshape(x.shape)


def check_vectors(regularizer, x, value, grad):
    """Compares what was computed of a matrix, whose coordinates may have been in any order."""
    if type(regularizer) is OrthogonalRegularizer:
        return check_gram(regularizer, x, value, grad, 1.0)
    factor = np.longdouble(regularizer.factor)
    expected = oracle.soft_orthogonal(x, regularizer.mode, regularizer.diagonal)
    check_value(value, expected, factor)
    assert_close(grad, factor * expected.grad, factor * expected.grad_tolerance)
    return None


def flattening(penalty, mode):
    return penalty(0.7, mode, flatten=True)


@every_penalty
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_without_gaps_has_the_bits_of_its_matrix(level, dtype, penalty, mode):
    x = random_array(SHAPE, dtype)
    value, grad = expected_of(penalty, mode, x)
    own_value, own_grad = flattening(penalty, mode).value_and_grad(x)
    assert own_value == value == flattening(penalty, mode)(x)
    assert own_grad.tobytes() == grad.tobytes()


@every_penalty
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(dtype, axes, layout, penalty, mode):
    numbers = random_array(SHAPE, dtype)
    in_memory = LAYOUTS[layout](numbers.transpose(axes))
    x = in_memory.transpose(np.argsort(axes))
    np.testing.assert_array_equal(x, numbers)
    value, grad = flattening(penalty, mode).value_and_grad(x)
    check_vectors(penalty(0.7, mode), as_matrix(numbers, mode), value, as_matrix(grad, mode))
    target = LAYOUTS[layout](np.zeros_like(numbers))
    flattening(penalty, mode).accumulate_grad(x, target)
    grad = as_matrix(np.array(target), mode)
    check_vectors(penalty(0.7, mode), as_matrix(numbers, mode), value, grad)


@every_penalty
@settings(max_examples=1000)
@given(x=st.integers(2, 5).flatmap(arrays))
def test_any_numbers(penalty, mode, x):
    value, grad = flattening(penalty, mode).value_and_grad(x)
    matrix = as_matrix(np.array(x), mode)
    check_vectors(penalty(0.7, mode), matrix, value, as_matrix(np.array(grad), mode))


@every_penalty
def test_nan_and_vectors_of_zeros(penalty, mode):
    x = random_array(SHAPE, "float32")
    x[0] = 0
    assert flattening(penalty, mode)(x) == expected_of(penalty, mode, x)[0]
    x[1, 2, 1, 3] = np.nan
    value, grad = flattening(penalty, mode).value_and_grad(np.asfortranarray(x))
    assert np.isnan(value)
    assert np.isnan(grad).all()


@every_penalty
def test_it_is_the_minimum_of_rank_2_that_is_read(penalty, mode):
    x = random_array((4, 7), "float64")
    assert flattening(penalty, mode)(x) == penalty(0.7, mode)(x)
    for shape in [(), (4,)]:
        with pytest.raises(ValueError, match="must have rank 2 or more") as error:
            flattening(penalty, mode)(np.ones(shape))
        assert f"Received: inputs.shape={shape}" in str(error.value)


def test_soft_orthogonality_takes_it_too():
    regularizer = SoftOrthogonalRegularizer(0.1)
    assert regularizer.get_config() == {"factor": 0.1, "mode": "rows", "diagonal": True}
    regularizer.flatten = True
    config = {"factor": 0.1, "mode": "rows", "diagonal": True, "flatten": True}
    assert regularizer.get_config() == config
    assert repr(regularizer) == (
        "SoftOrthogonalRegularizer(factor=0.1, mode='rows', diagonal=True, flatten=True)"
    )
    restored = regularizers.deserialize(json.loads(json.dumps(regularizers.serialize(regularizer))))
    assert restored.get_config() == config
    with pytest.raises(ValueError, match=r"argument `flatten`. Expected one of {False, True}"):
        SoftOrthogonalRegularizer(flatten=1)


def test_it_is_an_argument_as_the_others_are():
    regularizer = OrthogonalRegularizer(0.1)
    assert regularizer.flatten is False
    assert regularizer.get_config() == {"factor": 0.1, "mode": "rows"}
    regularizer.flatten = True
    assert regularizer.get_config() == {"factor": 0.1, "mode": "rows", "flatten": True}
    assert repr(regularizer) == "OrthogonalRegularizer(factor=0.1, mode='rows', flatten=True)"
    config = json.loads(json.dumps(regularizers.serialize(regularizer)))
    restored = regularizers.deserialize(config)
    assert restored.flatten is True
    assert restored(np.ones((2, 2, 2))) == pytest.approx(0.1)
    for wrong in (1, None, "yes", np.ones(2)):
        message = r"argument `flatten`. Expected one of {False, True}. Received: flatten="
        with pytest.raises(ValueError, match=message):
            OrthogonalRegularizer(flatten=wrong)
        regularizer.flatten = wrong
        with pytest.raises(ValueError, match=message):
            regularizer(np.ones((2, 2)))


# ---- Penalties -----------------------------------------------------------------------------------

PARAMS = {"dense.weight": (5, 4), "conv.weight": SHAPE, "norm.weight": (6,)}


def params_of(library, *names):
    return {name: to_library(library, random_array(PARAMS[name], "float32")) for name in names}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_rule_that_meets_a_convolution_says_what_to_write(library):
    params = params_of(library, "dense.weight", "conv.weight")
    penalties = taut.Penalties([("*.weight", OrthogonalRegularizer())])
    message = (
        r"^conv\.weight: Inputs to OrthogonalRegularizer must have rank 2\. Received: "
        r"inputs\.shape=\(6, 3, 2, 5\)\. Write flatten=True, which reads it as a matrix "
        r'\(the first axis by the rest; with mode="columns", the rest by the last\), or a rule of '
        r'its own before this one: \("conv\.weight", None\)$'
    )
    calls = [
        lambda: penalties(params),
        lambda: penalties.breakdown(params),
        lambda: penalties.value_and_grad(params),
    ]
    if library in ("numpy", "torch"):
        grads = {name: 0 * x for name, x in params.items()}
        bound = penalties.bind(params, grads)
        calls += [lambda: penalties.accumulate_grad(params, grads), bound.accumulate_grad]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_rule_that_meets_a_vector_offers_none(library):
    for flatten in (False, True):
        penalties = taut.Penalties([("*", OrthogonalRegularizer(flatten=flatten))])
        with pytest.raises(ValueError, match=r"^norm\.weight: Inputs to Ortho") as error:
            penalties(params_of(library, "norm.weight"))
        assert "Write a rule of its own before this one" in str(error.value)
        assert "flatten=True" not in str(error.value)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_penalties_of_convolutions(library, penalty):
    params = params_of(library, "dense.weight", "conv.weight")
    penalties = taut.Penalties([("*.weight", flattening(penalty, "rows"))])
    breakdown = penalties.breakdown(params)
    total, grads = penalties.value_and_grad(params)
    sum_of_values = 0
    for name in params:
        value, grad = expected_of(penalty, "rows", random_array(PARAMS[name], "float32"))
        assert float(breakdown[name]) == pytest.approx(value, rel=3e-6)
        np.testing.assert_allclose(grads[name], grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())
        sum_of_values += value
    assert float(total) == pytest.approx(sum_of_values, rel=3e-6)


# ---- torch ---------------------------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize("memory_format", ["contiguous_format", "channels_last"])
def test_torch(memory_format, penalty, mode):
    torch = require("torch")
    numbers = random_array(SHAPE, "float32")
    value, grad = expected_of(penalty, mode, numbers)
    x = torch.from_numpy(numbers.copy()).to(memory_format=getattr(torch, memory_format))
    weight = x.clone().requires_grad_()
    total = flattening(penalty, mode)(weight)
    total.backward()
    assert total.item() == pytest.approx(value, rel=3e-6)
    np.testing.assert_allclose(weight.grad, grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())
    for target in (torch.zeros_like(x), torch.zeros(SHAPE)):
        flattening(penalty, mode).accumulate_grad(x, target)
        np.testing.assert_allclose(target, grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())
    many = torch.stack([x, -x])
    torch.testing.assert_close(
        torch.vmap(flattening(penalty, mode))(many), total.detach().expand(2)
    )
    slopes = torch.vmap(torch.func.grad(flattening(penalty, mode)))(many)
    torch.testing.assert_close(slopes[1], -weight.grad)


@every_penalty
def test_torch_twice(penalty, mode):
    torch = require("torch")
    x = torch.from_numpy(random_array((3, 2, 4), "float64")).requires_grad_()
    assert torch.autograd.gradgradcheck(flattening(penalty, mode), x)


@every_penalty
def test_torch_compiled(penalty, mode):
    torch = require("torch")
    torch.compiler.reset()
    compiled = torch.compile(
        flattening(penalty, mode), fullgraph=True, backend="aot_eager", dynamic=True
    )
    for shape in (SHAPE, (4, 3, 3, 7)):
        numbers = random_array(shape, "float32")
        value, grad = expected_of(penalty, mode, numbers)
        weight = torch.from_numpy(numbers).requires_grad_()
        total = compiled(weight)
        total.backward()
        assert total.item() == pytest.approx(value, rel=3e-6)
        np.testing.assert_allclose(weight.grad, grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())


# ---- JAX -----------------------------------------------------------------------------------------


@every_penalty
def test_jax(penalty, mode):
    jax = require("jax")
    numbers = random_array(SHAPE, "float32")
    value, grad = expected_of(penalty, mode, numbers)
    for transform in (lambda function: function, jax.jit):
        own_value, own_grad = transform(jax.value_and_grad(flattening(penalty, mode)))(numbers)
        assert float(own_value) == pytest.approx(value, rel=3e-6)
        np.testing.assert_allclose(own_grad, grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())
    many = np.stack([numbers, -numbers])
    np.testing.assert_allclose(jax.vmap(flattening(penalty, mode))(many), [value] * 2, rtol=3e-6)
    slopes = jax.vmap(jax.grad(flattening(penalty, mode)))(many)
    np.testing.assert_allclose(slopes[1], -grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())


@every_penalty
def test_jax_by_the_handler(penalty, mode):
    jax = require("jax")
    if not taut._core.jax_handlers:
        pytest.skip("this build has no handler for XLA")
    compiled = jax.jit(jax.grad(flattening(penalty, mode))).lower(np.ones(SHAPE, np.float32))
    kernel = flattening(penalty, mode)._kernel.name
    assert f"taut_{kernel}_value_and_grad" in compiled.as_text()


@every_penalty
def test_jax_twice(penalty, mode):
    jax = require("jax")
    x = jax.numpy.asarray(random_array((3, 2, 2), "float32"))
    direction = jax.numpy.asarray(random_array((3, 2, 2), "float32", seed=1))
    gradient = jax.grad(flattening(penalty, mode))
    _, change = jax.jvp(gradient, (x,), (direction,))
    step = 2.0**-10
    difference = gradient(x + step * direction) - gradient(x - step * direction)
    slack = 2e-3 * max(1, abs(change).max())
    np.testing.assert_allclose(change, difference / (2 * step), rtol=2e-2, atol=slack)


# ---- TensorFlow ----------------------------------------------------------------------------------


@every_penalty
@pytest.mark.parametrize(
    "signature", [None, SHAPE, (None, 3, 2, None), (6, None, None, 5), (None, None, None, None)]
)
def test_tensorflow(signature, penalty, mode):
    tf = require("tensorflow")

    def evaluate(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = flattening(penalty, mode)(x)
        return value, tape.gradient(value, x)

    if signature is not None:
        evaluate = tf.function(evaluate, input_signature=[tf.TensorSpec(signature)])
    numbers = random_array(SHAPE, "float32")
    value, grad = expected_of(penalty, mode, numbers)
    own_value, own_grad = evaluate(tf.constant(numbers))
    assert float(own_value) == pytest.approx(value, rel=3e-6)
    np.testing.assert_allclose(own_grad, grad, rtol=1e-5, atol=1e-7 + 2e-6 * abs(grad).max())


def test_the_oracle_has_cases_of_every_dtype():
    # Else `check_gram` above would compare nothing.
    for dtype in DTYPES:
        assert oracle.gram(as_matrix(random_array(SHAPE, dtype), "rows")).value > 0
