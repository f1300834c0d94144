"""Which parameter gets which penalty."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from taut.arrays.group import number
from taut.kernels import Kernel
from taut.regularizers import get
from taut.regularizers._base import Regularizer, as_regularizer
from taut.regularizers._kernel import KernelRegularizer, kernel_of, names_with_prox
from taut.shown import shown

Rule = tuple[str, Callable[..., Any] | None]

_FLATTEN = (
    "flatten=True, which reads it as a matrix (the first axis by the rest; with "
    'mode="columns", the rest by the last)'
)


def as_rules(pairs: Iterable[Any]) -> list[Rule]:
    """Returns rules whose regularizers may be given by their identifiers.

    Raises:
        TypeError: If one is no pair of a string and something.
        ValueError: If an identifier is unknown.
    """
    if isinstance(pairs, Mapping):
        raise _no_rules("Received a mapping: give list(rules.items())")
    return [_as_rule(pair) for pair in pairs]


def _as_rule(pair: Any) -> Rule:
    if not is_pair(pair):
        raise _no_rules(f"Received as a rule: {shown(pair)}")
    return pair[0], get(pair[1])


def is_pair(rule: Any) -> bool:
    """Returns whether it is a pair of a glob and something."""
    return isinstance(rule, list | tuple) and len(rule) == 2 and isinstance(rule[0], str)


def _no_rules(received: str) -> TypeError:
    return TypeError(
        f"expected a list of rules, each a pair of a glob and a regularizer. {received}"
    )


class Plan:
    """Which of some names get which penalty.

    Attributes:
        rules: The rules that were matched.
        patterns: The pattern of each name that has a penalty.
        terms: Its regularizer, and the kernel that computes just what that would, if there is one.
        is_core: Whether the core computes all of them in one call, for NumPy's arrays.
        numbered: The different regularizers, and for each name the place of its own.
    """

    def __init__(
        self, rules: list[Rule], names: Iterable[str], allow_unused: bool, match_all: bool
    ) -> None:
        self.rules = rules
        unmatched: list[str] = []
        matched: set[int] = set()  # the places of rules that match something
        self.patterns: dict[str, str] = {}
        self.terms: dict[str, tuple[Regularizer, Kernel | None]] = {}
        regularizers = [None if rule is None else as_regularizer(rule) for _, rule in rules]
        kernels = [None if each is None else kernel_of(each) for each in regularizers]
        unused = set(range(len(rules)))
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"expected strings as names of parameters. Received: {name!r}")
            matching = [i for i, (pattern, _) in enumerate(rules) if _matches(name, pattern)]
            if not matching:
                unmatched.append(name)
                continue
            first = matching[0]
            unused.discard(first)
            matched.update(matching)
            if (regularizer := regularizers[first]) is not None:
                self.patterns[name] = rules[first][0]
                self.terms[name] = regularizer, kernels[first]
        if unused - matched and not allow_unused:
            idle = sorted({rules[i][0] for i in unused - matched})
            raise ValueError(
                f"These rules match no parameter: {idle}. Known parameters: "
                f"{list(names)}. Give allow_unused=True where that may be."
            )
        if unused and not allow_unused:
            covered = sorted({rules[i][0] for i in unused})
            raise ValueError(
                f"All that these rules match was taken by rules before them: {covered}. The "
                "first rule that matches counts: put them before. Give allow_unused=True where "
                "that may be."
            )
        if unmatched and match_all:
            raise ValueError(
                f"No rule matches these parameters: {unmatched}. Give them a rule, with None for "
                "no penalty."
            )
        self.names = list(self.terms)
        self.is_core = all(kernel and kernel.is_batched for _, kernel in self.terms.values())
        self.numbered = number([regularizer for regularizer, _ in self.terms.values()])

    def check_rank(self, name: str, x: Any) -> None:
        """Checks that a parameter has as many axes as its penalty takes.

        Raises:
            ValueError: If not, which says what to write for that parameter.
        """
        regularizer, kernel = self.terms[name]
        if kernel is None or not isinstance(regularizer, KernelRegularizer):
            return
        factors = regularizer._factors()
        try:
            kernel.check_rank(factors, x.shape)
        except ValueError as error:
            ways = [f'a rule of its own before this one: ("{name}", None)']
            if "flatten" in kernel.options and kernel.rank and len(x.shape) > kernel.rank:
                ways.insert(0, _FLATTEN)
            raise ValueError(f"{name}: {error}. Write {', or '.join(ways)}") from None

    def require_prox(self, has: Callable[[Regularizer], bool]) -> None:
        """Raises a NotImplementedError if a regularizer has no proximal step."""
        for name, (regularizer, _) in self.terms.items():
            if not has(regularizer):
                raise NotImplementedError(
                    f"{name}: {regularizer!r} has no proximal step. Penalties for prox have rules "
                    f"of their own; {', '.join(names_with_prox())} have one"
                )


def _matches(name: str, pattern: str) -> bool:
    """Returns whether a pattern is a name, brackets and all, or a glob that matches it.

    In a time that grows as the product of their lengths, whatever they are.
    """
    return name == pattern or fnmatchcase(name, _with_closed_brackets(pattern))


def _with_closed_brackets(pattern: str) -> str:
    """Returns a glob that means the same, and has no bracket that nothing closes.

    Of each of those, fnmatch looks for the end anew. They stand for themselves.
    """
    at = 0
    while (begin := pattern.find("[", at)) >= 0:
        first = begin + 1 + pattern.startswith("!", begin + 1)
        # A bracket that closes, where it stands first, is one of those that match.
        end = pattern.find("]", first + pattern.startswith("]", first))
        if end < 0:  # nor does anything close those that follow
            return pattern[:begin] + pattern[begin:].replace("[", "[[]")
        at = end + 1
    return pattern
