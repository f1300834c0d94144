"""A copy of the repository, in which one mutation after the other is tried."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from builds import Build, CompilerError, Test
from mutation import ROOT, Mutation

_SECONDS = 300  # after which tests have ended that would never end: they have noticed


class Verdict(NamedTuple):
    """What became of a mutation.

    Attributes:
        mutation: Which one.
        killer: The test that failed; None if all of them passed.
        error: Why it could not be tried; empty if it could.
        seconds: How long it took.
    """

    mutation: Mutation
    killer: str | None
    error: str
    seconds: float

    @property
    def shows(self) -> str:
        """What the mutation has shown, in words; nothing if it survives."""
        return self.error or (self.killer and f"killed by {self.killer}") or ""


class Workshop:
    """A copy of the repository.

    Args:
        folder: Where it is made anew.
        core: The build of the core and its tests, from the repository itself.
        extension: The build of Python's module, likewise.
    """

    def __init__(self, folder: Path, core: Build, extension: Build) -> None:
        self._core, self._extension = core, extension
        folder = folder.resolve()
        self._tree, self._objects = folder / "tree", folder / "objects"
        self._temporary = folder / "tmp"
        (self._module,) = extension.folder.glob("cpp/_core.*")
        self._own_module = self._tree / "python" / "taut" / self._module.name
        shutil.rmtree(folder, ignore_errors=True)
        for name in _files():
            to = self._tree / name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, to)
        self._temporary.mkdir()
        self._check_that_python_finds_it()

    def attempt(self, mutation: Mutation) -> Verdict:
        """Makes the change and runs its tests, until one fails."""
        begin = time.monotonic()
        killer, error = None, ""
        try:
            with self._changed(mutation):
                killer = self._find_killer(mutation)
        except (CompilerError, KeyError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        return Verdict(mutation, killer, error, time.monotonic() - begin)

    @contextlib.contextmanager
    def _changed(self, mutation: Mutation) -> Iterator[None]:
        for folder in (self._objects, self._temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self._own_module.unlink(missing_ok=True)
        file = self._tree / mutation.file
        text = file.read_text(encoding="utf-8")
        file.write_text(mutation.applied(text), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")

    def _find_killer(self, mutation: Mutation) -> str | None:
        for name in mutation.cpp.split():
            test = self._core.test(name)
            if self._fails_in_core(mutation, test):
                return test.name
        return self._killer_in_python(mutation) if mutation.python else None

    def _fails_in_core(self, mutation: Mutation, test: Test) -> bool:
        program = self._objects / os.path.basename(test.target)
        if not program.exists():
            self._core.link(test.target, mutation.file, self._tree, self._objects, program)
        command = [str(program), *test.arguments, "--abort"]  # at the first failure
        return self._run(command, self._objects, test.environment) is not None

    def _killer_in_python(self, mutation: Mutation) -> str | None:
        if mutation.is_compiled:
            objects = self._objects / "extension"
            objects.mkdir()
            target = os.path.relpath(self._module, self._extension.folder)
            self._extension.link(target, mutation.file, self._tree, objects, self._own_module)
        else:
            self._own_module.symlink_to(self._module)
        options = ["-x", "-q", "-p", "no:cacheprovider"]
        output = self._run_python("-m", "pytest", *options, *shlex.split(mutation.python))
        if output is None:
            return None
        failed = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", output, re.MULTILINE)
        return failed[1].rpartition("/")[2] if failed else mutation.python

    def _check_that_python_finds_it(self) -> None:
        """Raises a RuntimeError if tests would import a taut that stays as it is."""
        code = (
            "import importlib.util as u, sys; sys.exit(u.find_spec('taut').origin != sys.argv[1])"
        )
        if (
            self._run_python("-c", code, str(self._tree / "python" / "taut" / "__init__.py"))
            is not None
        ):
            raise RuntimeError(f"Python does not import taut from {self._tree}")

    def _run_python(self, *arguments: str) -> str | None:
        environment = {
            "PYTHONPATH": str(self._tree / "python"),
            # To what Python keeps of modules, two changes of one second look alike.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Whose compiled steps hold what they were traced with.
            "KERAS_BACKEND": "jax",
        }
        command = [sys.executable, *arguments]
        return self._run(command, self._tree / "tests" / "python", environment)

    def _run(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> str | None:
        """Returns the output of a command that fails, or takes too long; None if it succeeds."""
        process = subprocess.Popen(
            command,
            cwd=folder,
            # In CI no test is left out; here, one that is would pass.
            env=os.environ | {"CI": "true", "TMPDIR": str(self._temporary)} | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            output = "out of time"
        finally:  # with whatever it has started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None if process.returncode == 0 else output


def _files() -> list[str]:
    """Returns the files of the repository, also those that Git does not know yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if (ROOT / name).is_file()]
