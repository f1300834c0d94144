"""`taut config`."""

import argparse
import json
import os
import sys
from importlib import metadata
from pathlib import Path

HELP = "print what a bug report needs: versions, threads, processor, paths"

# The packages of each, the first that is installed. None is imported: that takes seconds.
_LIBRARIES = {
    "torch": ("torch",),
    "jax": ("jax",),
    "jaxlib": ("jaxlib",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-intel"),
    "keras": ("keras",),
    "ml_dtypes": ("ml_dtypes",),
    "rich": ("rich",),
}
_VARIABLES = ("OMP_NUM_THREADS", "KERAS_BACKEND")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `taut config`."""
    parser.description = (
        "Prints what a bug report needs: versions, the compiler, the instruction-set level in use, "
        "the processor, the number of threads and where it comes from, and paths."
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Prints the table, or the JSON."""
    found = describe()
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = [(name, _text(value)) for name, value in found.items()]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")
    return 0


def describe() -> dict[str, object]:
    """Returns what there is, by name."""
    from taut import _core, runtime
    from taut.bench import machine

    return {
        **runtime.config(),
        "processor": machine.processor(),
        "processors": os.cpu_count(),
        "processors of this process": _usable_processors(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "JAX handlers": sorted(_core.jax_handlers),
        "executable": sys.executable,
        "package": str(Path(runtime.__file__).parent),
        "compiled module": _core.__file__,
    }


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


def _version(library: str) -> str | None:
    for package in _LIBRARIES[library]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return None


def _usable_processors() -> int | None:
    """Returns how many processors this process may run on, where the system says so."""
    if sys.platform != "linux":
        return None
    return len(os.sched_getaffinity(0))
