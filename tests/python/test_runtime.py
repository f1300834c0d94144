"""Threads, processes, levels, and what a long call does meanwhile."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import taut
from arrays import random_array
from conftest import LEVELS
from taut import _core
from taut.regularizers import L1L2, OrthogonalRegularizer

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def penalties():
    """Returns values and gradients of work that is large enough for several threads."""
    elementwise = L1L2(0.1, 0.2).value_and_grad(random_array(400_000, "float32"))
    gram = OrthogonalRegularizer(0.1).value_and_grad(random_array((500, 200), "float32"))
    return [(value, grad.tobytes()) for value, grad in (elementwise, gram)]


def test_number_of_threads():
    taut.set_num_threads(3)
    assert taut.get_num_threads() == 3
    for threads, bound in {0: "at least 1", -1: "at least 1", 1025: "at most 1024"}.items():
        with pytest.raises(ValueError, match=bound):
            taut.set_num_threads(threads)
    with pytest.raises(ValueError, match="at most 1024"):
        taut.set_num_threads(10**6)
    assert taut.get_num_threads() == 3
    taut.set_num_threads(1024)


SHOW_THREADS = """
import taut, io, contextlib
out = io.StringIO()
with contextlib.redirect_stdout(out):
    taut.show_config()
(row,) = [line for line in out.getvalue().splitlines() if line.startswith("threads")]
print(*row.split(maxsplit=1)[1:])
"""


@pytest.mark.parametrize("value", ["1", " 1,4"])
def test_omp_num_threads_lowers_the_number(value):
    assert run_python(SHOW_THREADS, OMP_NUM_THREADS=value).stdout == "1 (OMP_NUM_THREADS)\n"


@pytest.mark.parametrize("value", ["", "0", "1,x", "1.5"])
def test_a_malformed_omp_num_threads_counts_as_none(value):
    expected = run_python(SHOW_THREADS, without="OMP_NUM_THREADS").stdout
    assert "OMP_NUM_THREADS" not in expected
    assert run_python(SHOW_THREADS, OMP_NUM_THREADS=value).stdout == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_affinity_lowers_the_number_and_omp_num_threads_does_not_raise_it():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})" + SHOW_THREADS
    assert run_python(code, without="OMP_NUM_THREADS").stdout == "1 (affinity)\n"
    # The runtime reads the variable when it is loaded, after the affinity was set.
    assert run_python(code, OMP_NUM_THREADS="8").stdout == "1 (affinity)\n"


def test_show_config_says_who_set_the_number():
    code = "import taut; taut.set_num_threads(3)" + SHOW_THREADS
    assert run_python(code, OMP_NUM_THREADS="1").stdout == "3 (set_num_threads)\n"


CALLS_UNDER_LIMIT = """
import os, resource
import numpy as np, taut
x = np.ones((1000, 5000), np.float32)
penalty = taut.regularizers.L2(1.0)
taut.set_num_threads({threads})
{limit}
for _ in range(3):
    assert penalty(x) == 5_000_000
assert taut.get_num_threads() == {threads}
taut.set_num_threads({threads})
assert penalty(x) == 5_000_000
print(len(os.listdir("/proc/self/task")), "threads")
"""
NO_MORE_MEMORY = """
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {extra} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""
NO_MORE_PROCESSES = """
if os.getuid() == 0:
    os.setuid(65534)  # the limit is not root's
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize("threads", [2, 16, 1024])
@pytest.mark.parametrize("extra", [10, 100, 1000])
def test_where_memory_has_no_room_for_threads_a_call_uses_those_it_has(threads, extra):
    limit = NO_MORE_MEMORY.format(extra=extra)
    result = run_python(CALLS_UNDER_LIMIT.format(threads=threads, limit=limit), OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("threads\n")


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
def test_where_no_thread_can_be_had_a_call_runs_on_its_own():
    limit = NO_MORE_PROCESSES
    result = run_python(CALLS_UNDER_LIMIT.format(threads=4, limit=limit), OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "1 threads\n"


def test_levels_by_name():
    assert _core.level() == LEVELS[-1]
    with pytest.raises(ValueError, match="is not an instruction-set level"):
        _core.set_level("sse9")


def run_python(code, *, without="", **environment):
    variables = {name: value for name, value in os.environ.items() if name != without}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", LEVELS)
def test_taut_simd_caps_the_level(name):
    result = run_python("from taut import _core; print(_core.level())", TAUT_SIMD=name)
    assert result.stdout.strip() == name


def test_taut_simd_that_names_no_level_fails_the_import():
    result = run_python("import taut", TAUT_SIMD="sse9")
    assert result.returncode != 0
    assert "TAUT_SIMD: 'sse9' is not an instruction-set level of this build" in result.stderr


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_gives_the_same_and_never_hangs():
    taut.set_num_threads(2)
    expected = penalties()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(penalties) for _ in range(2)]
        assert [result.get(timeout=60) for result in results] == [expected, expected]
    assert penalties() == expected


def test_eight_threads_at_once():
    taut.set_num_threads(2)
    expected = penalties()
    start = threading.Barrier(8)

    def work(_):
        start.wait()
        return [penalties() for _ in range(3)]

    with ThreadPoolExecutor(8) as executor:
        for results in executor.map(work, range(8)):
            assert results == [expected] * 3


def test_other_threads_run_meanwhile():
    x = random_array((8000, 1000), "float32")
    finished = threading.Event()
    ticks = 0

    def tick():
        nonlocal ticks
        while not finished.wait(0.001):
            ticks += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    OrthogonalRegularizer().value_and_grad(x)
    finished.set()
    ticker.join()
    assert ticks > 5


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
def test_ctrl_c_stops_a_long_call(interruptible):
    x = random_array((20_000, 1000), "float32")  # more than ten seconds
    grad = np.zeros_like(x)
    main = threading.main_thread()
    assert threading.current_thread() is main
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(main.ident, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        OrthogonalRegularizer().accumulate_grad(x, grad)
    timer.join()
    assert not grad.any()  # which is written at the end
    assert OrthogonalRegularizer(1.0)(np.ones((10, 3))) == pytest.approx(1.0)


def test_the_stubs_mirror_the_compiled_module():
    pytest.importorskip("mypy")
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "taut._core"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("order", ["taut, keras", "keras, taut"])
@pytest.mark.parametrize("version", ["2.15.0", "3.99.0"])
def test_any_keras_can_be_imported(tmp_path, order, version):
    (tmp_path / "keras.py").write_text(f"__version__ = {version!r}")
    result = subprocess.run(
        [sys.executable, "-c", f"import {order}; print(keras.__version__)"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
    )
    assert result.stdout == f"{version}\n"
    assert ("not registered" in result.stderr) == version.startswith("3.")
