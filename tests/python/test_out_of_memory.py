"""Memory that runs out anywhere in a call: an error, and no gradient has been touched.

The system gives a process no more than a limit, which is raised step by step until the call has
enough.
"""

import sys

import pytest
from frameworks import require
from programs import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is counted by Linux")

# Arrays are so large that each is a mapping of its own, which is gone when it is freed.
PROGRAM = """
import resource
import numpy as np
import taut
from taut import Penalties
from taut.regularizers import L2, OrthogonalRegularizer, Regularizer

MEGA = 1 << 20
ARRAY = 40 * MEGA
taut.set_num_threads(1)


def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def fail_until_it_succeeds(call, is_untouched, is_written, errors=MemoryError):
    failures = 0
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    for headroom in range(0, 40 * ARRAY, ARRAY // 2):
        taut.trim_memory()
        resource.setrlimit(resource.RLIMIT_AS, (size() + headroom, hard))
        try:
            call()
            notes = None
        except errors as error:
            notes = getattr(error, "__notes__", [])
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        if notes is None:
            assert is_written()
            assert failures > 1
            print(failures, "failures")
            return
        failures += 1
        assert notes == [], notes
        assert is_untouched(), headroom
    raise AssertionError("never enough")


class Square(Regularizer):
    def __call__(self, x):
        return float((x * x).sum())

    def value_and_grad(self, x, scale=1.0):
        return self(x), 2 * scale * x


# Each larger than the one before, so that there may be enough for that one alone.
SIZES = {"a": ARRAY // 8, "b": ARRAY // 4, "c": ARRAY // 2}


def params():
    return {name: np.ones(size) for name, size in SIZES.items()}


def zeros():
    return {name: np.zeros(size) for name, size in SIZES.items()}
"""

CASES = {
    "own": """
x, grads = params(), zeros()
penalties = Penalties([("*", Square())])
fail_until_it_succeeds(
    lambda: penalties.accumulate_grad(x, grads),
    lambda: not any(grad.any() for grad in grads.values()),
    lambda: all((grad == 2).all() for grad in grads.values()),
)
""",
    "own and the core's": """
x, grads = params(), zeros()
x["c"], grads["c"] = np.ones((1500, 1500)), np.zeros((1500, 1500))
penalties = Penalties([("c", OrthogonalRegularizer(1.0)), ("*", Square())])
fail_until_it_succeeds(
    lambda: penalties.accumulate_grad(x, grads),
    lambda: not any(grad.any() for grad in grads.values()),
    lambda: all((grads[name] == 2).all() for name in "ab"),
)
""",
    "the core's": """
x = {name: np.eye(1500) + 1 for name in "abc"}
grads = {name: np.zeros((1500, 1500)) for name in x}
penalties = Penalties([("*", OrthogonalRegularizer(1.0))])
fail_until_it_succeeds(
    lambda: penalties.accumulate_grad(x, grads),
    lambda: not any(grad.any() for grad in grads.values()),
    lambda: all(grad.any() for grad in grads.values()),
)
""",
    "torch": """
import torch
torch.set_num_threads(1)


class Own(Regularizer):
    def __call__(self, x):
        return (x * x).sum()


x = {name: torch.from_numpy(each) for name, each in params().items()}
grads = {name: torch.from_numpy(each) for name, each in zeros().items()}
penalties = Penalties([("c", L2(1.0)), ("*", Own())])
penalties.accumulate_grad({name: each[:9] for name, each in x.items()},
                          {name: each[:9].clone() for name, each in grads.items()})
fail_until_it_succeeds(
    lambda: penalties.accumulate_grad(x, grads),
    lambda: not any(grad.any() for grad in grads.values()),
    lambda: all((grad == 2).all() for grad in grads.values()),
    (MemoryError, RuntimeError),
)
""",
}


@pytest.mark.parametrize("case", CASES)
def test_no_gradient_is_touched(case):
    if case == "torch":
        require("torch")
    assert "failures" in run(sys.executable, "-c", PROGRAM + CASES[case])
