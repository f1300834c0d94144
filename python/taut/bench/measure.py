"""One case: contestants are made, verified, and then timed in turns."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from taut.bench import timing
from taut.bench.contestant import Arrays, Contestant, WrongResultError, verify
from taut.bench.kinds import Kind
from taut.bench.libraries import OWN, Library, own
from taut.bench.machine import available_memory
from taut.bench.results import Case, Result, spread

_AGAIN = f"{OWN} again"


@dataclass(frozen=True)
class Pace:
    """How much time a case is given.

    Attributes:
        sample: Seconds of calls in a row, at least, that one sample is made of.
        all_rounds: Seconds in all, if the fewest rounds take no more.
        rounds: The fewest and the most.
        longest_call: Seconds that a contestant may be expected to take for one.
        settling: As for `timing.interleave`.
    """

    sample: float
    all_rounds: float
    rounds: tuple[int, int]
    longest_call: float
    settling: float


FULL = Pace(5e-3, 15.0, (7, 25), 20.0, timing.SETTLING)
QUICK = Pace(1e-3, 0.5, (5, 15), 0.5, 0.1)
# Below this part of the longest call, what a call costs whatever the size may be most of it.
_TELLS_NOTHING = 1 / 20


@dataclass
class Measurer:
    """Measures cases from small to large, and remembers what a contestant took before."""

    libraries: Mapping[str, Library]
    process: str
    pace: Pace
    _past: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def run(self, kind: Kind, size: int) -> Case:
        """Returns the case, in which a contestant that fails is left out."""
        count = kind.elements(size)
        case: Case = {
            "kind": kind.name,
            "size": size,
            "elements": count,
            "process": self.process,
            "counterpart": OWN,
            "rounds": 0,
            "again": {"median": 1.0, "lower": 1.0, "upper": 1.0},
            "results": {},
            "left_out": {},
            "wrong": {},
        }
        available = available_memory()
        # All contestants are there at the same time, with gradients and more of their own.
        if available is not None and 80 * count > available:
            case["left_out"]["all"] = f"needs {_gigabytes(80 * count)}"
            return case
        generator = np.random.default_rng(0)
        weights = [generator.standard_normal(shape, np.float32) for shape in kind.shapes(size)]
        taking_part, errors = self._verified(case, kind, size, weights)
        if OWN in taking_part:
            self._time(case, kind, size, taking_part, errors)
        return case

    def _verified(
        self, case: Case, kind: Kind, size: int, weights: Arrays
    ) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
        expected = own.exact(kind, weights)
        calls: dict[str, Callable[[], object]] = {}
        errors: dict[str, float] = {}
        for contestant in self._contestants(kind, weights):
            name = contestant.name
            if reason := self._reason_against(kind, size, contestant):
                case["left_out"][name] = reason
                continue
            try:
                errors[name] = verify(kind, size, name, contestant.outcome(), expected)
            except WrongResultError as error:
                case["wrong"][name] = str(error)
            except Exception as error:  # a library's own, memory that ran out among them
                case["left_out"][name] = _in_one_line(error)
            else:
                calls[name] = contestant.call
        return calls, errors

    def _contestants(self, kind: Kind, weights: Arrays) -> Iterator[Contestant]:
        for library in self.libraries.values():
            yield from library.contestants(kind, weights)

    def _reason_against(self, kind: Kind, size: int, contestant: Contestant) -> str | None:
        needed, available = kind.bytes_of_a_peer(size), available_memory()
        stores_pairs = kind.is_pairwise and contestant.stores_pairs
        if stores_pairs and available is not None and needed > available:
            return f"needs {_gigabytes(needed)}"
        past = self._past.get((kind.name, contestant.name))
        if past is not None and contestant.name != OWN:
            work, seconds = past
            expected = seconds * kind.work(size) / work
            longest = self.pace.longest_call
            if expected > longest and seconds > _TELLS_NOTHING * longest:
                return f"would take {expected:.1f} s a call"
        return None

    def _time(
        self,
        case: Case,
        kind: Kind,
        size: int,
        taking_part: dict[str, Callable[[], object]],
        errors: Mapping[str, float],
    ) -> None:
        counts = {name: self._calls(call) for name, call in taking_part.items()}
        names = list(taking_part)
        # In the middle, so that each of the two follows another's call.
        names.insert(len(names) // 2 + 1, _AGAIN)
        turns = {name: taking_part.get(name, taking_part[OWN]) for name in names}
        counts[_AGAIN] = counts[OWN]
        rounds = self._rounds(turns, counts)
        seconds = timing.interleave(turns, rounds, counts, settling=self.pace.settling)
        ratios = timing.all_ratios(seconds, OWN)
        case["rounds"] = rounds
        case["again"] = spread(ratios[_AGAIN])
        for name in taking_part:
            result: Result = {
                "seconds": spread(seconds[name]),
                "ratio": spread(ratios[name]),
                "calls": counts[name],
                "error": errors[name],
            }
            case["results"][name] = result
            self._past[kind.name, name] = (kind.work(size), result["seconds"]["lower"])

    def _calls(self, call: Callable[[], object]) -> int:
        call()
        return max(1, round(self.pace.sample / _seconds(call)))

    def _rounds(self, turns: Mapping[str, Callable[[], object]], counts: Mapping[str, int]) -> int:
        one = sum(_seconds(call) * counts[name] for name, call in turns.items())
        fewest, most = self.pace.rounds
        return min(most, max(fewest, int(self.pace.all_rounds / one)))


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return max(time.perf_counter() - begin, 1e-7)


def _gigabytes(size: float) -> str:
    return f"some {size / 1e9:.1f} GB of memory"


def _in_one_line(error: Exception) -> str:
    words = f"{type(error).__name__}: {error}".splitlines()[0]
    return words[:200]
