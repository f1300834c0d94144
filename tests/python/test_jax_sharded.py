"""JAX's arrays that are shared out over devices and over processes.

The number of devices is fixed when JAX begins, so that these run in processes of their own.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from frameworks import require
from test_readme import sections

jax = require("jax")

CASES = Path(__file__).parent / "jax_cases"

pytestmark = pytest.mark.skipif(
    jax.__version_info__ < (0, 8), reason="an older JAX gathers, and every device computes all"
)


def environment(devices):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


@pytest.mark.slow
def test_four_devices():
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", str(CASES)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(CASES / "sharded.py")],
        capture_output=True,
        text=True,
        env=environment(4),
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]


def test_the_page_runs():
    page = sections("docs/distributed.md")["JAX"]
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment(4), timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]


def test_two_processes():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, str(CASES / "two_processes.py"), address, str(index)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(2),
        )
        for index in range(2)
    ]
    try:
        for process in processes:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output[-8000:]
            assert "equal to one process" in output
    finally:
        for process in processes:
            process.kill()
