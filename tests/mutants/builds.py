"""Links programs anew in which one source file has changed.

CMake and Ninja have built everything once; they say how each unit was compiled, which headers it
included, and how each program was linked. Here only what depends on the changed file is compiled,
from a copy of the sources, and linked before the library that has the other units. So nothing of
the build is touched, and several changes can be tried at once.

The kernels are compiled from one source for each level. Here that is done for one level, which the
linker lets the others be, too: so no test notices a change by comparing levels, which all have it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Where pip puts programs: cmake and ninja among them.
PATH = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
_LIBRARY = "cpp/CMakeFiles/taut.dir/"
_MAIN = "tests/cpp/CMakeFiles/taut_test_main.dir/"
_KERNELS = "cpp/CMakeFiles/taut_kernels_"


class CompilerError(Exception):
    """A change that is no program any more, and so shows nothing of the tests."""


@dataclass(frozen=True)
class Test:
    """One of CTest's tests of a program."""

    name: str
    target: str  # what Ninja makes
    arguments: Sequence[str]
    environment: dict[str, str]


class Build:
    """A folder that CMake and Ninja have built.

    Args:
        folder: Where it is.
        level: The instruction-set level that kernels are compiled for.
    """

    def __init__(self, folder: Path, level: str) -> None:
        self.folder = folder.resolve()
        self.level = level
        cache = (self.folder / "CMakeCache.txt").read_text(encoding="utf-8")
        self._source = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache, re.MULTILINE)[1]

    @cached_property
    def _commands(self) -> dict[str, str]:
        """How each object is compiled."""
        text = (self.folder / "compile_commands.json").read_text(encoding="utf-8")
        commands = [entry["command"] for entry in json.loads(text)]
        return {re.search(r" -o (\S+)", command)[1]: command for command in commands}

    @cached_property
    def _sources(self) -> dict[str, set[str]]:
        """The files that each object was compiled from."""
        blocks = _output("ninja", "-C", self.folder, "-t", "deps").strip().split("\n\n")
        return {
            head.partition(":")[0]: {os.path.normpath(self.folder / file.strip()) for file in files}
            for head, *files in map(str.splitlines, blocks)
        }

    def link(self, target: str, changed: str, tree: Path, objects: Path, program: Path) -> None:
        """Links a target in which a file is that of another tree.

        Args:
            target: What Ninja calls it.
            changed: The file, from the root of the repository.
            tree: A copy of the repository, in which that file is another.
            objects: A folder for what is compiled, where what this tree gave before is taken.
            program: What is linked.

        Raises:
            CompilerError: If the compiler or the linker refuses it.
        """
        command = self._link_command(target)
        given = [argument for argument in command if argument.endswith(".o")]
        own = {}
        for name in self._units(changed, given):
            own[name] = str(objects / name.replace("/", "."))
            if not os.path.exists(own[name]):
                self._compile(name, tree, own[name])
        first = command.index(given[0])
        command = [own.get(argument, argument) for argument in command]
        command[command.index("-o") + 1] = str(program)
        command[first:first] = [path for name, path in own.items() if name not in given]
        self._run([*command, *self._aliases(own)])

    def _units(self, changed: str, given: Sequence[str]) -> list[str]:
        """Returns the objects of a program that depend on a file."""
        parts = (_LIBRARY, _MAIN, f"{_KERNELS}{_namespace(self.level)}.dir/")
        path = os.path.join(self._source, changed)
        return [
            name
            for name, sources in self._sources.items()
            if path in sources and (name in given or name.startswith(parts))
        ]

    def _compile(self, name: str, tree: Path, output: str) -> None:
        command = [
            re.sub(rf"{re.escape(self._source)}/(cpp|tests)/", rf"{tree}/\1/", argument)
            for argument in shlex.split(self._commands[name])
        ]
        command[command.index("-o") + 1] = output
        self._run([*command, "-Wno-error"])  # a change may leave a variable unused

    def _aliases(self, own: dict[str, str]) -> list[str]:
        """Returns what makes every level's kernels those of the level that was compiled."""
        if not any(name.startswith(_KERNELS) for name in own):
            return []
        all_kernels = {name for name in self._sources if name.startswith(_KERNELS)}
        others = {name[len(_KERNELS) :].partition(".")[0] for name in all_kernels}
        compiled = _table(_namespace(self.level))
        return [
            f"-Wl,--defsym={_table(other)}={compiled}"
            for other in sorted(others - {_namespace(self.level)})
        ]

    def _link_command(self, target: str) -> list[str]:
        """Returns the command without what Ninja does before and after."""
        last = _output("ninja", "-C", self.folder, "-t", "commands", target).splitlines()[-1]
        return shlex.split(re.split(r" && ", last)[1])

    def _run(self, command: Sequence[str]) -> None:
        result = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if result.returncode != 0:
            raise CompilerError(result.stderr[-2000:])

    @cached_property
    def _tests(self) -> dict[str, Test]:
        described = _output("ctest", "--show-only=json-v1", "--test-dir", self.folder)
        tests = {}
        for test in json.loads(described)["tests"]:
            if "command" not in test:
                continue
            program, *arguments = test["command"]
            properties = {each["name"]: each["value"] for each in test.get("properties", ())}
            environment = dict(each.split("=", 1) for each in properties.get("ENVIRONMENT", ()))
            target = os.path.relpath(program, self.folder)
            tests[test["name"]] = Test(test["name"], target, arguments, environment)
        return tests

    def test(self, name: str) -> Test:
        """Returns CTest's test of a name, or of that name at the level.

        Raises:
            KeyError: If there is none.
        """
        leveled = f"{name}_{self.level}"
        return self._tests[name if name in self._tests else leveled]


def _namespace(level: str) -> str:
    return level.replace("-", "_")


def _table(namespace: str) -> str:
    """Returns the symbol of a level's kernels: taut::x86_64_v3::kernels."""
    return f"_ZN4taut{len(namespace)}{namespace}7kernelsE"


def _output(program: str, *arguments: object) -> str:
    found = shutil.which(program, path=PATH)
    if found is None:
        sys.exit(f"There is no {program}: `make mutants` installs it")
    command = [found, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
