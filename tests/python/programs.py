"""Programs that tests run, and C++ that they build against the installed taut."""

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

PURELIB = sysconfig.get_path("purelib")
# As in an activated environment: with the programs that pip has installed, and this very Python.
ENVIRONMENT = {
    **os.environ,
    "PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"],
}

# What the example trainers refuse, and words of what they say to that.
WRONG_ARGUMENTS = [
    ([], "which CSV file"),
    (["no.csv"], "cannot read no.csv"),
    (["a.csv", "--epochs", "0"], "--epochs must be at least 1"),
    (["a.csv", "--save"], "--save needs a value"),
    (["a.csv", "b.csv"], "not understood: b.csv"),
]


def find_program(*names):
    """Returns the first of the programs that is there.

    Without any, the test is not run; in CI, where that would go unseen, it fails.
    """
    for name in names:
        if program := shutil.which(name, path=ENVIRONMENT["PATH"]):
            return program
    if os.environ.get("CI"):
        raise FileNotFoundError(f"none of {names}, and in CI no test may be left out")
    return pytest.skip(f"not run: there is none of {names} here")


def require_header(name):
    """Skips the test where no such C++ library is; in CI, where that would go unseen, it fails."""
    code = f"#if !__has_include(<{name}>)\n#error\n#endif\n"
    command = [find_program("c++", "g++", "clang++"), "-E", "-x", "c++", "-"]
    if subprocess.run(command, input=code, capture_output=True, text=True).returncode == 0:
        return
    if os.environ.get("CI"):
        raise FileNotFoundError(f"there is no <{name}>, and in CI no test may be left out")
    pytest.skip(f"not run: there is no <{name}> here")


def run(*command):
    """Returns what the command prints, or shows it if the command fails."""
    result = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=600, env=ENVIRONMENT
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def directory_of(option):
    """Returns what `python -m taut` prints for --cmake-dir and the like."""
    return run(sys.executable, "-m", "taut", option).strip()


def build(source, directory, *, finds_taut=False, finds_eigen=False, definitions=()):
    """Builds a project as strictly as can be, with taut and Eigen as pip has installed them.

    A project that finds one of them by itself is not told where it is; `definitions` are further
    options of CMake's.
    """
    if sys.platform != "linux":
        pytest.skip(
            "not run: the flags, the linker and the paths in these projects are those of Linux"
        )
    cmake = find_program("cmake")
    flags = "-Wall -Wextra -Wconversion -Wshadow -Werror"
    run(
        *(cmake, "-S", source, "-B", directory, f"-DCMAKE_CXX_FLAGS={flags}"),
        *([] if finds_taut else [f"-Dtaut_DIR={directory_of('--cmake-dir')}"]),
        *([] if finds_eigen else [f"-DEigen3_ROOT={PURELIB}/cmeel.prefix"]),
        *definitions,
        "--no-warn-unused-cli",
    )
    run(cmake, "--build", directory)
    return directory
