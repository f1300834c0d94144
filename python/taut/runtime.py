"""Threads, memory, and how this taut was built."""

import os
import platform
import sys

import numpy as np

from taut import _core


def set_num_threads(threads: int) -> None:
    """Sets how many threads one call of taut may use.

    This affects taut alone: the settings of other libraries stay as they are. Small work stays on
    the calling thread whatever the number, and the result has the same bits for every number.

    If the system cannot provide that many, a call uses those that it gets.

    Args:
        threads: From 1 to 1024.

    Raises:
        ValueError: If `threads` is less than 1 or more than 1024.
    """
    _core.set_num_threads(threads)


def get_num_threads() -> int:
    """Returns how many threads one call of taut may use.

    Until you call `set_num_threads`, it is the smallest of these numbers: the processors that this
    process may run on (on macOS and Windows, all processors); on Linux, the processor time that its
    container allows (cgroup quotas), rounded up; and the environment variable `OMP_NUM_THREADS`.
    taut determines them when it first needs them, and keeps them. Beside torch on Linux, it is at
    most what `torch.set_num_threads` currently says. `show_config` prints which of them decided.
    """
    return _core.get_num_threads()


def trim_memory() -> None:
    """Gives back the working memory that taut keeps between calls.

    taut keeps at most 64 MB for the whole process, and by itself gives back memory that no call has
    needed for some thousand calls.
    """
    _core.trim_memory()


def config() -> dict[str, object]:
    """Returns versions, the compiler, the SIMD levels and the number of threads, by name."""
    return {
        "taut": _core.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "compiler": _core.compiler,
        "SIMD level": _core.level(),
        "SIMD levels": list(_core.available_levels()),
        "TAUT_SIMD": os.environ.get("TAUT_SIMD", "not set"),
        "threads": f"{get_num_threads()} ({_core.num_threads_origin()})",
    }


def show_config() -> None:
    """Prints versions, the SIMD level in use, and the number of threads and what decided it.

    The command `taut config` prints more: the processor, the array libraries, paths.
    """
    rows = config()
    rows["SIMD levels"] = ", ".join(_core.available_levels())
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
