"""Without the GIL, and in interpreters beside the main one."""

import subprocess
import sys
import sysconfig

import pytest

IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def run(code, *options):
    result = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.skipif(not IS_FREE_THREADED, reason="this interpreter always has its GIL")
def test_taut_does_not_bring_the_gil_back():
    assert run("import sys, taut; print(sys._is_gil_enabled())", "-W", "error") == "False"


def test_the_first_calls_may_come_from_many_threads_at_once():
    # Whatever is made once and kept is made here: the level, the pool of threads, the numbers and
    # classes that the bindings remember, the working memory.
    code = """
import threading
from concurrent.futures import ThreadPoolExecutor
import ml_dtypes, numpy as np, taut
from taut import _core
from taut.regularizers import L2, OrthogonalRegularizer

start = threading.Barrier(8)
x = np.ones((400, 700), ml_dtypes.bfloat16)
view = _core.View(x.ctypes.data, "bfloat16", x.shape, (700, 1))

def work(_):
    start.wait()
    grads = [np.zeros(x.shape, np.float32) for _ in range(2)]
    for _ in range(5):
        OrthogonalRegularizer(1.0).accumulate_grad(x, grads[0])
        taut.Penalties([("*", L2(1.0))]).accumulate_grad({"a": x}, {"a": grads[1]})
    return L2(1.0)(x), _core.elementwise_value(view, (0.0, 1.0)), *map(np.ndarray.tobytes, grads)

with ThreadPoolExecutor(8) as threads:
    results = list(threads.map(work, range(8)))
assert results == results[:1] * 8
assert results[0][:2] == (280_000.0, 280_000.0)
assert set(np.frombuffer(results[0][3], np.float32)) == {10.0}
"""
    run(code)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all interpreters share a GIL before 3.12")
def test_another_interpreter_refuses_the_compiled_module():
    # NumPy does too, and taut imports it first; so the module is loaded alone.
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import taut
program = '''
import importlib.machinery, importlib.util
loader = importlib.machinery.ExtensionFileLoader("taut._core", {!r})
spec = importlib.util.spec_from_loader("taut._core", loader)
try:
    importlib.util.module_from_spec(spec)
except ImportError as error:
    assert "does not support loading in subinterpreters" in str(error), error
else:
    raise AssertionError("it was loaded")
'''.format(taut._core.__file__)
failure = interpreters.run_string(interpreters.create(), program)
assert failure is None, failure
"""
    run(code)
