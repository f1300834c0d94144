"""The peak memory of one contestant, in a process that has done nothing else."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from taut.bench.contestant import Contestant
from taut.bench.kinds import MEMORY_OF, Shape
from taut.bench.libraries import Library

_WARM_UP = 64  # vectors, with which threads and code get the memory that they keep

CONTESTANTS: Mapping[str, str] = {
    "taut": "taut",
    "NumPy": "NumPy",
    "torch eager": "torch",
    "torch.compile": "torch",
    "JAX jit": "JAX",
    "Eigen": "Eigen",
}
"""Which are measured, and whose they are."""
SLOW_TO_START = ("torch.compile",)
"""Those that a quick run has no time for."""


def peak(library: Library, name: str, size: int) -> int:
    """Returns how many bytes more than before the process held while the contestant ran.

    Weights are there before, and so is the gradient that a contestant adds to; the gradient that it
    makes counts.
    """
    _contestant(library, name, MEMORY_OF.shapes(_WARM_UP)).call()
    return peak_of(_contestant(library, name, MEMORY_OF.shapes(size)).call)


def peak_of(call: Callable[[], object]) -> int:
    """Returns how many bytes more than before the process held during a call."""
    _forget_peak()
    before = _peak()
    call()
    return max(0, _peak() - before)


def _contestant(library: Library, name: str, shapes: list[Shape]) -> Contestant:
    generator = np.random.default_rng(0)
    weights = [generator.standard_normal(shape, np.float32) for shape in shapes]
    return next(c for c in library.contestants(MEMORY_OF, weights) if c.name == name)


def _forget_peak() -> None:
    """Lets the process's highest mark be what it holds now, where the system can.

    Importing a library takes more for a while than the library keeps, which would hide as much.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Returns the most bytes that the process has held.

    Linux's `ru_maxrss` keeps what a process held before it became this program, and is not
    forgotten: `VmHWM` is the same without.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import resource

        maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return maximum if sys.platform == "darwin" else maximum * 1024
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
