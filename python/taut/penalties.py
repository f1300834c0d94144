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
from taut.rules import Plan, Rule, as_rules, is_pair
from taut.shares import tell_failure
from taut.shown import shown
from taut.sides import look_up
from taut.tree import Parameters


class Penalties:
    """Rules that give each parameter of a model its penalty.

    ::

        penalties = taut.Penalties([
            ("*/kernel", L2(1e-4)),
            ("embedding", OrthogonalRegularizer(0.01)),
            ("*/bias", None),
        ])
        total = penalties(params)
        total = penalties.accumulate_grad(params, grads, scale=1.0)

    A rule is a pair of a glob (`*`, `?`, `[...]`; `*` matches any characters, including '/') and a
    regularizer, anything that `regularizers.get` takes, or None for no penalty. For each parameter,
    the first rule that matches its name counts. A parameter that no rule matches has no penalty. A
    rule that equals a name, brackets and all, means that name.

    Parameters are mappings, lists, tuples, named tuples, dataclasses and JAX's registered pytrees,
    nested in any way; their names are the paths, with '/' between. An `nn.Module` names its
    parameters as `named_parameters` does; a Keras layer or model uses its weights' paths. Pairs of
    names and arrays are parameters, too.

    One call of the core computes all tensors that the kernels take, and shares the work out by
    size. Memory that appears under several names, transposed or not, counts once, under the first
    name that is not frozen. Parameters that their framework calls frozen (a torch parameter with
    `requires_grad=False`, a variable that is not trainable) are left out. Each call reads the
    factors, so a schedule may change them between steps.

    With `reference` and `importance`, L1, L2 and L1L2 penalize `x - reference`, each element times
    its importance. With the weights that fine-tuning begins with as the reference, L2 is L2-SP;
    with Fisher information as the importance as well, it is EWC. Where both are None, the
    penalties are the plain ones. Where both are given, one pass over all arrays computes value and
    gradient.

    Args:
        rules: Pairs of a glob and a regularizer.
        allow_unused: Whether a rule may match no parameter, or only parameters that earlier rules
            have taken. Otherwise such a rule, most often a misspelt name, is a ValueError.
        match_all: Whether a parameter that no rule matches is a ValueError.
        reference: What each parameter is drawn towards, in the structure of the parameters: arrays
            of their shapes, and of their dtypes or float32. Every parameter that an L1, L2 or L1L2
            penalizes needs an entry, which may be None for the plain penalty. A parameter with
            another penalty has None or no entry. Entries of parameters without a penalty are
            ignored. A name that no parameter has is an error unless `allow_unused`. The arrays are
            constants: no gradient goes to them. Each call reads them, so you may write to them in
            place.
        importance: How much each element counts, in the same form. It must not be negative; this
            is checked once, where the numbers are known.

    Raises:
        TypeError: If a rule is not a pair of a glob and a regularizer.
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
        self.rules: list[Rule] = as_rules(rules)
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
            TypeError: If an array has an unsuitable dtype, or `params` are not names and arrays.
            ValueError: If a rule matches nothing, a factor is negative or not finite, or an
                orthogonal penalty is given anything but a matrix. The message names the parameter.
        """
        return self.bind(params)()

    def breakdown(self, params: Parameters, by: By = "name") -> dict[str, Any]:
        """Returns the penalty of each parameter that has a rule, or the sum of each rule.

        It is 0 for a frozen parameter, and for memory that counts under another name.

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
                shapes and dtypes (or float32 for a half type), which overlap nothing. For torch,
                None means each parameter's own `grad`, which is created where it is missing.
            scale: Multiplies the gradients before they are added.
            value: Whether to return the sum of the penalties. For DTensors that takes a message
                between ranks, which is sent only if you ask for the sum.

        Returns:
            The sum of all penalties, not scaled; None without `value`.

        Where it raises an error, no gradient has been touched, unless the error's `__notes__` name
        those that were written, at least in part: after an interrupt in the middle of writing, and
        of regularizers of yours that have an `accumulate_grad` of their own.

        Raises:
            TypeError, ValueError: As a call does, and if a gradient is missing or does not fit.
            MemoryError: If there is not enough, or what a framework raises then.
        """
        return self.bind(params).accumulate_grad(grads, scale, value)

    def value_and_grad(self, params: Parameters, scale: float = 1.0) -> tuple[Any, Any]:
        """Returns the sum of all penalties, and `scale` times its gradient in params' structure.

        It writes nothing, so it also works with JAX and TensorFlow, and in traced code.

        Args:
            params: As in a call.
            scale: Multiplies the gradients; the penalties are not scaled.

        Returns:
            The sum, and new arrays in the structure of `params`: 0 for a parameter that has no
            penalty, is frozen, or counts under another name. Modules, models and pairs give a
            dictionary.

        Raises:
            TypeError, ValueError: As a call does.
            NotImplementedError: If your own regularizer has no gradient.
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

        Where it raises an error, nothing has been written, unless the error's `__notes__` say what:
        after an interrupt, and of regularizers of yours.

        Raises:
            NotImplementedError: If a regularizer has no proximal step.
            TypeError, ValueError: As a call does, for a parameter that is read-only, and for a step
                that is negative or not finite.
        """
        self.bind(params).prox(step)

    def proximal(self, params: Parameters, step: Factor) -> Any:
        """Returns the parameters after the proximal step of each that has a penalty.

        It returns what `prox` does in place. Use it for arrays that cannot be written and in traced
        code.

        Args:
            params: As in a call.
            step: The step size: a number, or a 0-d array, which may be traced.

        Returns:
            The structure of `params`, with new arrays for parameters that have a penalty, and the
            same arrays for those that have none or are frozen. Tied parameters stay tied. Modules,
            models and pairs give a dictionary.

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

        Names are matched once and arrays are looked up once: if you put another array in the place
        of one in `params`, bind again. A module or a model is different: each call uses the
        parameters that it has then. Each call also looks up factors, gradients, and which
        parameters are frozen.

        Args:
            params: As in a call.
            grads: The gradients that `accumulate_grad` adds to by default. NumPy arrays are looked
                up once, as the parameters are; that is the fastest way. One that was reshaped or
                made read-only in place since is seen as it is then.
            group: A process group of torch.distributed whose ranks have different parameters, such
                as the stages of a pipeline. The bound penalties then return the sum over all of
                its ranks, as a tensor. Gradients and `breakdown` are each rank's own. A DTensor
                that several ranks of this group share is a ValueError, since it would count more
                than once.

        Raises:
            TypeError, ValueError: As a call does, and for gradients of NumPy's arrays. Also if
                ranks that share DTensors have different penalties or shapes for them: then on all
                of these ranks.
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
        """Returns the rules as values that JSON can hold.

        It says whether there is a reference and an importance, but does not hold their arrays.
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
            config: The return value of `get_config`.
            custom_objects: Classes and functions by name, as `regularizers.deserialize` takes them.
            reference: As in the constructor, if the config says that there is one.
            importance: As in the constructor, if the config says that there is one.

        Raises:
            ValueError: If the config is malformed, names a regularizer that is not known, or says
                that there is one of these and it is not given.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"A config is a dictionary. Received: {shown(config)}")
        pairs, flags = config.get("rules"), (False, True)
        if not isinstance(pairs, list | tuple) or not all(map(is_pair, pairs)):
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


def _count(table: Parameters) -> int:
    return sum(array is not None for array in tree.leaves(table).values())


def _kept(table: Parameters | None) -> Parameters | None:
    """Returns arrays so that they can be looked at more than once."""
    return list(table) if isinstance(table, Iterator) else table
