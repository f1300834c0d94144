"""Numbers and names as the reports write them."""

import math

from taut.inspect.vectors import Vectors

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def printable(text: str) -> str:
    """Returns a text of the file's with nothing in it that would move a terminal's cursor."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def size(count: float) -> str:
    """Returns a number of bytes."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def number(value: float) -> str:
    """Returns four digits, NaN and inf included."""
    if math.isfinite(value) and 1 <= abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return f"{value:.3g}"


def percent(share: float | None) -> str:
    """Returns a share; never 0% or 100% of what is not all or nothing."""
    if share is None:
        return "-"
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}"


def shape(lengths: tuple[int, ...]) -> str:
    """Returns a shape, as 384x1536."""
    return "x".join(map(str, lengths)) or "scalar"


def cosines(side: Vectors) -> tuple[str, str, str]:
    """Returns the mean of |cos|, the largest, and whose it is; a star marks a sample."""
    star = "*" if side.compared < side.count else ""
    mean = "-" if side.mean is None else f"{side.mean:.3f}{star}"
    largest = f"{side.largest:.3f}{star}"
    return mean, largest, "-" if side.nearest is None else "{}, {}".format(*side.nearest)
