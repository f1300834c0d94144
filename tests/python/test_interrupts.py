"""A Ctrl-C ends whatever computes, long before it is done, as an error of the caller's own."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from frameworks import require
from programs import ENVIRONMENT, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent in other ways elsewhere")

# Twenty seconds and more on one thread; interrupts are seen within half a second.
SHAPE = (40_000, 1000)
LONG_BEFORE = 10

PROGRAM = """
from functools import partial
import numpy as np, taut
from taut import Penalties
from taut.regularizers import OrthogonalRegularizer, SoftOrthogonalRegularizer
taut.set_num_threads(1)
x = np.random.default_rng(0).random({shape}, np.float32)
def run(call):
    print("ready", flush=True)
    try:
        call()
        print("done", flush=True)
    except KeyboardInterrupt as error:
        print("interrupted", *getattr(error, "__notes__", ()), flush=True)
"""


def command(code, shape=SHAPE):
    return [sys.executable, "-c", PROGRAM.format(shape=shape) + code]


@contextlib.contextmanager
def start(code):
    """Runs a program, and gives it when it has been in the middle of its call for a while."""
    with subprocess.Popen(
        command(code),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            time.sleep(1.0)
            yield process
        finally:
            process.kill()


def interrupt(code):
    """Returns what a program says to a Ctrl-C in the middle of its call."""
    with start(code) as process:
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        answer = process.stdout.readline()
        seconds = time.monotonic() - begin
    assert seconds < LONG_BEFORE
    return answer.strip()


@pytest.mark.parametrize("name", ["OrthogonalRegularizer", "SoftOrthogonalRegularizer"])
def test_numpy(name, interruptible):
    assert interrupt(f"run(lambda: {name}().value_and_grad(x))") == "interrupted"


@pytest.mark.parametrize(
    "call",
    [
        "partial(OrthogonalRegularizer().accumulate_grad, x, x * 0)",
        "Penalties([('*', OrthogonalRegularizer())]).bind([x], [x * 0]).accumulate_grad",
    ],
)
def test_an_interrupt_says_that_gradients_may_have_been_written(call, interruptible):
    note = "interrupted taut was interrupted: some of this call's gradients, or parts of them"
    assert interrupt(f"run({call})").startswith(note)


def test_an_interrupt_of_a_batch_names_the_parameters(interruptible):
    code = """
penalties = Penalties([("*", OrthogonalRegularizer())])
grads = {"a": x * 0, "b": x[:9] * 0}
run(lambda: penalties.accumulate_grad({"a": x, "b": x[:9]}, grads))
"""
    assert interrupt(code).endswith("Written before this, at least in part: 'a', 'b'")


# Of 16 times 2**60 elements, which are 0 where they are counted in 64 bits.
@pytest.mark.parametrize("call", ["partial(penalties, params)", "penalties.bind(params)"])
def test_a_call_of_more_elements_than_can_be_counted_lets_other_threads_run(call):
    code = f"""
import os, threading, time
def other():
    time.sleep(0.5)
    print("runs", flush=True)
    os._exit(0)

penalties = Penalties([("*", "l2")])
params = {{str(i): np.broadcast_to(np.float16(1), 2**60) for i in range(16)}}
call = {call}
threading.Thread(target=other, daemon=True).start()
call()
"""
    assert run(*command(code, (1, 1))) == "runs\n"


@pytest.mark.parametrize("cls", ["ValueError", "RuntimeError"])
def test_what_a_handler_raises_is_no_mistake_of_the_call(cls, interruptible):
    require("torch")
    code = f"""
import signal, torch
class Late({cls}): pass
def stop(*_): raise Late
signal.signal(signal.SIGALRM, stop)
params = {{"small": torch.ones(50, 50), "large": torch.from_numpy(x)}}
grads = {{name: torch.zeros_like(each) for name, each in params.items()}}
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    Penalties([("large", OrthogonalRegularizer()), ("*", "l2")]).accumulate_grad(params, grads)
except Late as error:
    print(error.__notes__[-1], [each._version for each in grads.values()])
"""
    assert end(code, SHAPE).stdout == (
        "Written before this, at least in part: 'small', 'large' [1, 1]\n"
    )


def test_the_backward_pass_of_torch(interruptible):
    require("torch")
    code = """
