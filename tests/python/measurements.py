"""What `taut bench` measures, as tests make it up: documents, and cases of few and short rounds."""

import dataclasses

import numpy as np
from taut.bench import libraries, machine, results
from taut.bench.contestant import Contestant, Outcome
from taut.bench.kinds import KINDS
from taut.bench.measure import QUICK, Measurer

CLOSE = dataclasses.replace(QUICK, rounds=(2, 2), settling=0.0)


def spread(median):
    return {"median": median, "lower": 0.9 * median, "upper": 1.2 * median}


def document(names=("taut", "NumPy", "torch eager")):
    """Returns a document with every kind at every size, as if it had been measured."""
    cases = [
        {
            "kind": kind.name,
            "size": size,
            "elements": kind.elements(size),
            "process": "main",
            "counterpart": "taut",
            "rounds": 7,
            "again": spread(1.0),
            "results": {
                name: {
                    "seconds": spread(1e-9 * (number + 1) * kind.work(size)),
                    "ratio": spread(number + 1.0),
                    "calls": 3,
                    "error": 1e-7,
                }
                for number, name in enumerate(names)
            },
            "left_out": {"JAX jit": "needs some 5 GB of memory"},
            "wrong": {},
        }
        for kind in KINDS.values()
        for size in kind.sizes
    ]
    peaks = [
        {"size": size, "contestant": name, "bytes": 1000 * size, "left_out": None}
        for name in names
        for size in (1024, 4096)
    ]
    return {
        "schema": results.SCHEMA,
        "machine": machine.describe(2),
        "versions": {"taut": "1.0"},
        "quick": False,
        "complete": True,
        "left_out": {},
        "failures": [],
        "cases": cases,
        "memory": peaks,
    }


class Doubling:
    """A library that forgets what L2's gradient is."""

    def begin(self, options):
        return {}

    def contestants(self, kind, weights):
        (x,) = weights
        value = 0.01 * float(np.square(x, dtype=np.float64).sum())
        yield Contestant("doubling", lambda: None, lambda: Outcome(value, [0.04 * x]))

        def fail():
            raise RuntimeError("no memory\nand more")

        yield Contestant("failing", fail, fail)


def measured(kind, size, *more):
    used = {"taut": libraries.LIBRARIES["taut"].load(), **dict(enumerate(more))}
    return Measurer(used, "main", CLOSE).run(KINDS[kind], size)
