"""Which parameter gets which penalty."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from taut.backends import backend_of, numpy
from taut.regularizers import L1, get
from taut.regularizers._base import FunctionRegularizer, KernelRegularizer, Regularizer

Rule = tuple[str, Callable[..., Any] | None]


def as_rule(pair: Any) -> Rule:
    """Returns a rule whose regularizer may be given by its identifier.

    Raises:
        TypeError: If `pair` is no pair of a string and something.
        ValueError: If the identifier is unknown.
    """
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
        raise TypeError(
            "expected a list of rules, each a pair of a glob and a regularizer. "
            f"Received as a rule: {pair!r}"
        )
    return pair[0], get(pair[1])


class Plan:
    """Which of some names get which penalty: a compiled one, in one call, or one of its own."""

    def __init__(self, rules: list[Rule], names: Iterable[str], allow_unused: bool) -> None:
        self.rules = rules
        self.patterns: dict[str, str] = {}  # of the names that have a penalty
        # Of each of them the regularizer, and its index among `kinds` if it is a compiled one.
        self.terms: dict[str, tuple[Any, int | None]] = {}
        self._kinds: list[Any] = []
        unused = {pattern for pattern, _ in rules}
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"expected strings as names of parameters. Received: {name!r}")
            matching = [rule for rule in rules if fnmatchcase(name, rule[0])]
            unused.difference_update(pattern for pattern, _ in matching)
            pattern, rule = matching[0] if matching else ("", None)
            if rule is not None:
                regularizer = rule if isinstance(rule, Regularizer) else FunctionRegularizer(rule)
                self.patterns[name] = pattern
                self.terms[name] = regularizer, self._index_of(regularizer)
        if unused and not allow_unused:
            raise ValueError(
                f"These rules match no parameter: {sorted(unused)}. Known parameters: "
                f"{list(names)}. Give allow_unused=True where that may be."
            )
        self.names = list(self.terms)
        self.indices = [index for _, index in self.terms.values() if index is not None]
        self.is_compiled = len(self.indices) == len(self.names)

    def _index_of(self, regularizer: Any) -> int | None:
        if not _is_compiled(regularizer):
            return None
        for index, kind in enumerate(self._kinds):
            if kind is regularizer:
                return index
        self._kinds.append(regularizer)
        return len(self._kinds) - 1

    def require_prox(self) -> None:
        """Raises a NotImplementedError if a regularizer has no proximal step."""
        for name, (rule, _) in self.terms.items():
            if type(rule).prox is Regularizer.prox:
                raise NotImplementedError(
                    f"{name}: {rule!r} has no proximal step. Penalties for prox have rules of "
                    "their own, with L1, L2 and L1L2"
                )

    def kinds(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Returns the kernels and factors, of this moment, that `indices` counts."""
        return [(kind._kernel, kind._factors()) for kind in self._kinds]


def require_gradient(regularizer: Any, x: Any) -> None:
    """Raises a NotImplementedError where nobody can differentiate a regularizer."""
    cls = type(regularizer)
    is_defined = (
        cls.accumulate_grad is not Regularizer.accumulate_grad
        or cls.value_and_grad is not Regularizer.value_and_grad
    )
    if backend_of(x) is numpy and not is_defined:
        raise NotImplementedError(
            f"{regularizer!r} has no accumulate_grad for NumPy: define value_and_grad for it"
        )


def _is_compiled(regularizer: Any) -> bool:
    """Returns whether the core computes just what calling the regularizer would."""
    cls = type(regularizer)
    return (
        isinstance(regularizer, KernelRegularizer)
        and cls.__call__ is KernelRegularizer.__call__
        and cls.accumulate_grad is KernelRegularizer.accumulate_grad
        and cls.prox in (L1.prox, Regularizer.prox)
    )
