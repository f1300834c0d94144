"""torch's DTensors, in worlds of two and of four processes that run the files in sharded_cases/."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import taut
from frameworks import require
from taut.regularizers import L2
from test_readme import sections
from worlds import run_world

torch = require("torch")

CASES = Path(__file__).parent / "sharded_cases"
NAMES = ("elementwise", "penalties", "by_vectors", "towards", "training", "failures")
EAGER = [CASES / f"{name}.py" for name in NAMES]
COMPILED = [CASES / "compiled.py"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_fsdp.py"


def run_cases(size, files):
    # What other libraries warn of is not ours to mend.
    options = ["-q", "-x", "-o", "filterwarnings=", "-p", "no:cacheprovider"]
    codes, outputs = run_world(size, "-m", "pytest", *options, "--rootdir", CASES, *files)
    ends = (f"rank {rank}: {output[-6000:]}" for rank, output in enumerate(outputs))
    assert codes == [0] * size, "\n".join(ends)


@pytest.mark.parametrize("size", [2, 4])
def test_in_a_world_of(size):
    run_cases(size, EAGER)


@pytest.mark.slow
def test_compiled_code():
    run_cases(2, COMPILED)


def test_the_example_is_as_one_process():
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    result = subprocess.run(
        [*command, str(EXAMPLE), "--epochs", "8"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split("│")[1:4] for line in result.stdout.splitlines() if line.startswith("│")]
    (one, *of_one), (two, *of_two) = rows
    assert [one.strip(), two.strip()] == ["1 process", "2 processes"]
    assert float(of_two[0]) == pytest.approx(float(of_one[0]), abs=0.01)
    assert float(of_two[0]) > 0.8
    assert float(of_two[1]) == pytest.approx(float(of_one[1]), rel=1e-3)
    assert "penalties.accumulate_grad(): 1 gloo:all_reduce of 1 number" in result.stdout
    assert "penalties.accumulate_grad(value=False): nothing else" in result.stdout


DIES = """
import datetime, os, sys
import taut, torch
import torch.distributed as dist
from taut.regularizers import {regularizer}
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
x = distribute_tensor(torch.ones(6, 4), init_device_mesh("cpu", (2,)), [Shard(0)])
bound = taut.Penalties([("w", {regularizer}(0.1))]).bind({{"w": x}})
bound()
if dist.get_rank() == 1:
    os._exit(7)
try:
    while True:
        bound()
except (RuntimeError, dist.DistBackendError) as error:
    print("torch says:", error)
    sys.stdout.flush()
    os._exit(8)
"""


@pytest.mark.parametrize("regularizer", ["L2", "OrthogonalRegularizer"])
def test_a_rank_that_dies_is_an_error_of_torchs_own(regularizer):
    codes, outputs = run_world(2, "-c", DIES.format(regularizer=regularizer), timeout=60)
    assert codes == [8, 7], outputs
    assert "torch says: " in outputs[0]


def test_placeholders_of_zero_are_refused():
    # What deepspeed.zero.Init makes of a parameter while its elements are elsewhere.
    placeholder = torch.nn.Parameter(torch.empty(0))
    placeholder.ds_numel, placeholder.ds_shape = 12, (4, 3)
    for way in (L2(0.1), lambda x: taut.Penalties([("w", L2(0.1))])({"w": x})):
        with pytest.raises(TypeError, match=r"12 elements.*GatheredParameters"):
            way(placeholder)
    gathered = torch.nn.Parameter(torch.ones(12))
    gathered.ds_numel = 12
    assert L2(0.5)(gathered).item() == 6


def test_nothing_of_it_is_imported_without_a_sharded_tensor():
    code = """
import sys, taut, torch
from taut.regularizers import L2
model = torch.nn.Linear(4, 3)
bound = taut.Penalties([("weight", L2(0.1))]).bind(model)
bound().backward()
bound.accumulate_grad(value=False)
L2(0.1).prox(model.weight, 0.1)
heavy = ("torch.distributed.tensor", "taut.arrays.torch.sharded")
loaded = [name for name in sys.modules if name.startswith(heavy)]
assert not loaded, loaded
assert not torch.distributed.is_initialized()
"""
    codes, outputs = run_world(1, "-c", code, timeout=60)
    assert codes == [0], outputs


def test_the_page_runs():
    page = sections("docs/distributed.md")["PyTorch"]
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code += """
assert type(total) is torch.Tensor and total.item() > 0
del model, loss, bound
import gc
gc.collect()
dist.destroy_process_group()
"""
    codes, outputs = run_world(2, "-c", code, timeout=60)
    assert codes == [0, 0], outputs
