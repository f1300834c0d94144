"""Arrays of several libraries, and regularizers of your own, in one call of taut.Penalties.

Whatever is wrong with one of them, nothing of the others is written, or the error names it.
"""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import itertools
import re

import numpy as np
import pytest
from frameworks import require
from taut import Penalties, _core
from taut.regularizers import L2, GroupLasso, Regularizer

require("torch")

from tensors import torch


class Own(Regularizer):
    def __call__(self, x):
        return (x * x).sum()

    def value_and_grad(self, x, scale=1.0):
        return float((x * x).sum()), 2 * scale * x

    def prox(self, x, step):
        x *= 0.5


# One parameter for each way in which arrays are computed; the first letter says its library.
NAMES = ["n core", "t core", "n own", "t own"]
OTHERS = list(itertools.permutations(NAMES, 2))
CALLS = ["accumulate_grad", "prox"]


def make(number):
    return {
        name: np.full((3, 2), number) if name[0] == "n" else torch.full((3, 2), number).double()
        for name in NAMES
    }


def as_library_of(name, array):
    """Returns the same memory as the library of a name has it."""
    if isinstance(array, torch.Tensor):
        return array.numpy() if name[0] == "n" else array
    return array if name[0] == "n" else torch.from_numpy(array)


def rules(core=None):
    return [("* own", Own()), ("*", core or L2(1.0))]


def written(arrays, number):
    return {name for name, x in arrays.items() if (np.asarray(x) != number).any()}


def call(function, penalties, params, grads, step=0.25):
    if function == "prox":
        penalties.prox(params, step)
    else:
        penalties.accumulate_grad(params, grads)


def check_refused(function, params, grads, match, core=None, step=0.25):
    """Checks that a call is an error before it writes."""
    with pytest.raises((TypeError, ValueError), match=match) as raised:
        call(function, Penalties(rules(core)), params, grads, step)
    assert not hasattr(raised.value, "__notes__")
    assert not written(params, 1)
    assert not written(grads, 0)


@pytest.mark.parametrize("function", CALLS)
def test_all_of_them_are_written(function):
    params, grads = make(1.0), make(0.0)
    call(function, Penalties(rules()), params, grads)
    assert written(*((params, 1) if function == "prox" else (grads, 0))) == set(NAMES)


def locked(x):
    if isinstance(x, np.ndarray):
        x.flags.writeable = False
        return x
    with torch.inference_mode():
        return x.clone()


def within_itself(x):
    value = float(x[0, 0])
    if isinstance(x, np.ndarray):
        return np.lib.stride_tricks.as_strided(np.full(4, value), (3, 2), (8, 8))
    return torch.full((4,), value).double().as_strided((3, 2), (1, 1))


UNFIT = {"locked": (locked, "read-only|inference_mode"), "itself": (within_itself, "itself|own")}


@pytest.mark.parametrize("wrong", UNFIT)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", CALLS)
def test_one_that_cannot_be_written(function, name, wrong):
    params, grads = make(1.0), make(0.0)
    arrays = params if function == "prox" else grads
    make_unfit, message = UNFIT[wrong]
    arrays[name] = make_unfit(arrays[name])
    check_refused(function, params, grads, f"^{name}: .*({message})")


@pytest.mark.parametrize("name", ["n core", "t core"])
@pytest.mark.parametrize("function", CALLS)
def test_one_whose_penalty_cannot_take_it(function, name):
    params, grads = make(1.0), make(0.0)
    library = np if name[0] == "n" else torch
    params[name], grads[name] = library.ones(()), library.zeros(())
    check_refused(function, params, grads, rf"{name}.*rank 1", GroupLasso())


@pytest.mark.parametrize("function", CALLS)
def test_a_factor_that_is_none(function):
    broken = L2(1.0)
    broken.l2 = -1.0
    check_refused(function, make(1.0), make(0.0), "non-negative", broken)


@pytest.mark.parametrize("step", [-1.0, float("nan"), float("inf"), "1"])
def test_a_step_that_is_none(step):
    check_refused("prox", make(1.0), make(0.0), "step", step=step)


class Wrapped(torch.Tensor):
    """A tensor that is none of the core's."""


def test_steps_that_only_a_kernel_could_take():
    params = make(1.0) | {"wrapped": Wrapped(torch.ones(3, 2))}
    check_refused("prox", params, make(0.0), "^wrapped: .*plain tensor")
    reference = dict.fromkeys(NAMES) | {"wrapped": torch.zeros(3, 2)}
    penalties = Penalties(rules(), reference=reference)
    with pytest.raises(TypeError, match=r"^wrapped: .*prox towards a reference"):
        penalties.prox(params, 0.25)
    assert not written(params, 1)


def test_gradients_of_what_the_core_does_not_take():
    broken = L2(1.0)
    broken.l2 = -1.0
    params = {name: Wrapped(torch.ones(3)) for name in "ab"}
    grads = {name: torch.zeros(3) for name in "ab"}
    with pytest.raises(ValueError, match=r"^b: .*non-negative"):
        Penalties([("a", L2(1.0)), ("b", broken)]).accumulate_grad(params, grads)
    assert not written(grads, 0)


