"""From a path to measured tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from taut.inspect import elements, vectors
from taut.inspect.elements import Elements
from taut.inspect.findings import Finding, find
from taut.inspect.readers import guarded, open_checkpoint
from taut.inspect.stored import Stored, UnreadableError
from taut.inspect.vectors import Vectors


@dataclass(frozen=True)
class Tensor:
    """What was measured of one tensor.

    Attributes:
        name: As its file has it.
        dtype: The file's word.
        shape: Its dimensions.
        size: In bytes.
        elements: Of its elements; None if it was not measured.
        vectors: Of its rows and its columns, where there are two or more.
        findings: What to mend, the most urgent first.
        unread: Why it was not measured, if so.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    elements: Elements | None
    vectors: tuple[Vectors, ...]
    findings: tuple[Finding, ...]
    unread: str | None = None


@dataclass(frozen=True)
class Inspection:
    """What was measured of one file; the tensors are in its order."""

    path: Path
    format: str
    size: int
    tensors: Sequence[Tensor]


def inspect(
    path: Path,
    work: float = vectors.WORK,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Inspection:
    """Measures every tensor of a checkpoint, with one of them in memory at a time.

    Args:
        path: Of any format that `taut.inspect.readers` has.
        work: How many multiplications a comparison of all pairs may take, see `vectors.measure`.
        on_progress: Called with the bytes that were measured and with those that there are, before
            the first tensor and after each.

    Raises:
        UnreadableError: If the file is no checkpoint, or is damaged.
    """
    with open_checkpoint(path) as (name, stored):
        done, total = 0, sum(tensor.size for tensor in stored)
        on_progress(done, total)
        measured = []
        for tensor in stored:
            measured.append(_measure(tensor, name, work))
            done += tensor.size
            on_progress(done, total)
    return Inspection(path, name, path.stat().st_size, measured)


def _measure(stored: Stored, reader: str, work: float) -> Tensor:
    described = (stored.name, stored.dtype, stored.shape, stored.size)
    try:
        # What NumPy or a library raises here is the file's doing, one tensor's or the whole file's.
        with guarded(reader):
            x = stored.load()
        of_elements = elements.measure(x)
    except UnreadableError as error:
        if error.__cause__ is not None:
            raise UnreadableError(f"{stored.name!r}: {error}") from error
        return Tensor(*described, None, (), (), str(error))
    sides = tuple(
        side
        for mode in ("rows", "columns")
        if (side := vectors.measure(x, mode, of_elements.largest, work)) is not None
    )
    findings = tuple(find(of_elements, sides)) if "float" in x.dtype.name else ()
    return Tensor(*described, of_elements, sides, findings)
