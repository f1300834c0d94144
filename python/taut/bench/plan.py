"""What a run will do: which processes, with which libraries and cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taut.bench import memory
from taut.bench.kinds import KINDS, MEMORY, MEMORY_SIZES, QUICK_MEMORY_SIZES
from taut.bench.libraries import LIBRARIES, OWN

KIND_NAMES = (*KINDS, MEMORY)
# What a quick run leaves out unless it is asked for by name: it says much the same as others.
_NOT_QUICK = ("l1", "l1-gradient")


@dataclass(frozen=True)
class Group:
    """Libraries that take turns in one process, and what they do there.

    Attributes:
        process: The process's name.
        libraries: By name; taut first.
        environment: What the process is started with.
        cases: Pairs of a kind's name and a size, in order.
    """

    process: str
    libraries: tuple[str, ...]
    environment: Mapping[str, str]
    cases: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        groups: Processes that time.
        peaks: Pairs of a contestant and a size, whose memory is measured.
        left_out: Libraries that take no part, and why.
    """

    groups: tuple[Group, ...]
    peaks: tuple[tuple[str, int], ...]
    left_out: Mapping[str, str]

    def steps(self) -> int:
        """Returns how many cases and peaks there are."""
        return sum(len(group.cases) for group in self.groups) + len(self.peaks)


def make(kinds: Sequence[str], quick: bool, largest: int | None = None) -> Plan:
    """Plans a run with what is installed.

    Args:
        kinds: Names of `KIND_NAMES`; all if there are none.
        quick: Whether to take fewer and smaller sizes.
        largest: The largest number of elements, if there is to be a limit.
    """
    chosen = [
        name
        for name in KIND_NAMES
        if name in kinds or (not kinds and not (quick and name in _NOT_QUICK))
    ]
    left_out = {
        name: f"not installed: {', '.join(missing)}"
        for name, entry in LIBRARIES.items()
        if (missing := entry.missing())
    }
    groups: dict[str, list[str]] = {}
    for name, entry in LIBRARIES.items():
        if name not in left_out and name != OWN:
            groups.setdefault(entry.process, []).append(name)
    return Plan(
        tuple(_group(names, chosen, quick, largest) for names in groups.values()),
        tuple(_peaks(quick, left_out)) if MEMORY in chosen else (),
        left_out,
    )


def _group(names: list[str], chosen: list[str], quick: bool, largest: int | None) -> Group:
    entry = LIBRARIES[names[0]]
    cases = [
        (kind.name, size)
        for kind in KINDS.values()
        if kind.name in chosen and entry.does(kind)
        for size in (kind.quick_sizes if quick else kind.sizes)
        if largest is None or kind.elements(size) <= largest
    ]
    return Group(entry.process, (OWN, *names), entry.environment or {}, tuple(cases))


def _peaks(quick: bool, left_out: Mapping[str, str]) -> list[tuple[str, int]]:
    return [
        (contestant, size)
        for size in (QUICK_MEMORY_SIZES if quick else MEMORY_SIZES)
        for contestant, library in memory.CONTESTANTS.items()
        if library not in left_out and not (quick and contestant in memory.SLOW_TO_START)
    ]
