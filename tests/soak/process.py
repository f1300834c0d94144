"""What this process has: memory, threads. As Linux and the GNU C library count them."""

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import taut

_libc = ctypes.CDLL(None)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


@dataclass(frozen=True)
class Usage:
    """What is in use.

    Attributes:
        resident: Bytes of memory that the process has in all.
        allocated: Bytes that malloc has given out, to whatever language.
        blocks: Python's own small objects, which it does not ask malloc for.
        threads: Of the process, those of OpenMP's runtime among them.
    """

    resident: int
    allocated: int
    blocks: int
    threads: int


def count_threads() -> int:
    """Returns how many threads the process has."""
    return len(os.listdir("/proc/self/task"))


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE


def _allocated() -> int:
    mallinfo: Callable[[], _Mallinfo] = _libc.mallinfo2  # glibc 2.33 and newer
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    return info.uordblks + info.hblkhd


def return_memory_at_once() -> None:
    """Has malloc give back what is freed, of which it else keeps tens of megabytes per thread."""
    trim_threshold = -1
    _libc.mallopt(trim_threshold, 128 * 1024)


def measure() -> Usage:
    """Returns what is in use when all that is kept for later has been given back."""
    for _ in range(2):
        gc.collect()
    taut.trim_memory()
    _libc.malloc_trim(0)
    return Usage(_resident(), _allocated(), sys.getallocatedblocks(), count_threads())


def wait_for_threads(most: int, seconds: float = 10.0) -> int:
    """Returns the number of threads: when it is `most` at the most, or after some seconds.

    The threads that an OpenMP runtime lent to a thread which has ended take a moment to end.
    """
    end = time.monotonic() + seconds
    while (threads := count_threads()) > most and time.monotonic() < end:
        time.sleep(0.01)
    return threads
