"""What belongs to each parameter in such penalties as L2-SP and EWC: a reference, an importance."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from taut import tree
from taut.arrays import library_of, native
from taut.arrays.group import for_name
from taut.kernels import Sides
from taut.kernels.checks import NEGATIVE_IMPORTANCE, check_side
from taut.rules import Plan
from taut.tree import Parameters


def look_up(
    plan: Plan,
    params: Parameters,
    leaves: Mapping[str, Any],
    given: Sides,
    allow_unused: bool,
    known: dict[str, Any],
) -> dict[str, Sides]:
    """Returns what belongs to each parameter that has a penalty, as the caller gave it.

    Args:
        plan: Which parameter has which penalty.
        params: What holds the parameters.
        leaves: The parameters by name.
        given: References and importances in the structure of `params`, None where there are none.
        allow_unused: Whether they may have names that no parameter has.
        known: Importances, by name, that were found to have no negative element; more are added.

    Raises:
        TypeError, ValueError: If a name is missing or unknown, a penalty takes no such array, or an
            importance is negative.
    """
    found: dict[str, dict[str, Any]] = {}
    for what, table in given._asdict().items():
        if table is None:
            continue
        arrays = tree.leaves(table)
        if not allow_unused:
            _check_known(what, arrays, params, leaves)
        for name in plan.terms:
            array = _array_for(plan, name, what, arrays)
            if array is None:
                continue
            is_new = what == "importance" and known.get(name) is not array
            if is_new and _is_known_not_negative(name, array):
                known[name] = array
            found.setdefault(name, {})[what] = array
    return {name: Sides(**arrays) for name, arrays in found.items()}


def as_arrays(name: str, x: Any, sides: Sides) -> Sides:
    """Returns the arrays that belong to a parameter, as its library computes with them.

    Raises:
        TypeError, ValueError: If one does not fit it. The message begins with its name.
    """
    library = library_of(x)
    arrays: list[Any] = []
    for what, side in sides._asdict().items():
        if side is None:
            arrays.append(None)
            continue
        with for_name(name, f", as the {what}"):
            arrays.append(library.side(x, native(side)))
        with for_name(name):
            check_side(what, x, arrays[-1])
    return Sides(*arrays)


def _array_for(plan: Plan, name: str, what: str, arrays: Mapping[str, Any]) -> Any:
    """Returns what belongs to a parameter, None for the plain penalty."""
    regularizer, kernel = plan.terms[name]
    if kernel is None or not kernel.takes_sides:
        if arrays.get(name) is not None:
            raise ValueError(
                f"{name}: {regularizer!r} takes no {what}. Give None for this name, or put its "
                "rule into Penalties of its own"
            )
        return None
    if name not in arrays:
        if _is_none_above(name, arrays):
            return None
        raise ValueError(
            f"{name}: it has a penalty, and no {what}. Give it one, or None for the plain penalty"
        )
    return arrays[name]


def _check_known(
    what: str, arrays: Mapping[str, Any], params: Parameters, leaves: Mapping[str, Any]
) -> None:
    """Raises a ValueError for names that no parameter has, nor, of a module, a buffer."""
    unknown = [
        name
        for name, array in arrays.items()
        if name not in leaves and not (array is None and _is_above(name, leaves))
    ]
    torch = sys.modules.get("torch")
    if unknown and torch is not None and isinstance(params, torch.nn.Module):
        state = params.state_dict()  # of which a copy is a reference
        unknown = [name for name in unknown if name not in state]
    if unknown:
        raise ValueError(
            f"There are no parameters of these names, which have a {what}: {unknown}. Known "
            f"parameters: {list(leaves)}. Give allow_unused=True where that may be. (A module's "
            "buffers may be there, if the parameters are given as the module.)"
        )


def _is_above(name: str, leaves: Iterable[str]) -> bool:
    """Returns whether a name is that of a part in which parameters are."""
    return any(leaf.startswith((f"{name}/", f"{name}.")) for leaf in leaves)


def _is_none_above(name: str, arrays: Mapping[str, Any]) -> bool:
    """Returns whether None was given for a part in which a parameter is."""
    return any(array is None and _is_above(part, [name]) for part, array in arrays.items())


def _is_known_not_negative(name: str, importance: Any) -> bool:
    try:
        array = native(importance)
        is_negative = library_of(array).has_negative(array)
    except TypeError as error:
        raise TypeError(f"{name}: {error}, as the importance") from None
    if is_negative:
        raise ValueError(f"{name}: {NEGATIVE_IMPORTANCE}")
    return is_negative is not None
