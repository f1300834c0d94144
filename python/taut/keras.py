"""taut beside Keras 3: saving, patching, and models that are built already.

`import taut` is enough to give a layer taut's regularizers and to save and load it again: the
classes are registered with Keras (as `taut>L2`) as soon as both have been imported. This module is
for making Keras's own names mean taut's classes.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras.src.regularizers as _keras_regularizers
from keras.src import api_export as _exports

from taut import regularizers
from taut.backends import keras as _backend  # noqa: F401  registers the node of functional models
from taut.regularizers import _serialization
from taut.regularizers._base import FunctionRegularizer

__all__ = ["patch", "register", "to_keras", "to_taut", "unpatch"]

# What is Keras's, as it was before any patch, and what is taut's for it.
_NAMES = ("L1", "L2", "L1L2", "OrthogonalRegularizer")
_KERAS_CLASSES: dict[str, type] = {
    name: _exports.get_symbol_from_name(f"keras.regularizers.{name}") for name in _NAMES
}
_TAUT_CLASSES: dict[str, type] = {name: getattr(regularizers, name) for name in _NAMES}
_keras_get = _keras_regularizers.get


def register() -> None:
    """Registers taut's classes, and yours that are registered with taut, with Keras.

    taut's regularizers become instances of `keras.regularizers.Regularizer`, which some versions of
    Keras ask for. `import taut` does so by itself beside Keras. Registering again changes nothing.
    """
    own, theirs = regularizers.Regularizer, keras.regularizers.Regularizer
    if not issubclass(own, theirs):
        own.__bases__ = (*own.__bases__, theirs)
    for name, target in _serialization.registered_names().items():
        package, _, own_name = name.partition(">")
        keras.saving.register_keras_serializable(package, own_name)(target)


def patch() -> None:
    """Makes Keras's own names, string identifiers and saved configs mean taut's classes.

    `keras.regularizers.L2` is `taut.regularizers.L2` then, in every module of Keras; a layer takes
    'l1_l2', as Keras's documentation says; and a model that was saved with Keras's regularizers is
    loaded with taut's. What has been made or imported by name before stays as it is: see `to_taut`.
    Patching twice changes nothing.

    Source: the way of scikit-learn-intelex, whose `patch_sklearn` this is modelled on.
    """
    register()
    _exchange({_KERAS_CLASSES[name]: _TAUT_CLASSES[name] for name in _NAMES} | {_keras_get: _get})


def unpatch() -> None:
    """Undoes `patch`; what was made meanwhile stays taut's: see `to_keras`."""
    _exchange({_TAUT_CLASSES[name]: _KERAS_CLASSES[name] for name in _NAMES} | {_get: _keras_get})


def to_taut(model: Any) -> None:
    """Replaces Keras's regularizers in a model or layer that is built already by taut's.

    Layers' attributes and variables are changed in place, with the same factors. Compiled functions
    are forgotten, since they hold the old ones: the next step compiles anew. Other regularizers
    stay.
    """
    _convert(model, {_KERAS_CLASSES[name]: _TAUT_CLASSES[name] for name in _NAMES})


def to_keras(model: Any) -> None:
    """Replaces taut's regularizers in a model or layer by Keras's own: the reverse of `to_taut`.

    So the model can be saved for somebody who has no taut.
    """
    _convert(model, {_TAUT_CLASSES[name]: _KERAS_CLASSES[name] for name in _NAMES})


@functools.wraps(_keras_get)
def _get(identifier: Any) -> Any:
    if isinstance(identifier, str):
        # Keras knows neither 'l1_l2' nor what is registered with taut alone.
        return regularizers.get(identifier)
    found = _keras_get(identifier)
    if callable(found) and not _takes_functions():
        # Keras 3.6 documents functions, and refuses them.
        is_instance = isinstance(found, keras.regularizers.Regularizer)
        return found if is_instance else FunctionRegularizer(found)
    return found


@functools.cache
def _takes_functions() -> bool:
    """Returns whether Keras takes a plain function for a variable's regularizer."""
    try:
        keras.Variable(0.0, trainable=False).regularizer = _takes_functions
    except ValueError:
        return False
    return True


def _exchange(replacements: Mapping[Callable[..., Any], Any]) -> None:
    """Replaces objects under all of Keras's names for them."""

    def replacement(value: Any) -> Any:
        is_candidate = inspect.isclass(value) or inspect.isfunction(value)
        return replacements.get(value) if is_candidate else None

    tables = [
        vars(module)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "keras" and module is not None
    ]
    tables += [_keras_regularizers.ALL_OBJECTS_DICT, _exports.REGISTERED_NAMES_TO_OBJS]
    for table in tables:
        for name, value in list(table.items()):
            if (new := replacement(value)) is not None:
                table[name] = new


def _convert(model: Any, classes: Mapping[type, type]) -> None:
    converted: dict[int, Any] = {}  # a regularizer that is shared stays shared

    def convert(regularizer: Any) -> Any:
        cls = classes.get(type(regularizer))
        if cls is None:
            return None
        if id(regularizer) not in converted:
            converted[id(regularizer)] = regularizer, cls(**regularizer.get_config())
        return converted[id(regularizer)][1]

    layers = list(model._flatten_layers())
    holders = [*layers, *(variable for layer in layers for variable in layer.variables)]
    for holder in holders:
        for name, value in list(vars(holder).items()):
            if (new := convert(value)) is not None:
                setattr(holder, name, new)
    for layer in layers:
        for name in ("train_function", "test_function", "predict_function"):
            if getattr(layer, name, None) is not None:
                setattr(layer, name, None)


register()
