"""Who computes the penalty of which parameter: leaves, shared out over groups."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from taut.arrays import is_array, library_of, native
from taut.arrays.exchanged import Exchanged
from taut.arrays.group import CoreGroup, Group, add, number, pick
from taut.kernels import Kernel, Sides
from taut.regularizers._base import Regularizer, has_gradient
from taut.regularizers._kernel import KernelRegularizer
from taut.regularizers._towards import Towards
from taut.rules import Plan
from taut.sides import as_arrays


class Term(NamedTuple):
    """A parameter and its regularizer, with what was looked up when they were bound."""

    name: str
    regularizer: Regularizer
    given: Any  # as the caller has it
    x: Any  # the same, but for what was read as an array once and for all
    group_class: type[Group]
    memory: Hashable | None
    sides: Sides | None  # what belongs to the parameter


class Shares(NamedTuple):
    """Who computes what."""

    frozen: set[str]
    groups: list[Group]
    left_out: dict[str, Any]  # frozen, or counted under another name
    ties: dict[str, list[str]]  # by that name: those that are left out since it counts

    @property
    def is_one_batch(self) -> bool:
        """Whether one call of the core does all, and checks by itself what it is given."""
        return len(self.groups) == 1 and isinstance(self.groups[0], CoreGroup)


def term_of(
    name: str,
    regularizer: Regularizer,
    kernel: Kernel | None,
    given: Any,
    sides: Sides | None = None,
) -> Term:
    """Returns a parameter, looked up.

    Raises:
        TypeError, ValueError: If it has no penalty, or what belongs to it does not fit it. The
            message begins with its name.
    """
    x = given
    try:
        library = library_of(given)
        if isinstance(library, Exchanged):
            x = library.native(given)
            library = library_of(x)
        try:
            library.check(x)
            group_class = library.group_class(kernel, x)
            memory = library.memory_key(x)
        except TypeError:
            if not library.is_frozen(x):
                raise
            group_class, memory = Group, None  # of quantized weights, say
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if sides is not None and not library.is_frozen(x):
        as_arrays(name, native(x), sides)  # or they do not fit
    return Term(name, regularizer, given, x, group_class, memory, sides)


def in_words(terms: list[Term], shares: Shares) -> dict[str, str]:
    """Returns what is computed of each parameter, to be compared with what others compute."""
    said = {}
    for name, regularizer, *_, sides in terms:
        if name in shares.left_out:
            said[name] = "frozen" if name in shares.frozen else "counted under another name"
            continue
        said[name] = _in_words(regularizer)
        for what, side in (sides or Sides())._asdict().items():
            said[name] += "" if side is None else f" with {what}"
    return said


def _in_words(regularizer: Regularizer) -> str:
    """Returns its class and what it was made with, as far as it says so."""
    kind = type(regularizer)
    if isinstance(regularizer, KernelRegularizer):
        return f"{kind.__name__}{tuple(regularizer._factors())}"
    try:
        config = json.dumps(regularizer.get_config(), sort_keys=True, default=_kind_of)
    except Exception:  # of any kind: it is not what the penalty is computed by
        return kind.__qualname__
    return f"{kind.__qualname__}({config})"


def _kind_of(value: Any) -> str:
    """Returns what all processes have of a value that JSON has not: not its address or order."""
    return type(value).__qualname__


def tell_failure(leaves: Mapping[str, Any], error: Exception) -> None:
    """Makes a failure of this process known to those that share arrays with it."""
    for x in filter(is_array, one_of_each_type(leaves)):
        library_of(x).tell_failure(leaves, error)


def one_of_each_type(leaves: Mapping[str, Any]) -> list[Any]:
    """Returns the last leaf of each type."""
    return list({type(x): x for x in leaves.values()}.values())


def importances_of(terms: list[Term]) -> dict[str, Any]:
    """Returns the importance of each parameter that has one."""
    pairs = ((name, sides) for name, *_, sides in terms if sides is not None)
    return {name: native(sides.importance) for name, sides in pairs if sides.importance is not None}


def group_of(cls: type[Group], terms: list[Term]) -> Group:
    """Returns what computes some penalties."""
    names = [term.name for term in terms]
    regularizers = [
        term.regularizer if term.sides is None else Towards(term.regularizer, term.sides)
        for term in terms
    ]
    if not issubclass(cls, CoreGroup):
        return cls(names, regularizers, [term.x for term in terms])  # which may hold others later
    arrays = [native(term.x) for term in terms]
    if all(term.sides is None for term in terms):
        return cls(names, regularizers, arrays)
    sides = [
        Sides() if term.sides is None else as_arrays(term.name, array, term.sides)
        for term, array in zip(terms, arrays, strict=True)
    ]
    return cls(names, regularizers, arrays, number([term.regularizer for term in terms]), sides)


def shares_of_arrays(plan: Plan, leaves: dict[str, Any]) -> Shares:
    """Returns the one group of NumPy's arrays alone; the core sees what appears twice."""
    arrays = pick(leaves, plan.names)
    group = CoreGroup(plan.names, (), arrays, plan.numbered)
    return Shares(set(), [group] if arrays else [], {}, {})


def pick_gradients(groups: list[Group], given: Mapping[str, Any] | None) -> list[list[Any]]:
    """Returns each group's gradients: those that are given, else those that parameters keep."""
    try:
        return [group.gradients(given) for group in groups]
    except KeyError as missing:
        raise ValueError(f"There is no gradient for the parameter {missing}") from None


def check_gradients(names: list[str], grads: list[Any]) -> None:
    """Raises a TypeError for what is no array, has a mask that would not be seen, or is copied."""
    for name, grad in zip(names, grads, strict=True):
        if grad is None:
            raise TypeError(f"{name}: expected a gradient. Received: None: call backward() first")
        try:
            library = library_of(grad)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        if not isinstance(library, Exchanged) or np.size(grad) == 0:
            continue
        if not np.may_share_memory(library.native(grad), library.native(grad)):
            raise TypeError(
                f"{name}: expected an array that can be written. Received: {type(grad).__name__}"
            )


def require_gradients(shares: Shares) -> None:
    """Raises a NotImplementedError where nobody can differentiate a regularizer."""
    for group in shares.groups:
        if not isinstance(group, CoreGroup):
            for regularizer, x in zip(group.regularizers, group.arrays, strict=True):
                if not has_gradient(regularizer, x):
                    raise NotImplementedError(
                        f"{regularizer!r} has no accumulate_grad for NumPy: define value_and_grad "
                        "for it"
                    )


def total_of(totals: list[Any], shares: Shares) -> Any:
    """Returns the sum; of nothing, a 0 as the framework has it."""
    if not totals:
        totals = [library_of(x).zero(x) for x in shares.left_out.values()]
    return add(totals) if totals else 0.0
