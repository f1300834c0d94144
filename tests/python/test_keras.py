"""Keras on each of its backends, the oldest version that taut supports and the newest.

Keras fixes its backend when it is imported, so each pair has a process of its own, which runs the
files in keras_cases/ and Keras's own test of its regularizers, with its import exchanged.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from frameworks import require

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "keras_cases"
OLDEST = ROOT / "build" / "keras-oldest"  # see the Makefile
BACKENDS = ["torch", "jax", "tensorflow"]


def run_cases(backend, files, folder=None, **more):
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"} | more
    if folder is not None:
        environment["PYTHONPATH"] = str(folder)
    # What other libraries warn of is not ours to mend.
    options = ["-q", "-o", "filterwarnings=", "-p", "no:cacheprovider", "--rootdir", str(CASES)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, files)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]


@pytest.fixture(params=BACKENDS)
def backend(request):
    # Looked for, not imported: this process has a backend of its own, and needs none.
    for module in ("keras", request.param):
        if find_spec(module) is None:
            require(module)
    return request.param


QUICK = [
    CASES / f"{name}.py"
    for name in (
        *("deviations", "layers", "live_factors", "patching", "proximal", "rooms", "saving"),
        "seed_page",
        "towards",
        "training",
    )
]
STEPS = [CASES / "tensorflow_steps.py"]
COMPILED = [CASES / "compiled_training.py"]
DISTRIBUTED = [CASES / "distributed.py"]


@pytest.mark.slow
def test_the_newest_keras(backend):
    run_cases(backend, QUICK)


@pytest.mark.slow
def test_the_newest_keras_compiled(backend):
    run_cases(backend, COMPILED)


@pytest.mark.parametrize("backend", ["jax", "tensorflow"], indirect=True)
def test_several_devices(backend):
    flags = "--xla_force_host_platform_device_count=4"
    run_cases(backend, DISTRIBUTED, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("folder", [None, OLDEST], ids=["newest", "oldest"])
def test_steps_on_tensorflow(folder):
    for module in ("keras", "tensorflow"):
        if find_spec(module) is None:
            require(module)
    if folder and not folder.exists() and not os.environ.get("CI"):
        pytest.skip("`make frameworks` installs it")
    run_cases("tensorflow", STEPS, folder)


@pytest.mark.slow
def test_the_oldest_keras(backend):
    if not OLDEST.exists() and not os.environ.get("CI"):
        pytest.skip("`make frameworks` installs it")
    run_cases(backend, QUICK + COMPILED, OLDEST)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [None, OLDEST], ids=["newest", "oldest"])
def test_safe_mode(folder):
    """Which is the same on each backend."""
    for module in ("keras", "jax", "h5py"):
        if find_spec(module) is None:
            require(module)
    if folder and not folder.exists() and not os.environ.get("CI"):
        pytest.skip("`make frameworks` installs it")
    more = {"TAUT_KERAS_IS_OLDEST": "1"} if folder else {}
    run_cases("jax", [CASES / "safe_mode.py"], folder, **more)


def test_kerass_own_test(backend, tmp_path):
    spec = find_spec("keras.src.regularizers.regularizers_test")
    text = Path(spec.origin).read_text(encoding="utf-8")
    exchanged = text.replace("from keras.src import regularizers", "from taut import regularizers")
    assert exchanged != text
    own = tmp_path / "regularizers_test.py"
    own.write_text(exchanged, encoding="utf-8")
    run_cases(backend, [own])


@pytest.mark.slow
def test_the_page_and_the_example(backend):
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    page = (ROOT / "docs" / "keras.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    code += "\nassert dense.kernel_regularizer.get_config() == {'l1': 0.01, 'l2': 0.01}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)
    example = [sys.executable, "-W", "ignore", str(ROOT / "examples" / "keras_digits.py")]
    out = subprocess.run(
        [*example, "--epochs", "6"], env=environment, check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split("│")[1:4] for line in out.splitlines() if line.startswith("│")]
    assert [name.strip() for name, _, _ in rows] == ["keras", "taut"]
    (_, *theirs), (_, *own) = rows
    assert float(own[0]) > 0.9
    assert float(own[0]) == pytest.approx(float(theirs[0]), abs=0.02)
    assert float(own[1]) == pytest.approx(float(theirs[1]), rel=0.02)
