"""The penalty of a DTensor in operations that torch differentiates, compiles and traces.

For what the kernels do not compute: other devices, compiled and traced code, second derivatives,
and factors that autograd records. What cannot be computed of pieces is gathered on every rank.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate

from taut.arrays.library import Factors
from taut.arrays.torch import operations
from taut.arrays.torch.library import TORCH
from taut.arrays.torch.sharded.batch import is_kept
from taut.arrays.torch.sharded.layout import Layout, local_of
from taut.kernels import Kernel, Sides


def value(kernel: Kernel, x: DTensor, factors: Factors, sides: Sides | None = None) -> Tensor:
    """Returns the penalty: a plain tensor, float64 for float64, else float32."""
    layout = Layout(x)
    if not is_kept(kernel, factors, layout):
        total: Tensor = TORCH.value(kernel, gathered(x), factors)
        return total
    numbers, options = factors[: len(kernel.numbers)], factors[len(kernel.numbers) :]
    total = None
    for index, (number, is_present) in enumerate(
        zip(numbers, kernel.presence(factors), strict=True)
    ):
        if is_present is False:
            continue
        product = number * _term(kernel, x, kernel.unit(index, options), layout, sides)
        if is_present is None:
            product = torch.where(number == 0, torch.zeros_like(product), product)
        total = product if total is None else total + product
    if total is None:
        total = _term(kernel, x, (*(0.0 for _ in numbers), *options), layout, sides)
    return operations.cast(total, operations.value_dtype(x))


def gathered(x: DTensor) -> Tensor:
    """Returns the whole tensor, differentiable, on every rank.

    Raises:
        NotImplementedError: In compiled code. The gradient is cut there at places that are a rank's
            own, and torch's cache of compiled code, which ranks share, takes one's for another's.
    """
    if torch.compiler.is_compiling():
        raise NotImplementedError(
            "penalties that need the whole of a sharded tensor are not computed in compiled code: "
            "call them outside of it, or leave out fullgraph=True"
        )
    whole: Tensor = x.full_tensor()
    return whole


def local_sides(sides: Sides) -> Sides:
    """Returns what this rank holds of the reference and the importance of a tensor."""
    return Sides(*(None if side is None else local_of(side) for side in sides))


def _term(
    kernel: Kernel, x: DTensor, factors: Factors, layout: Layout, sides: Sides | None
) -> Tensor:
    """Returns a penalty before it is rounded, the sum of what all ranks have of it."""
    local = x.to_local(grad_placements=x.placements)
    own = None if sides is None else local_sides(sides)
    part = kernel.formula(operations, local, factors, kernel.presence(factors), sides=own)
    placements: list[Any] = [Replicate()] * layout.mesh.ndim
    for dim in layout.dims:
        placements[dim] = Partial()
    total: Tensor = DTensor.from_local(part, layout.mesh, placements, run_check=False).full_tensor()
    return total
