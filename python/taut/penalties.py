"""The penalties of a whole model in one call."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from numpy import ndarray
from numpy.typing import NDArray

from taut import _core
from taut.backends.numpy import as_array, byte_bounds
from taut.regularizers import L1, deserialize, get, serialize
from taut.regularizers._base import KernelRegularizer, Regularizer

Parameters = Mapping[str, Any] | Iterable[tuple[str, Any]]
Rule = tuple[str, Callable[..., Any] | None]


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

    All the work is done in one call of the core, shared out over all tensors by size. Memory that
    appears under several names, transposed or not, counts once, under the first. Factors are read
    at each call, so that a schedule may change them between steps.

    Args:
        rules: Pairs of a glob and a regularizer.
        allow_unused: Whether a rule may match no parameter. Else that is a ValueError, since it is
            most often a misspelt name.

    Raises:
        ValueError: If an identifier is unknown.
    """

    def __init__(self, rules: Iterable[tuple[str, Any]], allow_unused: bool = False) -> None:
        self.rules: list[Rule] = [(pattern, get(regularizer)) for pattern, regularizer in rules]
        self.allow_unused = allow_unused
        self._latest: tuple[tuple[str, ...], _Plan] | None = None

    def __call__(self, params: Parameters) -> float:
        """Returns the sum of all penalties.

        Raises:
            TypeError: If an array has an unsuitable dtype.
            ValueError: If a rule matches nothing, a factor is negative or not finite, or an
                orthogonal penalty is given anything but a matrix. The message names the parameter.
        """
        return self.bind(params)()

    def breakdown(self, params: Parameters, by: str = "name") -> dict[str, float]:
        """Returns the penalty of each parameter that has one, or the sum of each rule.

        Args:
            params: As in a call.
            by: "name" or "rule".

        Raises:
            TypeError, ValueError: As a call does, and for another `by`.
        """
        return self.bind(params).breakdown(by)

    def accumulate_grad(self, params: Parameters, grads: Parameters, scale: float = 1.0) -> float:
        """Adds `scale` times each penalty's gradient to the gradient of the same name, in place.

        Args:
            params: As in a call.
            grads: Writable arrays under the names of the parameters that have a penalty, of their
                shapes and dtypes (or float32 for a half type), which overlap nothing.
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

        Names are matched once and arrays looked up once; factors and gradients are looked up at
        each call.
        """
        flat = _flatten(params)
        names = tuple(flat)
        latest = self._latest
        if latest is None or latest[0] != names or latest[1].rules != self.rules:
            latest = (names, _Plan(list(self.rules), names, self.allow_unused))
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

    def __init__(self, plan: "_Plan", params: dict[str, Any], all_arrays: bool) -> None:
        self._plan = plan
        self._names, self._indices = plan.compiled.names, plan.indices
        self._custom: list[tuple[str, Any, Any]] = []
        if plan.custom.names:
            self._leave_out_repeated(params)
        self._values = _pick(params, self._names)
        self._compiled = self._values if all_arrays else list(map(as_array, self._values))

    def __call__(self) -> float:
        """Returns the sum of all penalties."""
        return sum(self._compiled_values(), sum(self._custom_values(), 0.0))

    def breakdown(self, by: str = "name") -> dict[str, float]:
        """Returns the penalty of each parameter that has one, or the sum of each rule."""
        plan = self._plan
        values = dict.fromkeys(plan.patterns, 0.0)  # in the order of the parameters
        values.update(zip(self._names, self._compiled_values(), strict=True))
        custom_names = [name for name, _, _ in self._custom]
        values.update(zip(custom_names, self._custom_values(), strict=True))
        if by == "name":
            return values
        if by == "rule":
            sums = {pattern: 0.0 for pattern, rule in plan.rules if rule is not None}
            for name, value in values.items():
                sums[plan.patterns[name]] += value
            return sums
        raise ValueError(f'Expected by="name" or by="rule". Received: by={by!r}')

    def accumulate_grad(self, grads: Parameters, scale: float = 1.0) -> float:
        """Adds `scale` times each penalty's gradient to the gradient of the same name, in place."""
        plan = self._plan
        plan.require("accumulate_grad")
        flat = _flatten(grads)
        try:
            targets = _pick(flat, self._names)
            custom_targets = [flat[name] for name, _, _ in self._custom]
        except KeyError as missing:
            raise ValueError(f"There is no gradient for the parameter {missing}") from None
        # The others first: if one of them fails, the core has not written anything.
        total = 0.0
        for (_, custom, x), grad in zip(self._custom, custom_targets, strict=True):
            total += float(custom.accumulate_grad(as_array(x), grad, scale))
        values = _core.batch_accumulate_grad(
            self._names, plan.factors(), self._indices, self._compiled, targets, scale
        )
        return sum(values, total)

    def prox(self, step: float) -> None:
        """Replaces each parameter that has a penalty by its proximal step, in place."""
        plan = self._plan
        plan.require("prox")
        given = [*zip(self._names, self._values, strict=True)]
        given += [(name, x) for name, _, x in self._custom]
        others = [name for name, x in given if not isinstance(x, ndarray)]
        if others:
            raise TypeError(
                f"prox writes in place and needs NumPy arrays. Received others: {others}"
            )
        for _, custom, x in self._custom:
            custom.prox(x, step)
        _core.batch_prox(self._names, plan.factors(), self._indices, self._compiled, step)

    def _compiled_values(self) -> list[float]:
        return _core.batch_value(self._names, self._plan.factors(), self._indices, self._compiled)

    def _custom_values(self) -> list[float]:
        return [float(custom(as_array(x))) for _, custom, x in self._custom]

    def _leave_out_repeated(self, params: dict[str, Any]) -> None:
        """Leaves out memory that appeared before, which the core does among its own terms."""
        seen = set()
        counted = set()
        for name in self._plan.patterns:
            memory = _memory(as_array(params[name]))
            if memory not in seen:
                counted.add(name)
            if memory is not None:
                seen.add(memory)
        compiled = zip(self._names, self._indices, strict=True)
        kept = [(name, index) for name, index in compiled if name in counted]
        self._names = [name for name, _ in kept]
        self._indices = [index for _, index in kept]
        custom = zip(self._plan.custom.names, self._plan.custom.rules, strict=True)
        self._custom = [(name, rule, params[name]) for name, rule in custom if name in counted]


