"""What a measurement was made on."""

import datetime
import os
import platform
import sys
from pathlib import Path
from typing import Any

from taut import _core

_SYSTEM = Path("/sys/devices/system/cpu/cpu0/cache")
_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30}


def describe(threads: int) -> dict[str, Any]:
    """Returns the machine by name; `None` for what the system does not tell."""
    return {
        "processor": processor(),
        "processors": len(processors()),
        "caches": caches(),
        "memory": memory(),
        "system": platform.platform(),
        "compiler": _core.compiler,
        "SIMD level": _core.level(),
        "Python": platform.python_version(),
        "threads": threads,
        "load before": load(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """Returns the processor's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            names = {line.partition(":")[2].strip() for line in lines if "model name" in line}
    except OSError:
        names = set()
    return ", ".join(sorted(names)) or platform.processor() or platform.machine()


def processors() -> list[int]:
    """Returns the numbers of the processors that this process may run on."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def caches() -> dict[str, int] | None:
    """Returns the bytes of the first processor's caches, `{"L1d": 49152, ...}`."""
    found = {}
    for cache in sorted(_SYSTEM.glob("index*")):
        try:
            level, kind, size = ((cache / n).read_text().strip() for n in ("level", "type", "size"))
        except OSError:
            continue
        letter = {"Data": "d", "Instruction": "i"}.get(kind, "")
        found[f"L{level}{letter}"] = int(size[:-1]) * _BYTES[size[-1]]
    return found or None


def memory() -> int | None:
    """Returns the machine's memory in bytes."""
    return _meminfo("MemTotal")


def available_memory() -> int | None:
    """Returns the bytes that may still be taken without others' having to give up theirs."""
    return _meminfo("MemAvailable")


def load() -> float | None:
    """Returns how many processes ran or waited for a processor over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{name}:")]
    return numbers[0] * 1024 if numbers else None
