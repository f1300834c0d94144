"""One module per array library, each with the same functions.

    value(kernel, x, factors)                         the penalty
    value_and_grad(kernel, x, factors, scale)         the penalty, and a new array with its gradient
    accumulate_grad(kernel, x, grad, factors, scale)  the penalty; grad += scale * gradient
    prox(x, factors, step)                            x = its proximal step; elementwise only
    differentiate(function, x, scale)                 value and gradient of a user's own function
    add_in_place(grad, slope)                         grad += slope
    batch_size(x)                                     of an activity, where its shape is symbolic

and for the many arrays of taut.Penalties:

    is_frozen(x), native(x)                           what `x` is, and the tensor within it
    is_memory(x), prepare(x)                          whether and how that can be in a batch
    zero(x)                                           0 as `value` would give it
    memory_of(x)                                      what only the same elements have in common
    own_gradient(x), keep_gradient(x, grad)           where a framework keeps it, or an error
    require_writable(names, values)                   or else a TypeError
    batch_values, batch_total, batch_accumulate_grad, batch_prox

`kernel` is "elementwise", with the factors (l1, l2), or "gram", with (factor, mode).
"""

from types import ModuleType
from typing import Any

_backends: dict[type, ModuleType] = {}


def backend_of(x: Any) -> ModuleType:
    """Returns the backend for the array library that `x` belongs to.

    Libraries are told by the names of classes, so that none is imported that is not in use.
    """
    backend = _backends.get(type(x))
    if backend is None:
        backend = _backends[type(x)] = _find_backend(type(x))
    return backend


def _find_backend(cls: type) -> ModuleType:
    """Imports a backend, by statements, which torch.compile can trace."""
    libraries = [base.__module__.partition(".")[0] for base in cls.__mro__]
    if "keras" in libraries:  # first, since its variables are other libraries' tensors too
        from taut.backends import keras

        return keras
    if "torch" in libraries:
        from taut.backends import torch

        return torch
    if "jax" in libraries or "jaxlib" in libraries:
        from taut.backends import jax

        return jax
    if "tensorflow" in libraries:
        from taut.backends import tensorflow

        return tensorflow
    from taut.backends import numpy

    return numpy
