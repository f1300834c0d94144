"""The OpenMP runtime that lends taut its threads: one pool of them beside torch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from frameworks import require
from taut import _core

ROOT = Path(__file__).parents[2]
LIBRARY = Path(_core.__file__).parent / "lib" / "libtaut.a"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not _core.compiler.startswith("GNU"),
    reason="taut chooses between copies of GNU's runtime, which is Linux's",
)


def run(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_call_of_the_runtime_can_be_sent_to_torch_s():
    table = subprocess.run(["nm", "-u", LIBRARY], capture_output=True, text=True, check=True).stdout
    called = set(re.findall(r"U (GOMP_\w+|omp_\w+)", table))
    source = (ROOT / "cpp" / "bindings" / "openmp.cpp").read_text(encoding="utf-8")
    assert called == set(re.findall(r"__wrap_(\w+)", source))
    assert "GOMP_parallel" in called


@pytest.mark.parametrize(
    "imports",
    [
        "import torch, taut",
        "import taut, torch",
        "import taut; taut.show_config(); import torch",
        "import taut; taut.regularizers.L2()(np.ones(3_000_000)); import torch",  # one thread
    ],
)
def test_one_pool_beside_torch(imports):
    require("torch")
    code = f"""
import os
import numpy as np
os.environ["OMP_NUM_THREADS"] = "1"
{imports}
from taut.regularizers import L2, OrthogonalRegularizer

def threads():
    return set(os.listdir("/proc/self/task"))

taut.set_num_threads(3)
torch.set_num_threads(3)
before = threads()
x, y = np.ones((3000, 1000), np.float32), torch.ones(3000, 1000)
y.add_(1.0)
pool = threads()
assert len(pool - before) == 2
for _ in range(50):
    for size in (100, 150, 200, 3000):
        y[:size].add_(1.0)
        assert L2(1.0)(x[:size]) == size * 1000
    assert OrthogonalRegularizer(1.0)(x[:300]) > 0.999
    assert threads() == pool
"""
    run(code)


def test_torch_s_number_of_threads_is_the_most_that_taut_uses_unless_told():
    require("torch")
    code = """
import os, torch, taut
from taut import _core
taut.show_config()
torch.set_num_threads(1)
assert (taut.get_num_threads(), _core.num_threads_origin()) in [(1, "OpenMP"), (1, "affinity")]
torch.set_num_threads(64)
assert taut.get_num_threads() <= len(os.sched_getaffinity(0))
taut.set_num_threads(2)
torch.set_num_threads(1)
assert (taut.get_num_threads(), _core.num_threads_origin()) == (2, "set_num_threads")
assert torch.get_num_threads() == 1
"""
    run(code)


def test_torch_is_looked_for_once_and_not_in_every_call():
    code = """
import numpy as np, taut
taut.set_num_threads(1)
for _ in range(100):
    taut.regularizers.L2()(np.ones(500_000, np.float32))
    taut.get_num_threads()
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_DEBUG": "libs"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    if "find library=libpython" not in result.stderr and "find library=libc" not in result.stderr:
        pytest.skip("not run: this C library does not say what it looks for")
    assert result.stderr.count("find library=libtorch_cpu.so") <= 2
