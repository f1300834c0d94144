"""The report for other programs."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from taut import _core
from taut.inspect.elements import NEAR_ZERO
from taut.inspect.inspection import Inspection, Tensor
from taut.inspect.order import ordered, summary
from taut.inspect.vectors import NEAR_DUPLICATE


def text(inspections: Sequence[Inspection], order: str) -> str:
    """Returns an object with every file's measures; NaN and infinities are the strings of them.

    Strict JSON has no numbers for those, and null would hide which of them it was.
    """
    report = {
        "taut": _core.__version__,
        "near_zero": {"share_of_root_mean_square": NEAR_ZERO},
        "near_duplicate": {"absolute_cosine": NEAR_DUPLICATE},
        "files": [
            {
                "path": str(inspection.path),
                "format": inspection.format,
                "bytes": inspection.size,
                "summary": summary(inspection),
                "tensors": [_tensor(tensor) for tensor in ordered(inspection.tensors, order)],
            }
            for inspection in inspections
        ],
    }
    return json.dumps(_strict(report), indent=2, allow_nan=False)


def _tensor(tensor: Tensor) -> dict[str, Any]:
    sides = {side.mode: dataclasses.asdict(side) for side in tensor.vectors}
    for side in sides.values():
        del side["mode"]
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": tensor.shape,
        "bytes": tensor.size,
        "elements": None if tensor.elements is None else dataclasses.asdict(tensor.elements),
        "rows": sides.get("rows"),
        "columns": sides.get("columns"),
        "findings": [
            {"kind": finding.urgency.name.lower(), "sentence": finding.sentence}
            for finding in tensor.findings
        ],
        "not_measured": tensor.unread,
    }


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
