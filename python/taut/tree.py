"""The leaves of whatever holds parameters, under names that say where they are.

A name is the path: mappings' keys, places in lists and tuples, fields of named tuples, dataclasses
and registered pytrees of JAX, joined by '/'. An `nn.Module` names its parameters itself, as
`named_parameters` does, and so does a layer or model of Keras, by its weights' paths.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple

from numpy import generic, ndarray

from taut.arrays import is_array

# A mapping, or its items; and what else the page says, which no type tells from other objects.
Parameters = Any


class _Node(NamedTuple):
    """A container: its children's keys, the children, and what makes another one of others."""

    keys: Sequence[Any]
    children: Sequence[Any]
    make: Callable[[list[Any]], Any]
    is_live: bool = False  # whether it may hold other children later, without being changed itself


# Classes of arrays, so that each array is asked but once what it is.
_leaf_types: set[type] = {ndarray}


def leaves(params: Parameters) -> dict[str, Any]:
    """Returns the leaves by their names; `params` itself if it is that already.

    Raises:
        TypeError: If `params` are no names and arrays.
        ValueError: If two leaves have the same name, or containers are nested without an end.
    """
    return look(params)[0]


def look(params: Parameters) -> tuple[dict[str, Any], bool]:
    """Returns the leaves, and whether a module or a model holds them, which may replace them."""
    if type(params) is dict and {*map(type, params.values())} == {ndarray}:
        return params, False  # without asking 200 arrays whether they hold others
    found: dict[str, Any] = {}
    try:
        is_live = _collect(_root(params), "", found)
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(params, Mapping) and any(map(_is_bare, found.values())):
        raise _no_parameters(params)
    return found, is_live


def _collect(node: _Node, prefix: str, found: dict[str, Any]) -> bool:
    """Adds the leaves of a node to those that were found; returns whether it is live."""
    is_live = node.is_live
    for name, child in zip(_names(node, prefix), node.children, strict=True):
        inner = None if type(child) in _leaf_types else _node(child)
        if inner is not None:
            is_live |= _collect(inner, name, found)
        elif name in found:
            raise ValueError(f"Two parameters have the name {name!r}")
        else:
            found[name] = child
    return is_live


def replace(params: Parameters, values: Mapping[str, Any]) -> Any:
    """Returns the structure of `params` with other leaves, by their names.

    Modules, models and pairs become dictionaries.
    """

    def replaced(x: Any, name: str) -> Any:
        node = _node(x)
        if node is None:
            return _like(x, values[name])
        names = _names(node, name)
        pairs = zip(node.children, names, strict=True)
        return node.make([replaced(child, each) for child, each in pairs])

    try:
        node = _root(params)
        pairs = zip(node.children, _names(node, ""), strict=True)
        return node.make([replaced(child, name) for child, name in pairs])
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> ValueError:
    return ValueError("The parameters are nested too deeply, or within themselves")


def _names(node: _Node, prefix: str) -> list[str]:
    return [f"{prefix}/{key}" if prefix else f"{key}" for key in node.keys]


def _root(params: Parameters) -> _Node:
    """Returns the node of all parameters, which may be pairs of names and arrays."""
    if isinstance(params, Iterator):
        params = list(params)
    if isinstance(params, list | tuple) and params and all(map(_is_pair, params)):
        names, children = zip(*params, strict=True)
        return _Node(names, children, lambda new: dict(zip(names, new, strict=True)))
    node = _node(params)
    if node is None:
        raise _no_parameters(params)
    return node


def _no_parameters(params: Parameters) -> TypeError:
    hint = ": pass its .items()" if hasattr(params, "items") else ""
    return TypeError(
        "expected names and arrays: a mapping, a list, a tuple, a dataclass, a module or a model, "
        "nested at will, or pairs as `model.named_parameters()` gives them. "
        f"Received: {type(params).__name__}{hint}"
    )


def _is_pair(item: Any) -> bool:
    return type(item) in (list, tuple) and len(item) == 2 and isinstance(item[0], str | int)


def _is_bare(x: Any) -> bool:
    """Returns whether a leaf is no array: in pairs that are none, or what is no tree at all."""
    return isinstance(x, str | Number) and not isinstance(x, generic)


