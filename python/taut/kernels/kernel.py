"""What a kernel is: its factors, its checks, the core's functions, and its formula."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NoReturn

from taut.kernels.checks import check_factor, check_option
from taut.kernels.operations import Operations

# Of each of a kernel's numbers whether its term counts: not at all where the factor is 0, whatever
# is in x; None where nobody can tell, as of a number that is traced.
Presence = tuple[bool | None, ...]
Term = Callable[..., Any]

_LARGEST = sys.float_info.max
_NUMBERS = (float, int)


class Sides(NamedTuple):
    """What belongs to an array in such a penalty as L2-SP: arrays of its shape, or None.

    Attributes:
        reference: What the array is drawn to in place of 0.
        importance: How much each element counts, in place of 1.
    """

    reference: Any = None
    importance: Any = None


class RangeFunctions(NamedTuple):
    """The core's functions of some of an array's vectors, `begin` to `end`, of which it needs all.

    The parts of ranges that partition the vectors add up to the penalty; the gradient is that of
    the range's own vectors, and complete.
    """

    value: Callable[..., float]  # (x, factors, begin, end)
    value_and_grad: Callable[..., float]  # (x, grad, factors, begin, end, scale)
    accumulate_grad: Callable[..., float]  # likewise


def _never(*options: Any) -> bool:
    return False


def _nowhere(rank: int, *options: Any) -> tuple[int, ...]:
    return ()


@dataclass(frozen=True, eq=False)
class Kernel:
    """A penalty: the sum of one term for each number among its factors.

    Its factors are a tuple: first the numbers, which the terms are multiplied with, then the
    options, which say what is computed. They are in the order of `numbers` and `options`.

    The core's functions take arrays as `taut._core` does, and the factors; the terms are called as
    `term(xp, x, *options)`, with `xp` the operations of an array library.

    Attributes:
        name: What it is called in the core and in its test.
        title: Whose inputs an error speaks of.
        numbers: The names of the factors that are numbers.
        terms: What each of them is multiplied with, in operations that are differentiable.
        value: `(x, factors)`: the penalty.
        value_and_grad: `(x, grad, factors, scale)`: the penalty; grad = scale * gradient.
        accumulate_grad: `(x, grad, factors, scale)`: the penalty; grad += scale * gradient.
        prox: `(x, factors, step)`: the proximal step, in place; None if it has no closed form.
        proximal: `(xp, x, step, *numbers, *options)`: the same in operations, as a new array of x's
            dtype, which is float64 wherever there is one. A number may be a 0-d array of it.
        bound_by: What its time goes into. One that is bound by the memory is left to a compiler
            wherever there is one, which fuses its terms as well, and keeps no gradient, which would
            be written and read. One that is bound by arithmetic is called by compiled code, too,
            and gives its gradient along with its value, where one will be asked for.
        rank: How many axes x must have; None for any number.
        least_rank: How many it must have at least, where it may have any number.
        flattens: `(*options)`: whether x may have more axes, which are read as one.
        options: The names of the other factors, and what each may be: strings, or bools.
        cuts: `(rank, *options)`: the axes along which x may be cut into pieces, whose penalties add
            up to that of x, and whose gradients and proximal steps are its own.
        ranges: The core's functions of some of x's vectors, if there are any.
        is_batched: Whether the core's functions of many tensors know the kernel by its name.
        takes_sides: Whether those functions take a reference and an importance for each array. Then
            a term is called with `x - reference` as x, and with `importance=` where there is one,
            and `proximal` with `reference=` and `importance=`, None where there is none.
    """

    name: str
    title: str
    numbers: tuple[str, ...]
    terms: tuple[Term, ...]
    value: Callable[..., float]
    value_and_grad: Callable[..., float]
    accumulate_grad: Callable[..., float]
    prox: Callable[..., None] | None = None
    proximal: Term | None = None
    bound_by: Literal["memory", "arithmetic"] = "memory"
    rank: int | None = None
    least_rank: int = 0
    flattens: Callable[..., bool] = _never
    options: Mapping[str, tuple[str, ...] | tuple[bool, ...]] = field(default_factory=dict)
    cuts: Callable[..., Sequence[int]] = _nowhere
    ranges: RangeFunctions | None = None
    is_batched: bool = False
    takes_sides: bool = False

    def __post_init__(self) -> None:
        if (self.prox is None) != (self.proximal is None):
            raise ValueError(f"The kernel {self.name!r} needs both prox and proximal, or neither")
        if self.takes_sides and not self.is_batched:
            raise ValueError(f"The kernel {self.name!r} takes sides, and so must be batched")

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        """Says that a copy, or what was pickled, is the kernel that is registered by its name."""
        from taut.kernels import get

        return get, (self.name,)

    def check(self, factors: Sequence[Any], shape: Sequence[Any]) -> None:
        """Checks what the kernel is given, where the core does not.

        Factors that live have been checked as they were read.

        Raises:
            ValueError: If a factor is negative or not finite, an option is unknown, or x has a
                wrong rank.
        """
        for name, factor in zip(self.numbers, factors, strict=False):
            is_right = type(factor) is float and 0 <= factor <= _LARGEST
            if not is_right and isinstance(factor, _NUMBERS):  # else it lives
                check_factor(name, factor)
        if self.options:
            chosen = factors[len(self.numbers) :]
            for (name, allowed), option in zip(self.options.items(), chosen, strict=True):
                check_option(name, option, allowed)
        self.check_rank(factors, shape)

    def check_rank(self, factors: Sequence[Any], shape: Sequence[Any]) -> None:
        """Checks how many axes x has, in the core's words, which are Keras's.

        Raises:
            ValueError: If the options ask for another number.
        """
        if len(shape) < self.least_rank:
            self._refuse_rank(f"{self.least_rank} or more", shape)
        if self.rank is None or len(shape) == self.rank:
            return
        may_be_more = self.flattens(*factors[len(self.numbers) :])
        if may_be_more and len(shape) > self.rank:
            return
        self._refuse_rank(f"{self.rank}{' or more' * may_be_more}", shape)

    def _refuse_rank(self, expected: str, shape: Sequence[Any]) -> NoReturn:
        raise ValueError(
            f"Inputs to {self.title} must have rank {expected}. "
            f"Received: inputs.shape={tuple(shape)}"
        )

    def check_step(self, factors: Sequence[Any], step: Any) -> None:
        """Checks that a proximal step is no further than the core can go.

        Raises:
            ValueError: If the product of a number and the step is beyond float64's range.
        """
        known = [each for each in factors[: len(self.numbers)] if isinstance(each, _NUMBERS)]
        if isinstance(step, _NUMBERS) and not all(math.isfinite(2 * (step * n)) for n in known):
            raise ValueError("step times a factor is beyond the range of float64")

    def presence(self, factors: Sequence[Any]) -> Presence:
        """Returns which terms count; of factors that live, nobody can tell."""
        numbers = factors[: len(self.numbers)]
        return tuple(bool(each) if isinstance(each, _NUMBERS) else None for each in numbers)

    def terms_by(self, compute: Callable[[Any, tuple[Any, ...]], Any]) -> tuple[Term, ...]:
        """Returns the terms as another function computes them, which takes x and factors."""
        return tuple(
            lambda xp, x, *options, i=i: compute(x, self.unit(i, options))
            for i in range(len(self.numbers))
        )

    def unit(self, index: int, options: Sequence[Any]) -> tuple[Any, ...]:
        """Returns the factors whose penalty is one of the terms alone."""
        return (*(float(i == index) for i in range(len(self.numbers))), *options)

    def formula(
        self,
        xp: Operations,
        x: Any,
        factors: Sequence[Any],
        presence: Presence,
        terms: Sequence[Term] | None = None,
        sides: Sides | None = None,
    ) -> Any:
        """Returns the penalty of x in an array library's own operations.

        Its dtype is what the library sums in, and its derivative with respect to a factor that
        lives is the term.

        Args:
            xp: The library's operations.
            x: An array of the library.
            factors: Floats, or 0-d arrays of the library; and options.
            presence: That of the factors.
            terms: What computes the terms; the kernel's own unless given.
            sides: Arrays that belong to x, for a kernel that takes them; they are constants.
        """
        is_sum = self.bound_by == "memory"  # of elements; else of products, which may be narrower
        numbers = xp.cast(x, xp.gradient_dtype(x) if is_sum else xp.value_dtype(x))
        options = factors[len(self.numbers) :]
        importance = None
        if sides is not None:
            reference, importance = _constants(xp, sides, numbers.dtype)
            numbers = numbers if reference is None else numbers - reference
        total = None
        for term, factor, is_present in zip(terms or self.terms, factors, presence, strict=False):
            if is_present is False:
                continue
            if is_present is None:
                product = _product_or_zero(xp, factor, term, numbers, options, importance)
            else:
                product = factor * _weighted(xp, term, numbers, options, importance)
            total = product if total is None else total + product
        return xp.no_penalty(numbers) if total is None else total

    def stepped(
        self,
        xp: Operations,
        x: Any,
        factors: Sequence[Any],
        step: Any,
        sides: Sides | None = None,
    ) -> Any:
        """Returns the proximal step of x in an array library's own operations.

        It is computed in what the library sums in, and rounded once to x's dtype.

        Args:
            xp: The library's operations.
            x: An array of the library.
            factors: Floats, or 0-d arrays of the library; and options.
            step: A float, or a 0-d array of the library.
            sides: As in `formula`.
        """
        assert self.proximal is not None
        wide = xp.cast(x, xp.sum_dtype(x))
        numbers = [
            each if isinstance(each, _NUMBERS) else xp.cast(each, wide.dtype)
            for each in (step, *factors[: len(self.numbers)])
        ]
        options = factors[len(self.numbers) :]
        if sides is None:
            return xp.rounded(self.proximal(xp, wide, *numbers, *options), x.dtype)
        own = _constants(xp, sides, wide.dtype)
        stepped = self.proximal(xp, wide, *numbers, *options, **own._asdict())
        return xp.rounded(stepped, x.dtype)


def _constants(xp: Operations, sides: Sides, dtype: Any) -> Sides:
    """Returns the arrays beside another one in a dtype, through which no derivative goes."""
    return Sides(*(None if side is None else xp.constant(xp.cast(side, dtype)) for side in sides))


def _weighted(xp: Operations, term: Term, x: Any, options: Sequence[Any], importance: Any) -> Any:
    if importance is None:
        return term(xp, x, *options)
    return term(xp, x, *options, importance=importance)


def _product_or_zero(
    xp: Operations, factor: Any, term: Term, x: Any, options: Sequence[Any], importance: Any
) -> Any:
    """Returns a factor times a term, and 0 for a factor of 0 whatever is in x.

    No NaN in x, nor in its importance, comes through a factor of 0, nor into x's derivative. But
    with respect to the factor there is one, which is the term, and which differs with x.
    """
    is_skipped = factor == 0
    is_unfit = ~xp.are_finite(x)
    if importance is not None:
        is_unfit |= ~xp.are_finite(importance)
    given = xp.where(is_skipped & is_unfit, xp.constant(x), x)
    value = _weighted(xp, term, given, options, importance)
    product = xp.cast(factor, value.dtype) * value
    return xp.where(is_skipped & ~xp.are_finite(value), xp.zeros_like(product), product)
