"""Programs in C++ that benchmarks are compared with, built by CMake when they are needed."""

import ctypes
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent


def build(name: str, directory: str, *definitions: str) -> Path:
    """Builds benchmarks/`name` in a directory, against the taut and Eigen that pip installed."""
    cmake_dir = subprocess.run(
        [sys.executable, "-m", "taut", "--cmake-dir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    found = (
        f"-Dtaut_DIR={cmake_dir}",
        f"-DEigen3_ROOT={sysconfig.get_path('purelib')}/cmeel.prefix",
        *definitions,
    )
    for arguments in (
        ["-S", str(HERE / name), "-B", directory, "-DCMAKE_BUILD_TYPE=Release", *found],
        ["--build", directory],
    ):
        subprocess.run(["cmake", *arguments], check=True, capture_output=True)
    return Path(directory)


def load(name: str, directory: str) -> ctypes.CDLL:
    """Builds benchmarks/`name`, a shared library of one source, and loads it."""
    (library,) = build(name, directory).glob("*.so")
    return ctypes.CDLL(str(library))
