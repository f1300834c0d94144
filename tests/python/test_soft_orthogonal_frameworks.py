"""Soft orthogonality of the frameworks' arrays: every way to compute it, against the oracle."""

import functools

import numpy as np
import oracle
import pytest
from arrays import DTYPES, random_array
from frameworks import require
from taut.regularizers import SoftOrthogonalRegularizer
from test_gram import assert_close
from test_soft_orthogonal import about_unit, every_kind

SHAPES = [(5, 17), (17, 5), (9, 6), (6, 6), (4, 1)]  # by columns, each has its turned one
FACTOR = 0.7


def matrices(dtype):
    for shape in SHAPES:
        yield about_unit(random_array(shape, dtype, seed=shape[0]))


def check(regularizer, x, value, grad, scale, sum_dtype="float64"):
    """Checks a value, and `scale` times its gradient, that operations in some order gave."""
    factor, mode, diagonal, _ = regularizer._factors()
    expected = oracle.soft_orthogonal(x, mode, diagonal)
    coarse = oracle.EPSILON[sum_dtype if x.dtype == np.float64 else "float32"] * 4 * sum(x.shape)
    # No framework says in which order it adds up: so the larger of both Gram matrices counts.
    size = np.sqrt(float((oracle.as_doubles(x) ** 2).sum()) ** 2 + max(x.shape))
    slack = factor * (expected.value_tolerance + coarse * size**2)
    assert abs(value - factor * expected.value) <= slack
    slack = factor * abs(scale) * (expected.grad_tolerance + 4 * coarse * size)
    assert (grad.shape, grad.dtype) == (x.shape, x.dtype)
    assert_close(grad, factor * scale * expected.grad, slack)


@every_kind
@pytest.mark.parametrize("path", ["kernel", "operations", "operator"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch(dtype, path, mode, diagonal):
    torch = require("torch")
    from taut.arrays.torch import operations, operators
    from tensors import to_array, to_tensor

    regularizer = SoftOrthogonalRegularizer(FACTOR, mode, diagonal)
    by_module = {"operations": operations.value, "operator": operators.value}.get(path)
    for x in matrices(dtype):
        weight = to_tensor(x).detach().requires_grad_()
        if by_module is None:
            value = regularizer(weight)
        else:
            value = by_module(regularizer._kernel, weight, regularizer._factors())
        assert value.dtype == (torch.float64 if dtype == "float64" else torch.float32)
        (value * -0.5).backward()
        check(regularizer, x, value.item(), to_array(weight.grad), -0.5)


@every_kind
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own compiler
def test_torch_compiled_mapped_and_differentiated_twice(mode, diagonal):
    torch = require("torch")
    regularizer = SoftOrthogonalRegularizer(FACTOR, mode, diagonal)
    x = torch.from_numpy(random_array((7, 3), "float64"))
    compiled = torch.compile(regularizer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), regularizer(x))
    both = torch.func.vmap(regularizer)(torch.stack([x, 2 * x]))
    torch.testing.assert_close(both, torch.stack([regularizer(x), regularizer(2 * x)]))
    assert torch.autograd.gradcheck(regularizer, x.requires_grad_())
    assert torch.autograd.gradgradcheck(regularizer, x)


@every_kind
@pytest.mark.parametrize("path", ["kernel", "operations"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_jax(dtype, path, mode, diagonal):
    jax = require("jax")
    regularizer = SoftOrthogonalRegularizer(FACTOR, mode, diagonal)
    penalty = by_operations(regularizer) if path == "operations" else regularizer
    for x in matrices(dtype):
        value, grad = jax.jit(jax.value_and_grad(penalty))(jax.numpy.asarray(x))
        check(regularizer, x, float(value), np.asarray(grad), 1.0, "float32")


def by_operations(regularizer):
    from taut.arrays.jax import operations

    factor, *options = regularizer._factors()
    kernel = regularizer._kernel
    return lambda x: operations.value(x, (factor,), kernel, tuple(options), (None,))


@every_kind
def test_jax_calls_the_kernel_and_differentiates_twice(mode, diagonal):
    jax = require("jax")
    regularizer = SoftOrthogonalRegularizer(FACTOR, mode, diagonal)
    x = jax.numpy.asarray(random_array((7, 3), "float32"))
    lowered = jax.jit(jax.grad(regularizer)).lower(x).as_text()
    assert "taut_soft_orthogonal_value_and_grad" in lowered
    stacked = jax.numpy.stack([x, 2 * x])
    for value, one in zip(jax.vmap(regularizer)(stacked), stacked, strict=True):
        assert value == regularizer(one)
    second = jax.hessian(regularizer)(x)
    expected = jax.hessian(by_operations(regularizer))(x)
    np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-4)


@every_kind
@pytest.mark.parametrize("path", ["eager", "graph", "unknown shape", "XLA"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensorflow(dtype, path, mode, diagonal):
    tf = require("tensorflow")
    regularizer = SoftOrthogonalRegularizer(FACTOR, mode, diagonal)
    evaluate = evaluation(path, dtype, regularizer)
    for x in matrices(dtype):
        value, grad = evaluate(tf.constant(x))
        check(regularizer, x, float(value), np.asarray(grad), 1.0)


@functools.cache  # so that graphs are traced once
def evaluation(path, dtype, regularizer):
    tf = require("tensorflow")

    def evaluate(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = regularizer(x)
        return value, tape.gradient(value, x)

    if path == "eager":
        return evaluate
    unknown = [tf.TensorSpec([None, None], dtype)] if path == "unknown shape" else None
    return tf.function(evaluate, input_signature=unknown, jit_compile=path == "XLA")


@pytest.mark.parametrize("library", ["torch", "jax", "tensorflow"])
@every_kind
def test_nan_infinity_and_no_elements(library, mode, diagonal):
    framework = require(library)
    regularizer = SoftOrthogonalRegularizer(FACTOR, mode, diagonal)
    make = {"torch": "tensor", "jax": "numpy.asarray", "tensorflow": "constant"}[library]
    for name in make.split("."):
        framework = getattr(framework, name)
    for special in (np.nan, np.inf):
        x = random_array((6, 3), "float32")
        x[2, 1] = special
        value, grad = regularizer.value_and_grad(framework(x))
        assert np.isnan(float(value))
        assert np.isnan(np.asarray(grad)).all()
    for shape in ((0, 4), (4, 0)):
        x = np.zeros(shape, np.float32)
        assert float(regularizer(framework(x))) == pytest.approx(regularizer(x))
