"""taut with Keras 3: saving, patching, and models that are already built.

To give a layer taut's regularizers, save it and load it again, `import taut` is enough: taut
registers its classes with Keras (as `taut>L2`) as soon as both have been imported. Use this module
to make Keras's own names mean taut's classes.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from taut import regularizers
from taut.arrays.keras import nodes
from taut.regularizers import _registry
from taut.regularizers._base import FunctionRegularizer

__all__ = ["patch", "register", "to_keras", "to_taut", "unpatch"]

_NAMES = ("L1", "L2", "L1L2", "OrthogonalRegularizer")
_TAUT_CLASSES: dict[str, type] = {name: getattr(regularizers, name) for name in _NAMES}


def register() -> None:
    """Registers with Keras taut's classes, and your classes that are registered with taut.

    taut's regularizers become instances of `keras.regularizers.Regularizer`, which some versions of
    Keras require. `import taut` calls this by itself if Keras is imported, and again when another
    Keras replaces it, as after `keras.config.set_backend`. Registering again changes nothing.
    """
    keras = _keras()
    _original(keras)
    nodes(keras)
    own, theirs = regularizers.Regularizer, keras.regularizers.Regularizer
    if not issubclass(own, theirs):
        own.__bases__ = (own.__bases__[0], theirs)
    _registry.subscribe(_register_one, _known_to_keras)


def _register_one(name: str, target: Callable[..., Any]) -> None:
    package, _, own_name = name.partition(">")
    _keras().saving.register_keras_serializable(package, own_name)(target)


def _known_to_keras(name: str) -> Any:
    """Returns the class of regularizers that Keras knows by a name.

    Of layers, functions and all else that is registered there, Keras does not say that they are
    regularizers, and a stranger's config is not to reach them as such. A function that is one is
    registered with taut.
    """
    keras = _keras()
    found = keras.saving.get_registered_object(name)
    if inspect.isclass(found) and issubclass(found, keras.regularizers.Regularizer):
        return found
    return None


def patch() -> None:
    """Makes Keras's own names, string identifiers and saved configs mean taut's classes.

    `keras.regularizers.L2` is then `taut.regularizers.L2`, in every module of Keras. A layer takes
    'l1_l2', as Keras's documentation says. A model that was saved with Keras's regularizers is
    loaded with taut's. Objects that you made or imported by name before stay as they are: see
    `to_taut`. Patching twice changes nothing.

    Source: modelled on `patch_sklearn` of scikit-learn-intelex.
    """
    register()
    own, theirs = _get(_keras()), _original(_keras())
    _exchange({theirs[name]: _TAUT_CLASSES[name] for name in _NAMES} | {theirs["get"]: own})


def unpatch() -> None:
    """Undoes `patch`; objects made in the meantime stay taut's: see `to_keras`."""
    own, theirs = _get(_keras()), _original(_keras())
    classes: dict[Callable[..., Any], Any] = {_TAUT_CLASSES[name]: theirs[name] for name in _NAMES}
    _exchange(classes | {own: theirs["get"]})


def to_taut(model: Any) -> None:
    """Replaces Keras's regularizers by taut's in a model or layer that is already built.

    This changes the attributes of layers and variables in place, with the same factors. It drops
    compiled functions, which hold the old regularizers: the next step compiles again. Other
    regularizers stay.
    """
    theirs = _original(_keras())
    _convert(model, {theirs[name]: _TAUT_CLASSES[name] for name in _NAMES})


def to_keras(model: Any) -> None:
    """Replaces taut's regularizers in a model or layer by Keras's own: the reverse of `to_taut`.

    Use it before you save a model for somebody who does not have taut.

    Raises:
        ValueError: If a regularizer has `flatten=True`, which Keras's class does not have. Nothing
            has been changed then.
    """
    theirs = _original(_keras())
    _convert(model, {_TAUT_CLASSES[name]: theirs[name] for name in _NAMES})


def _keras() -> ModuleType:
    """Returns the Keras that is imported now, which `set_backend` exchanges for another.

    Raises:
        ModuleNotFoundError: If there is none, or what it needs itself is not there.
    """
    try:
        return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name != "keras":
            raise
        message = "taut.keras needs Keras: pip install keras"
        raise ModuleNotFoundError(message, name="keras") from None


@functools.cache
def _original(keras: ModuleType) -> dict[str, Any]:
    """Returns what is Keras's, as it was before any patch."""
    from keras.src import api_export

    originals = {
        name: api_export.get_symbol_from_name(f"keras.regularizers.{name}") for name in _NAMES
    }
    return {**originals, "get": keras.regularizers.get}


@functools.cache
def _get(keras: ModuleType) -> Callable[[Any], Any]:
    """Returns what stands in for Keras's `get` while it is patched."""
    theirs = _original(keras)["get"]

    @functools.wraps(theirs)
    def get(identifier: Any) -> Any:
        if isinstance(identifier, str):
            # Keras knows neither 'l1_l2' nor what is registered with taut alone.
            return regularizers.get(identifier)
        found = theirs(identifier)
        if callable(found) and not _takes_functions(keras):
            # Keras 3.6 documents functions, and refuses them.
            is_instance = isinstance(found, keras.regularizers.Regularizer)
            return found if is_instance else FunctionRegularizer(found)
        return found

    return get


@functools.cache
def _takes_functions(keras: ModuleType) -> bool:
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
    from keras.src import api_export
    from keras.src import regularizers as inner

    tables += [inner.ALL_OBJECTS_DICT, api_export.REGISTERED_NAMES_TO_OBJS]
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
            config = regularizer.get_config()
            if unknown := config.keys() - inspect.signature(cls).parameters:
                raise ValueError(f"{cls.__module__}.{cls.__name__} has no {unknown.pop()}")
            converted[id(regularizer)] = regularizer, cls(**config)
        return converted[id(regularizer)][1]

    layers = list(model._flatten_layers())
    holders = [*layers, *(variable for layer in layers for variable in layer.variables)]
    changes = [
        (holder, name, new)
        for holder in holders
        for name, value in vars(holder).items()
        if (new := convert(value)) is not None
    ]
    for change in changes:
        setattr(*change)
    for layer in layers:
        for name in ("train_function", "test_function", "predict_function"):
            if getattr(layer, name, None) is not None:
                setattr(layer, name, None)
