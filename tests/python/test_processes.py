"""Processes that end, fork or have little memory while taut computes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from taut.regularizers import L1, OrthogonalRegularizer

posix_only = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


def run(code, **environment):
    """Runs a program that has NumPy and taut, and must end within a minute."""
    return subprocess.run(
        [sys.executable, "-c", "import numpy as np, taut\n" + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )


DAEMONS = """
    import sys, threading, time
    from taut.regularizers import L2, OrthogonalRegularizer

    taut.set_num_threads({threads})
    x = np.ones((300, 300), np.float32)
    regularizers = [L2(1.0), OrthogonalRegularizer(1.0)]
    entered = threading.Barrier({daemons} + 1)

    def work(regularizer):
        regularizer.value_and_grad(x)
        entered.wait()
        while True:
            regularizer.value_and_grad(x)

    for i in range({daemons}):
        threading.Thread(target=work, args=[regularizers[i % 2]], daemon=True).start()
    entered.wait()
    time.sleep({pause})
    sys.exit(7)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("pause", [0, 0.02, 0.1])
def test_a_process_ends_with_its_exit_code_while_daemon_threads_compute(threads, pause):
    result = run(DAEMONS.format(threads=threads, daemons=4, pause=pause))
    assert (result.returncode, result.stderr) == (7, "")


STOPPED_DAEMON = """
    import sys, threading, time
    from taut.regularizers import OrthogonalRegularizer

    # Asks between its pieces whether to stop, and so wants the GIL, long after the others ended.
    x = np.ones((6000, 1000), np.float32)
    threading.Thread(target=OrthogonalRegularizer().value_and_grad, args=[x], daemon=True).start()
    time.sleep(0.3)
    sys.exit(7)
"""


def test_a_process_ends_with_its_exit_code_during_one_long_call():
    result = run(STOPPED_DAEMON)
    assert (result.returncode, result.stderr) == (7, "")


FORKS = """
    import os, signal, threading
    from taut.regularizers import OrthogonalRegularizer

    taut.set_num_threads(2)
    child = None
    is_over = False

    def fork(*_):
        global child
        if child is None and not is_over:
            child = os.fork()
            if child == 0:
                signal.alarm(50)

    signal.signal(signal.SIGUSR1, fork)
    x = np.random.default_rng(1).standard_normal((7000, 1000)).astype(np.float32)
    for delay in (0.05, 0.1, 0.2, 0.3):
        threading.Timer(delay, os.kill, [os.getpid(), signal.SIGUSR1]).start()
    value, grad = OrthogonalRegularizer().value_and_grad(x)
    is_over = True
    again = OrthogonalRegularizer().value_and_grad(x)
    same = value == again[0] and np.array_equal(grad, again[1])
    if child == 0:
        os._exit(0 if same else 1)
    assert same
    assert child is not None, "the call was over before the signal came"
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@posix_only
def test_a_child_forked_by_a_signals_handler_goes_on_with_the_call():
    result = run(FORKS, PYTHONWARNINGS="ignore::DeprecationWarning")  # newer Pythons advise against
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\n", "")


FORKS_OF_THREADS = """
    import os, signal, threading
    from taut.regularizers import L2

    x = np.ones(400_000, np.float32)  # enough to ask how many threads there are
    is_over = False

    def work():
        while not is_over:
            L2(1.0)(x)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    codes = set()
    for _ in range(300):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(L2(1.0)(x) != 400_000)
        codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if codes != {0}:
            break
    is_over = True
    for caller in callers:
        caller.join()
    print(codes)
"""


# With one thread nobody decides on a runtime, and who asks it looks among the libraries each time.
@posix_only
@pytest.mark.parametrize("threads", ["1", "2"])
def test_children_of_a_process_whose_threads_compute_never_hang(threads):
    ignored = "ignore::DeprecationWarning"  # newer Pythons advise against such forks
    result = run(FORKS_OF_THREADS, OMP_NUM_THREADS=threads, PYTHONWARNINGS=ignored)
    assert (result.returncode, result.stdout, result.stderr) == (0, "{0}\n", "")


SMALL_STACKS = f"""
    import sys, threading
    sys.path.insert(0, {str(Path(__file__).parents[1] / "soak")!r})
    from calls import ENTRIES, make_call

    calls = [make_call(1, index, 300_000) for index in range(2 * len(ENTRIES))]
    expected = [call.digest() for call in calls]
    taut.set_num_threads(3)
    threading.stack_size(128 * 1024)  # what musl gives
    found = []
    thread = threading.Thread(target=lambda: found.extend(call.digest() for call in calls))
    thread.start()
    thread.join()
    print(found == expected)
"""


def test_callers_and_workers_need_little_stack():
    result = run(SMALL_STACKS, OMP_STACKSIZE="32k")
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_more_elements_than_memory_can_hold(dtype):
    one = np.ones((), dtype)
    most = np.iinfo(np.intp).max // 2 // one.itemsize
    for extent in (most, most // 3, most // 48, 384307168202282326 * 4 // 8 // one.itemsize):
        for shape in ((2, extent), (extent, 2)):
            for mode in ("rows", "columns"):
                with pytest.raises(MemoryError):
                    OrthogonalRegularizer(mode=mode)(np.broadcast_to(one, shape))


def test_an_interrupted_call_of_huge_broadcast_memory_ends():
    # Would take years; but its arrays are told apart, and its size is not 0.
    x = np.broadcast_to(np.float32(1), (2**20, 2**20))
    assert L1(1.0)(x[:1000, :1000]) == 10**6
