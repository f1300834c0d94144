"""Makes taut wrong in many places, one at a time, and runs the tests that must notice.

    python tests/mutants [--quick] [--only NAME...] [--jobs N] [--list]

Each mutation in `changes/` is an error that somebody could make: a sign, a bound, a lane, a tail, a
rounding, a clamp, a default. It is made in a copy of the repository; what depends on it is
compiled, and the tests that it names are run, of which one must fail. If none does, the mutation
survives: a test is missing, and the exit status is 1. It is 2 where a mutation cannot be tried,
since its text stands no longer where it was, or where its tests fail without it.

The mutations are a list, and not what mutmut or cosmic-ray make of Python's source: half of what
counts is C++, every change of a kernel takes a compiler most of a minute, and so each must be worth
it. And that a line is guarded by this test says more than that one of thousands fails.
"""

import argparse
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builds import Build
from changes import ALL
from mutation import ROOT, Mutation, problems
from workshop import Verdict, Workshop

# Of each kind, how many are tried for a commit.
_QUICK = {"kernels": 1, "core": 1, "bindings": 1, "python": 3, "frameworks": 2}

Workshops = queue.SimpleQueue[Workshop]


def main() -> int:
    """Returns the exit status."""
    everything = [mutation for mutations in ALL.values() for mutation in mutations]
    options = _parse()
    if found := problems(everything):
        print(*found, sep="\n", file=sys.stderr)
        return 2
    mutations = _chosen(options, everything)
    if options.list:
        for mutation in mutations:
            print(f"{mutation.name}  {mutation.file}: {mutation.tests}")
        return 0
    begin = time.monotonic()
    workshops = _open_workshops(options, len(mutations))
    if failing := [verdict for verdict in _try(workshops, _unchanged(mutations)) if verdict.shows]:
        print(*(f"Without a change: {verdict.shows}" for verdict in failing), sep="\n")
        return 2
    print(f"Without a change, all tests pass: {time.monotonic() - begin:.0f} s", flush=True)
    verdicts = []
    for verdict in _try(workshops, mutations):
        verdicts.append(verdict)
        told = f"{verdict.mutation.name}: {verdict.shows or 'SURVIVES'}, {verdict.seconds:.0f} s"
        print(f"[{len(verdicts)}/{len(mutations)}] {told}", flush=True)
    return _report(verdicts, time.monotonic() - begin)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/mutants", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="try a few, others for each commit")
    add("--only", nargs="*", default=[], metavar="NAME", help="try these alone")
    add("--jobs", type=int, default=os.cpu_count(), metavar="N", help="try so many at a time")
    add("--list", action="store_true", help="print them, and try none")
    build = ROOT / "build"
    add("--core", type=Path, default=build / "cpp" / "release", help="where the core is built")
    add("--extension", type=Path, help="where Python's module is built: in build/python/ by pip")
    add("--folder", type=Path, default=build / "mutants", help="where copies are made")
    options = parser.parse_args()
    if options.extension is None:
        built = (build / "python").glob("*/compile_commands.json")
        latest = max(built, key=os.path.getmtime, default=None)
        if latest is None:
            parser.error("Python's module is not built in build/python/: `make mutants` does that")
        options.extension = latest.parent
    return options


def _chosen(options: argparse.Namespace, everything: Sequence[Mutation]) -> Sequence[Mutation]:
    if options.only:
        named = {mutation.name: mutation for mutation in everything}
        if unknown := sorted(set(options.only) - named.keys()):
            sys.exit(f"There are no such mutations: {', '.join(unknown)}")
        return [named[name] for name in options.only]
    if not options.quick:
        return everything
    command = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commit = int(head, 16)
    chosen = []
    for kind, count in _QUICK.items():
        of_kind = ALL[kind]
        step = len(of_kind) // count
        chosen += [of_kind[(commit + i * step) % len(of_kind)] for i in range(count)]
    return chosen


def _open_workshops(options: argparse.Namespace, mutations: int) -> Workshops:
    from taut import _core

    level = _core.level()
    core, extension = Build(options.core, level), Build(options.extension, level)
    workshops: Workshops = queue.SimpleQueue()
    count = min(options.jobs, mutations)
    for i in range(count):
        workshops.put(Workshop(options.folder / f"{i}", core, extension))
    print(f"{mutations} mutations, {count} at a time; kernels of {level}", flush=True)
    return workshops


def _unchanged(mutations: Sequence[Mutation]) -> list[Mutation]:
    """Returns mutations that change nothing, with all of the tests: they must pass then.

    The kernels are compiled, so that what is linked is what would be with a change.
    """
    cpp = " ".join(dict.fromkeys(name for each in mutations for name in each.cpp.split()))
    kernels = ("cpp/src/kernels/kernels.cpp", *["constexpr Kernels kernels = {"] * 2)
    nothing = ("pyproject.toml", *["[build-system]"] * 2)
    tests = dict.fromkeys(each.python for each in mutations if each.python)
    return [
        *([Mutation("the core's", *kernels, cpp=cpp)] if cpp else []),
        *(Mutation(python, *nothing, python=python) for python in tests),
    ]


def _try(workshops: Workshops, mutations: Sequence[Mutation]) -> Iterator[Verdict]:
    """Tries as many at a time as there are workshops; yields what became of each, in order."""

    def attempt(mutation: Mutation) -> Verdict:
        workshop = workshops.get()
        try:
            return workshop.attempt(mutation)
        finally:
            workshops.put(workshop)

    with ThreadPoolExecutor(workshops.qsize()) as pool:
        yield from pool.map(attempt, mutations)


def _report(verdicts: Sequence[Verdict], seconds: float) -> int:
    surviving = [verdict.mutation for verdict in verdicts if not verdict.shows]
    untried = [verdict for verdict in verdicts if verdict.error]
    print()
    for kind, mutations in ALL.items():
        own = [verdict for verdict in verdicts if verdict.mutation in mutations]
        if own:
            killed = sum(verdict.killer is not None for verdict in own)
            print(f"  {kind:<12}{killed:>4} of {len(own):>3} killed")
    for mutation in surviving:
        print(f"\n{mutation.name} survives {mutation.tests}, with this in {mutation.file}:")
        print(*_difference(mutation), sep="\n")
    for verdict in untried:
        print(f"\n{verdict.mutation.name} was not tried: {verdict.error}")
    killed = len(verdicts) - len(surviving) - len(untried)
    print(
        f"\n{len(verdicts)} mutations: {killed} killed, {len(surviving)} survive, "
        f"{len(untried)} not tried; {seconds / 60:.1f} minutes"
    )
    return 2 if untried else 1 if surviving else 0


def _difference(mutation: Mutation) -> Iterable[str]:
    yield from (f"- {line}" for line in mutation.old.splitlines())
    yield from (f"+ {line}" for line in mutation.new.splitlines())


if __name__ == "__main__":
    sys.exit(main())
