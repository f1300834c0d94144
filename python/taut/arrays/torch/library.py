"""torch as an array library."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor
from torch.autograd import forward_ad

from taut.arrays.factors import LiveFactors, Traced, operand, operands
from taut.arrays.group import Group
from taut.arrays.library import ArrayLibrary, Factors
from taut.arrays.memory import Memory, memory_key
from taut.arrays.torch import live, nodes, operations, operators
from taut.arrays.torch.group import TensorGroup
from taut.arrays.torch.memory import (
    CountingWrites,
    are_transforms_active,
    batch_levels,
    check_not_observed,
    check_tensor,
    check_unlocked,
    check_written,
    data_ptr,
    is_memory,
    is_observed,
    is_target,
    is_traced,
    is_tracing,
    scalar,
    strides_of,
    tensor_of,
    view_of,
)
from taut.kernels import Kernel, Sides
from taut.kernels.checks import DTYPES

# What torch adds to a tensor that has a penalty.
_INTEGERS = ("bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_ADDED_DTYPES = {getattr(torch, name) for name in (*DTYPES, *_INTEGERS) if hasattr(torch, name)}
_ADDED_LAYOUTS = {
    torch.strided,
    torch.sparse_coo,
    torch.sparse_csr,
    torch.sparse_csc,
    torch.sparse_bsr,
    torch.sparse_bsc,
}


class Torch(ArrayLibrary):
    """torch tensors of any device and kind, in eager, compiled, traced and transformed code."""

    def owns(self, cls: type) -> bool:
        """Returns whether objects of a class are tensors."""
        return issubclass(cls, Tensor)

    def value(self, kernel: Kernel, x: Tensor, factors: Factors) -> Tensor:
        """Returns the penalty of x as a 0-d tensor, differentiable where that is asked for."""
        check_tensor(x)
        if is_traced() or forward_ad._current_level >= 0 or not is_memory(x):
            return self._traced_value(kernel, x, factors)
        if type(factors) is not LiveFactors:
            return nodes.compute(kernel, x.resolve_neg(), factors)
        if any(isinstance(factor, Traced) for factor in factors):  # by transforms of torch.func
            return operations.value(kernel, x, self._operands(kernel, x, factors))
        return live.compute(kernel, x.resolve_neg(), operands(factors, self))

    def _traced_value(self, kernel: Kernel, x: Tensor, factors: Factors) -> Tensor:
        """Returns the penalty in torch's operations, or by the operator that compilers see."""
        own = self._operands(kernel, x, factors)
        is_operator = (
            kernel.bound_by == "arithmetic"
            and x.device.type == "cpu"
            and forward_ad._current_level < 0
        )
        compute = operators.value if is_operator else operations.value
        return compute(kernel, x, own)

    def _operands(self, kernel: Kernel, x: Tensor, factors: Factors) -> Factors:
        """Returns the factors, checked, of which those that live are where x is."""
        own = operands(factors, self)
        kernel.check(own, x.shape)
        return tuple(each.to(x.device) if isinstance(each, Tensor) else each for each in own)

    def value_and_grad(
        self, kernel: Kernel, x: Tensor, factors: Factors, scale: float
    ) -> tuple[Tensor, Tensor]:
        """Returns the penalty of x, and `scale` times its gradient, both without a graph.

        Transforms of torch.func see through both.
        """
        check_tensor(x)
        if is_observed() or not is_memory(x):
            return self.differentiate(lambda weight: self.value(kernel, weight, factors), x, scale)
        source = x.detach().resolve_neg() if x.is_neg() else x
        grad = torch.empty_like(source)
        total = kernel.value_and_grad(view_of(source), view_of(grad), factors, scale)
        return scalar(total, x), grad

    def accumulate_grad(
        self, kernel: Kernel, x: Tensor, grad: Any, factors: Factors, scale: float
    ) -> Tensor:
        """Adds `scale` times the gradient to `grad`, in place and without a graph."""
        check_tensor(x)
        if is_observed() or not (is_memory(x) and is_target(grad)):
            return self._accumulate_by_operations(kernel, x, grad, factors, scale)
        source = x.detach().resolve_neg() if x.is_neg() else x
        with CountingWrites(grad):
            total = kernel.accumulate_grad(view_of(source), view_of(grad), factors, scale)
        return scalar(total, x)

    def _accumulate_by_operations(
        self, kernel: Kernel, x: Tensor, grad: Any, factors: Factors, scale: float
    ) -> Tensor:
        written = _written(grad, "accumulate_grad", "the gradient")
        if written.device != x.device:
            raise ValueError(
                f"The gradient must be where x is, on {x.device}. Received: {written.device}"
            )
        total, slope = self.value_and_grad(kernel, x, factors, scale)
        self.check_slope(written, slope)
        self.add_in_place(written, slope)
        return total

    def prox(self, kernel: Kernel, x: Tensor, factors: Factors, step: float) -> None:
        """Replaces x by its proximal step, in place and without a graph."""
        written = _stepped(x)
        assert kernel.prox is not None
        with CountingWrites(x):
            kernel.prox(view_of(written), factors, step)

    def check_prox(self, kernel: Kernel, x: Tensor, factors: Factors, step: float) -> None:
        """Raises what `prox` would, as far as is known before it writes."""
        super().check_prox(kernel, _stepped(x), factors, step)

    def proximal(self, kernel: Kernel, x: Tensor, factors: Factors, step: Any) -> Tensor:
        """Returns the proximal step of x, differentiable where that is asked for."""
        check_tensor(x)
        own, by = self._operands(kernel, x, factors), operand(step, self)
        kernel.check_step(own, by)
        is_live = any(isinstance(each, Tensor) for each in (*own, by))
        if is_live or is_observed() or not is_memory(x):
            by = by.to(x.device) if isinstance(by, Tensor) else by
            return kernel.stepped(operations, x, own, by)
        return nodes.step(kernel, x.resolve_neg(), own, by)

    def differentiate(
        self, function: Callable[[Tensor], Any], x: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        """Returns what a function of torch's operations gives, and `scale` times its gradient."""
        if are_transforms_active():
            total, pull_back = torch.func.vjp(lambda weight: _as_tensor(function(weight), x), x)
            return total, pull_back(torch.as_tensor(scale, dtype=total.dtype, device=x.device))[0]
        if torch.is_inference_mode_enabled() or x.is_inference():
            # Autograd records nothing there, whatever enable_grad says, nor of what was made there.
            with torch.inference_mode(False):
                return self.differentiate(function, x.clone(), scale)
        weight = x.detach().requires_grad_()
        with torch.enable_grad():
            total = _as_tensor(function(weight), x)
            if not total.requires_grad:  # a constant
                return total, torch.zeros_like(weight)
            (grad,) = torch.autograd.grad(total * scale, weight, allow_unused=True)
        return total.detach(), torch.zeros_like(weight) if grad is None else grad

    def check_gradient(self, name: str, x: Tensor, grad: Any) -> None:
        """Raises a TypeError or a ValueError for what could not be added to."""
        written = _written(grad, "accumulate_grad", name)
        if written.device != x.device:
            raise ValueError(
                f"{name}: the gradient must be where x is, on {x.device}. "
                f"Received: {written.device}"
            )
        if is_observed():
            return
        if written._is_zerotensor() or torch._debug_has_internal_overlap(written) == 1:
            raise ValueError(f"{name}: each element of a gradient must have memory of its own")

    def check_slope(self, grad: Any, slope: Any) -> None:
        """Raises a TypeError or a ValueError for what torch would refuse to add."""
        written = _written(grad, "accumulate_grad", "the gradient")
        if not isinstance(slope, Tensor):
            raise TypeError(f"expected a tensor as the gradient. Received: {type(slope).__name__}")
        if slope.dtype not in _ADDED_DTYPES:
            raise TypeError(f"expected a gradient of {written.dtype}. Received: {slope.dtype}")
        if slope.layout not in _ADDED_LAYOUTS or slope.is_nested:
            kind = "a nested tensor" if slope.is_nested else f"layout={slope.layout}"
            raise TypeError(f"expected a dense or sparse tensor as the gradient. Received: {kind}")
        if slope.device != written.device:
            raise ValueError(
                f"expected a gradient on {written.device}, where it is added to. Received: "
                f"{slope.device}"
            )
        if torch.compiler.is_compiling() or not are_transforms_active():
            return
        if not batch_levels(slope) <= batch_levels(written):
            raise ValueError(
                "torch.vmap gives many gradients, and one array to add them to: map over that, too"
            )

    def fresh(self, x: Tensor) -> Tensor:
        """Returns a copy with x's graph, of a layout that torch adds to tensors of every dtype."""
        is_added = x.layout in (torch.strided, torch.sparse_coo)
        return x.clone() if is_added else x.to_dense()

    def own_penalty(self, x: Tensor, value: Any) -> Any:
        """Returns a copy of a tensor where x is, or on the CPU, or the number of something else."""
        if not isinstance(value, Tensor):
            return super().own_penalty(x, value)
        if value.dtype not in _ADDED_DTYPES or value.layout is not torch.strided:
            raise TypeError(f"{value.dtype}, {value.layout}")
        if value.device not in (x.device, torch.device("cpu")):
            raise ValueError(f"a tensor on {value.device}, and not on {x.device}")
        return value.reshape(()).clone()

    def add_in_place(self, grad: Any, slope: Tensor) -> None:
        """Adds a gradient to another one, in place and without a graph."""
        written = _written(grad, "accumulate_grad", "the gradient")
        if not torch.compiler.is_compiling() and written._is_zerotensor():
            raise ValueError("the gradient must have memory of its own. Received zeros without any")
        written.add_(slope)

    def zero(self, x: Tensor) -> Tensor:
        """Returns a penalty of 0."""
        return torch.zeros((), dtype=operations.value_dtype(x), device=x.device)

    def zeros_like(self, x: Tensor) -> Tensor:
        """Returns a gradient of 0."""
        return torch.zeros_like(x)

    def batch_size(self, x: Tensor) -> int:
        """Returns the first dimension, which torch always knows."""
        return max(int(x.shape[0]), 1)

    # ---- one array, with what belongs to it ----

    def side(self, x: Tensor, given: Any) -> Tensor:
        """Returns a tensor where x is, without its graph; of a NumPy array, its memory."""
        if isinstance(given, ndarray):
            given = tensor_of(given)
        if not isinstance(given, Tensor):
            raise TypeError(f"expected a tensor. Received: {type(given).__name__}")
        check_tensor(given)
        is_plain = not is_observed() and not torch.is_inference_mode_enabled()
        if is_plain and given.is_inference():
            raise ValueError(
                "expected a tensor that autograd may keep. Received one that was made under "
                "torch.inference_mode(): clone it"
            )
        if given.device != x.device:
            raise ValueError(
                f"expected a tensor where the parameter is, on {x.device}. Received one on "
                f"{given.device}"
            )
        return given.detach().resolve_neg()

    def has_negative(self, side: Tensor) -> bool | None:
        """Returns whether an element is negative, of what is not traced."""
        if is_observed() or side.is_meta:
            return None
        return bool((side.detach() < 0).any())

    def value_towards(self, kernel: Kernel, x: Tensor, factors: Factors, sides: Sides) -> Tensor:
        """Returns the penalty of x as a 0-d tensor, differentiable where that is asked for."""
        check_tensor(x)
        return operations.value(kernel, x, self._operands(kernel, x, factors), sides)

    def proximal_towards(
        self, kernel: Kernel, x: Tensor, factors: Factors, step: Any, sides: Sides
    ) -> Tensor:
        """Returns the proximal step of x, differentiable where that is asked for."""
        check_tensor(x)
        own, by = self._operands(kernel, x, factors), operand(step, self)
        kernel.check_step(own, by)
        by = by.to(x.device) if isinstance(by, Tensor) else by
        return kernel.stepped(operations, x, own, by, sides)

    # ---- a factor ----

    def number(self, x: Tensor) -> float | None:
        """Returns the number of a 0-d tensor; None where it is traced or transformed."""
        return None if is_observed() or x.is_meta else float(x.detach())

    def is_recorded(self, x: Tensor) -> bool:
        """Returns whether autograd records what is computed from x."""
        return bool(x.requires_grad) and torch.is_grad_enabled()

    # ---- one parameter of many ----

    def native(self, x: Tensor) -> Tensor:
        """Returns x, which no other library wraps."""
        return x

    def check(self, x: Tensor) -> None:
        """Raises a TypeError if x is of no dtype or layout that has a penalty."""
        check_tensor(x)

    def is_frozen(self, x: Tensor) -> bool:
        """Returns whether x is a parameter that is not to be trained."""
        return isinstance(x, torch.nn.Parameter) and not x.requires_grad

    def is_observed(self, x: Tensor) -> bool:
        """Returns whether somebody records, transforms or differentiates forward what is called."""
        return is_observed()

    def memory(self, x: Tensor) -> Memory | None:
        """Returns where the elements of x are, if it is plain memory of the CPU's."""
        # To torch.jit.trace, extents are tensors.
        if not is_memory(x) or are_transforms_active() or is_tracing():
            return None
        size = x.dtype.itemsize
        return Memory(data_ptr(x), size, x.shape, tuple(size * each for each in strides_of(x)))

    def memory_key(self, x: Tensor) -> Hashable | None:
        """Returns what only tensors of the very same elements have in common."""
        memory = self.memory(x)
        if memory is None or x.is_neg():
            return id(x)
        return memory_key(memory, str(x.dtype))

    def copy(self, x: Tensor) -> Tensor:
        """Returns a copy of x without its graph."""
        return x.detach().clone()

    def tied(self, stepped: Tensor, x: Tensor, others: Sequence[Tensor]) -> list[Tensor]:
        """Returns x after its proximal step, and others that hold the very elements of x."""
        if all(y is x or (y.shape, strides_of(y)) == (x.shape, strides_of(x)) for y in others):
            return [stepped, *([stepped] * len(others))]
        own = torch.empty_strided(x.shape, strides_of(x), dtype=x.dtype, device=x.device)
        own.copy_(stepped)
        return [own, *(own.as_strided(y.shape, strides_of(y)) for y in others)]

    def own_gradient(self, x: Tensor) -> Tensor:
        """Returns the tensor's gradient, or zeros that `keep_gradient` makes its gradient."""
        if not (x.is_leaf or x.retains_grad) or (x.grad is None and not x.requires_grad):
            raise ValueError(
                "a tensor without requires_grad, or that others give, has no gradient of its own: "
                "give `grads`"
            )
        grad = x.grad
        if grad is None or grad._is_zerotensor():
            asked = getattr(x, "grad_dtype", x.dtype) if x.is_leaf else x.dtype
            return torch.zeros_like(x, dtype=asked)
        return grad

    def keep_gradient(self, x: Tensor, grad: Tensor) -> None:
        """Makes `grad` the tensor's gradient."""
        x.grad = grad

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> None:
        """Raises a ValueError for a tensor that cannot be written here."""
        for name, x in zip(names, arrays, strict=True):
            check_unlocked(name, x)

    def group_class(self, kernel: Kernel | None, x: Tensor) -> type[Group]:
        """Returns the one call of the core for plain memory, else one call each."""
        return TensorGroup if kernel and kernel.is_batched and _is_in_group(x) else Group


TORCH = Torch()


def _is_in_group(x: Tensor) -> bool:
    return is_memory(x) and not (x.is_neg() or are_transforms_active())


def _as_tensor(total: Any, x: Tensor) -> Tensor:
    """Returns what a user's function gave, which may be a number."""
    if isinstance(total, Tensor):
        return total
    return torch.as_tensor(total, dtype=operations.value_dtype(x), device=x.device)


def _stepped(x: Any) -> Tensor:
    """Returns a tensor that a kernel's proximal step can be taken of, in place."""
    written = _written(x, "prox", "x")
    if not is_memory(written):
        raise TypeError(
            "prox needs a plain tensor in the CPU's memory. "
            f"Received: {type(x).__name__} on {x.device}"
        )
    check_not_observed("prox")
    return written


def _written(tensor: Any, function: str, name: str) -> Tensor:
    """Returns a tensor to write to, without its graph."""
    check_written(tensor, function, name)
    written: Tensor = tensor.detach()
    return written
