"""What a mutation is, and what must hold of each before anything is compiled."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """A change of taut's source that makes it wrong, and the tests that must notice.

    Attributes:
        name: What `make mutants ONLY=name` tries.
        file: Where the change is, from the root of the repository.
        old: Text that stands there once.
        new: What stands there instead.
        cpp: Tests of the core, as CTest names them, but without a level.
        python: Tests of Python: arguments of pytest, from `tests/python/` on.
    """

    name: str
    file: str
    old: str
    new: str
    cpp: str = ""
    python: str = ""

    @property
    def is_compiled(self) -> bool:
        """Whether the change needs a compiler."""
        return self.file.startswith("cpp/")

    @property
    def tests(self) -> str:
        """The tests, in words."""
        return ", ".join(filter(None, (*self.cpp.split(), self.python)))

    def applied(self, text: str) -> str:
        """Returns the file's text with the change.

        Raises:
            ValueError: If the old text does not stand there exactly once.
        """
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"its old text stands {count} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def problems(mutations: Sequence[Mutation]) -> list[str]:
    """Returns what is wrong with some mutations; it takes a moment for all of them."""
    counts = Counter(mutation.name for mutation in mutations)
    twice = [f"{name}: {n} mutations have this name" for name, n in counts.items() if n > 1]
    return twice + [
        f"{mutation.name}: {problem}"
        for mutation in mutations
        for problem in (*_problems_of_change(mutation), *_problems_of_tests(mutation))
    ]


def _problems_of_change(mutation: Mutation) -> Iterator[str]:
    if mutation.old == mutation.new:
        yield "it changes nothing"
    try:
        changed = mutation.applied((ROOT / mutation.file).read_text(encoding="utf-8"))
        if mutation.file.endswith(".py"):
            ast.parse(changed)
    except (OSError, SyntaxError, ValueError) as error:
        yield str(error)


def _problems_of_tests(mutation: Mutation) -> Iterator[str]:
    tests = ROOT / "tests"
    programs = [name.removesuffix("_large") for name in mutation.cpp.split()]
    files = [tests / "cpp" / f"test_{name}.cpp" for name in programs]
    files += [tests / "python" / name for name in re.findall(r"\S+\.py\b", mutation.python)]
    if not files:
        yield "it names no test"
    yield from (f"there is no {file}" for file in files if not file.is_file())