import torch
weight = torch.from_numpy(x[:30_000]).requires_grad_()
taut.set_num_threads(2)
total = Penalties([("*", OrthogonalRegularizer())])({"w": weight})
taut.set_num_threads(1)
run(total.backward)
"""
    assert interrupt(code) == "interrupted"


@pytest.mark.parametrize(
    "function", ["penalty", "jax.grad(penalty)", "jax.vmap(penalty)", "lambda x: penalty(x @ x.T)"]
)
def test_a_call_that_jax_has_compiled(function, interruptible):
    require("jax")
    shape = "(1, *x.shape)" if "vmap" in function else "x.shape"
    code = f"""
import jax
penalty = OrthogonalRegularizer()
x = jax.numpy.asarray(x).reshape({shape})
call = jax.jit({function}).lower(x).compile()
run(lambda: jax.block_until_ready(call(x)))
"""
    if "@" in function:
        code = code.replace("x.T", "x[:2000].T")
    assert interrupt(code) == "interrupted"


@pytest.mark.parametrize("calls", ["[step(x) for _ in range(99)]", "list(map(step, [x] * 99))"])
def test_a_call_that_jax_has_made_before(calls, interruptible):
    require("jax")  # which calls XLA without a frame of Python from the second time on
    code = f"""
import jax
x = jax.numpy.asarray(x[:8000])
step = jax.jit(jax.grad(OrthogonalRegularizer()))
jax.block_until_ready(step(x))
run(lambda: {calls})
"""
    assert interrupt(code) == "interrupted"


@pytest.mark.parametrize("function", ["penalty", "jax.grad(penalty)"])
def test_a_process_that_computes_by_jax_ends_at_once(function, interruptible):
    require("jax")
    code = f"""
import jax
penalty = OrthogonalRegularizer()
x = jax.numpy.asarray(x)
call = jax.jit({function}).lower(x).compile()
print("ready", flush=True)
jax.block_until_ready(call(x))
"""
    with start(code) as process:
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=120)
    assert time.monotonic() - begin < LONG_BEFORE
    assert (process.returncode, output) == (-signal.SIGINT, "")
    assert error.strip().endswith("KeyboardInterrupt")


def end(code, shape):
    """Returns how a program has ended."""
    return subprocess.run(
        command(code, shape),
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
        check=False,
    )


DAEMON = """
import sys, threading, time
import jax
# Asks between its pieces whether to stop, on a thread that has no handler to run. It must compute
# until the process is gone: JAX comes back to Python when it is done, and while that is being
# finalized CPython ends its thread, which no frame of JAX's survives, whatever it computed.
x = jax.numpy.asarray(x)
call = jax.jit(jax.value_and_grad(OrthogonalRegularizer())).lower(x).compile()
threading.Thread(target=call, args=[x], daemon=True).start()
time.sleep(0.5)
sys.exit(7)
"""


def test_a_process_ends_with_its_exit_code_while_a_daemon_computes_by_jax():
    require("jax")
    result = end(DAEMON, SHAPE)
    assert (result.returncode, result.stderr) == (7, "")


SAVED = """
import atexit

@atexit.register  # before JAX's own functions, and so called after them
def save():
    print("saved" if jax.block_until_ready(call(x))[0] > 0 else "lost")

import jax
x = jax.numpy.asarray(x)
call = jax.jit(jax.value_and_grad(OrthogonalRegularizer())).lower(x).compile()
raise KeyboardInterrupt
"""


def test_what_is_computed_by_jax_after_an_interrupt_has_ended_the_process():
    require("jax")
    assert end(SAVED, (10_000, 1000)).stdout == "saved\n"


HOLD = """
import os, sys
import taut.inspect.inspection as inspection
from taut.command.main import main
measure = inspection.elements.measure
def said(x):
    os.write(2, b"ready\\n")
    return measure(x)
inspection.elements.measure = said
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("seconds", [0.2, 2.0])  # within its elements, and its rows
def test_inspect_of_a_large_tensor(seconds, tmp_path, interruptible):
    require("rich")
    path = tmp_path / "large.npy"
    np.save(path, np.random.default_rng(0).random((25_000, 1500), np.float32))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "inspect", "--all-pairs", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            assert process.stderr.readline() == "ready\n"
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            output, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, output, error) == (130, "", "")