@pytest.mark.parametrize(("name", "other"), OTHERS)
def test_steps_of_memory_that_is_shared(name, other):
    params = make(1.0)
    for part in (params[other][:2], params[other][1:, :1]):
        params[name] = as_library_of(name, part)
        check_refused("prox", params, make(0.0), f"^({name}|{other}): .*share memory")
    if name[0] != other[0]:  # else it counts once
        params[name] = as_library_of(name, params[other])
        check_refused("prox", params, make(0.0), f"^({name}|{other}): .*share memory")


@pytest.mark.parametrize(("name", "other"), OTHERS)
def test_gradients_that_share_memory(name, other):
    params, grads = make(1.0), make(0.0)
    grads[name] = as_library_of(name, grads[other])
    check_refused("accumulate_grad", params, grads, f"^({name}|{other}): .*share memory")
    params, grads = make(1.0), make(0.0)
    params[other] = as_library_of(other, grads[name])
    with pytest.raises(ValueError, match=f"^{name}: .*share memory"):
        Penalties(rules()).accumulate_grad(params, grads)
    assert not written(grads, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_is_its_own_parameter(name):
    params, grads = make(1.0), make(0.0)
    grads[name] = as_library_of(name, params[name])
    with pytest.raises(ValueError, match=f"^{name}: .*share memory"):
        Penalties(rules()).accumulate_grad(params, grads)
    assert not written(params, 1)
    assert written(grads, 0) == {name}


@pytest.mark.parametrize("what", ["reference", "importance"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_over_a_reference(name, what):
    params, grads, memory = make(1.0), make(0.0), np.ones((3, 2))
    sides = {"n core": memory, "t core": torch.from_numpy(memory), "n own": None, "t own": None}
    penalties = Penalties(rules(), **{what: sides})
    with pytest.raises(ValueError, match=f"^{name}: .*(share memory|must not overlap)"):
        penalties.prox(params | {name: as_library_of(name, memory)}, 0.25)
    grads[name] = as_library_of(name, memory)
    with pytest.raises(ValueError, match=f"^{name}: .*(share memory|must not overlap)"):
        penalties.accumulate_grad(params, grads)
    assert not written(params, 1)
    assert written(grads, 0) == {name}


@pytest.mark.parametrize(("name", "other"), OTHERS)
@pytest.mark.parametrize("function", CALLS)
def test_memory_that_lies_between(function, name, other):
    params, grads = make(1.0), make(0.0)
    arrays, number = (params, 1.0) if function == "prox" else (grads, 0.0)
    memory = np.full((3, 4), number)
    arrays[name] = as_library_of(name, memory[:, ::2])
    arrays[other] = as_library_of(other, memory[:, 1::2])
    call(function, Penalties(rules()), params, grads)
    assert written(arrays, number) == set(NAMES)


def told(error):
    """Returns what an error's notes name."""
    return set(re.findall(r"'([^']+)'", " ".join(getattr(error, "__notes__", []))))


@pytest.mark.parametrize("error", [MemoryError, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["n core", "t core"])
@pytest.mark.parametrize("function", CALLS)
def test_a_call_of_the_core_that_fails_after_another_one(monkeypatch, function, name, error):
    params, grads = make(1.0), make(0.0)
    arrays, number = (params, 1) if function == "prox" else (grads, 0)
    real = getattr(_core, f"batch_{function}")

    def failing(names, *rest):
        if name in names:
            raise error
        return real(names, *rest)

    monkeypatch.setattr(_core, f"batch_{function}", failing)
    with pytest.raises(error) as raised:
        call(function, Penalties(rules()), params, grads)
    # What may have been written is named; memory that runs out has written nothing itself.
    itself = set() if error is MemoryError else {name}
    assert told(raised.value) == written(arrays, number) | itself


class Failing(Own):
    def prox(self, x, step):
        raise ValueError("no step")

    def accumulate_grad(self, x, grad, scale=1.0):
        raise ValueError("no gradient")


@pytest.mark.parametrize("function", CALLS)
def test_one_of_your_own_that_fails_after_another_one(function):
    params, grads = make(1.0), make(0.0)
    arrays, number = (params, 1) if function == "prox" else (grads, 0)
    with pytest.raises(ValueError, match="no ") as raised:
        call(function, Penalties([("t own", Failing()), *rules()]), params, grads)
    assert written(arrays, number) <= told(raised.value)
    assert "t own" in told(raised.value)
    assert not written(arrays, number) & {"n core", "t core"}


def test_a_sum_that_cannot_be_taken_after_all_is_written(monkeypatch):
    params, grads = make(1.0), make(0.0)

    def failing(*_):
        raise TypeError("no sum")

    monkeypatch.setattr("taut.bound.total_of", failing)
    with pytest.raises(TypeError, match="no sum") as raised:
        Penalties(rules()).accumulate_grad(params, grads)
    assert told(raised.value) == written(grads, 0) == set(NAMES)
