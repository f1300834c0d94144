"""A record for each kernel: what the core computes, and all that the rest of taut knows of it.

A further penalty is a further record, registered here; no other module names one.
"""

from collections.abc import Callable

from taut.kernels.elementwise import ELEMENTWISE
from taut.kernels.gram import GRAM
from taut.kernels.group_lasso import GROUP_LASSO
from taut.kernels.kernel import Kernel, Presence, RangeFunctions, Sides
from taut.kernels.operations import Operations
from taut.kernels.soft_orthogonal import SOFT_ORTHOGONAL

__all__ = [
    "ELEMENTWISE",
    "GRAM",
    "GROUP_LASSO",
    "SOFT_ORTHOGONAL",
    "Kernel",
    "Operations",
    "Presence",
    "RangeFunctions",
    "Sides",
    "get",
    "register",
    "subscribe",
]

_kernels: dict[str, Kernel] = {}
_subscribers: list[Callable[[Kernel], None]] = []


def register(kernel: Kernel) -> Kernel:
    """Makes a kernel known by its name, to all who have subscribed.

    Raises:
        ValueError: If another one has that name.
    """
    if _kernels.setdefault(kernel.name, kernel) is not kernel:
        raise ValueError(f"There is a kernel {kernel.name!r} already")
    for subscriber in _subscribers:
        subscriber(kernel)
    return kernel


def get(name: str) -> Kernel:
    """Returns the kernel of a name.

    Raises:
        ValueError: If there is none.
    """
    if name not in _kernels:
        raise ValueError(f"There is no kernel {name!r}. Known: {', '.join(sorted(_kernels))}")
    return _kernels[name]


def subscribe(subscriber: Callable[[Kernel], None]) -> None:
    """Calls `subscriber` with each kernel: those that there are, and each that will be."""
    _subscribers.append(subscriber)
    for kernel in list(_kernels.values()):
        subscriber(kernel)


register(ELEMENTWISE)
register(GRAM)
register(SOFT_ORTHOGONAL)
register(GROUP_LASSO)
