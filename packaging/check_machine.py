"""Says in one sentence what this machine lacks to build taut, and exits with 1; else with 0.

It runs before anything is installed, on Pythons from 3.6 on, which may be too old.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

OLDEST_PYTHON = (3, 10)
OLDEST_COMPILERS = """#include <bit>
#include <concepts>
#include <span>
#if defined(__clang__) ? __clang_major__ < 14 : defined(__GNUC__) && __GNUC__ < 12
#error too old
#endif
"""


def what_is_missing():
    """Returns the sentence, or None."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < OLDEST_PYTHON:
        oldest = "{}.{}".format(*OLDEST_PYTHON)
        return (
            f"taut needs Python {oldest} or newer, and {sys.executable} is {version}: name "
            f"another, as in `make PYTHON=python3.12`."
        )
    if not all(importlib.util.find_spec(name) for name in ("ensurepip", "venv")):
        return (
            f"{sys.executable} cannot make virtual environments: install its module `venv` "
            f"(Debian, Ubuntu: `apt install python{version}-venv`)."
        )
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return (
            f"The headers of {sys.executable} are missing: install them (Debian, Ubuntu: "
            f"`apt install python{version}-dev`; Fedora: `dnf install python3-devel`)."
        )
    known = (name for name in ("c++", "g++", "clang++") if shutil.which(name))
    compiler = os.environ.get("CXX") or next(known, None)
    if compiler is None:
        return (
            "There is no C++ compiler: install one (Debian, Ubuntu: `apt install g++`; Fedora: "
            "`dnf install gcc-c++`; macOS: `xcode-select --install`)."
        )
    command = [*shlex.split(compiler), "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
    if shutil.which(command[0]) is None:
        return f"There is no {command[0]}, which CXX names as the C++ compiler."
    if subprocess.run(command, input=OLDEST_COMPILERS.encode(), capture_output=True).returncode:
        return (
            f"`{compiler}` does not compile C++20 as taut needs it: name g++ 12 or newer, or clang "
            f"14 or newer, as in `CXX=g++-12 make`."
        )
    return None


if __name__ == "__main__":
    sys.exit(what_is_missing())
