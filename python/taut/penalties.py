"""The penalties of a whole model in one call."""

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from numpy import ndarray

from taut._rules import Plan, Rule, as_rule, require_gradient
from taut.backends import backend_of
from taut.regularizers import deserialize, serialize

Parameters = Mapping[str, Any] | Iterable[tuple[str, Any]]


class Penalties:
    """Rules that say which parameters of a model get which penalty.

    ```python
    penalties = taut.Penalties([
        ("*/kernel", L2(1e-4)),
        ("embedding", OrthogonalRegularizer(0.01)),
        ("*/bias", None),
    ])
    total = penalties(params)
    total = penalties.accumulate_grad(params, grads, scale=1.0)
    ```

    A rule is a glob (`*`, `?`, `[...]`; `*` matches any characters, '/' too) and a regularizer,
    anything that `regularizers.get` takes, or None for no penalty. For each parameter the first
    rule that matches its name counts; one that no rule matches has no penalty. Parameters are a
    mapping from names to arrays, or its items; nested mappings are flattened with '/'.

    What the kernels compute is done in one call of the core, shared out over all tensors by size.
    Memory that appears under several names, transposed or not, counts once, under the first that
    is not frozen. What its framework calls frozen (a torch parameter with `requires_grad=False`, a
    variable that is not trainable) is left out. Factors are read at each call, so that a schedule
    may change them between steps.

    Args:
        rules: Pairs of a glob and a regularizer.
        allow_unused: Whether a rule may match no parameter. Else that is a ValueError, since it is
            most often a misspelt name.

    Raises:
        TypeError: If a rule is no pair of a glob and a regularizer.
        ValueError: If an identifier is unknown.
    """

    def __init__(self, rules: Iterable[tuple[str, Any]], allow_unused: bool = False) -> None:
        self.rules: list[Rule] = [as_rule(rule) for rule in rules]
        self.allow_unused = allow_unused
        self._latest: tuple[tuple[str, ...], Plan] | None = None

    def __repr__(self) -> str:
        return f"Penalties({self.rules}, allow_unused={self.allow_unused})"

    def __call__(self, params: Parameters) -> Any:
        """Returns the sum of all penalties: a float, or a framework's 0-d tensor for its tensors.

        Raises:
            TypeError: If an array has an unsuitable dtype, or `params` are no names and arrays.
            ValueError: If a rule matches nothing, a factor is negative or not finite, or an
                orthogonal penalty is given anything but a matrix. The message names the parameter.
        """
        return self.bind(params)()

    def breakdown(self, params: Parameters, by: str = "name") -> dict[str, Any]:
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
        self, params: Parameters, grads: Parameters | None = None, scale: float = 1.0
    ) -> Any:
        """Adds `scale` times each penalty's gradient to the gradient of the same name, in place.

        Args:
            params: As in a call.
            grads: Writable arrays under the names of the parameters that have a penalty, of their
                shapes and dtypes (or float32 for a half type), which overlap nothing. For torch
                None means each parameter's own `grad`, which is made where there is none.
            scale: What the gradients are multiplied with before they are added.

        Returns:
            The sum of all penalties, not scaled.

        Raises:
            TypeError, ValueError: As a call does, and if a gradient is missing or does not fit.
                Nothing has been written by taut's own regularizers then.
        """
        return self.bind(params).accumulate_grad(grads, scale)

    def prox(self, params: Parameters, step: float) -> None:
        """Replaces each parameter that has a penalty by its proximal step, in place.

        Raises:
            NotImplementedError: If a regularizer has none.
            TypeError, ValueError: As a call does, for a parameter that is read-only, and for a step
                that is negative or not finite. Nothing has been written by taut's own regularizers
                then.
        """
        self.bind(params).prox(step)

    def bind(self, params: Parameters) -> "BoundPenalties":
        """Returns the penalties of these very arrays, for a loop that updates them in place.

        Names are matched once and arrays looked up once: an array that takes another one's place in
        `params` is not seen. Factors, gradients, and what is frozen are looked up at each call.
        """
        flat = _flatten(params)
        names = tuple(flat)
        latest = self._latest
        if latest is None or latest[0] != names or latest[1].rules != self.rules:
            latest = (names, Plan(list(self.rules), names, self.allow_unused))
            self._latest = latest
        return BoundPenalties(latest[1], flat, all_arrays=flat is params)

    def get_config(self) -> dict[str, Any]:
        """Returns the rules as JSON has them."""
        rules = [[pattern, serialize(rule) if rule else None] for pattern, rule in self.rules]
        return {"rules": rules, "allow_unused": self.allow_unused}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Penalties":
        """Returns the penalties that `config` describes; the reverse of `get_config`."""
        rules = [
            (pattern, deserialize(rule) if rule else None) for pattern, rule in config["rules"]
        ]
        return cls(rules, config["allow_unused"])