class _Terms:
    """Names, with their regularizers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rules: list[Any] = []


class _Plan:
    """Which of some names get which penalty: a compiled one, in one call, or one of its own."""

    def __init__(self, rules: list[Rule], names: Iterable[str], allow_unused: bool) -> None:
        self.rules = rules
        self.patterns: dict[str, str] = {}  # of the names that have a penalty
        self.compiled = _Terms()
        self.custom = _Terms()
        unused = {pattern for pattern, _ in rules}
        for name in names:
            matching = [rule for rule in rules if fnmatchcase(name, rule[0])]
            unused.difference_update(pattern for pattern, _ in matching)
            if matching and matching[0][1] is not None:
                pattern, regularizer = matching[0]
                self.patterns[name] = pattern
                terms = self.compiled if _is_compiled(regularizer) else self.custom
                terms.names.append(name)
                terms.rules.append(regularizer)
        if unused and not allow_unused:
            raise ValueError(
                f"These rules match no parameter: {sorted(unused)}. Known parameters: "
                f"{list(names)}. Give allow_unused=True where that may be."
            )
        self._kinds = list({id(rule): rule for rule in self.compiled.rules}.values())
        number = {id(kind): i for i, kind in enumerate(self._kinds)}
        self.indices = [number[id(rule)] for rule in self.compiled.rules]

    def require(self, method: str) -> None:
        """Raises a NotImplementedError if a regularizer lacks what it takes for a method."""
        needed = "value_and_grad" if method == "accumulate_grad" else method
        for rule in (*self._kinds, *self.custom.rules):
            own = getattr(type(rule), method, None)
            if own is None or (
                own is getattr(Regularizer, method)
                and getattr(type(rule), needed) is getattr(Regularizer, needed)
            ):
                raise NotImplementedError(f"{rule!r} has no {method}: define {needed} for it")

    def factors(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Returns the kernels and factors, of this moment, that `indices` counts."""
        return [(kind._kernel, kind._factors()) for kind in self._kinds]


def _is_compiled(regularizer: Any) -> bool:
    """Returns whether the core computes just what calling the regularizer would."""
    cls = type(regularizer)
    return (
        isinstance(regularizer, KernelRegularizer)
        and cls.__call__ is KernelRegularizer.__call__
        and cls.accumulate_grad is KernelRegularizer.accumulate_grad
        and cls.prox in (L1.prox, Regularizer.prox)
    )


def _pick(flat: dict[str, Any], names: list[str]) -> list[Any]:
    """Returns the values of some names, which may be all there are."""
    return list(flat.values()) if list(flat) == names else list(map(flat.__getitem__, names))


def _memory(x: NDArray[Any]) -> object:
    """Returns what only arrays of the very same elements have in common; None for an empty one."""
    if x.size == 0:
        return None
    low, high = byte_bounds(x)
    if high - low == x.nbytes:
        return low, high, x.dtype.name
    axes = zip(x.shape, x.strides, strict=True)
    return low, high, x.dtype.name, *sorted((abs(s), e) for e, s in axes if e != 1)


def _flatten(params: Parameters) -> dict[str, Any]:
    """Returns nested mappings' leaves under their paths; `params` itself if all are arrays."""
    if type(params) is dict and {*map(type, params.values())} == {ndarray}:
        return params  # without asking 200 arrays whether they are mappings
    items = params.items() if isinstance(params, Mapping) else params
    leaves: dict[str, Any] = {}
    for name, value in _leaves(items, ""):
        if name in leaves:
            raise ValueError(f"Two parameters have the name {name!r}")
        leaves[name] = value
    return leaves


def _leaves(items: Iterable[tuple[str, Any]], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in items:
        if isinstance(value, Mapping):
            yield from _leaves(value.items(), f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
