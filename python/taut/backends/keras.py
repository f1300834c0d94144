"""Keras's variables, which hold a tensor of another library, and its symbolic tensors."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

from taut import _checks
from taut.backends import backend_of


@keras.saving.register_keras_serializable(package="taut")
class Penalty(keras.Operation):
    """A kernel as a node of a functional model.

    Args:
        kernel: "elementwise" or "gram".
        factors: The kernel's factors.
    """

    def __init__(self, kernel: str, factors: Any, **options: Any) -> None:
        super().__init__(**options)
        self.kernel = kernel
        self.factors = tuple(factors)

    def call(self, x: Any) -> Any:
        """Returns the penalty of a tensor."""
        return backend_of(x).value(self.kernel, x, self.factors)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, as JSON has them."""
        return {"kernel": self.kernel, "factors": list(self.factors), "name": self.name}


@keras.saving.register_keras_serializable(package="taut")
class BatchSize(keras.Operation):
    """The batch size as a node of a functional model, which knows it only when it runs."""

    def call(self, x: Any) -> Any:
        """Returns the first dimension of a tensor, at least 1."""
        return keras.ops.maximum(keras.ops.cast(keras.ops.shape(x)[0], _total_dtype(x)), 1)

    def compute_output_spec(self, x: Any) -> Any:
        """Returns what the result of `call` is like."""
        return keras.KerasTensor((), _total_dtype(x))


def _total_dtype(x: Any) -> str:
    is_double = keras.backend.standardize_dtype(x.dtype) == "float64"
    return "float64" if is_double else "float32"


def value(kernel: str, x: Any, factors: tuple[Any, ...]) -> Any:
    """Returns the penalty as a tensor of the library in use, or as a symbolic one."""
    if isinstance(x, keras.KerasTensor):
        _checks.check_dtype(x.dtype)
        _checks.check_penalty(kernel, factors, x.shape)
        return Penalty(kernel, factors)(x)
    backend, tensor = _unwrap(x)
    return backend.value(kernel, tensor, factors)


def value_and_grad(kernel: str, x: Any, factors: tuple[Any, ...], scale: float) -> tuple[Any, Any]:
    """Returns the penalty of a variable, and `scale` times its gradient."""
    backend, tensor = _unwrap(x)
    both: tuple[Any, Any] = backend.value_and_grad(kernel, tensor, factors, scale)
    return both


def accumulate_grad(kernel: str, x: Any, grad: Any, factors: tuple[Any, ...], scale: float) -> Any:
    """Adds to `grad` in place, where the library in use can be written to."""
    backend, tensor = _unwrap(x)
    return backend.accumulate_grad(kernel, tensor, backend_of(grad).native(grad), factors, scale)


def prox(x: Any, factors: tuple[Any, ...], step: float) -> None:
    """Takes the proximal step in place, where the library in use can be written to."""
    _, tensor = _unwrap(x)
    if tensor is not x._value:  # a copy, which a policy asks for inside a layer's call
        raise TypeError(
            "prox writes in place, and this variable is cast: call it outside of layers"
        )
    backend_of(tensor).prox(tensor, factors, step)


def differentiate(function: Callable[[Any], Any], x: Any, scale: float) -> tuple[Any, Any]:
    """Returns what a function gives, and `scale` times its gradient."""
    backend, tensor = _unwrap(x)
    both: tuple[Any, Any] = backend.differentiate(function, tensor, scale)
    return both


def add_in_place(grad: Any, slope: Any) -> None:
    """Adds a gradient to another one, in place."""
    backend, tensor = _unwrap(grad)
    backend.add_in_place(tensor, slope)


def batch_size(x: Any) -> Any:
    """Returns the first dimension of a symbolic tensor, at least 1."""
    return BatchSize()(x)


def is_frozen(x: Any) -> bool:
    """Returns whether a variable is not to be trained."""
    return not getattr(x, "trainable", True)


def native(x: Any) -> Any:
    """Returns the tensor within a variable, cast as its policy asks; a symbolic one as it is."""
    return x if isinstance(x, keras.KerasTensor) else x.value


def _unwrap(x: Any) -> tuple[ModuleType, Any]:
    tensor = native(x)
    if isinstance(tensor, keras.KerasTensor):
        raise TypeError("a symbolic tensor has a penalty, but neither a gradient nor memory")
    return backend_of(tensor), tensor
