"""Calls beside others: busy processes, more threads than processors, a quota of their time.

The quota is three quarters of the processors' time. Prints medians and 99th percentiles over the
median of one thread that is alone. On Linux, whose affinity it sets; all runs in processes of
its own. Quotas need a control group that may be made, as root may; else their columns are empty.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import reports

CASES = ("L2, 100,000 elements", "orthogonal, 256 x 256")
THREADS = (1, 2, 4, 8, 64)
QUOTA = "within a quota"
NEIGHBOURS = ("alone", "a busy process beside", "two at once", QUOTA)
# Where control groups are, in their first version and in their second; and what takes a quota.
GROUPS = (("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"), ("/sys/fs/cgroup", "cpu.max"))
PERIOD = 100_000  # microseconds, as the kernel has it unless it is told otherwise


def call_of(library: str, case: str, threads: int) -> Callable[[], object]:
    """Returns the call to be timed, once it has given what it should."""
    import numpy as np

    elementwise = case == CASES[0]
    rng = np.random.default_rng(1)
    x = np.ones(100_000, np.float32) if elementwise else rng.normal(size=(256, 256))
    x = x.astype(np.float32)
    if library == "taut":
        import taut
        from taut.regularizers import L2, OrthogonalRegularizer

        taut.set_num_threads(threads)
        grad = np.zeros_like(x)
        regularizer = L2(1.0) if elementwise else OrthogonalRegularizer(1.0)
        value = regularizer.accumulate_grad(x, grad)
        expected = 100_000 if elementwise else statistics.fmean(cosines(x))
        assert abs(value - expected) < 1e-6 * expected
        return lambda: regularizer.accumulate_grad(x, grad)
    import torch

    torch.set_num_threads(threads)
    tensor = torch.from_numpy(x)
    out = torch.zeros_like(tensor)
    if elementwise:
        return lambda: out.add_(tensor, alpha=2.0)
    return lambda: torch.mm(tensor, tensor.T, out=out)


def cosines(x) -> Iterator[float]:
    """Yields the absolute cosine of every pair of rows."""
    import numpy as np

    rows = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    yield from abs(rows @ rows.T)[np.triu_indices(len(rows), 1)]


def measure(library: str, case: str, threads: int, seconds: float) -> None:
    """Prints the seconds that calls took, as JSON: their median, and their 99th percentile."""
    call = call_of(library, case, threads)
    times = []
    end = time.perf_counter() + seconds
    begin = warm = time.perf_counter()
    while begin < end:
        call()
        now = time.perf_counter()
        if begin > warm + seconds / 4:  # what is begun at first is another question
            times.append(now - begin)
        begin = now
    print(json.dumps([statistics.median(times), statistics.quantiles(times, n=100)[-1]]))


def start(processors: int, *arguments: str, group: Path | None = None) -> subprocess.Popen[str]:
    """Starts this program for one measurement, or another one, on so many processors."""
    chosen = sorted(os.sched_getaffinity(0))[:processors]

    def confine() -> None:
        os.sched_setaffinity(0, chosen)
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, preexec_fn=confine
    )


def is_limited(file: Path, processors: int) -> bool:
    """Whether a control group's file has taken three quarters of their time as its quota."""
    try:
        file.write_text(f"{processors * PERIOD * 3 // 4}")
    except OSError:  # there is no such file, or it may not be written
        return False
    return True


@contextmanager
def quota(processors: int) -> Iterator[Path | None]:
    """Makes a control group with three quarters of their time; None where that is not allowed."""
    for root, file in GROUPS:
        group = Path(root) / f"taut-neighbours-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if is_limited(group / file, processors):
                yield group
                return
        finally:
            group.rmdir()
    yield None


@contextmanager
def neighbour(kind: str, processors: int, *arguments: str) -> Iterator[None]:
    """Has another process there meanwhile: one that only computes, or one that does the same."""
    if kind == "alone":
        yield
        return
    busy = ("-c", "while True: pass")
    other = start(processors, *(busy if kind == "a busy process beside" else arguments))
    try:
        yield
    finally:
        other.kill()
        other.communicate()


def run(
    library: str, case: str, kind: str, processors: int, threads: int, seconds: float
) -> list[float]:
    """Returns the median and the 99th percentile; nothing where there can be no quota."""
    arguments = (__file__, "--measure", library, case, str(threads))

    def measured(group: Path | None = None) -> list[float]:
        process = start(processors, *arguments, str(seconds), group=group)
        return json.loads(process.communicate()[0])

    if kind == QUOTA:
        with quota(processors) as group:
            return [] if group is None else measured(group)
    # The one that is there meanwhile begins before it and ends after it.
    with neighbour(kind, processors, *arguments, str(10 * seconds)):
        if kind == "two at once":
            time.sleep(2)
        return measured()


def compare(library: str, case: str, processors: int, seconds: float) -> None:
    """Prints a table for each case on so many processors."""
    columns = ["threads", *(f"{kind}{of}" for kind in NEIGHBOURS for of in ("", ", 99%"))]
    rows = []
    baseline = run(library, case, "alone", processors, 1, seconds)[0]
    for threads in THREADS:
        row = [str(threads)]
        for kind in NEIGHBOURS:
            figures = run(library, case, kind, processors, threads, seconds)
            row += [f"{figure / baseline:.2f}" for figure in figures] or ["", ""]
        rows.append(row)
    title = f"{library}: {case}, processors: {processors}, over {baseline * 1e6:.1f} µs"
    reports.show(title, columns, rows)


def main() -> None:
    """Measures what the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="*", default=["taut", "torch"])
    parser.add_argument("--seconds", type=float, default=2.0, help="for one measurement")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        library, case, threads, seconds = arguments.measure
        measure(library, case, int(threads), float(seconds))
        return
    for library in arguments.libraries:
        for case in CASES:
            for processors in (1, 2):
                compare(library, case, processors, arguments.seconds)


if __name__ == "__main__":
    main()
