"""The compiled core. Arrays are checked here; factors are checked by the core as well."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

__version__: str
compiler: str
jax_handlers: dict[str, Any]  # capsules by name; empty in a build without XLA's headers

def abandon_jax_calls() -> None: ...

class View:
    """An array in memory that another library owns; strides count elements."""

    def __init__(
        self, pointer: int, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None: ...

_Array = NDArray[Any] | View
_Elementwise = tuple[float, float]  # (l1, l2)
_Gram = tuple[float, str, bool]  # (factor, mode, flatten)
_SoftOrthogonal = tuple[float, str, bool, bool]  # (factor, mode, diagonal, flatten)
_GroupLasso = tuple[float, str]  # (factor, mode)

def elementwise_value(x: _Array, factors: _Elementwise) -> float: ...
def elementwise_accumulate_grad(
    x: _Array, grad: _Array, factors: _Elementwise, scale: float
) -> float: ...
def elementwise_value_and_grad(
    x: _Array, grad: _Array, factors: _Elementwise, scale: float
) -> float: ...
def elementwise_prox(x: _Array, factors: _Elementwise, step: float) -> None: ...
def gram_value(x: _Array, factors: _Gram) -> float: ...
def gram_accumulate_grad(x: _Array, grad: _Array, factors: _Gram, scale: float) -> float: ...
def gram_value_and_grad(x: _Array, grad: _Array, factors: _Gram, scale: float) -> float: ...

# The part of the vectors [begin, end), and its gradient: grad has the shape of that slice of x.
def gram_range_value(x: _Array, factors: _Gram, begin: int, end: int) -> float: ...
def gram_range_accumulate_grad(
    x: _Array, grad: _Array, factors: _Gram, begin: int, end: int, scale: float
) -> float: ...
def gram_range_value_and_grad(
    x: _Array, grad: _Array, factors: _Gram, begin: int, end: int, scale: float
) -> float: ...

# The extents of what XLA's handlers of shares of the pairs exchange.
def pair_words(vectors: int, shares: int, is_float64: bool) -> int: ...

pair_measures: int

def soft_orthogonal_value(x: _Array, factors: _SoftOrthogonal) -> float: ...
def soft_orthogonal_accumulate_grad(
    x: _Array, grad: _Array, factors: _SoftOrthogonal, scale: float
) -> float: ...
def soft_orthogonal_value_and_grad(
    x: _Array, grad: _Array, factors: _SoftOrthogonal, scale: float
) -> float: ...
def group_lasso_value(x: _Array, factors: _GroupLasso) -> float: ...
def group_lasso_accumulate_grad(
    x: _Array, grad: _Array, factors: _GroupLasso, scale: float
) -> float: ...
def group_lasso_value_and_grad(
    x: _Array, grad: _Array, factors: _GroupLasso, scale: float
) -> float: ...
def group_lasso_prox(x: _Array, factors: _GroupLasso, step: float) -> None: ...

# Many tensors: regularizers as (kernel, factors), and for each array its name, which errors begin
# with, and the index of its regularizer. Values are 0 for memory that appeared before.
#
# A reference and an importance for each array, or None; no list where no array has one.
_Regularizers = list[tuple[str, tuple[Any, ...]]]
_Sides = Sequence[_Array | None]

def batch_value(
    names: list[str],
    regularizers: _Regularizers,
    indices: list[int],
    arrays: Sequence[_Array],
    references: _Sides = ...,
    importances: _Sides = ...,
) -> list[float]: ...
def batch_check_accumulate_grad(
    names: list[str],
    regularizers: _Regularizers,
    indices: list[int],
    arrays: Sequence[_Array],
    grads: Sequence[_Array],
    scale: float,
    references: _Sides = ...,
    importances: _Sides = ...,
) -> None: ...
def batch_accumulate_grad(
    names: list[str],
    regularizers: _Regularizers,
    indices: list[int],
    arrays: Sequence[_Array],
    grads: Sequence[_Array],
    scale: float,
    references: _Sides = ...,
    importances: _Sides = ...,
) -> list[float]: ...
def batch_value_and_grad(
    names: list[str],
    regularizers: _Regularizers,
    indices: list[int],
    arrays: Sequence[_Array],
    grads: Sequence[_Array],
    scale: float,
    references: _Sides = ...,
    importances: _Sides = ...,
) -> list[float]: ...
def batch_check_prox(
    names: list[str],
    regularizers: _Regularizers,
    indices: list[int],
    arrays: Sequence[_Array],
    step: float,
    references: _Sides = ...,
    importances: _Sides = ...,
) -> None: ...
def batch_prox(
    names: list[str],
    regularizers: _Regularizers,
    indices: list[int],
    arrays: Sequence[_Array],
    step: float,
    references: _Sides = ...,
    importances: _Sides = ...,
) -> None: ...

class BoundBatch:
    """Arrays and gradients that are looked up once; a call reads the factors alone."""

    def __init__(
        self,
        names: list[str],
        indices: list[int],
        arrays: list[_Array],
        grads: list[_Array],
        references: _Sides = ...,
        importances: _Sides = ...,
    ) -> None: ...
    def accumulate_grad(self, regularizers: _Regularizers, scale: float) -> float: ...

def set_num_threads(threads: int) -> None: ...
def trim_memory() -> None: ...
def memory_key(
    pointer: int, itemsize: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> bytes | None: ...
def check_apart(
    names: list[str],
    memories: Sequence[tuple[int, int, tuple[int, ...], tuple[int, ...]]],
    are_written: list[bool],
) -> None: ...
def get_num_threads() -> int: ...
def num_threads_origin() -> str: ...
def level() -> str: ...
def available_levels() -> list[str]: ...
def set_level(name: str) -> None: ...
