"""In which order tensors are shown, and what the reports say at their top."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from taut.inspect.findings import LEAST_DIMENSIONS, Urgency
from taut.inspect.inspection import Inspection, Tensor

_Key: TypeAlias = Callable[[Tensor], Any]


def _fix(tensor: Tensor) -> tuple[int, float]:
    if tensor.findings:
        return tensor.findings[0].urgency, tensor.findings[0].share
    if tensor.unread:
        return len(Urgency), 0.0  # before what is well: nobody knows whether it is
    telling = [side.largest for side in tensor.vectors if side.dimensions >= LEAST_DIMENSIONS]
    return len(Urgency) + 1, -max(telling, default=0.0)


def _largest_first(measure: Callable[[Tensor], float | None]) -> _Key:
    def key(tensor: Tensor) -> tuple[bool, float]:
        value = measure(tensor)
        # None and NaN go last: neither is more nor less than anything.
        return (True, 0.0) if value is None or math.isnan(value) else (False, -value)

    return key


def share(tensor: Tensor, count: str) -> float | None:
    """Returns the share of the elements that a count of `Elements` has, None without any."""
    found = tensor.elements
    return None if found is None or not found.count else float(getattr(found, count)) / found.count


ORDERS: Mapping[str, _Key] = {
    "fix": _fix,
    "file": lambda tensor: 0,
    "name": lambda tensor: tensor.name,
    "size": _largest_first(lambda tensor: tensor.size),
    "l1": _largest_first(lambda tensor: tensor.elements.l1 if tensor.elements else None),
    "l2": _largest_first(lambda tensor: tensor.elements.l2 if tensor.elements else None),
    "zero": _largest_first(lambda tensor: share(tensor, "zero")),
    "near-zero": _largest_first(lambda tensor: share(tensor, "near_zero")),
    "mean-cos": _largest_first(
        lambda tensor: max((side.mean for side in tensor.vectors if side.mean), default=None)
    ),
    "largest-cos": _largest_first(
        lambda tensor: max((side.largest for side in tensor.vectors), default=None)
    ),
}


def ordered(tensors: Sequence[Tensor], order: str) -> list[Tensor]:
    """Returns the tensors in one of `ORDERS`; those that are equal in it stay as they were."""
    return sorted(tensors, key=ORDERS[order])


def summary(inspection: Inspection) -> str:
    """Returns one sentence: how many tensors have something to mend, and the first thing."""
    tensors = inspection.tensors
    if not tensors:
        return "There is no tensor in it."
    found = [tensor for tensor in ordered(tensors, "fix") if tensor.findings]
    unread = sum(tensor.unread is not None for tensor in tensors)
    suffix = f" {unread} of them could not be measured." if unread else ""
    if not found:
        return f"Nothing stands out in its {len(tensors)} tensors.{suffix}"
    first = found[0]
    return (
        f"{len(found)} of {len(tensors)} tensors to look at, first {first.name}: "
        f"{first.findings[0].sentence}.{suffix}"
    )


def remarks(inspection: Inspection, tensors: Sequence[Tensor]) -> list[str]:
    """Returns what there is to say on single tensors: findings, samples, and what was not read."""
    lines = []
    for tensor in tensors:
        words = [finding.sentence for finding in tensor.findings]
        if tensor.unread:
            words.append(f"not measured: {tensor.unread}")
        words += [
            f"{side.compared:,} of {side.count:,} {side.mode} were compared, chosen at random"
            for side in tensor.vectors
            if side.compared < side.count
        ]
        lines += [f"{tensor.name}: {text}" for text in words]
    return lines
