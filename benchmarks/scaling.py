"""How much faster more threads are: measured here, and modelled for machines with more processors.

    python benchmarks/scaling.py [--threads 1 2 4 8]
    python benchmarks/scaling.py --model     # needs CMake and a compiler

Measuring needs nothing but taut and NumPy. All thread counts take turns in every round; each is
given some calls to get its team going, and the median counts. The model times every piece of work
that the core hands out, alone on one thread, and lets so many workers take them as the core's do:
each begins with a share of its own, and takes half of what another one has left when that is done.
It knows of no memory that workers share, so that it is a bound on what the cutting allows.
"""

import argparse
import heapq
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable

import numpy as np
import reports
import taut
from taut.regularizers import L2, OrthogonalRegularizer

SHAPES = [(128, 128), (128, 512), (256, 256), (512, 512), (784, 128), (1024, 1024), (2048, 2048)]
MODELLED_THREADS = [2, 4, 8, 16, 32, 64]
BARRIER = 1_000  # nanoseconds until all have seen that a round is done


def contestants() -> dict[str, Callable[[], object]]:
    generator = np.random.default_rng(0)
    orthogonal = OrthogonalRegularizer(0.01)
    calls: dict[str, Callable[[], object]] = {}
    for rows, columns in SHAPES:
        x = generator.standard_normal((rows, columns), np.float32)
        grad = np.zeros_like(x)
        calls[f"orthogonal, {rows} x {columns}"] = lambda x=x, grad=grad: (
            orthogonal.accumulate_grad(x, grad)
        )
    params = {f"{i}": generator.standard_normal((128, 128), np.float32) for i in range(32)}
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    bound = taut.Penalties([("*", orthogonal)]).bind(params, grads)
    calls["32 orthogonal, 128 x 128"] = bound.accumulate_grad
    large = generator.standard_normal(50_000_000, np.float32)
    large_grad = np.zeros_like(large)
    calls["L2, 50,000,000"] = lambda: L2(1e-4).accumulate_grad(large, large_grad)
    return calls


def row(name: str, speed_ups: Iterable[float], of: str) -> list[str]:
    return [name, of, *(f"{each:.2f}" for each in speed_ups)]


def measure(threads: list[int], rounds: int) -> None:
    rows = []
    for name, call in contestants().items():
        begin = time.perf_counter()
        call()
        repeats = max(1, min(200, int(0.01 / (time.perf_counter() - begin + 1e-9))))
        seconds: dict[int, list[float]] = {count: [] for count in threads}
        for _ in range(rounds):
            for count in threads:
                taut.set_num_threads(count)
                for _ in range(repeats // 4 + 1):
                    call()
                begin = time.perf_counter()
                for _ in range(repeats):
                    call()
                seconds[count].append((time.perf_counter() - begin) / repeats)
        alone = statistics.median(seconds[threads[0]])
        speed_ups = [alone / statistics.median(times) for times in seconds.values()]
        rows.append(row(name, speed_ups, f"{alone * 1e6:.0f} µs"))
    reports.show("threads, measured", ["", "one thread", *map(str, threads)], rows)


def time_of_phase(pieces: list[float], workers: int) -> float:
    """Returns when the last piece is done."""
    bounds = [len(pieces) * i // workers for i in range(workers + 1)]
    shares = [list(range(*pair)) for pair in itertools.pairwise(bounds)]
    free = [(0.0, worker) for worker in range(workers)]
    done = 0.0
    while free:
        now, worker = heapq.heappop(free)
        for i in range(1, workers):
            if shares[worker]:
                break
            other = shares[(worker + i) % workers]
            half = (len(other) + 1) // 2
            shares[worker] = other[len(other) - half :]
            del other[len(other) - half :]
        if shares[worker]:
            now += pieces[shares[worker].pop(0)]
            done = max(done, now)
            heapq.heappush(free, (now, worker))
    return done


def model() -> None:
    import native

    lines = []
    with tempfile.TemporaryDirectory() as directory:
        program = native.build("pieces", directory) / "pieces"
        for rows, columns in SHAPES:
            output = subprocess.run(
                [program, str(rows), str(columns)], check=True, capture_output=True, text=True
            ).stdout
            phases = [list(map(float, line.split()[1:])) for line in output.splitlines()]
            alone = sum(map(sum, phases))
            speed_ups = [
                alone / sum(time_of_phase(pieces, workers) + BARRIER for pieces in phases)
                for workers in MODELLED_THREADS
            ]
            counts = ", ".join(str(len(pieces)) for pieces in phases)
            of = f"{alone / 1e3:.0f} µs, pieces: {counts}"
            lines.append(row(f"orthogonal, {rows} x {columns}", speed_ups, of))
    reports.show("threads, modelled", ["", "one thread", *map(str, MODELLED_THREADS)], lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="store_true", help="modelled, for up to 64 threads")
    parser.add_argument("--threads", type=int, nargs="+", help="the first is compared with")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    if arguments.model:
        model()
    else:
        powers = [2**i for i in range(10) if 2**i < (os.cpu_count() or 1)]
        measure(arguments.threads or [*powers, os.cpu_count() or 1], arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
