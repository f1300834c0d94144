"""A toy kernel and a toy array library, each registered in one place, as a further one would be."""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from taut import _core, arrays, kernels
from taut.arrays.factors import as_factor, number_of, read
from taut.arrays.formula import FormulaLibrary
from taut.regularizers import register_serializable
from taut.regularizers._kernel import KernelRegularizer


def make_kernel(name, bound_by):
    """Registers `strength * sum(|x|**power)` of a matrix, by the core's functions for L1 and L2."""

    def factors_of(factors):
        strength, power = factors
        return (strength, 0.0) if power == "one" else (0.0, strength)

    def term(xp, x, power):
        return xp.sum(xp.absolute(x) if power == "one" else x * x, xp.sum_dtype(x))

    def proximal(xp, x, step, strength, power):
        factors = factors_of((strength, power))
        return kernels.ELEMENTWISE.proximal(xp, x, step, *factors)

    return kernels.register(
        kernels.Kernel(
            name=name,
            title="Powers",
            numbers=("strength",),
            terms=(term,),
            value=lambda x, factors: _core.elementwise_value(x, factors_of(factors)),
            value_and_grad=lambda x, grad, factors, scale: _core.elementwise_value_and_grad(
                x, grad, factors_of(factors), scale
            ),
            accumulate_grad=lambda x, grad, factors, scale: _core.elementwise_accumulate_grad(
                x, grad, factors_of(factors), scale
            ),
            prox=lambda x, factors, step: _core.elementwise_prox(x, factors_of(factors), step),
            proximal=proximal,
            bound_by=bound_by,
            rank=2,
            options={"power": ("one", "two")},
        )
    )


class Powers(KernelRegularizer):
    """The toy kernel as a class; `Fused` and `Called` differ in what bounds their kernels."""

    _kernel = make_kernel("powers", "memory")

    def __init__(self, strength=1.0, power="two"):
        self.strength = as_factor("strength", strength)
        self.power = power

    def _factors(self):
        return read(self._kernel, self.strength, self.power)

    def get_config(self):
        return {"strength": number_of("strength", self.strength), "power": self.power}


@register_serializable(package="toys")
class Fused(Powers):
    """Left to compilers."""


@register_serializable(package="toys")
class Called(Powers):
    """Called by compiled code."""

    _kernel = make_kernel("called_powers", "arithmetic")


class Box(NDArrayOperatorsMixin):
    """An array of the toy library: NumPy's, in a box that nobody can look into."""

    def __init__(self, numbers):
        self.numbers = np.asarray(numbers)

    dtype = property(lambda self: self.numbers.dtype)
    shape = property(lambda self: self.numbers.shape)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return boxed(getattr(ufunc, method), *inputs, **options)


def boxed(function, *inputs, **options):
    unboxed = [each.numbers if isinstance(each, Box) else each for each in inputs]
    return Box(function(*unboxed, **options))


class Operations:
    """The toy library's operations, in the order of `taut.kernels.Operations`."""

    value_dtype = staticmethod(lambda x: np.float64 if x.dtype == np.float64 else np.float32)
    sum_dtype = staticmethod(lambda x: np.float64)
    gradient_dtype = staticmethod(lambda x: np.float64)
    cast = staticmethod(lambda x, dtype: boxed(np.asarray, x, dtype=dtype))
    rounded = staticmethod(lambda x, dtype: boxed(np.asarray, x, dtype=dtype))
    shape = staticmethod(lambda x: x.shape)
    transpose = staticmethod(lambda x: boxed(np.transpose, x))
    matmul = staticmethod(lambda x, y: boxed(np.matmul, x, y))
    reshape = staticmethod(lambda x, shape: boxed(np.reshape, x, shape))
    where = staticmethod(lambda condition, x, y: boxed(np.where, condition, x, y))
    zeros_like = staticmethod(lambda x: boxed(np.zeros_like, x))
    absolute = staticmethod(lambda x: boxed(np.abs, x))
    sign = staticmethod(lambda x: boxed(np.sign, x))
    sqrt = staticmethod(lambda x: boxed(np.sqrt, x))
    sum = staticmethod(lambda x, dtype: boxed(np.sum, x, dtype=dtype))
    sum_of_squares = staticmethod(lambda x, dtype: boxed(np.sum, x * x, dtype=dtype))
    sums = staticmethod(lambda x, axis: boxed(np.sum, x, axis=axis, keepdims=True))
    are_finite = staticmethod(lambda x: boxed(np.all, boxed(np.isfinite, x)))
    constant = staticmethod(lambda x: x)
    nan_unless_finite = staticmethod(
        lambda x: x * (1 if np.isfinite(x.numbers).all() else float("nan"))
    )
    powers_of_two = staticmethod(
        lambda x, axis: boxed(np.ones_like, boxed(np.max, x, axis, keepdims=True))
    )
    without_diagonal = staticmethod(lambda x: x * (1 - np.eye(len(x.numbers))))
    no_penalty = staticmethod(lambda x: Box(np.zeros(())))
    custom_gradient = staticmethod(lambda function, x: function(x)[0])


class Boxes(FormulaLibrary):
    """The toy library, which differentiates by differences."""

    xp = Operations()
    plural = "boxes"

    def owns(self, cls):
        return issubclass(cls, Box)

    def differentiate(self, function, x, scale):
        grad = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            step = np.zeros(x.shape)
            step[index] = 1e-6
            change = function(x + step) - function(x - step)
            grad[index] = scale * float(change.numbers) / 2e-6
        return function(x), Box(grad)


arrays.register(__name__, Boxes)
