"""The penalties of a whole model in one call."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from taut import tree
from taut.arrays import library_of, native
from taut.arrays.factors import Factor
from taut.bound import BoundPenalties, By, FollowingPenalties
from taut.kernels import Sides
from taut.kernels.checks import check_option
from taut.regularizers import deserialize, serialize
from taut.rules import Plan, Rule, as_rule
from taut.shares import tell_failure
from taut.shown import shown
from taut.sides import look_up
from taut.tree import Parameters


class Penalties:
    """Rules that say which parameters of a model get which penalty.

    ::

        penalties = taut.Penalties([
            ("*/kernel", L2(1e-4)),
            ("embedding", OrthogonalRegularizer(0.01)),
            ("*/bias", None),
        ])
        total = penalties(params)
        total = penalties.accumulate_grad(params, grads, scale=1.0)

    A rule is a glob (`*`, `?`, `[...]`; `*` matches any characters, '/' too) and a regularizer,
    anything that `regularizers.get` takes, or None for no penalty. For each parameter the first
    rule that matches its name counts; one that no rule matches has no penalty. A rule that is a
    name, brackets and all, means that name.

    Parameters are mappings, lists, tuples, named tuples, dataclasses and JAX's registered pytrees,
    nested at will; their names are the paths, with '/' between. An `nn.Module` names its parameters
    as `named_parameters` does, a layer or model of Keras by its weights' paths; pairs of names and
    arrays are parameters, too.

    What the kernels compute is done in one call of the core, shared out over all tensors by size.
    Memory that appears under several names, transposed or not, counts once, under the first that
    is not frozen. What its framework calls frozen (a torch parameter with `requires_grad=False`, a
    variable that is not trainable) is left out. Factors are read at each call, so that a schedule
    may change them between steps.

    With `reference` and `importance`, L1, L2 and L1L2 are those of `x - reference`, each element
    times its importance: the weights that fine-tuning begins with as the reference are L2-SP, with
    Fisher information as the importance it is EWC. Where both are None they are the plain ones, and
    where both are there, one pass over all arrays computes value and gradient.

    Args:
        rules: Pairs of a glob and a regularizer.
        allow_unused: Whether a rule may match no parameter, or only what rules before it have
            taken. Else that is a ValueError, since it is most often a misspelt name.
        match_all: Whether a parameter that no rule matches is a ValueError.
        reference: What each parameter is drawn to, in the structure of the parameters: arrays of
            their shapes, and of their dtypes or float32. Every parameter that an L1, L2 or L1L2
            penalizes has one, or None for the plain penalty; any other parameter's is not looked
            at, but one that another penalty takes has None. A name that no parameter has is an
            error unless `allow_unused`. They are constants: no gradient goes to them. They are read
            at each call, so that what is written to them in place is seen.
        importance: How much each element counts, likewise. That none is negative is looked at once,
            where the numbers are known.

    Raises:
        TypeError: If a rule is no pair of a glob and a regularizer.
        ValueError: If an identifier is unknown.
    """

    def __init__(
        self,
        rules: Iterable[tuple[str, Any]],
        allow_unused: bool = False,
        match_all: bool = False,
        reference: Parameters | None = None,
        importance: Parameters | None = None,
    ) -> None:
        self.rules: list[Rule] = [as_rule(rule) for rule in rules]
        self.allow_unused = allow_unused
        self.match_all = match_all
        self.reference = _kept(reference)
        self.importance = _kept(importance)
        self._known: dict[str, Any] = {}  # importances that were looked at
        self._latest: tuple[tuple[str, ...], Plan] | None = None

    def __repr__(self) -> str:
        match_all = ", match_all=True" if self.match_all else ""
        own = "".join(
            f", {what}=<{_count(table)} arrays>" for what, table in self._tables().items()
        )
        return f"Penalties({self.rules}, allow_unused={self.allow_unused}{match_all}{own})"

    def __call__(self, params: Parameters) -> Any:
        """Returns the sum of all penalties: a float, or a framework's 0-d tensor for its tensors.

        Raises:
            TypeError: If an array has an unsuitable dtype, or `params` are no names and arrays.
            ValueError: If a rule matches nothing, a factor is negative or not finite, or an
                orthogonal penalty is given anything but a matrix. The message names the parameter.
        """
        return self.bind(params)()

    def breakdown(self, params: Parameters, by: By = "name") -> dict[str, Any]:
        """Returns the penalty of each parameter that has a rule, or the sum of each rule.

        It is 0 for what is frozen, and for memory that counts under another name.

        Args:
            params: As in a call.
            by: "name" or "rule".

        Raises:
            TypeError, ValueError: As a call does, and for another `by`.
        """
        return self.bind(params).breakdown(by)

    def accumulate_grad(
        self,
        params: Parameters,
        grads: Parameters | None = None,
        scale: float = 1.0,
        value: bool = True,
    ) -> Any:
        """Adds `scale` times each penalty's gradient to the gradient of the same name, in place.

        Args:
            params: As in a call.
            grads: Writable arrays under the names of the parameters that have a penalty, of their
                shapes and dtypes (or float32 for a half type), which overlap nothing. For torch
                None means each parameter's own `grad`, which is made where there is none.
            scale: What the gradients are multiplied with before they are added.
            value: Whether the penalties are asked for. Their sum over DTensors takes a message
                between ranks, which is not sent without it.

        Returns:
            The sum of all penalties, not scaled; None without `value`.

        Raises:
            TypeError, ValueError: As a call does, and if a gradient is missing or does not fit.
                Nothing has been written by taut's own regularizers then.
        """
        return self.bind(params).accumulate_grad(grads, scale, value)

    def value_and_grad(self, params: Parameters, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the sum of all penalties, and `scale` times its gradient in params' structure.

        Nothing is written, so that this is for JAX and TensorFlow, too, and for traced code.

        Args:
            params: As in a call.
            scale: What the gradients are multiplied with; the penalties are not.

        Returns:
            The sum, and new arrays where `params` have theirs: 0 for what has no penalty, is
            frozen, or counts under another name. Modules, models and pairs give a dictionary.

        Raises:
            TypeError, ValueError: As a call does.
            NotImplementedError: If a regularizer of yours has no gradient.
        """
        if isinstance(params, Iterator):
            params = list(params)
        total, grads = self.bind(params).value_and_grad(scale)
        leaves = tree.leaves(params)
        for name, x in leaves.items():
            if name not in grads:
                grads[name] = library_of(x).zeros_like(x)
        return total, tree.replace(params, grads)

    def prox(self, params: Parameters, step: float) -> None:
        """Replaces each parameter that has a penalty by its proximal step, in place.

        Raises:
            NotImplementedError: If a regularizer has none.
            TypeError, ValueError: As a call does, for a parameter that is read-only, and for a step
                that is negative or not finite. Nothing has been written by taut's own regularizers
                then.
        """
        self.bind(params).prox(step)

    def proximal(self, params: Parameters, step: Factor) -> Any:
        """Returns the parameters after the proximal step of each that has a penalty.

        What `prox` does in place, for arrays that cannot be written and for code that is traced.

        Args:
            params: As in a call.
            step: How far to go: a number, or a 0-d array, which may be traced.

        Returns:
            The structure of `params`, with new arrays for what has a penalty; what has none, or is
            frozen, is there as it is. What was tied is tied. Modules, models and pairs give a
            dictionary.

        Raises:
            NotImplementedError: If a regularizer has no proximal step.
            TypeError, ValueError: As a call does, and for a step that is negative or not finite.
        """
        if isinstance(params, Iterator):
            params = list(params)
        stepped = self.bind(params).proximal(step)
        for name, x in tree.leaves(params).items():
            if name not in stepped:
                stepped[name] = native(x)
        return tree.replace(params, stepped)

    def bind(
        self, params: Parameters, grads: Parameters | None = None, group: Any = None
    ) -> BoundPenalties:
        """Returns the penalties of these very arrays, for a loop that updates them in place.

        Names are matched once and arrays looked up once: an array that takes another one's place in
        `params` is not seen, but for a module or a model, whose parameters are those that it has at
        each call. Factors, gradients, and what is frozen are looked up at each call.

        Args:
            params: As in a call.
            grads: What `accumulate_grad` adds to, unless it is given others. NumPy's arrays are
                looked up once, as the parameters are; it is fastest so.
            group: A process group of torch.distributed whose ranks have different parameters, as
                those of a pipeline's stages. What they bind with it, returns the sum of all of
                theirs, as a tensor; gradients, and what `breakdown` returns, are those of their
                own. DTensors know who has the rest of them: a ValueError if that is one of the
                group, where they would count more than once.

        Raises:
            TypeError, ValueError: As a call does, and for gradients of NumPy's arrays. Also if
                other ranks have other penalties, or other shapes, of the DTensors that they share:
                on all of them, then.
        """
        leaves, is_live = tree.look(params)
        bound = (
            FollowingPenalties(self._matched, params, leaves, group)
            if is_live
            else self._bound(params, leaves, group)
        )
        if grads is not None:
            bound.keep_gradients(grads)
        return bound

    def _plan_of(self, leaves: dict[str, Any]) -> Plan:
        """Returns which leaf gets which penalty: what the latest call matched, if it still does."""
        names = tuple(leaves)
        latest = self._latest
        if latest is None or latest[0] != names or latest[1].rules != self.rules:
            rules = list(self.rules)
            latest = (names, Plan(rules, names, self.allow_unused, self.match_all))
            self._latest = latest
        return latest[1]

    def _bound(self, params: Parameters, leaves: dict[str, Any], group: Any) -> BoundPenalties:
        plan, sides = self._matched(params, leaves)
        return BoundPenalties(plan, leaves, sides, leaves is params, group)

    def _matched(self, params: Parameters, leaves: dict[str, Any]) -> tuple[Plan, dict[str, Sides]]:
        """Returns which leaf gets which penalty, and what belongs to it."""
        given = Sides(self.reference, self.importance)
        try:
            plan = self._plan_of(leaves)
            if given.reference is None and given.importance is None:
                return plan, {}
            return plan, look_up(plan, params, leaves, given, self.allow_unused, self._known)
        except (TypeError, ValueError) as error:
            tell_failure(leaves, error)
            raise

    def _tables(self) -> dict[str, Parameters]:
        given = {"reference": self.reference, "importance": self.importance}
        return {what: table for what, table in given.items() if table is not None}

    def get_config(self) -> dict[str, Any]:
        """Returns the rules as JSON has them.

        Of a reference and an importance it says that there is one; the arrays are not in it.
        """
        rules = [[pattern, serialize(rule)] for pattern, rule in self.rules]
        config = {"rules": rules, "allow_unused": self.allow_unused}
        if self.match_all:
            config["match_all"] = True
        return config | dict.fromkeys(self._tables(), True)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, Any] | None = None,
        *,
        reference: Parameters | None = None,
        importance: Parameters | None = None,
    ) -> "Penalties":
        """Returns the penalties that `config` describes; the reverse of `get_config`.

        Args:
            config: What `get_config` returned.
            custom_objects: Classes and functions by name, as `regularizers.deserialize` takes them.
            reference: As in the constructor, where the config says that there is one.
            importance: Likewise.

        Raises:
            ValueError: If the config is malformed, names a regularizer that is not known, or says
                that there is one of these and it is not given.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"A config is a dictionary. Received: {shown(config)}")
        pairs, flags = config.get("rules"), (False, True)
        if not isinstance(pairs, list | tuple) or not all(map(_is_pair, pairs)):
            raise ValueError(
                "The rules of a config are pairs of a glob and the config of a regularizer. "
                f"Received: {shown(pairs)}"
            )
        allow_unused = check_option("allow_unused", config.get("allow_unused", False), flags)
        match_all = check_option("match_all", config.get("match_all", False), flags)
        given = {"reference": reference, "importance": importance}
        if missing := [what for what, table in given.items() if config.get(what) and table is None]:
            raise ValueError(
                f"These penalties need arrays that a config does not hold: give {missing[0]}=, in "
                "the structure of the parameters"
            )
        rules = [(pattern, deserialize(rule, custom_objects)) for pattern, rule in pairs]
        return cls(rules, allow_unused, match_all, reference, importance)


def _is_pair(rule: Any) -> bool:
    return isinstance(rule, list | tuple) and len(rule) == 2 and isinstance(rule[0], str)


def _count(table: Parameters) -> int:
    return sum(array is not None for array in tree.leaves(table).values())


def _kept(table: Parameters | None) -> Parameters | None:
    """Returns arrays so that they can be looked at more than once."""
    return list(table) if isinstance(table, Iterator) else table
