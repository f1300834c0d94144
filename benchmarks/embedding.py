"""A training step of 64 tensors: the batch in C++ beside the same from Python.

    python benchmarks/embedding.py [--rounds N]

The C++ comes from benchmarks/embedding/ and is built, with CMake, against the taut that pip has
installed. Both sum up the same arrays, 100 steps at a time, and their totals are compared before
they are timed. Needs torch, as all benchmarks do.
"""

import argparse
import ctypes
import sys
import tempfile
from collections.abc import Callable

import native
import numpy as np
import taut
import timing
from taut.regularizers import L2

THREADS = 2
TENSORS = 64
STEPS = 100
FACTOR = 1e-4


def build(directory: str) -> ctypes.CDLL:
    library = native.load("embedding", directory)
    library.make_model.restype = ctypes.c_void_p
    library.run_steps.restype = ctypes.c_double
    library.run_steps.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_bool]
    library.delete_model.argtypes = [ctypes.c_void_p]
    library.set_num_threads(THREADS)
    return library


def pointers(arrays: list[np.ndarray]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*(x.ctypes.data for x in arrays))


def run(title: str, library: ctypes.CDLL, sizes: list[int], rounds: int) -> None:
    generator = np.random.default_rng(0)
    params = {f"{i}": generator.standard_normal(size, np.float32) for i, size in enumerate(sizes)}
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    model = library.make_model(
        ctypes.c_size_t(len(sizes)),
        pointers(list(params.values())),
        pointers(list(grads.values())),
        (ctypes.c_size_t * len(sizes))(*sizes),
        ctypes.c_double(FACTOR),
    )
    bound = taut.Penalties([("*", L2(FACTOR))]).bind(params)

    def steps_of_python() -> float:
        for _ in range(STEPS):
            total = bound.accumulate_grad(grads)
        return total

    contestants: dict[str, Callable[[], float]] = {
        "Python, bound": steps_of_python,
        "C++": lambda: library.run_steps(model, STEPS, True),
        "C++, without a workspace": lambda: library.run_steps(model, STEPS, False),
    }
    exact = FACTOR * sum(float(np.square(x, dtype=np.float64).sum()) for x in params.values())
    for name, call in contestants.items():
        np.testing.assert_allclose(call(), exact, rtol=1e-9, err_msg=name)
    for name, x in params.items():  # all of them have added to the gradients
        np.testing.assert_allclose(grads[name], len(contestants) * STEPS * 2 * FACTOR * x, 1e-4)
    timing.compare(f"{STEPS} steps of {title}", rounds, contestants)
    library.delete_model(model)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.begin(THREADS)
    with tempfile.TemporaryDirectory() as directory:
        library = build(directory)
        run(f"{TENSORS} tensors of 1,000 float32", library, [1000] * TENSORS, rounds)
        layers = [65_536, 256, 16_384, 64] * (TENSORS // 4)
        run(f"{TENSORS} tensors of 64 to 65,536 float32", library, layers, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
