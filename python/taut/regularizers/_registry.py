"""The registry of names: taut's own classes and identifiers, and those that users register.

Other packages with a registry take part without being known here: they subscribe to this one, and
give a source, which this registry asks for names that it does not know.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from taut.regularizers._base import Regularizer

_T = TypeVar("_T", bound=Callable[..., Any])

PACKAGE = "taut"

builtins: dict[str, type[Regularizer]] = {"Regularizer": Regularizer}
identifiers: dict[str, Callable[[], Regularizer]] = {}
_registered: dict[str, Callable[..., Any]] = {}  # by "package>name"
_subscribers: list[Callable[[str, Callable[..., Any]], None]] = []
_sources: list[Callable[[str], Any]] = []


def register_builtin(
    cls: type[Any], *names: str, make: Callable[[], Regularizer] | None = None
) -> None:
    """Makes one of taut's own classes known by its name, and by further identifiers.

    Args:
        cls: The class.
        *names: Strings that `get` takes for `make()`.
        make: The class itself unless given.
    """
    builtins[cls.__name__] = cls
    identifiers.update(dict.fromkeys(names, make or cls))


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[_T], _T]:
    """Makes a class or function of yours known to `deserialize` and `get`.

        @register_serializable(package="my_package")
        class MyRegularizer(Regularizer): ...

    A second registration under the same name replaces the first.

    Args:
        package: A prefix that distinguishes your names from those of others.
        name: The name to register it under; its own name by default.

    Returns:
        A decorator that returns its argument.

    Raises:
        ValueError: If a class has no `get_config`.

    Source: `keras.saving.register_keras_serializable`.
    """

    def register(target: _T) -> _T:
        registered_name = f"{package}>{name or target.__name__}"
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise ValueError(
                f"Cannot register a class without a get_config() method: {target.__name__}"
            )
        _registered[registered_name] = target
        for subscriber in _subscribers:
            subscriber(registered_name, target)
        return target

    return register


def subscribe(
    subscriber: Callable[[str, Callable[..., Any]], None], source: Callable[[str], Any]
) -> None:
    """Makes another registry follow this one, and this one ask that one.

    Args:
        subscriber: Called as `subscriber("package>name", target)`, with all that is registered, and
            with all that will be. To subscribe again changes nothing else.
        source: Called with a name that is not known here; returns what it knows by it, or None.
    """
    if subscriber not in _subscribers:
        _subscribers.append(subscriber)
        _sources.append(source)
    for name, cls in builtins.items():
        if cls is not Regularizer:
            subscriber(f"{PACKAGE}>{name}", cls)
    for name, target in list(_registered.items()):
        subscriber(name, target)


def registered_name(target: Any) -> str | None:
    """Returns the name that a class or function of a user's is registered by."""
    return next((name for name, known in _registered.items() if known is target), None)


def registered(name: str) -> Callable[..., Any] | None:
    """Returns what a user registered by a name."""
    return _registered.get(name)


def known_elsewhere(name: str) -> Callable[..., Any] | None:
    """Returns what another registry knows by a name."""
    return next((found for source in _sources if (found := source(name)) is not None), None)


def known_names() -> set[str]:
    """Returns all names that are known here."""
    return {*builtins, *identifiers, *_registered}
