"""DTensors as an array library."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate

from taut.arrays.factors import operands
from taut.arrays.group import Group
from taut.arrays.library import Factors
from taut.arrays.memory import Memory
from taut.arrays.torch.library import TORCH, Torch
from taut.arrays.torch.memory import (
    are_transforms_active,
    check_not_observed,
    check_tensor,
    is_memory,
    is_observed,
)
from taut.arrays.torch.sharded import operations, sums
from taut.arrays.torch.sharded.agreement import check_agreement, tell_failure
from taut.arrays.torch.sharded.batch import is_kept
from taut.arrays.torch.sharded.group import (
    PlainValues,
    ShardedGroup,
    check_gradient,
    whole_of,
)
from taut.arrays.torch.sharded.layout import Layout, local_of, with_layout_of
from taut.kernels import Kernel, Sides
from taut.kernels.checks import NEGATIVE_IMPORTANCE
from taut.written import Written


class Sharded(Torch):
    """DTensors: penalties are plain tensors, the same on all ranks; gradients lie as x does.

    Every rank of x's mesh makes the same calls.
    """

    def value(self, kernel: Kernel, x: DTensor, factors: Factors) -> Tensor:
        """Returns the penalty of x as a plain 0-d tensor, differentiable where it is asked for."""
        self.check(x)
        if is_observed() or not self._is_core(kernel, x) or self._is_live(factors):
            own = self._operands(kernel, x, factors)
            return operations.value(kernel, x, own)
        return self._group(kernel, x, factors).total()

    def value_and_grad(
        self, kernel: Kernel, x: DTensor, factors: Factors, scale: float
    ) -> tuple[Tensor, DTensor]:
        """Returns the penalty of x, and `scale` times its gradient, both without a graph."""
        self.check(x)
        if is_observed() or not self._is_core(kernel, x):
            return self.differentiate(lambda weight: self.value(kernel, weight, factors), x, scale)
        total, (grad,) = self._group(kernel, x, factors).value_and_grad(scale)
        return total, grad

    def accumulate_grad(
        self, kernel: Kernel, x: DTensor, grad: Any, factors: Factors, scale: float
    ) -> Tensor:
        """Adds `scale` times the gradient to what this rank holds of `grad`, in place."""
        self.check(x)
        if is_observed() or not self._is_core(kernel, x):
            total, slope = self.value_and_grad(kernel, x, factors, scale)
            self.add_in_place(grad, slope)
            return total
        return self._group(kernel, x, factors).accumulate_grad([grad], scale)

    def add_gradient(
        self, kernel: Kernel, x: DTensor, grad: Any, factors: Factors, scale: float
    ) -> None:
        """Does the same, and sends nothing but the pieces of what has an owner."""
        self.check(x)
        if is_observed() or not self._is_core(kernel, x):
            self.accumulate_grad(kernel, x, grad, factors, scale)
        else:
            self._group(kernel, x, factors).add_gradients([grad], scale)

    def prox(self, kernel: Kernel, x: DTensor, factors: Factors, step: float) -> None:
        """Takes the proximal step of what this rank holds, in place and without a graph."""
        self._check_stepped(kernel, x)
        self._group(kernel, x, factors).prox(step, Written())

    def check_prox(self, kernel: Kernel, x: DTensor, factors: Factors, step: float) -> None:
        """Raises what `prox` would, as far as is known before it sends or writes."""
        self._check_stepped(kernel, x)
        self._group(kernel, x, factors).check_prox(step)

    def _check_stepped(self, kernel: Kernel, x: DTensor) -> None:
        self.check(x)
        check_not_observed("prox")
        if not self._is_core(kernel, x):
            raise TypeError(
                "prox needs what this rank holds in the CPU's memory. "
                f"Received: a DTensor on {x.device}: take proximal"
            )

    def proximal(self, kernel: Kernel, x: DTensor, factors: Factors, step: Any) -> DTensor:
        """Returns the proximal step of x, differentiable where that is asked for."""
        self.check(x)
        layout = Layout(x)
        if is_kept(kernel, factors, layout):
            local = x.to_local(grad_placements=x.placements)
            return with_layout_of(x, super().proximal(kernel, local, factors, step))
        whole = super().proximal(kernel, operations.gathered(x), factors, step)
        everywhere = DTensor.from_local(
            whole, x.device_mesh, [Replicate()] * x.device_mesh.ndim, run_check=False
        )
        stepped: DTensor = everywhere.redistribute(placements=x.placements)
        return stepped

    def differentiate(
        self, function: Callable[[DTensor], Any], x: DTensor, scale: float
    ) -> tuple[Tensor, DTensor]:
        """Returns what a function of torch's operations gives, and `scale` times its gradient."""
        total, grad = super().differentiate(lambda weight: whole_of(function(weight)), x, scale)
        assert isinstance(grad, DTensor)
        return total, grad.redistribute(placements=x.placements)

    def check_slope(self, grad: Any, slope: Any) -> None:
        """Raises an error for a gradient that does not lie as the one that it is added to."""
        if not isinstance(slope, DTensor):
            raise TypeError(f"expected a DTensor as the gradient. Received: {type(slope).__name__}")
        check_gradient("the gradient", Layout(slope), grad)
        super().check_slope(local_of(grad), local_of(slope))

    def own_penalty(self, x: DTensor, value: Any) -> Any:
        """Returns a copy of a tensor, of a DTensor as a plain one, or something else's number."""
        return super().own_penalty(x, whole_of(value))

    def add_in_place(self, grad: Any, slope: DTensor) -> None:
        """Adds a gradient to another one that lies as it does."""
        check_gradient("the gradient", Layout(slope), grad)
        super().add_in_place(local_of(grad), local_of(slope))
        torch.autograd.graph.increment_version(grad)

    def check_gradient(self, name: str, x: DTensor, grad: Any) -> None:
        """Raises a ValueError unless a gradient lies as x does."""
        check_gradient(name, Layout(x), grad)

    def zeros_like(self, x: DTensor) -> DTensor:
        """Returns a gradient of 0."""
        return with_layout_of(x, torch.zeros_like(local_of(x)))

    def side(self, x: DTensor, given: Any) -> DTensor:
        """Returns the reference or the importance of x, which lies as x does."""
        if not Layout(x).is_of(given):
            raise ValueError(
                f"expected a DTensor that lies as the parameter does, {tuple(x.shape)}, "
                f"{x.placements} on {x.device_mesh}: distribute it so. Received: {given!r}"
            )
        check_tensor(given)
        side: DTensor = given.detach()
        return side

    def has_negative(self, side: DTensor) -> None:
        """Returns None: one rank does not know, and all of them ask with `check_agreement`."""
        return

    def value_towards(self, kernel: Kernel, x: DTensor, factors: Factors, sides: Sides) -> Tensor:
        """Returns the penalty of x as a plain 0-d tensor, differentiable where it is asked for."""
        self.check(x)
        return operations.value(kernel, x, self._operands(kernel, x, factors), sides)

    def proximal_towards(
        self, kernel: Kernel, x: DTensor, factors: Factors, step: Any, sides: Sides
    ) -> DTensor:
        """Returns the proximal step of x, differentiable where that is asked for."""
        self.check(x)
        own, local = operations.local_sides(sides), x.to_local(grad_placements=x.placements)
        return with_layout_of(x, super().proximal_towards(kernel, local, factors, step, own))

    def factor(self, x: DTensor) -> Tensor:
        """Returns a 0-d DTensor as a plain one."""
        plain: Tensor = x.full_tensor()
        return plain

    def check(self, x: DTensor) -> None:
        """Raises a TypeError if x is a sum that has not been taken, or of another dtype."""
        check_tensor(x)
        Layout(x)

    def check_agreement(
        self,
        leaves: Mapping[str, Any],
        penalties: Callable[[], Mapping[str, str]],
        importances: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Raises a ValueError on all ranks of a mesh if they have other penalties of its tensors.

        Or if an importance is negative on one of them. Each bind asks once, by a message, and by
        one for each process group where there are importances.
        """
        try:
            said = penalties()
        except Exception as error:
            tell_failure(leaves, error)
            raise
        check_agreement(leaves, said)
        shared = {name: x for name, x in importances().items() if isinstance(x, DTensor)}
        layouts = list(map(Layout, shared.values()))
        own = [float((local_of(x) < 0).any()) for x in shared.values()]
        for name, count in zip(shared, sums.reduce_each(own, layouts), strict=True):
            if count > 0:
                raise ValueError(f"{name}: {NEGATIVE_IMPORTANCE}")

    def tell_failure(self, leaves: Mapping[str, Any], error: Exception) -> None:
        """Makes the other ranks of each mesh fail as well, and say what failed here."""
        tell_failure(leaves, error)

    def memory(self, x: DTensor) -> Memory | None:
        """Returns where the elements are that this rank holds."""
        return super().memory(local_of(x))

    def memory_key(self, x: DTensor) -> Hashable:
        """Returns what only the same elements have in common; on every rank alike.

        A shard that is empty on this rank is not so on others: there its storage tells.
        """
        local = local_of(x)
        key = TORCH.memory_key(local)
        if key is None:
            place = local.untyped_storage()._cdata, local.storage_offset()
            key = (*place, *sorted(x.shape), str(x.dtype))
        return key

    def copy(self, x: DTensor) -> DTensor:
        """Returns a copy of x without its graph."""
        return with_layout_of(x, local_of(x).detach().clone())

    def tied(self, stepped: DTensor, x: DTensor, others: Sequence[DTensor]) -> list[DTensor]:
        """Returns x after its proximal step, and others that hold the very elements of x."""
        locals_of_others = list(map(local_of, others))
        own, *rest = super().tied(local_of(stepped), local_of(x), locals_of_others)
        if all(each is own for each in rest):
            return [stepped, *([stepped] * len(rest))]
        pairs = zip((x, *others), (own, *rest), strict=True)
        return [with_layout_of(each, local) for each, local in pairs]

    def own_gradient(self, x: DTensor) -> DTensor:
        """Returns the tensor's gradient, or zeros that `keep_gradient` makes its gradient."""
        grad = super().own_gradient(x)
        assert isinstance(grad, DTensor)
        return grad

    def group_class(self, kernel: Kernel | None, x: DTensor) -> type[Group]:
        """Returns what shares out many tensors and adds up their sums at once."""
        if kernel is None:
            return PlainValues
        return ShardedGroup if self._is_core(kernel, x) else Group

    def _is_core(self, kernel: Kernel, x: DTensor) -> bool:
        return kernel.is_batched and is_memory(local_of(x)) and not are_transforms_active()

    def _is_live(self, factors: Factors) -> bool:
        return any(isinstance(each, Tensor) for each in operands(factors, self))

    def _group(self, kernel: Kernel, x: DTensor, factors: Factors) -> ShardedGroup:
        return ShardedGroup(["x"], [_Given(kernel, factors)], [x])


class _Given:
    """A kernel and its factors, as a group asks regularizers for them."""

    def __init__(self, kernel: Kernel, factors: Factors) -> None:
        self._kernel = kernel
        self._given = factors

    def _factors(self) -> Factors:
        return self._given


SHARDED = Sharded()
