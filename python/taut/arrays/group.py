"""Parameters whose penalties are computed together: what `taut.Penalties` calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np

from taut import _core
from taut.arrays import library_of, native
from taut.arrays.factors import read_step
from taut.arrays.returned import check_returned, check_slope, fresh, penalty_of
from taut.kernels import Sides
from taut.written import Written


class Group:
    """Penalties that are computed one after the other, each by its regularizer.

    Attributes:
        names: What errors call the parameters.
        regularizers: One for each of them.
        arrays: The parameters; a variable may hold another array later.
    """

    def __init__(self, names: list[str], regularizers: Sequence[Any], arrays: list[Any]) -> None:
        self.names = names
        self.regularizers = regularizers
        self.arrays = arrays

    def values(self) -> list[Any]:
        """Returns the penalty of each parameter."""
        pairs = zip(self.regularizers, self.arrays, strict=True)
        return [fresh(regularizer(x)) for regularizer, x in pairs]

    def total(self) -> Any:
        """Returns the sum of the penalties."""
        return add(self.values())

    def gradients(self, given: Mapping[str, Any] | None) -> list[Any]:
        """Returns the gradients of the names, or those that the parameters keep.

        Raises:
            TypeError, ValueError: If a parameter keeps none.
            KeyError: If one is not given.
        """
        if given is not None:
            return pick(given, self.names)
        arrays = list(map(native, self.arrays))
        return [library_of(x).own_gradient(x) for x in arrays]

    def check_gradients(self, grads: list[Any], scale: float) -> None:
        """Raises what `accumulate_grad` would, as far as is known without calling regularizers.

        So that nothing is written where other groups are to be written, too.
        """
        for name, regularizer, each, grad in zip(
            self.names, self.regularizers, self.arrays, grads, strict=True
        ):
            x = native(each)
            if np.shape(x) != np.shape(native(grad)):
                raise ValueError(
                    f"{name}: the gradient must have the shape of the input. Received: shapes "
                    f"{np.shape(x)} and {np.shape(native(grad))}"
                )
            library_of(x).check_gradient(name, x, native(grad))
            with for_name(name):
                regularizer._check_accumulate_grad(x)

    def accumulate_grad(self, grads: list[Any], scale: float) -> Any:
        """Adds `scale` times the gradients, in place, and returns the sum of the penalties."""
        return Group.begin(self, grads, scale, True, Written())()

    def add_gradients(self, grads: list[Any], scale: float) -> None:
        """Adds `scale` times the gradients, in place; the penalties are not asked for."""
        self.accumulate_grad(grads, scale)

    def begin(
        self, grads: list[Any], scale: float, value: bool, written: Written
    ) -> Callable[[], Any]:
        """Does all of `accumulate_grad` that may fail, so that nothing is written if it does.

        But a regularizer that has an `accumulate_grad` of its own writes here, after all others
        have computed their gradients.

        Args:
            grads: What is to be added to; it has been checked.
            scale: What the gradients are multiplied with.
            value: Whether the penalties are asked for.
            written: Is told of what is written, here and by what this returns.

        Returns:
            What adds the rest, and returns the sum of the penalties if they are asked for.
        """
        terms = list(zip(self.names, self.regularizers, self.arrays, grads, strict=True))
        values: dict[str, Any] = {}
        slopes: dict[str, Any] = {}
        for name, regularizer, x, grad in terms:
            if regularizer._derives_accumulate_grad(x):
                both = regularizer.value_and_grad(x, scale)
                with for_name(name):
                    own, slopes[name] = check_returned(regularizer, both, x, grad)
                    values[name] = penalty_of(regularizer, own, x) if value else None
        for name, regularizer, x, grad in terms:
            if name in slopes:
                with for_name(name):  # again, since code of yours has run: it may freeze a gradient
                    check_slope(regularizer, x, grad, slopes[name])
        for name, regularizer, x, grad in terms:
            if name not in slopes:
                written.names.append(name)
                own = regularizer.accumulate_grad(x, grad, scale)
                with for_name(name):
                    values[name] = penalty_of(regularizer, own, x) if value else None

        def finish() -> Any:
            total = add([values[name] for name in self.names]) if value else None
            for name, _, x, grad in terms:
                if name in slopes:
                    written.names.append(name)
                    library_of(native(x)).add_in_place(native(grad), slopes[name])
            return total

        return finish

    def value_and_grad(self, scale: float) -> tuple[Any, list[Any]]:
        """Returns the sum of the penalties, and new arrays with `scale` times their gradients."""
        pairs = zip(self.regularizers, self.arrays, strict=True)
        both = [tuple(map(fresh, regularizer.value_and_grad(x, scale))) for regularizer, x in pairs]
        return add([value for value, _ in both]), [grad for _, grad in both]

    def keep_gradients(self, grads: list[Any]) -> None:
        """Makes each gradient its parameter's own."""
        for x, grad in zip(map(native, self.arrays), grads, strict=True):
            library_of(x).keep_gradient(x, grad)

    def check_prox(self, step: float) -> None:
        """Raises what `prox` would, as far as is known without calling regularizers."""
        read_step(step)
        for name, regularizer, x in zip(self.names, self.regularizers, self.arrays, strict=True):
            with for_name(name):
                regularizer._check_prox(native(x), step)

    def prox(self, step: float, written: Written) -> None:
        """Takes the proximal step of each parameter, in place; `written` is told of them."""
        for name, regularizer, x in zip(self.names, self.regularizers, self.arrays, strict=True):
            written.names.append(name)
            regularizer.prox(x, step)

    def proximal(self, step: Any) -> list[Any]:
        """Returns the proximal step of each parameter, in new arrays."""
        pairs = zip(self.regularizers, self.arrays, strict=True)
        return [fresh(regularizer.proximal(x, step)) for regularizer, x in pairs]


