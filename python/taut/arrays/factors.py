"""A kernel's factors, as regularizers hold them and array libraries compute with them.

A factor is a float, or lives: it is a 0-d array or variable of an array library, which is read at
each call, and its kernel's factors are `LiveFactors`. The core takes their numbers, as it takes
floats. The library that an array belongs to takes it instead, by `operands`, where it is traced or
a derivative with respect to it may be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any, SupportsFloat

from taut.arrays import library_of
from taut.arrays.library import ArrayLibrary, Factors
from taut.kernels import Kernel
from taut.kernels.checks import check_factor, check_option, dtype_name, refuse_factor
from taut.shown import shown

Factor = SupportsFloat  # a number, or a 0-d array or variable of one

_REAL_DTYPES = ("float", "bfloat", "int", "uint")


class LiveFactors(tuple[Any, ...]):
    """A kernel's factors, of which a number is `Known` or `Traced`."""


class Known(float):
    """A live factor that has a number, which it is to whoever does not differentiate it.

    Attributes:
        given: The array or variable that holds it.
    """

    given: Any

    def __new__(cls, number: float, given: Any) -> Known:
        """Returns the number, with what holds it."""
        known = super().__new__(cls, number)
        known.given = given
        return known


class Traced:
    """A live factor that has no number yet, since it is traced or transformed.

    Attributes:
        given: The array or variable that stands for it.
    """

    def __init__(self, name: str, given: Any) -> None:
        self.name = name
        self.given = given

    def __float__(self) -> float:
        """Raises a TypeError, for the core and for libraries that cannot take the array."""
        module = type(_array(self.given)).__module__.partition(".")[0]
        raise TypeError(
            f"The factor {self.name!r} is traced by {module} and has no number there, which is "
            f"needed: give x as an array of {module}, or the factor as a number"
        )


def as_factor(name: str, factor: Any) -> Any:
    """Returns a number as a float, and what lives as it is.

    Raises:
        ValueError: If it is not a real number or a 0-d array of one, not finite, or negative. What
            is traced is not known to be.
    """
    number = _read(name, factor)
    return number if isinstance(factor, Real) else factor


def number_of(name: str, factor: Any) -> float:
    """Returns the number of a factor, as its config has it.

    Raises:
        TypeError: If it is traced, and has none.
        ValueError: As `as_factor` does.
    """
    return float(_read(name, factor))


def read(kernel: Kernel, *factors: Any) -> Factors:
    """Returns the factors of a kernel at this moment, from what a regularizer holds.

    Raises:
        ValueError: As `as_factor` does, and if an option is unknown.
    """
    count = len(kernel.numbers)
    pairs = zip(kernel.numbers, factors[:count], strict=True)
    numbers = [each if type(each) is float else _read(name, each) for name, each in pairs]
    options = zip(kernel.options.items(), factors[count:], strict=True)
    chosen = [check_option(name, option, allowed) for (name, allowed), option in options]
    is_live = any(type(number) is not float for number in numbers)
    return LiveFactors((*numbers, *chosen)) if is_live else (*numbers, *chosen)


def operands(factors: Factors, library: ArrayLibrary) -> Factors:
    """Returns factors as a library computes with them: floats, and arrays of its own.

    Arrays are those that are traced, or that it may be asked to differentiate; of all others, and
    of other libraries', the number counts.

    Raises:
        TypeError: If that is traced.
    """
    if type(factors) is not LiveFactors:
        return factors
    return tuple(operand(factor, library) for factor in factors)


def operand(factor: Any, library: ArrayLibrary) -> Any:
    """Returns one factor, or a step, as a library computes with it.

    Raises:
        TypeError: If its number counts, and it is traced.
    """
    if not isinstance(factor, Known | Traced):
        return factor
    array = _array(factor.given)
    if library.owns(type(array)) and (isinstance(factor, Traced) or library.is_recorded(array)):
        return array
    return float(factor)


def read_step(step: Any) -> Any:
    """Returns how far a proximal step goes: a float, or `Known` or `Traced`, as a factor is.

    Raises:
        ValueError: If it is not a real number or a 0-d array of one, not finite, or negative.
    """
    return _read("step", step)


def given(factors: Iterable[Any]) -> Factors:
    """Returns what factors were read from, so that they can be read again."""
    return tuple(each.given if isinstance(each, Known | Traced) else each for each in factors)


def _array(given: Any) -> Any:
    """Returns the array within a live factor, as it is now."""
    return library_of(given).factor(given)


def _read(name: str, factor: Any) -> Any:
    """Returns a float, or a `Known` or `Traced` number."""
    if isinstance(factor, Real):
        return check_factor(name, factor)
    try:
        array = _array(factor)
        library = library_of(array)
    except (TypeError, ValueError):
        refuse_factor(name, shown(factor))
    dtype = dtype_name(array)
    if array.shape != () or not dtype.startswith(_REAL_DTYPES):
        refuse_factor(name, f"an array of dtype {dtype} and shape {array.shape}")
    number = library.number(array)
    if number is None:
        return Traced(name, factor)
    check_factor(name, number)
    return Known(number, factor)
