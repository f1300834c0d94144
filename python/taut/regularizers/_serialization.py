"""From regularizers to configs and back, in Keras's format.

A config is a dictionary that JSON can hold:

    {"module": "taut.regularizers", "class_name": "L2", "config": {"l2": 0.1},
     "registered_name": "taut>L2"}

Only "class_name" and "config" must be there.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, overload

from taut.regularizers import _registry
from taut.regularizers._base import Regularizer
from taut.regularizers._registry import PACKAGE, builtins, identifiers
from taut.shown import shown

_T = TypeVar("_T")

_MODULE = "taut.regularizers"
_KNOWN_MODULES = ("taut", "keras", "tf_keras", "tensorflow")

# Those of the call of `deserialize` that is under way, for regularizers within regularizers.
_custom_objects: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)


def serialize(regularizer: Any) -> dict[str, Any] | None:
    """Returns the config of a regularizer, in Keras's format.

    Args:
        regularizer: A regularizer with `get_config`, a function, or None.

    Returns:
        A dictionary that JSON can hold, or None for None.

    Raises:
        NotImplementedError: If a regularizer does not implement `get_config`.
        TypeError: If it is neither a regularizer nor a function.

    Source: `keras.regularizers.serialize`.
    """
    if regularizer is None:
        return None
    if inspect.isfunction(regularizer):
        return {
            "module": "builtins",
            "class_name": "function",
            "config": regularizer.__name__,
            "registered_name": _registry.registered_name(regularizer) or regularizer.__name__,
        }
    if inspect.isclass(regularizer) or not hasattr(regularizer, "get_config"):
        raise TypeError(
            "Only a regularizer with get_config(), or a function, can be serialized. "
            f"Received: {regularizer!r}"
        )
    cls = type(regularizer)
    is_builtin = builtins.get(cls.__name__) is cls
    return {
        "module": _MODULE if is_builtin else cls.__module__,
        "class_name": cls.__name__,
        "config": regularizer.get_config(),
        "registered_name": (
            f"{PACKAGE}>{cls.__name__}"
            if is_builtin
            else _registry.registered_name(cls) or cls.__name__
        ),
    }


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the regularizer that a config describes.

    Nothing is imported, and no code runs but that of the classes that the config names: taut's own,
    what was registered with taut, what is in `custom_objects`, and, of all that is registered with
    Keras, the classes of regularizers.

    Args:
        config: The return value of `serialize`, here or in Keras; or a dictionary with only
            "class_name" and "config". None gives None.
        custom_objects: Classes and functions by name, which take precedence over registered ones.

    Returns:
        A new regularizer, or the named function.

    Raises:
        ValueError: If the config is malformed, or its name is unknown.

    Source: `keras.regularizers.deserialize`.
    """
    if config is None:
        return None
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ValueError(
            f'A config is a dictionary with "class_name" and "config". Received: {shown(config)}'
        )
    class_name = _plain(config["class_name"])
    arguments = config.get("config", {})
    known = {**(_custom_objects.get() or {}), **(custom_objects or {})}
    look_up = functools.partial(
        _find,
        registered_name=_optional(config, "registered_name"),
        module=_optional(config, "module"),
        custom_objects=known,
    )
    if class_name == "function":
        if not isinstance(arguments, str):
            raise ValueError(f"The config of a function is its name. Received: {shown(config)}")
        found = look_up(_plain(arguments))
        if inspect.isclass(found) or not callable(found):
            raise ValueError(f"The config of a function names none: {shown(found)}")
        return found
    if not isinstance(arguments, Mapping):
        raise ValueError(
            f"The config of a class is a dictionary of arguments. Received: {shown(config)}"
        )
    scope = _custom_objects.set(known)
    try:
        return _make(look_up(class_name), arguments)
    finally:
        _custom_objects.reset(scope)


@overload
def get(identifier: None) -> None: ...


@overload
def get(identifier: str | Mapping[str, Any] | type[Any]) -> Regularizer: ...


@overload
def get(identifier: _T) -> _T: ...


def get(identifier: Any) -> Any:
    """Returns the regularizer that an identifier stands for.

    Args:
        identifier: None; a string, which is an identifier such as 'l1' or 'group_lasso' (each
            class names its own), a class name, or a registered name; a config, as `deserialize`
            takes it; a class, which is called without arguments; or a regularizer or any other
            callable.

    Returns:
        A regularizer, the callable itself, or None for None.

    Raises:
        ValueError: If the identifier stands for no regularizer.

    Source: `keras.regularizers.get`.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        name = _plain(identifier)
        if name in identifiers:
            return identifiers[name]()
        found = _find(name, name, None, _custom_objects.get() or {})
        return _make(found, {}) if inspect.isclass(found) else found
    if inspect.isclass(identifier):
        identifier = identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {shown(identifier)}")


def _plain(text: str) -> str:
    """Returns a string of Python's own, which has no methods of a subclass."""
    return str.__str__(text)


def _make(cls: Any, arguments: Mapping[str, Any]) -> Any:
    """Returns a regularizer of a class that a config names.

    Raises:
        ValueError: If it is no class of regularizers, or does not take the arguments.
    """
    if not inspect.isclass(cls) or not any("__call__" in vars(base) for base in cls.__mro__):
        raise ValueError(f"A config names a class of regularizers, which {shown(cls)} is not")
    try:
        from_config = getattr(cls, "from_config", None)
        return cls(**arguments) if from_config is None else from_config(dict(arguments))
    except TypeError as error:
        raise ValueError(
            f"{cls.__name__} does not take this config: {shown(arguments)}: {error}"
        ) from error
    except RecursionError:
        raise ValueError("The config is nested too deeply") from None


def _optional(config: Mapping[str, Any], key: str) -> str | None:
    """Returns what a config may say, or leave out."""
    text = config.get(key)
    if not isinstance(text, str | None):
        what = key.replace("_", " ")
        raise ValueError(f"The {what} in a config is a string. Received: {shown(config)}")
    return None if text is None else _plain(text)


def _find(
    name: str, registered_name: str | None, module: str | None, custom_objects: Mapping[str, Any]
) -> Callable[..., Any]:
    """Finds a class or function: the caller's first, then registered ones, then taut's."""
    names = [each for each in (registered_name, name) if each is not None]
    for look_up in (custom_objects.get, _registry.registered):
        for each in names:
            if (found := look_up(each)) is not None:
                return found
    own = builtins.get(name) or _class_of(name)
    if own is not None and _is_builtin(name, registered_name, module):
        return own
    if (found := _registry.known_elsewhere(names[0])) is not None:
        return found
    known = sorted({*_registry.known_names(), *custom_objects})
    raise ValueError(
        f"Could not interpret regularizer identifier: {names[0]}. Known: {', '.join(known)}"
    )


def _class_of(identifier: str) -> type[Any] | None:
    """Returns the class that an identifier means in a config, which has its own arguments."""
    make = identifiers.get(identifier)
    return type(make()) if make is not None else None


def _is_builtin(name: str, registered_name: str | None, module: str | None) -> bool:
    """Whether a name means taut's or Keras's own class, and not another of the same name."""
    return registered_name in (None, name, f"{PACKAGE}>{name}") and (
        module is None or module.partition(".")[0] in _KNOWN_MODULES
    )
