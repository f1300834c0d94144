"""Threads, and what this installation of taut is made of."""

import os
import platform
import sys

import numpy as np

from taut import _core


def set_num_threads(threads: int) -> None:
    """Sets how many threads one call of taut may use.

    It concerns taut alone: the settings of other libraries stay as they are. Small work stays on
    the calling thread whatever the number, and the result has the same bits for every number.

    Args:
        threads: At least 1.

    Raises:
        ValueError: If `threads` is less than 1.
    """
    _core.set_num_threads(threads)


def get_num_threads() -> int:
    """Returns how many threads one call of taut may use.

    Until `set_num_threads` was called, that is what OpenMP would use: `OMP_NUM_THREADS`, else the
    number of processors that this process may run on.
    """
    return _core.get_num_threads()


def show_config() -> None:
    """Prints versions, the SIMD level in use, and the number of threads."""
    rows = {
        "taut": _core.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "compiler": _core.compiler,
        "SIMD level": _core.level(),
        "SIMD levels": ", ".join(_core.available_levels()),
        "TAUT_SIMD": os.environ.get("TAUT_SIMD", "not set"),
        "threads": str(get_num_threads()),
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
