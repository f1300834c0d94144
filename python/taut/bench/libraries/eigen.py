"""Eigen, in C++ that is compiled for this processor when it is needed."""

import ctypes
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taut.bench.contestant import FACTOR, THRESHOLD, Arrays, Contestant, Outcome
from taut.bench.kinds import Kind
from taut.bench.libraries import Options, UnavailableError

Array = NDArray[Any]

SOURCE = Path(__file__).parents[1] / "eigen"

_library: ctypes.CDLL | None = None


def begin(options: Options) -> dict[str, str]:
    """Builds the library, unless another process of the run has."""
    global _library
    _library = load(Path(options.directory))
    _library.set_num_threads(options.threads)
    version = ctypes.c_char_p.in_dll(_library, "version").value
    assert version is not None
    return {"Eigen": version.decode()}


def load(directory: Path) -> ctypes.CDLL:
    """Builds `SOURCE` there, with the Eigen that pip or the system has installed.

    Raises:
        UnavailableError: If CMake, a compiler or Eigen is missing.
    """
    if not any(directory.glob("*penalties.so")):
        _build(directory)
    (library,) = directory.glob("*penalties.so")
    return ctypes.CDLL(str(library))


def _build(directory: Path) -> None:
    cmake = shutil.which("cmake", path=sysconfig.get_path("scripts")) or shutil.which("cmake")
    if cmake is None:
        raise UnavailableError("there is no CMake")
    configure = ["-S", str(SOURCE), "-B", str(directory), "-DCMAKE_BUILD_TYPE=Release"]
    root = f"-DEigen3_ROOT={sysconfig.get_path('purelib')}/cmeel.prefix"
    for arguments in ([*configure, root], ["--build", str(directory)]):
        if subprocess.run([cmake, *arguments], capture_output=True).returncode != 0:
            raise UnavailableError("CMake found no C++ compiler with OpenMP, or no Eigen")


def contestants(kind: Kind, weights: Arrays) -> Iterator[Contestant]:
    """Yields the one way, for one array: what is written goes into an array that is there."""
    if len(weights) != 1:
        return
    (x,) = weights
    written = np.empty_like(x)
    suffix = {"value": "", "gradient": "_gradient", "prox": "_prox"}[kind.operation]
    factor = THRESHOLD if kind.operation == "prox" else FACTOR
    assert _library is not None
    call = function(_library, kind.penalty + suffix, x, written, factor)

    def outcome() -> Outcome:
        value = call()
        if kind.operation == "value":
            return Outcome(value, [])
        return Outcome(None if kind.operation == "prox" else value, [written])

    yield Contestant("Eigen", call, outcome)


def function(
    library: ctypes.CDLL, name: str, x: Array, written: Array, factor: float
) -> Callable[[], float]:
    """Returns a call of one of the library's functions, for a contiguous array of float32."""
    found = getattr(library, name)
    found.restype = ctypes.c_double
    shape = x.shape if x.ndim == 2 else (1, x.size)

    def call() -> float:
        # Addresses keep no array alive; this does.
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (x, written))
        return float(found(*pointers, *map(ctypes.c_size_t, shape), ctypes.c_double(factor)))

    return call
