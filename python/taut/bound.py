"""Penalties whose parameters have been looked up: leaves, shared out over groups."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from operator import is_
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from numpy import ndarray

from taut import tree
from taut._core import BoundBatch
from taut.apart import check_apart
from taut.arrays import library_of, native
from taut.arrays.factors import Factor
from taut.arrays.group import CoreGroup, Group
from taut.kernels import Sides
from taut.regularizers._kernel import has_prox, has_proximal
from taut.rules import Plan
from taut.shares import (
    Shares,
    Term,
    check_gradients,
    group_of,
    importances_of,
    in_words,
    one_of_each_type,
    pick_gradients,
    require_gradients,
    shares_of_arrays,
    tell_failure,
    term_of,
    total_of,
)
from taut.tree import Parameters
from taut.written import Written, has_notes

By = Literal["name", "rule"]
_P = ParamSpec("_P")
_T = TypeVar("_T")


def _explained(
    method: Callable[Concatenate[BoundPenalties, _P], _T],
) -> Callable[Concatenate[BoundPenalties, _P], _T]:
    """Makes a method say which parameter has a wrong rank, and what to write for it."""

    @functools.wraps(method)
    def explained(self: BoundPenalties, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(self, *args, **kwargs)
        except ValueError as error:
            if not has_notes(error):  # which an error in its place would not have
                self._check_ranks()
            raise

    return explained


class BoundPenalties:
    """Penalties whose parameters have been looked up; made by `Penalties.bind`.

    Attributes:
        group: The process group of torch.distributed over which sums are taken, if any.
    """

    def __init__(
        self,
        plan: Plan,
        leaves: dict[str, Any],
        sides: Mapping[str, Sides],
        all_arrays: bool = False,
        group: Any = None,
    ) -> None:
        self.group = group
        self._grads: Parameters | None = None  # what `bind` was given
        self._batch: tuple[CoreGroup, BoundBatch] | None = None
        self._look_up(plan, leaves, sides, all_arrays)

    def keep_gradients(self, grads: Parameters) -> None:
        """Makes `accumulate_grad` add to `grads` by default.

        NumPy's arrays are looked up now, so a call that the core computes alone only sees whether
        they are as they were. What was changed in place, in shape, dtype or memory or to be
        read-only, it looks up again.
        """
        self._grads = grads
        groups = self._shares.groups
        group = groups[0] if len(groups) == 1 and not self._freezable else None
        if not isinstance(group, CoreGroup) or self.group is not None:
            return
        own = pick_gradients(groups, tree.leaves(grads))[0]
        if all(type(array) is ndarray for array in (*group.arrays, *own)):
            self._batch = group, group.bind(own)

    def _look_up(
        self, plan: Plan, leaves: dict[str, Any], sides: Mapping[str, Sides], all_arrays: bool
    ) -> None:
        self._plan = plan
        self._terms: list[Term] = []
        # Names, what tells whether that parameter is frozen, and the parameter.
        self._freezable: list[tuple[str, Callable[[Any], bool], Any]] = []
        if all_arrays and plan.is_core and not sides and self.group is None:
            # Without asking each of 200 arrays what it is.
            self._shares = shares_of_arrays(plan, leaves)
            return
        try:
            if self.group is not None:
                from taut.arrays.torch.stages import check_group

                check_group(self.group, {name: leaves[name] for name in plan.terms})
            self._terms = [
                term_of(name, regularizer, kernel, leaves[name], sides.get(name))
                for name, (regularizer, kernel) in plan.terms.items()
            ]
            self._freezable = [
                (term.name, library_of(term.x).is_frozen, term.x)
                for term in self._terms
                if type(term.x) is not ndarray
            ]
            self._shares = shares = self._share(self._frozen_names())
        except (TypeError, ValueError) as error:
            tell_failure(leaves, error)
            raise
        for x in one_of_each_type(leaves):
            words = functools.partial(in_words, self._terms, shares)
            importances = functools.partial(importances_of, self._terms)
            library_of(x).check_agreement(leaves, words, importances)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_batch": None}  # which holds addresses

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._grads is not None:
            self.keep_gradients(self._grads)

    def __repr__(self) -> str:
        shares = self._current_shares()
        count = sum(len(group.names) for group in shares.groups)
        return f"<bound penalties of {count} parameters, {len(shares.left_out)} left out>"

    @_explained
    def __call__(self) -> Any:
        """Returns the sum of all penalties."""
        shares = self._current_shares()
        return self._over_group(total_of([group.total() for group in shares.groups], shares))

    @_explained
    def breakdown(self, by: By = "name") -> dict[str, Any]:
        """Returns the penalty of each parameter that has a rule, or the sum of each rule."""
        shares, plan = self._current_shares(), self._plan
        found = {name: library_of(x).zero(x) for name, x in shares.left_out.items()}
        for group in shares.groups:
            found.update(zip(group.names, group.values(), strict=True))
        values = {name: found[name] for name in plan.patterns}  # in the parameters' order
        if by == "name":
            return values
        if by == "rule":
            sums = {pattern: 0.0 for pattern, rule in plan.rules if rule is not None}
            for name, value in values.items():
                sums[plan.patterns[name]] += value
            return sums
        raise ValueError(f'Expected by="name" or by="rule". Received: by={by!r}')

    @_explained
    def accumulate_grad(
        self, grads: Parameters | None = None, scale: float = 1.0, value: bool = True
    ) -> Any:
        """Adds `scale` times each penalty's gradient to the gradient of the same name, in place.

        Returns the sum of the penalties; None without `value`.
        """
        if grads is None and self._batch is not None:
            looked_up, batch = self._batch
            total = batch.accumulate_grad(looked_up.kernels(), scale)
            return self._over_group(total) if value else None
        shares = self._current_shares()
        require_gradients(shares)
        if grads is None:
            grads = self._grads
        given = None if grads is None else tree.leaves(grads)
        targets = pick_gradients(shares.groups, given)
        if given is not grads:  # else all of them are plain arrays
            for group, own in zip(shares.groups, targets, strict=True):
                check_gradients(group.names, own)
        terms = list(zip(shares.groups, targets, strict=True))
        if not shares.is_one_batch:
            for group, own in terms:
                group.check_gradients(own, scale)
            check_apart(shares.groups, targets, self._sides())
        with Written() as written:
            finishes = [group.begin(own, scale, value, written) for group, own in terms]
            # Those of the core first, who take memory yet.
            totals = [finish() for finish in reversed(finishes)][::-1]
            if given is None:
                for group, own in terms:
                    group.keep_gradients(own)
            return self._over_group(total_of(totals, shares)) if value else None

    @_explained
    def value_and_grad(self, scale: float = 1.0) -> tuple[Any, dict[str, Any]]:
        """Returns the sum of all penalties, and `scale` times their gradients by name.

        Only parameters with a penalty have a gradient here. It is 0 for a frozen parameter, and for
        memory that counts under another name.
        """
        shares = self._current_shares()
        require_gradients(shares)
        grads = {name: library_of(x).zeros_like(x) for name, x in shares.left_out.items()}
        totals = []
        for group in shares.groups:
            total, own = group.value_and_grad(scale)
            totals.append(total)
            grads.update(zip(group.names, own, strict=True))
        total = self._over_group(total_of(totals, shares))
        return total, {name: grads[name] for name in self._plan.patterns}

    @_explained
    def prox(self, step: float) -> None:
        """Replaces each parameter that has a penalty by its proximal step, in place."""
        shares = self._current_shares()
        self._plan.require_prox(has_prox)
        for term in self._terms:
            if term.name not in shares.left_out:
                library_of(term.given).check_writable([term.name], [term.given])
        if not shares.is_one_batch:
            for group in shares.groups:
                group.check_prox(step)
            check_apart(shares.groups, None, self._sides())
        with Written() as written:
            for group in shares.groups:
                group.prox(step, written)

    @_explained
    def proximal(self, step: Factor) -> dict[str, Any]:
        """Returns the proximal step of each parameter that has a penalty, by name.

        It writes nothing. Frozen parameters are returned as they are. Parameters that share memory
        get the same step, in one new memory.
        """
        shares = self._shares_with_ties()
        self._plan.require_prox(has_proximal)
        stepped = dict(shares.left_out)
        for group in shares.groups:
            stepped.update(zip(group.names, group.proximal(step), strict=True))
            for name, x in zip(group.names, group.arrays, strict=True):
                if tied := shares.ties.get(name):
                    others = [shares.left_out[other] for other in tied]
                    all_of_them = library_of(x).tied(stepped[name], x, list(map(native, others)))
                    stepped.update(zip((name, *tied), all_of_them, strict=True))
        return {name: stepped[name] for name in self._plan.patterns}

    def _sides(self) -> dict[str, Sides]:
        return {term.name: term.sides for term in self._terms if term.sides is not None}

    def _shares_with_ties(self) -> Shares:
        """Returns who computes what, of NumPy's arrays alone too, whose ties the core finds."""
        shares = self._current_shares()
        if not self._terms:
            pairs = [
                pair
                for group in shares.groups
                for pair in zip(group.names, group.arrays, strict=True)
            ]
            self._terms = [term_of(name, *self._plan.terms[name], x) for name, x in pairs]
            self._shares = shares = self._share(set())
        return shares

    def _over_group(self, total: Any) -> Any:
        if self.group is None:
            return total
        from taut.arrays.torch.stages import sum_over

        return sum_over(total, self.group)

    def _check_ranks(self) -> None:
        """Raises a ValueError for the first parameter whose rank its penalty cannot take."""
        for group in self._shares.groups:
            for name, x in zip(group.names, group.arrays, strict=True):
                self._plan.check_rank(name, x)

    def _current_shares(self) -> Shares:
        """Returns who computes what: shared anew if something was frozen since, or is no longer.

        What this returns does not change, whatever other threads do meanwhile.
        """
        shares = self._shares
        if self._freezable:
            frozen = self._frozen_names()
            if self._look_up_ties(shares) or frozen != shares.frozen:
                self._shares = shares = self._share(frozen)
        return shares

    def _look_up_ties(self, shares: Shares) -> bool:
        """Returns whether memory is no longer as it was tied, as after `to(dtype)` or loading.

        Then each of them has its own from now on.
        """
        if not shares.ties:
            return False
        tied = {name for first, others in shares.ties.items() for name in (first, *others)}
        now = {
            term.name: library_of(term.x).memory_key(term.x)
            for term in self._terms
            if term.name in tied
        }
        if all(now.get(term.name, term.memory) == term.memory for term in self._terms):
            return False
        self._terms = [
            term._replace(memory=now.get(term.name, term.memory)) for term in self._terms
        ]
        return True

    def _frozen_names(self) -> set[str]:
        return {name for name, is_frozen, x in self._freezable if is_frozen(x)}

    def _share(self, frozen: set[str]) -> Shares:
        """Returns who computes what, without what is frozen and memory that appeared before."""
        members: dict[type[Group], list[Term]] = {}
        left_out: dict[str, Any] = {}
        counted: dict[Hashable, str] = {}  # names by their memory
        for term in self._terms:
            if term.name in frozen or (term.memory is not None and term.memory in counted):
                left_out[term.name] = term.x
                continue
            counted[term.memory] = term.name
            members.setdefault(term.group_class, []).append(term)
        ties: dict[str, list[str]] = {}
        for term in self._terms:
            if term.name in left_out and term.memory is not None and term.memory in counted:
                ties.setdefault(counted[term.memory], []).append(term.name)
        groups = [group_of(cls, terms) for cls, terms in members.items()]
        # Those of the core last: if one of your own fails, the core has not written anything.
        groups.sort(key=lambda group: isinstance(group, CoreGroup))
        return Shares(frozen, groups, left_out, ties)


class FollowingPenalties(BoundPenalties):
    """Bound penalties of a module or a model, which may hold other parameters at the next call.

    As after `load_state_dict(assign=True)`, when a lazy module meets its first input, or when
    `fully_shard` has taken them.
    """

    def __init__(
        self,
        matched: Callable[[Parameters, dict[str, Any]], tuple[Plan, dict[str, Sides]]],
        params: Parameters,
        leaves: dict[str, Any],
        group: Any = None,
    ) -> None:
        plan, sides = matched(params, leaves)
        super().__init__(plan, leaves, sides, group=group)
        self._matched, self._params, self._leaves = matched, params, leaves

    def _current_shares(self) -> Shares:
        leaves = tree.leaves(self._params)
        if not _are_same(leaves, self._leaves):
            plan, sides = self._matched(self._params, leaves)
            self._look_up(plan, leaves, sides, all_arrays=False)
            self._leaves = leaves
        return super()._current_shares()


def _are_same(leaves: dict[str, Any], others: dict[str, Any]) -> bool:
    return list(leaves) == list(others) and all(map(is_, leaves.values(), others.values()))