class BoundPenalties:
    """Penalties whose parameters have been looked up; made by `Penalties.bind`."""

    def __init__(self, plan: "Plan", params: dict[str, Any], all_arrays: bool) -> None:
        self._plan = plan
        self._terms: list[_Term] = []
        # Names, what tells whether that parameter is frozen, and the parameter.
        self._freezable: list[tuple[str, Any, Any]] = []
        if all_arrays and plan.is_compiled:  # the same, without asking each of 200 arrays
            values = _pick(params, plan.names)
            batches = [_Batch(plan.names, plan.indices, values, values)] if values else []
            self._shares = _Shares(set(), batches, [], {})
            return
        self._terms = [
            _look_up(name, regularizer, kind, params[name])
            for name, (regularizer, kind) in plan.terms.items()
        ]
        self._freezable = [
            (term.name, backend_of(term.given).is_frozen, term.given)
            for term in self._terms
            if type(term.given) is not ndarray
        ]
        self._shares = self._share(self._frozen_names())

    def __call__(self) -> Any:
        """Returns the sum of all penalties."""
        shares = self._current_shares()
        kinds = self._plan.kinds()
        totals = [
            batch.backend.batch_total(batch.names, kinds, batch.indices, batch.values)
            for batch in shares.batches
        ]
        totals += [term.regularizer(term.given) for term in shares.custom]
        return _sum(totals, shares)

    def breakdown(self, by: str = "name") -> dict[str, Any]:
        """Returns the penalty of each parameter that has a rule, or the sum of each rule."""
        shares, plan = self._current_shares(), self._plan
        kinds = plan.kinds()
        found = {term.name: term.regularizer(term.given) for term in shares.custom}
        found.update((name, backend_of(x).zero(x)) for name, x in shares.left_out.items())
        for batch in shares.batches:
            values = batch.backend.batch_values(batch.names, kinds, batch.indices, batch.values)
            found.update(zip(batch.names, values, strict=True))
        values = {name: found[name] for name in plan.patterns}  # in the parameters' order
        if by == "name":
            return values
        if by == "rule":
            sums = {pattern: 0.0 for pattern, rule in plan.rules if rule is not None}
            for name, value in values.items():
                sums[plan.patterns[name]] += value
            return sums
        raise ValueError(f'Expected by="name" or by="rule". Received: by={by!r}')

    def accumulate_grad(self, grads: Parameters | None = None, scale: float = 1.0) -> Any:
        """Adds `scale` times each penalty's gradient to the gradient of the same name, in place."""
        shares = self._current_shares()
        for term in shares.custom:
            require_gradient(term.regularizer, term.given)
        flat = None if grads is None else _flatten(grads)
        try:
            targets = [batch.gradients(flat) for batch in shares.batches]
            custom_targets = [_gradient_of(term.given, term.name, flat) for term in shares.custom]
        except KeyError as missing:
            raise ValueError(f"There is no gradient for the parameter {missing}") from None
        # The others first: if one of them fails, the core has not written anything.
        totals = [
            term.regularizer.accumulate_grad(term.given, grad, scale)
            for term, grad in zip(shares.custom, custom_targets, strict=True)
        ]
        kinds = self._plan.kinds()
        totals += [
            batch.backend.batch_accumulate_grad(
                batch.names, kinds, batch.indices, batch.values, own, scale
            )
            for batch, own in zip(shares.batches, targets, strict=True)
        ]
        if flat is None:
            for batch, own in zip(shares.batches, targets, strict=True):
                keep_gradient = batch.backend.keep_gradient
                for x, grad in zip(batch.given, own, strict=True):
                    keep_gradient(x, grad)
            for term, grad in zip(shares.custom, custom_targets, strict=True):
                x = _native(term.given)
                backend_of(x).keep_gradient(x, grad)
        return _sum(totals, shares)

    def prox(self, step: float) -> None:
        """Replaces each parameter that has a penalty by its proximal step, in place."""
        shares = self._current_shares()
        self._plan.require_prox()
        for batch in shares.batches:
            batch.backend.require_writable(batch.names, batch.given)
        for term in shares.custom:
            x = _native(term.given)
            backend_of(x).require_writable([term.name], [x])
        for term in shares.custom:
            term.regularizer.prox(term.given, step)
        kinds = self._plan.kinds()
        for batch in shares.batches:
            batch.backend.batch_prox(batch.names, kinds, batch.indices, batch.values, step)

    def _current_shares(self) -> "_Shares":
        """Returns who computes what: shared anew if something was frozen since, or is no longer.

        What this returns does not change, whatever other threads do meanwhile.
        """
        shares, frozen = self._shares, self._frozen_names()
        if frozen != shares.frozen:
            self._shares = shares = self._share(frozen)
        return shares

    def _frozen_names(self) -> set[str]:
        return {name for name, is_frozen, x in self._freezable if is_frozen(x)}

    def _share(self, frozen: set[str]) -> "_Shares":
        """Returns who computes what, without what is frozen and memory that appeared before."""
        batches: dict[str, _Batch] = {}
        custom: list[_Term] = []
        left_out: dict[str, Any] = {}
        seen = set()
        for term in self._terms:
            if term.name in frozen or (term.memory is not None and term.memory in seen):
                left_out[term.name] = term.tensor
                continue
            seen.add(term.memory)
            if term.kind is None or not term.is_memory:
                custom.append(term)
                continue
            backend = backend_of(term.tensor)
            batch = batches.setdefault(backend.__name__, _Batch([], [], [], []))
            batch.names.append(term.name)
            batch.indices.append(term.kind)
            batch.given.append(term.tensor)
            batch.values.append(backend.prepare(term.tensor))
        return _Shares(frozen, list(batches.values()), custom, left_out)


