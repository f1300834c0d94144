"""From regularizers to configs and back, in Keras's format.

A config is a dictionary that JSON can hold:

    {"module": "taut.regularizers", "class_name": "L2", "config": {"l2": 0.1},
     "registered_name": "taut>L2"}

Only "class_name" and "config" must be there.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from taut.regularizers._base import Regularizer
from taut.regularizers._elementwise import L1, L1L2, L2, l1_l2
from taut.regularizers._gram import OrthogonalRegularizer

_T = TypeVar("_T", bound=Callable[..., Any])

_MODULE = "taut.regularizers"
_PACKAGE = "taut"
_KNOWN_MODULES = ("taut", "keras", "tf_keras", "tensorflow")

_builtins: dict[str, type[Regularizer]] = {
    cls.__name__: cls for cls in (Regularizer, L1, L2, L1L2, OrthogonalRegularizer)
}
_identifiers: dict[str, Callable[[], Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": l1_l2,
    "l1l2": l1_l2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}
_registered: dict[str, Callable[..., Any]] = {}  # by "package>name"


def register_builtin(cls: type[Any]) -> type[Any]:
    """Makes one of taut's own classes known by its name."""
    _builtins[cls.__name__] = cls
    return cls


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[_T], _T]:
    """Makes a class or function of yours known to `deserialize` and `get`.

        @register_serializable(package="my_package")
        class MyRegularizer(Regularizer): ...

    Args:
        package: What tells your names from those of others.
        name: What it is known by; its own name unless given.

    Returns:
        A decorator that returns what it was given.

    Raises:
        ValueError: If the name is taken, or a class has no `get_config`.

    Source: `keras.saving.register_keras_serializable`.
    """

    def register(target: _T) -> _T:
        registered_name = f"{package}>{name or target.__name__}"
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise ValueError(
                f"Cannot register a class without a get_config() method: {target.__name__}"
            )
        if _registered.get(registered_name, target) is not target:
            raise ValueError(
                f"{registered_name} has already been registered to {_registered[registered_name]}"
            )
        _registered[registered_name] = target
        if "keras" in sys.modules:
            from taut import keras

            keras.register()
        return target

    return register


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
            "registered_name": _registered_name(regularizer) or regularizer.__name__,
        }
    if inspect.isclass(regularizer) or not hasattr(regularizer, "get_config"):
        raise TypeError(
            "Only a regularizer with get_config(), or a function, can be serialized. "
            f"Received: {regularizer!r}"
        )
    cls = type(regularizer)
    is_builtin = _builtins.get(cls.__name__) is cls
    return {
        "module": _MODULE if is_builtin else cls.__module__,
        "class_name": cls.__name__,
        "config": regularizer.get_config(),
        "registered_name": (
            f"{_PACKAGE}>{cls.__name__}" if is_builtin else _registered_name(cls) or cls.__name__
        ),
    }


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the regularizer that a config describes.

    Args:
        config: What `serialize` returned, here or in Keras; or a dictionary with "class_name" and
            "config" alone. None gives None.
        custom_objects: Classes and functions by name, to be found before the known ones.

    Returns:
        A new regularizer, or the function that is named.

    Raises:
        ValueError: If the config is malformed, or names nothing that is known.

    Source: `keras.regularizers.deserialize`.
    """
    if config is None:
        return None
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise ValueError(
            f'A config is a dictionary with "class_name" and "config". Received: {config!r}'
        )
    arguments = config.get("config", {})
    is_function = config["class_name"] == "function"
    if is_function and not isinstance(arguments, str):
        raise ValueError(f"The config of a function is its name. Received: {config!r}")
    found = _find(
        arguments if is_function else config["class_name"],
        config.get("registered_name"),
        config.get("module"),
        custom_objects or {},
    )
    if is_function:
        return found
    if not isinstance(arguments, Mapping) or not inspect.isclass(found):
        raise ValueError(
            f"The config of a class is a dictionary of arguments. Received: {config!r}"
        )
    try:
        from_config = getattr(found, "from_config", None)
        return found(**arguments) if from_config is None else from_config(dict(arguments))
    except TypeError as error:
        raise ValueError(
            f"{found.__name__} does not take this config: {config!r}: {error}"
        ) from error


def get(identifier: Any) -> Any:
    """Returns the regularizer that an identifier stands for.

    Args:
        identifier: None; a string such as 'l1', 'l2', 'l1_l2', 'l1l2' or 'orthogonal_regularizer',
            a class's name, or a registered name; a config, as `deserialize` takes it; a class,
            which is called without arguments; or a regularizer or any other callable.

    Returns:
        A regularizer, the callable itself, or None for None.

    Raises:
        ValueError: If the identifier stands for none.

    Source: `keras.regularizers.get`.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier in _identifiers:
            return _identifiers[identifier]()
        found = _find(identifier, identifier, None, {})
        return found() if inspect.isclass(found) else found
    if inspect.isclass(identifier):
        identifier = identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {identifier}")


def registered_names() -> dict[str, Callable[..., Any]]:
    """Returns all that is registered, by "package>name": taut's own classes, and yours."""
    own = {f"{_PACKAGE}>{name}": cls for name, cls in _builtins.items() if cls is not Regularizer}
    return own | _registered


def _registered_name(target: Any) -> str | None:
    return next((name for name, known in _registered.items() if known is target), None)


def _find(
    name: str, registered_name: Any, module: Any, custom_objects: Mapping[str, Any]
) -> Callable[..., Any]:
    """Finds a class or function: the caller's first, then registered ones, then taut's."""
    for known in (custom_objects, _registered):
        for key in (registered_name, name):
            if key in known:
                return known[key]
    if name in _builtins and _is_builtin(name, registered_name, module):
        return _builtins[name]
    if "keras" in sys.modules:
        from keras import saving

        if (found := saving.get_registered_object(registered_name or name)) is not None:
            return found  # type: ignore[no-any-return]
    names = sorted({*_builtins, *_identifiers, *_registered, *custom_objects})
    raise ValueError(
        f"Could not interpret regularizer identifier: {registered_name or name}. "
        f"Known: {', '.join(names)}"
    )


def _is_builtin(name: str, registered_name: Any, module: Any) -> bool:
    """Whether a name means taut's or Keras's own class, and not another of the same name."""
    return registered_name in (None, name, f"{_PACKAGE}>{name}") and (
        module is None or str(module).partition(".")[0] in _KNOWN_MODULES
    )
