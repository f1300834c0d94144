"""Keras's variables, which hold a tensor of another library, and its symbolic tensors."""

from __future__ import annotations

import functools
import sys
from collections.abc import Hashable, Sequence
from types import ModuleType
from typing import Any

from taut import kernels
from taut.arrays import library_of
from taut.arrays.factors import given, number_of, read
from taut.arrays.group import Group
from taut.arrays.library import Factors
from taut.arrays.wrapped import WrappedLibrary
from taut.kernels import Kernel
from taut.kernels.checks import check_dtype


class Keras(WrappedLibrary):
    """Variables and symbolic tensors of the Keras that is imported, which may be exchanged."""

    def owns(self, cls: type) -> bool:
        """Returns whether objects of a class are variables or symbolic tensors."""
        own: list[Any] = []
        for module in ("keras", "keras.src.backend"):  # in 3.6, layers' variables are the latter's
            for name in ("Variable", "KerasTensor"):
                own.append(getattr(sys.modules.get(module), name, ()))
        return issubclass(cls, tuple(own))

    def native(self, x: Any) -> Any:
        """Returns the tensor within a variable, cast as its policy asks; a symbolic one fails."""
        if is_symbolic(x):
            raise TypeError("a symbolic tensor has a penalty, but neither a gradient nor memory")
        return x.value

    def factor(self, x: Any) -> Any:
        """Returns the tensor within a variable; in a half type, a factor might be 0."""
        backend = sys.modules["keras.src.backend"]
        if backend.get_autocast_scope() is None:
            return self.native(x)
        with backend.AutocastScope(None):
            return self.native(x)

    def value(self, kernel: Kernel, x: Any, factors: Factors) -> Any:
        """Returns the penalty as a tensor of the library in use, or as a symbolic one."""
        if not is_symbolic(x):
            return super().value(kernel, x, factors)
        self.check(x)
        kernel.check(factors, x.shape)
        return nodes(sys.modules["keras"]).Penalty(kernel.name, factors)(x)

    def batch_size(self, x: Any) -> Any:
        """Returns the first dimension of a symbolic tensor, at least 1."""
        return nodes(sys.modules["keras"]).BatchSize()(x)

    def check(self, x: Any) -> None:
        """Raises a TypeError if x is of no dtype that has a penalty."""
        if is_symbolic(x):
            check_dtype(x.dtype, 'keras.ops.cast(x, "float32")')
        else:
            super().check(x)

    def is_frozen(self, x: Any) -> bool:
        """Returns whether a variable is not to be trained."""
        return not getattr(x, "trainable", True)

    def memory_key(self, x: Any) -> Hashable | None:
        """Returns what only the very same elements have in common."""
        return id(x) if is_symbolic(x) else super().memory_key(x)

    def check_writable(self, names: Sequence[str], arrays: Sequence[Any]) -> None:
        """Raises a TypeError for a variable that is cast: its tensor would be a copy."""
        for x in arrays:
            if self.native(x) is not x._value:
                raise TypeError(
                    "prox writes in place, and this variable is cast: call it outside of layers"
                )
        super().check_writable(names, arrays)

    def group_class(self, kernel: Kernel | None, x: Any) -> type[Group]:
        """Returns what computes many tensors such as the one within."""
        return Group if is_symbolic(x) else super().group_class(kernel, x)


KERAS = Keras()


def is_symbolic(x: Any) -> bool:
    """Returns whether x is a tensor without numbers, of a functional model that is built."""
    return isinstance(x, sys.modules["keras"].KerasTensor)


class Nodes:
    """taut's nodes of functional models, as one Keras knows them."""

    Penalty: Any
    BatchSize: Any


@functools.cache
def nodes(keras: ModuleType) -> Nodes:
    """Returns the classes of nodes, which extend a class of Keras's, and registers them with it."""
    operation: Any = keras.Operation

    def total_dtype(x: Any) -> str:
        is_double = keras.backend.standardize_dtype(x.dtype) == "float64"
        return "float64" if is_double else "float32"

    @keras.saving.register_keras_serializable(package="taut")
    class Penalty(operation):
        """A kernel as a node of a functional model.

        Args:
            kernel: The kernel's name.
            factors: The kernel's factors, of which some may live.
        """

        def __init__(self, kernel: str, factors: Any, **options: Any) -> None:
            super().__init__(**options)
            self.kernel = kernels.get(kernel)
            self.factors = given(factors)

        def call(self, x: Any) -> Any:
            """Returns the penalty of a tensor."""
            return library_of(x).value(self.kernel, x, read(self.kernel, *self.factors))

        def compute_output_spec(self, x: Any) -> Any:
            """Returns what the result of `call` is like."""
            return keras.KerasTensor((), total_dtype(x))

        def get_config(self) -> dict[str, Any]:
            """Returns the arguments, as JSON has them."""
            names = self.kernel.numbers
            numbers = map(number_of, names, self.factors)
            factors = [*numbers, *self.factors[len(names) :]]
            return {"kernel": self.kernel.name, "factors": factors, "name": self.name}

    @keras.saving.register_keras_serializable(package="taut")
    class BatchSize(operation):
        """The batch size as a node of a functional model, which knows it only when it runs."""

        def call(self, x: Any) -> Any:
            """Returns the first dimension of a tensor, at least 1."""
            return keras.ops.maximum(keras.ops.cast(keras.ops.shape(x)[0], total_dtype(x)), 1)

        def compute_output_spec(self, x: Any) -> Any:
            """Returns what the result of `call` is like."""
            return keras.KerasTensor((), total_dtype(x))

    found = Nodes()
    found.Penalty, found.BatchSize = Penalty, BatchSize
    return found
