"""The leaves of whatever holds parameters, under names that say where they are."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numpy import ndarray

Parameters = Mapping[str, Any] | Iterable[tuple[str, Any]]


def leaves(params: Parameters) -> dict[str, Any]:
    """Returns nested mappings' leaves under their paths; `params` itself if all are arrays.

    Raises:
        TypeError: If `params` are no names and arrays.
        ValueError: If two leaves have the same name.
    """
    if type(params) is dict and {*map(type, params.values())} == {ndarray}:
        return params  # without asking 200 arrays whether they are mappings
    found: dict[str, Any] = {}
    for name, value in _walk(params, ""):
        if name in found:
            raise ValueError(f"Two parameters have the name {name!r}")
        found[name] = value
    return found


def _walk(params: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    items = params.items() if isinstance(params, Mapping) else params
    for item in items if isinstance(items, Iterable) else [items]:
        if not (
            isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str | int)
        ):
            raise TypeError(
                "expected names and arrays: a mapping, or pairs as `model.named_parameters()` "
                f"gives them. Received: {type(params).__name__}"
            )
        name, value = item
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
