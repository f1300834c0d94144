"""The programs of `make soak`: they pass where all is right, and fail where something is not."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import taut
from penalties import PENALTIES
from taut import regularizers

SOAK = Path(__file__).parents[1] / "soak"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it counts as Linux does")
SHORT = ["--seconds=4", "--calls=80", "--threads=3", "--largest=20000", "--vectors=400"]


def run(program, *arguments, first=""):
    """Runs a program, which `first` has changed something of, as it would run from a shell."""
    code = f"import sys; sys.path.insert(0, {str(SOAK)!r})\n{textwrap.dedent(first)}\n"
    code += f"import {program}; sys.exit({program}.main({list(map(str, arguments))!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def entries():
    program = f"import sys; sys.path.insert(0, {str(SOAK)!r}); import calls; print(*calls.ENTRIES)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def public_methods(cls):
    return {
        name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))
    } | {"__call__"}


def test_every_entry_is_called(entries):
    for make in PENALTIES.values():
        penalty = make(0.1)
        methods = public_methods(type(penalty)) - {"from_config"}  # by which `get_config` returns
        if type(penalty)._kernel.prox is None:
            methods -= {"prox", "proximal"}
        for method in methods:
            assert f"{type(penalty).__name__}.{method}" in entries
    for method in public_methods(taut.Penalties) - {"from_config"}:
        assert f"Penalties.{method}" in entries
    for cls in (taut.regularizers.ActivityRegularizer, taut.Penalties):
        assert f"{cls.__name__}.__call__" in entries
    assert {cls.__name__ for cls in map(type, (make(0.1) for make in PENALTIES.values()))} == {
        name
        for name in regularizers.__all__
        if isinstance(cls := getattr(regularizers, name), type)
        and name[0].isupper()
        and hasattr(cls, "_kernel")
    }


def test_a_soak_passes():
    # Rounds are too short here for the first ones to have had every call: memory is make soak's.
    result = run("soak", *SHORT, "--no-memory")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "every result had the bits of the serial ones" in result.stdout
    *_, forks, interrupts = map(int, result.stdout.splitlines()[-2].replace(",", "").split()[1:4])
    assert forks + interrupts > 0


# What makes one of the entries go wrong, after each of its calls.
SPOILT = """
    import calls, ctypes, math, os, threading
    begun, kept, right = os.getpid(), [], calls.ENTRIES["L1.__call__"]

    def make(rng, largest):
        text, call = right(rng, largest)
        def spoilt():
            value = call()
            {what}
            return value
        return text, spoilt

    calls.ENTRIES["L1.__call__"] = make
"""
WRONG = {
    "in other threads": "threading.current_thread() is not threading.main_thread()",
    "in a forked child": "os.getpid() != begun",
}


@pytest.mark.parametrize("where", WRONG)
def test_a_soak_finds_a_wrong_bit(where):
    spoilt = SPOILT.format(what=f"if {WRONG[where]}: value = math.nextafter(value, math.inf)")
    result = run("soak", *SHORT, "--forks=0.1", first=spoilt)
    said = result.stdout + result.stderr
    assert result.returncode == 1
    assert "FAILED: " in result.stdout
    assert re.search(r"L1\(.*\n.*: gave \w+ and not \w+\n  again: python tests/soak/soak.py", said)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ("kept.append(b'1' * 2_000_000)", "memory grew by"),
        (
            "threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "threads were left",
        ),
    ],
)
def test_a_soak_finds_what_is_left(left, words):
    result = run("soak", *SHORT, first=SPOILT.format(what=left))
    assert result.returncode == 1
    assert words in result.stdout


def test_growth_passes():
    result = run("growth", "--calls=200")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "leak", ["kept.append(object())", "ctypes.pythonapi.Py_IncRef(ctypes.py_object(bytes(600)))"]
)
def test_growth_finds_what_a_call_leaves_behind(leak):
    only = "--only=L1.__call__"
    result = run("growth", "--calls=1000", only, first=SPOILT.format(what=leak))
    assert result.returncode == 1
    assert "FAILED: L1.__call__" in result.stdout