class _Term(NamedTuple):
    """A parameter and its regularizer, with what was looked up when they were bound."""

    name: str
    regularizer: Any
    kind: int | None  # the index among the plan's kinds, if it is a compiled one
    given: Any  # a variable's tensor may be another one later
    tensor: Any
    is_memory: bool
    memory: object


class _Batch(NamedTuple):
    """What one backend computes in one call."""

    names: list[str]
    indices: list[int]
    given: list[Any]  # as the caller has them
    values: list[Any]

    @property
    def backend(self) -> ModuleType:
        """Not kept, so that what holds bound penalties can be copied and pickled."""
        return backend_of(self.values[0])

    def gradients(self, flat: dict[str, Any] | None) -> list[Any]:
        """Returns the gradients under the names, or those that the parameters have."""
        if flat is not None:
            return _pick(flat, self.names)
        return list(map(self.backend.own_gradient, self.given))


class _Shares(NamedTuple):
    """Who computes what."""

    frozen: set[str]
    batches: list[_Batch]
    custom: list[_Term]  # each by itself
    left_out: dict[str, Any]  # frozen, or counted under another name


def _look_up(name: str, regularizer: Any, kind: int | None, given: Any) -> _Term:
    tensor = _native(given)
    backend = backend_of(tensor)
    try:
        is_memory, memory = backend.is_memory(tensor), backend.memory_of(tensor)
    except TypeError as error:
        if not backend_of(given).is_frozen(given):
            raise TypeError(f"{name}: {error}") from None
        is_memory, memory = False, None  # of quantized weights, say
    return _Term(name, regularizer, kind, given, tensor, is_memory, memory)


def _sum(totals: list[Any], shares: _Shares) -> Any:
    """Returns the sum; of nothing, a 0 as the framework has it."""
    if not totals:
        totals = [backend_of(x).zero(x) for x in shares.left_out.values()]
    return sum(totals[1:], totals[0]) if totals else 0.0


def _gradient_of(x: Any, name: str, flat: dict[str, Any] | None) -> Any:
    if flat is not None:
        return flat[name]
    tensor = _native(x)
    return backend_of(tensor).own_gradient(tensor)


def _native(x: Any) -> Any:
    """Returns the tensor within a variable, as it is now; anything else as it is."""
    return backend_of(x).native(x)


def _pick(flat: dict[str, Any], names: list[str]) -> list[Any]:
    """Returns the values of some names, which may be all there are."""
    return list(flat.values()) if list(flat) == names else list(map(flat.__getitem__, names))


def _flatten(params: Parameters) -> dict[str, Any]:
    """Returns nested mappings' leaves under their paths; `params` itself if all are arrays."""
    if type(params) is dict and {*map(type, params.values())} == {ndarray}:
        return params  # without asking 200 arrays whether they are mappings
    leaves: dict[str, Any] = {}
    for name, value in _leaves(params, ""):
        if name in leaves:
            raise ValueError(f"Two parameters have the name {name!r}")
        leaves[name] = value
    return leaves


def _leaves(params: Any, prefix: str) -> Iterator[tuple[str, Any]]:
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
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