class CoreGroup(Group):
    """Penalties that the core computes in one call, of arrays in the CPU's memory.

    The regularizers are read at each call, each once: `kinds` holds them, and `indices` says for
    every array which is its own.

    Attributes:
        sides: The references and the importances of the arrays, None for an array that has none;
            two empty lists where no array has any.
        before_writing: What its calls raise before they write, and never later.
    """

    before_writing: ClassVar[tuple[type[Exception], ...]] = (TypeError, ValueError, MemoryError)

    def __init__(
        self,
        names: list[str],
        regularizers: Sequence[Any],
        arrays: list[Any],
        numbered: tuple[list[Any], list[int]] | None = None,
        sides: Sequence[Sides] = (),
    ) -> None:
        super().__init__(names, regularizers, arrays)
        self.kinds, self.indices = numbered or number(regularizers)
        self.sides = [each.reference for each in sides], [each.importance for each in sides]

    def values(self) -> list[Any]:
        """Returns the penalty of each parameter."""
        return _core.batch_value(self.names, self.kernels(), self.indices, self.arrays, *self.sides)

    def total(self) -> Any:
        """Returns the sum of the penalties."""
        values = _core.batch_value(
            self.names, self.kernels(), self.indices, self.arrays, *self.sides
        )
        return sum(values, 0.0)

    def gradients(self, given: Mapping[str, Any] | None) -> list[Any]:
        """Returns the gradients of the names, or those that the parameters keep."""
        if given is not None:
            return pick(given, self.names)
        return list(map(library_of(self.arrays[0]).own_gradient, self.arrays))

    def check_gradients(self, grads: list[Any], scale: float) -> None:
        """Raises what `accumulate_grad` would, and writes nothing."""
        _core.batch_check_accumulate_grad(
            self.names, self.kernels(), self.indices, self.arrays, grads, scale, *self.sides
        )

    def accumulate_grad(self, grads: list[Any], scale: float) -> Any:
        """Adds `scale` times the gradients, in place, and returns the sum of the penalties."""
        values = _core.batch_accumulate_grad(
            self.names, self.kernels(), self.indices, self.arrays, grads, scale, *self.sides
        )
        return sum(values, 0.0)

    def begin(
        self, grads: list[Any], scale: float, value: bool, written: Written
    ) -> Callable[[], Any]:
        """Returns what does all: the core takes its memory before it writes."""
        return partial(self._add_at_once, grads, scale, value, written)

    def _add_at_once(self, grads: list[Any], scale: float, value: bool, written: Written) -> Any:
        with written.unless(self.before_writing, self.names):
            return (self.accumulate_grad if value else self.add_gradients)(grads, scale)

    def value_and_grad(self, scale: float) -> tuple[Any, list[Any]]:
        """Returns the sum of the penalties, and new arrays with `scale` times their gradients."""
        grads = list(map(library_of(self.arrays[0]).zeros_like, self.arrays))
        values = _core.batch_value_and_grad(
            self.names, self.kernels(), self.indices, self.arrays, grads, scale, *self.sides
        )
        return sum(values, 0.0), grads

    def bind(self, grads: list[Any]) -> _core.BoundBatch:
        """Returns the batch of these arrays and gradients, looked up once and for all."""
        return _core.BoundBatch(self.names, self.indices, self.arrays, grads, *self.sides)

    def keep_gradients(self, grads: list[Any]) -> None:
        """Makes each gradient its parameter's own."""
        keep_gradient = library_of(self.arrays[0]).keep_gradient
        for x, grad in zip(self.arrays, grads, strict=True):
            keep_gradient(x, grad)

    def check_prox(self, step: float) -> None:
        """Raises what `prox` would, and writes nothing."""
        _core.batch_check_prox(
            self.names, self.kernels(), self.indices, self.arrays, step, *self.sides
        )

    def prox(self, step: float, written: Written) -> None:
        """Takes the proximal step of each parameter, in place; `written` is told of them."""
        with written.unless(self.before_writing, self.names):
            self._step(step)

    def _step(self, step: float) -> None:
        _core.batch_prox(self.names, self.kernels(), self.indices, self.arrays, step, *self.sides)

    def proximal(self, step: Any) -> list[Any]:
        """Returns the proximal step of each parameter, in new arrays."""
        by = float(read_step(step))
        copies = list(map(library_of(self.arrays[0]).copy, self.arrays))
        _core.batch_prox(self.names, self.kernels(), self.indices, copies, by, *self.sides)
        return copies

    def kernels(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Returns the kernels and factors, of this moment, that the indices count."""
        return [(kind._kernel.name, kind._factors()) for kind in self.kinds]


def number(regularizers: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Returns the different regularizers, and for each of the given ones its place among them."""
    places: dict[int, int] = {}
    indices = [places.setdefault(id(each), len(places)) for each in regularizers]
    kinds: dict[int, Any] = {id(each): each for each in regularizers}
    return list(kinds.values()), indices


@contextmanager
def for_name(name: str, end: str = "") -> Iterator[None]:
    """Returns a context in which errors begin with the name of the parameter, and have that end.

    They stay the same objects, since classes of others take what they like when they are made.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = (f"{name}: {error}{end}",)
        raise


def add(values: Sequence[Any]) -> Any:
    """Returns the sum of one penalty or more."""
    return sum(values[1:], values[0])


def pick(given: Mapping[str, Any], names: list[str]) -> list[Any]:
    """Returns the values of some names, which may be all there are."""
    return list(given.values()) if list(given) == names else list(map(given.__getitem__, names))