def _node(x: Any) -> _Node | None:
    """Returns what x holds; None if it is a leaf."""
    if type(x) in _leaf_types:
        return None
    if isinstance(x, Mapping):
        return _Node(list(x), list(x.values()), lambda new: _make_mapping(x, new))
    if isinstance(x, list | tuple):
        return _node_of_sequence(x)
    if x is None or isinstance(x, str | Number):
        return None
    if is_array(x):
        _leaf_types.add(type(x))
        return None
    return _node_of_model(x) or _node_of_pytree(x) or _node_of_dataclass(x)


def _node_of_sequence(x: Any) -> _Node | None:
    if _holds_numbers(x):
        return None  # an array in Python's own words
    if hasattr(x, "_fields"):
        return _Node(x._fields, x, lambda new: type(x)(*new))
    return _Node(range(len(x)), x, type(x))


def _holds_numbers(x: Any) -> bool:
    """Returns whether there are numbers in lists, nested or not, and nothing else."""
    return _holds_numbers_at_most(x) and _holds_any(x)


def _holds_numbers_at_most(x: Any) -> bool:
    return all(
        _holds_numbers_at_most(item) if isinstance(item, list | tuple) else isinstance(item, Number)
        for item in x
    )


def _holds_any(x: Any) -> bool:
    return any(_holds_any(item) if isinstance(item, list | tuple) else True for item in x)


def _make_mapping(x: Mapping[Any, Any], children: list[Any]) -> Any:
    new = dict(zip(x, children, strict=True))
    try:
        return new if type(x) is dict else type(x)(new)  # type: ignore[call-arg]
    except TypeError:  # of a defaultdict, say, which is made in another way
        return new


def _node_of_model(x: Any) -> _Node | None:
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    layer: Any = getattr(keras, "Layer", ())
    if isinstance(x, layer):  # on torch, it is a module as well
        named = [(weight.path, weight) for weight in x.weights]
    elif torch is not None and isinstance(x, torch.nn.Module):
        from taut.arrays.torch.modules import parameters_of

        named = parameters_of(x)
    else:
        return None
    names, children = [name for name, _ in named], [child for _, child in named]
    return _Node(names, children, lambda new: dict(zip(names, new, strict=True)), is_live=True)


def _node_of_pytree(x: Any) -> _Node | None:
    """Returns what JAX's registry says x holds; what is no array there is no parameter."""
    if (jax := sys.modules.get("jax")) is None or not hasattr(jax, "tree_util"):
        return None
    found, tree = jax.tree_util.tree_flatten_with_path(x, is_leaf=lambda each: each is not x)
    if tree == jax.tree_util.tree_structure(0):
        return None
    taken = [i for i, (_, child) in enumerate(found) if _may_be_parameter(child)]

    def make(new: list[Any]) -> Any:
        children = [child for _, child in found]
        for i, child in zip(taken, new, strict=True):
            children[i] = child
        return jax.tree_util.tree_unflatten(tree, children)

    keys = ["/".join(map(_name_of_key, path)) for path, _ in found]
    return _Node([keys[i] for i in taken], [found[i][1] for i in taken], make)


def _name_of_key(key: Any) -> str:
    for attribute in ("name", "key", "idx"):  # of an attribute, of a mapping, of a sequence
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _node_of_dataclass(x: Any) -> _Node | None:
    if not dataclasses.is_dataclass(x) or isinstance(x, type):
        return None
    values = {field.name: getattr(x, field.name) for field in dataclasses.fields(x)}
    names = [name for name, value in values.items() if _may_be_parameter(value)]
    return _Node(
        names,
        [values[name] for name in names],
        lambda new: dataclasses.replace(x, **dict(zip(names, new, strict=True))),
    )


def _may_be_parameter(x: Any) -> bool:
    """Returns whether a field is an array or holds others, and no setting or function."""
    return (is_array(x) and not isinstance(x, Number)) or _node(x) is not None


def _like(x: Any, value: Any) -> Any:
    """Returns a leaf in the wrapper of another one, as JAX's registry has it."""
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(type(x), "__jax_array__") or not hasattr(jax, "tree_util"):
        return value
    tree = jax.tree_util.tree_structure(x)
    return jax.tree_util.tree_unflatten(tree, [value]) if tree.num_leaves == 1 else value
