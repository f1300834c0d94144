"""What one call writes overlaps nothing else of it, whichever libraries its arrays are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taut import _core
from taut.arrays import library_of, native
from taut.arrays.group import Group
from taut.arrays.memory import Memory
from taut.kernels import Sides


def check_apart(
    groups: Sequence[Group],
    grads: Sequence[Sequence[Any]] | None,
    sides: Mapping[str, Sides],
) -> None:
    """Checks, by addresses, that what is written overlaps neither itself nor anything else.

    A call of the core checks its own arrays so. What is not in the CPU's memory, or stands for
    something else where code is traced or transformed, has no address.

    Args:
        groups: Whose arrays are read.
        grads: What is written, in the order of each group's arrays; None if those themselves are.
        sides: The references and importances by name, which are read as well.

    Raises:
        ValueError: If something does. The message begins with the name of what is written.
    """
    names: list[str] = []
    memories: list[Memory] = []
    are_written: list[bool] = []
    for name, x, is_written in _uses(groups, grads, sides):
        memory = _memory_of(x)
        if memory is not None:
            names.append(name)
            memories.append(memory)
            are_written.append(is_written)
    _core.check_apart(names, memories, are_written)


def _uses(
    groups: Sequence[Group],
    grads: Sequence[Sequence[Any]] | None,
    sides: Mapping[str, Sides],
) -> Iterator[tuple[str, Any, bool]]:
    """Returns names and arrays, and whether they are written."""
    for group in groups:
        for name, x in zip(group.names, group.arrays, strict=True):
            yield name, x, grads is None
            for side in sides.get(name, ()):
                yield name, side, False
    if grads is None:
        return
    for group, own in zip(groups, grads, strict=True):
        for name, grad in zip(group.names, own, strict=True):
            yield name, grad, True


def _memory_of(x: Any) -> Memory | None:
    if x is None:
        return None
    array = native(x)
    library = library_of(array)
    memory = None if library.is_observed(array) else library.memory(array)
    # A tensor whose storage was freed is nowhere.
    return memory if memory is not None and memory.pointer else None
