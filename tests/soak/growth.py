"""Whether a call leaves something behind: 100,000 of every entry, and what the process has then.

Of each entry some small calls are made, with and without the GIL, that differ in dtype, layout and
options. What malloc has given out and Python's own blocks are counted before and after; what was
taken once and is kept (an arena, a cache) is there before. `make soak` runs it after the soak.

    python tests/soak/growth.py --calls 100000
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import threading
import time
from collections.abc import Callable

import process
import taut
from calls import ENTRIES, make_call

VARIANTS = 6
IN_NEW_THREADS = "a call in a new thread"
LARGEST = 300  # elements, and so without releasing the GIL where each is little work
# What differs from one time to the next by itself. A leak of the smallest block is more from the
# first percent of 100,000 calls on.
MOST_BLOCKS = 100
MOST_BYTES = 16 * 1024


def growth(calls: list[Callable[[], object]], times: int) -> tuple[int, int]:
    """Returns the bytes and blocks that so many calls leave behind.

    Where something is there after the first time, it is looked at once more: a leak is there again.
    """
    for _ in range(max(10, min(2000, times // 10))):
        for call in calls:
            call()
    for _ in range(3):
        before = process.measure()
        for _ in range(times // len(calls)):
            for call in calls:
                call()
        after = process.measure()
        left = after.allocated - before.allocated, after.blocks - before.blocks
        if not is_leak(*left):
            break
    return left


def is_leak(allocated: int, blocks: int) -> bool:
    """Returns whether it is more than differs by itself."""
    return allocated > MOST_BYTES or blocks > MOST_BLOCKS


def in_new_thread(call: Callable[[], object]) -> Callable[[], object]:
    """Returns a function that makes the call in a thread which begins and ends with it."""

    def run() -> None:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    return run


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=100_000, help="of each entry")
    parser.add_argument("--seed", type=int, default=1, help="what is called")
    parser.add_argument("--only", choices=[*ENTRIES, IN_NEW_THREADS], help="one entry alone")
    options = parser.parse_args(arguments)
    taut.set_num_threads(2)
    seed, begin, leaks = options.seed, time.monotonic(), {}
    first = process.measure()
    print(f"{options.calls:,} calls of {len(ENTRIES)} entries, seed {seed}", flush=True)
    for number, name in enumerate(ENTRIES):
        if options.only in (None, name):
            indices = range(number, VARIANTS * len(ENTRIES), len(ENTRIES))
            calls = [make_call(seed, index, LARGEST).function for index in indices]
            leaks[name] = _leak(name, calls, options.calls)
    if options.only in (None, IN_NEW_THREADS):
        calls = [in_new_thread(make_call(seed, index, 50_000).function) for index in range(20)]
        leaks[IN_NEW_THREADS] = _leak(IN_NEW_THREADS, calls, options.calls // 100)
    last = process.measure()
    print(f"{(last.resident - first.resident) / 2**20:+.1f} MB in all, ", end="")
    print(f"{last.threads} threads, {time.monotonic() - begin:.0f} s")
    for name, leak in leaks.items():
        if leak is not None:
            print(
                f"FAILED: {leak}\n  again: python tests/soak/growth.py --calls {options.calls} ",
                end="",
            )
            print(f"--seed {seed} --only '{name}'")
    return 1 if any(leaks.values()) else 0


def _leak(name: str, calls: list[Callable[[], object]], times: int) -> str | None:
    """Prints what calls leave behind, and returns it if that is a leak."""
    begin = time.monotonic()
    allocated, blocks = growth(calls, times)
    each = (time.monotonic() - begin) / times * 1e6
    said = f"{name}: {allocated:+,} bytes, {blocks:+,} blocks"
    print(f"  {said} ({each:.0f} us each)", flush=True)
    return said if is_leak(allocated, blocks) else None


if __name__ == "__main__":
    sys.exit(main())
