"""What of torch's tensors is memory that the kernels can read and write."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from taut import _core
from taut.arrays.torch.modules import check_whole
from taut.kernels.checks import check_dtype
from taut.written import has_written_nothing

_PLAIN = (Tensor, torch.nn.Parameter)
_DTYPE_NAMES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}

is_tracing: Callable[[], bool] = torch._C._is_tracing
_length_of_dispatch_stack: Callable[[], int] = torch._C._len_torch_dispatch_stack
# What becomes an address is asked of torch: on a tensor, anything may stand in a method's place.
data_ptr: Callable[[Tensor], int] = Tensor.data_ptr
strides_of: Callable[[Tensor], tuple[int, ...]] = Tensor.stride
_count: Callable[[Tensor], int] = Tensor.numel
# Transforms of torch.func ask for more than a plain node has, which costs it three times as much.
are_transforms_active: Callable[[], bool] = getattr(
    torch._C, "_are_functorch_transforms_active", lambda: True
)


def check_tensor(x: Tensor) -> None:
    """Raises a TypeError for a tensor that has no penalty."""
    if x.dtype not in _DTYPE_NAMES:
        check_dtype(str(x.dtype).removeprefix("torch."), ".to(torch.float32)")
    if x.layout is not torch.strided or x.is_nested:
        kind = "a nested tensor" if x.is_nested else f"layout={x.layout}"
        raise TypeError(f"expected a dense tensor. Received: {kind}")
    if x.dim() == 1 and type(x) is torch.nn.Parameter:
        check_whole(x)


def is_memory(x: Tensor) -> bool:
    """Returns whether a kernel can read the tensor where it stands.

    Autograd makes tensors of zeros that have no memory, and are plain tensors to all appearances.
    """
    return type(x) in _PLAIN and x.is_cpu and not x._is_zerotensor()


def is_traced() -> bool:
    """Returns whether somebody records the operations: a kernel's value would be a constant."""
    return (
        torch.compiler.is_compiling()
        or is_tracing()
        or _length_of_dispatch_stack() > 0  # of modes, as that of make_fx
    )


def is_observed() -> bool:
    """Returns whether somebody records, transforms or differentiates forward what is called."""
    return is_traced() or forward_ad._current_level >= 0 or are_transforms_active()


def check_not_observed(function: str) -> None:
    """Raises a TypeError where what a kernel writes would not be seen."""
    if is_observed():
        raise TypeError(
            f"{function} writes memory, which what traces or transforms code does not see: call it "
            "outside of that"
        )


def view_of(x: Tensor) -> _core.View:
    """Returns the memory of a tensor, which must outlive the view.

    Raises:
        TypeError: If it is of another dtype, as of a parameter that was cast after it was bound.
        ValueError: If it is not the CPU's, as of one that was moved, or is there no longer, as of
            one that was sharded.
    """
    pointer, name = data_ptr(x), _DTYPE_NAMES.get(x.dtype)
    if name is None or not (pointer and x.is_cpu):
        name = _check_memory(x)
    return _core.View(pointer, name, x.shape, strides_of(x))


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Returns a tensor that is the very memory of an array, which may be read-only: do not write.

    Raises:
        TypeError: If it is of a dtype that torch does not have.
        ValueError: If an axis of it goes backwards.
    """
    if any(stride < 0 for stride in array.strides):
        raise ValueError(
            "expected a NumPy array none of whose axes goes backwards, since tensors have no such "
            "strides: copy it"
        )
    is_bfloat16 = array.dtype.name == "bfloat16"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        tensor = torch.from_numpy(array.view(np.int16) if is_bfloat16 else array)
    return tensor.view(torch.bfloat16) if is_bfloat16 else tensor


def _check_memory(x: Tensor) -> str:
    """Returns the dtype's name if x is memory after all, since it is empty."""
    check_tensor(x)
    if not x.is_cpu:
        raise ValueError(
            f"expected a tensor in the CPU's memory. Received one on {x.device}: bind penalties "
            "after a model has been moved"
        )
    if _count(x) != 0:
        raise ValueError("expected a tensor that has memory of its own. Received one without")
    return _DTYPE_NAMES[x.dtype]


def scalar(value: float, like: Tensor) -> Tensor:
    """Returns a penalty of `like` as a tensor."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.tensor(value, dtype=dtype, device="cpu")


def wide_like(x: Tensor) -> Tensor:
    """Returns an array for a gradient that is still to be scaled, of float32 for the half types."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return torch.empty_like(x, dtype=dtype)


def is_target(x: Any) -> bool:
    """Returns whether a kernel can write x: what `check_written` and `is_memory` ask, at once."""
    return (
        type(x) in _PLAIN
        and x.dtype in _DTYPE_NAMES
        and x.layout is torch.strided
        and x.is_cpu
        and not (x.is_neg() or x.is_nested or x._is_zerotensor())
        and not _is_locked(x)
    )


def _is_locked(x: Tensor) -> bool:
    """Returns whether a tensor was made under torch.inference_mode(), which is over."""
    return x.is_inference() and not torch.is_inference_mode_enabled()


class CountingWrites:
    """Tells autograd that tensors are written in a block, be it interrupted on its way.

    Mistakes, which are TypeErrors and ValueErrors, are found before anything is written. What a
    signal's handler has raised, of whatever class, comes with a note.
    """

    def __init__(self, tensors: Tensor | Sequence[Tensor]) -> None:
        self._tensors = tensors

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not has_written_nothing(error, (TypeError, ValueError)):
            torch.autograd.graph.increment_version(self._tensors)


def check_written(tensor: Any, function: str, name: str) -> None:
    """Raises a TypeError or a ValueError for what cannot be written."""
    if not isinstance(tensor, Tensor):
        hint = "" if tensor is not None else ": call backward() first, or give zeros"
        raise TypeError(
            f"{function} writes in place and needs a tensor for {name}. "
            f"Received: {type(tensor).__name__}{hint}"
        )
    try:
        check_tensor(tensor)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if tensor.is_neg():
        raise ValueError(f"{name} must hold its numbers as they are: its negative bit is set")
    check_unlocked(name, tensor)


def check_unlocked(name: str, x: Tensor) -> None:
    """Raises a ValueError for a tensor that can be written under torch.inference_mode() alone."""
    if not is_observed() and _is_locked(x):
        raise ValueError(
            f"{name}: what was made under torch.inference_mode() can be written there alone"
        )


def batch_levels(x: Tensor) -> set[int]:
    """Returns the levels of torch.func.vmap at which a tensor stands for many."""
    levels = set()
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        if torch._C._functorch.is_batchedtensor(x):
            levels.add(torch._C._functorch.maybe_get_level(x))
        x = torch._C._functorch.get_unwrapped(x)
    return levels
