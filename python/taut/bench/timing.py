"""Interleaved timing: every contestant in each round, ratios within a round to one of them.

What disturbs the machine for some seconds disturbs all contestants alike, and their ratios less.
The counterpart takes part twice: its ratio to itself is the noise.
"""

import statistics
import time
from collections.abc import Callable, Mapping

Contestants = Mapping[str, Callable[[], object]]

# What verified the contestants may have left threads that spin, beside which taut works alone for a
# while.
SETTLING = 0.5  # seconds


def interleave(
    contestants: Contestants,
    rounds: int,
    calls: int | Mapping[str, int] = 1,
    clock: Callable[[], float] = time.perf_counter,
    settling: float = SETTLING,
) -> dict[str, list[float]]:
    """Returns the seconds per call of each contestant in each round, after some rounds unseen.

    Args:
        contestants: In the order in which they take turns.
        rounds: How many rounds count.
        calls: How often each is called in a row: as often as takes some milliseconds.
        clock: Returns seconds.
        settling: For how many seconds rounds do not count; two do not in any case.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}

    def run_round() -> None:
        for name, call in contestants.items():
            count = calls if isinstance(calls, int) else calls[name]
            start = clock()
            for _ in range(count):
                call()
            seconds[name].append((clock() - start) / count)

    begin = time.perf_counter()
    unseen = 0
    while unseen < 2 or time.perf_counter() - begin < settling:
        run_round()
        unseen += 1
    for _ in range(rounds):
        run_round()
    return {name: times[unseen:] for name, times in seconds.items()}


def all_ratios(seconds: Mapping[str, list[float]], counterpart: str) -> dict[str, list[float]]:
    """Returns each contestant's ratio to the counterpart in every round."""
    return {
        name: [own / base for own, base in zip(times, seconds[counterpart], strict=True)]
        for name, times in seconds.items()
    }


def ratios(seconds: Mapping[str, list[float]], counterpart: str) -> dict[str, float]:
    """Returns each contestant's median ratio to the counterpart of the same round."""
    every = all_ratios(seconds, counterpart)
    return {name: statistics.median(numbers) for name, numbers in every.items()}
