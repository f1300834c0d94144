"""The compiled kernels as nodes that factors take part in, which are tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from taut.arrays.library import Factors
from taut.arrays.torch import operations
from taut.arrays.torch.memory import scalar, view_of
from taut.arrays.torch.nodes import Penalty, slope_of
from taut.kernels import Kernel


def compute(kernel: Kernel, x: Tensor, factors: Factors, own: Factors) -> Tensor:
    """Returns the penalty of a plain tensor, differentiable in it and in its factors.

    It has the bits of a penalty whose factors are the numbers.

    Args:
        kernel: The kernel.
        x: The tensor.
        factors: Floats, and options.
        own: The same, but for tensors in place of some of the floats.
    """
    places = [i for i, factor in enumerate(own) if isinstance(factor, Tensor)]
    with_slope = kernel.bound_by == "arithmetic" and x.requires_grad
    total: Tensor = LivePenalty.apply(
        x, kernel, tuple(factors), with_slope, places, *(own[i] for i in places)
    )
    return total


class LivePenalty(Function):
    """A penalty whose factors at some places are tensors; a derivative there is the term."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        kernel: Kernel,
        factors: tuple[Any, ...],
        with_slope: bool,
        places: list[int],
        *arrays: Tensor,
    ) -> Tensor:
        value, slope = Penalty.forward(x, kernel, factors, with_slope)
        ctx.terms = kernel, factors, places
        ctx.save_for_backward(x, slope, *arrays)
        return value

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> Any:
        kernel, factors, places = ctx.terms
        x, slope, *arrays = ctx.saved_tensors
        if torch.is_grad_enabled():  # and so it is to be differentiated again

            def value(x: Tensor, *arrays: Tensor) -> Tensor:
                own = list(factors)
                for place, array in zip(places, arrays, strict=True):
                    own[place] = array
                return operations.value(kernel, x, tuple(own))

            _, pull_back = torch.func.vjp(value, x, *arrays)
            grad, *slopes = pull_back(scale)
            return grad, None, None, None, None, *slopes
        grad = None
        if ctx.needs_input_grad[0]:
            grad = slope_of(scale, x, slope, kernel, factors)
        slopes = [None] * len(places)
        for i, (place, array) in enumerate(zip(places, arrays, strict=True)):
            if ctx.needs_input_grad[5 + i]:
                term = kernel.value(view_of(x), kernel.unit(place, factors[len(kernel.numbers) :]))
                slopes[i] = (scale * scalar(term, x)).to(array.dtype)
        return grad, None, None, None, None, *slopes
