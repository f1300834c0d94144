"""What a run of `taut bench` comes to: a document that JSON holds, and how it is read back."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

SCHEMA = 1


class Spread(TypedDict):
    """A median with its quartiles."""

    median: float
    lower: float
    upper: float


class Result(TypedDict):
    """What one contestant took.

    `seconds` are those of a call; `ratio` is over the counterpart's in the same round; `calls` is
    how many made up a sample; `error` is the largest relative error, from what float64 gives.
    """

    seconds: Spread
    ratio: Spread
    calls: int
    error: float


class Case(TypedDict):
    """A kind of work at a size, timed in one process.

    `size` counts what the kind's axis says, `elements` all numbers. `again` is the counterpart's
    ratio to itself. Who is in `left_out` was not timed, for the reason that stands there; who is in
    `wrong` computed something else.
    """

    kind: str
    size: int
    elements: int
    process: str
    counterpart: str
    rounds: int
    again: Spread
    results: dict[str, Result]
    left_out: dict[str, str]
    wrong: dict[str, str]


class Peak(TypedDict):
    """The memory in bytes that a contestant took beside weights and gradient, in a fresh process.

    `bytes` is None where `left_out` says why.
    """

    size: int
    contestant: str
    bytes: int | None
    left_out: str | None


class Document(TypedDict):
    """A whole run. `left_out` are libraries that took no part, `failures` processes that ended."""

    schema: int
    machine: dict[str, Any]
    versions: dict[str, str]
    quick: bool
    complete: bool
    left_out: dict[str, str]
    failures: list[str]
    cases: list[Case]
    memory: list[Peak]


class UnknownSchemaError(ValueError):
    """A file is no document of this version."""


def spread(numbers: Sequence[float]) -> Spread:
    """Returns the median and the quartiles of at least two numbers."""
    lower, median, upper = statistics.quantiles(numbers, n=4, method="inclusive")
    return {"median": median, "lower": lower, "upper": upper}


def is_noisy(case: Case) -> bool:
    """Returns whether the counterpart differed from itself: by more than a tenth, or ± a fifth."""
    again = case["again"]
    return not 0.9 <= again["median"] <= 1.1 or again["upper"] - again["lower"] > 0.4


def write(document: Mapping[str, Any], path: Path) -> None:
    """Writes a document as JSON."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Document:
    """Reads a document.

    Raises:
        UnknownSchemaError: If it is none, or of another version.
    """
    document: Document = read_json(path, SCHEMA)
    return document


def read_json(path: Path, schema: object) -> Any:
    """Reads a document of any kind whose "schema" is this.

    Raises:
        UnknownSchemaError: If it is none, or of another version.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise UnknownSchemaError(f"{path} is no document of the schema {schema!r}")
    return document
