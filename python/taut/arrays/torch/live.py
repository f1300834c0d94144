"""The compiled kernels as nodes that factors take part in, which are tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from taut.arrays.library import Factors
from taut.arrays.torch import nodes, operations
from taut.arrays.torch.memory import scalar, view_of
from taut.arrays.torch.nodes import Penalty, slope_of
from taut.kernels import Kernel


def compute(kernel: Kernel, x: Tensor, factors: Factors) -> Tensor:
    """Returns the penalty of a plain tensor, differentiable in it and in factors that are tensors.

    It has the bits of a penalty whose factors are their numbers.
    """
    places = [place for place, factor in enumerate(factors) if isinstance(factor, Tensor)]
    if not places:
        return nodes.compute(kernel, x, factors)
    arrays = [factors[place] for place in places]
    numbers = _replaced(factors, places, [float(array.detach()) for array in arrays])
    with_slope = kernel.bound_by == "arithmetic" and x.requires_grad
    total: Tensor = LivePenalty.apply(x, kernel, numbers, with_slope, places, *arrays)
    return total


def _replaced(factors: Factors, places: list[int], others: Sequence[Any]) -> Factors:
    replaced = list(factors)
    for place, other in zip(places, others, strict=True):
        replaced[place] = other
    return tuple(replaced)


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
                return operations.value(kernel, x, _replaced(factors, places, arrays))

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
