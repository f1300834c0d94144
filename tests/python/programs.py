"""Programs that tests run, and C++ that they build against the installed taut."""

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

PURELIB = sysconfig.get_path("purelib")


def find_program(*names):
    """Returns the first of the programs that is there, with those that pip has installed.

    Without any, the test is not run; in CI, where that would go unseen, it fails.
    """
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    for name in names:
        if program := shutil.which(name, path=path):
            return program
    if os.environ.get("CI"):
        raise FileNotFoundError(f"none of {names}, and in CI no test may be left out")
    return pytest.skip(f"not run: there is none of {names} here")


def run(*command, **options):
    """Returns what the command prints, or shows it if the command fails."""
    result = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=600, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def directory_of(option):
    """Returns what `python -m taut` prints for --cmake-dir and the like."""
    return run(sys.executable, "-m", "taut", option).strip()


def build(source, directory):
    """Builds a project as strictly as can be, with taut and Eigen as pip has installed them."""
    cmake = find_program("cmake")
    flags = "-Wall -Wextra -Wconversion -Wshadow -Werror"
    run(
        *(cmake, "-S", source, "-B", directory, f"-DCMAKE_CXX_FLAGS={flags}"),
        f"-Dtaut_DIR={directory_of('--cmake-dir')}",
        f"-DEigen3_ROOT={PURELIB}/cmeel.prefix",
        "--no-warn-unused-cli",
    )
    run(cmake, "--build", directory)
    return directory
