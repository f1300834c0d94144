"""What every test may use, and nothing that a test could leave switched."""

import os
import signal
from collections.abc import Iterator

import pytest
import taut
from hypothesis import HealthCheck, settings
from taut import _core

# Deterministic runs: an example that fails once fails always, and is then written down as a test.
settings.register_profile("taut", derandomize=True, deadline=None, database=None)
settings.load_profile("taut")
# As many as there is time for, and others each time: fuzz/run.py.
if examples := os.environ.get("TAUT_FUZZ_EXAMPLES"):
    settings.register_profile(
        "fuzz",
        settings.get_profile("taut"),
        derandomize=False,
        max_examples=int(examples),
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("fuzz")

# test_keras.py, test_jax_sharded.py and test_torch_sharded.py run them, in processes of their own.
collect_ignore = ["jax_cases", "keras_cases", "sharded_cases"]

LEVELS = _core.available_levels()
X86_LEVELS = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]


def pytest_report_header() -> str:
    missing = [name for name in X86_LEVELS if name not in LEVELS and "neon" not in LEVELS]
    left_out = f"; not run on this processor: {', '.join(missing)}" if missing else ""
    return f"taut levels: {', '.join(LEVELS)}{left_out}"


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once at each level that this processor has."""
    before = _core.level()
    _core.set_level(request.param)
    assert _core.level() == request.param
    yield request.param
    _core.set_level(before)


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = taut.get_num_threads()
    yield
    if taut.get_num_threads() != before:
        taut.set_num_threads(before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python, and what it starts, raise KeyboardInterrupt, also in a shell's background."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)
