"""Contestants of `taut bench`: all compute the same, or are not timed; and who takes no part."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import dataclasses
import os

import numpy as np
import pytest
from frameworks import require

for library in ("rich",):
    require(library)

from measurements import CLOSE, Doubling, document, measured
from taut.bench import libraries, processes, program, tables
from taut.bench.contestant import Outcome, WrongResultError, verify
from taut.bench.kinds import KINDS, elements, resnet50
from taut.bench.measure import Measurer
from taut.bench.processes import WorkerEndedError


def test_eigen_without_cmake_is_left_out(monkeypatch, tmp_path):
    from taut.bench.libraries import eigen

    monkeypatch.setattr(eigen.shutil, "which", lambda *_, **__: None)
    with pytest.raises(libraries.UnavailableError, match="CMake"):
        eigen.begin(libraries.Options(1, quick=True, directory=str(tmp_path)))


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(1.001, [np.ones(100)]),
        Outcome(float("nan"), [np.ones(100)]),
        Outcome(None, [np.ones(100)]),
        Outcome(1.0, [np.ones(100) + (np.arange(100) == 37) * 0.01]),
        Outcome(1.0, [np.where(np.arange(100) == 99, np.nan, 1)]),
        Outcome(1.0, [np.ones((10, 10))]),
        Outcome(1.0, []),
    ],
)
def test_what_is_wrong_anywhere_is_refused(outcome):
    expected = Outcome(1.0, [np.ones(100)])
    verify(KINDS["l2-gradient"], 100, "right", expected, expected)
    with pytest.raises(WrongResultError, match="wrong"):
        verify(KINDS["l2-gradient"], 100, "wrong", outcome, expected)


def test_a_wrong_contestant_is_not_timed_and_the_run_fails(capsys):
    case = measured("l2-gradient", 1000, Doubling())
    assert set(case["results"]) == {"taut"}
    assert "what doubling writes is off by 1" in case["wrong"]["doubling"]
    assert case["left_out"]["failing"] == "RuntimeError: no memory"
    found = document()
    found["cases"] = [case]
    assert tables.show_end(program.Console(stderr=True, width=200), found)
    assert "wrong, and not timed: l2-gradient of 1,000: what doubling" in capsys.readouterr().err


def test_what_would_take_too_long_or_too_much_memory_is_left_out(monkeypatch):
    numpy = libraries.LIBRARIES["NumPy"].load()
    used = {"taut": libraries.LIBRARIES["taut"].load(), "NumPy": numpy}
    measurer = Measurer(used, "main", dataclasses.replace(CLOSE, longest_call=1e-9))
    assert "NumPy" in measurer.run(KINDS["orthogonal"], 16)["results"]
    case = measurer.run(KINDS["orthogonal"], 64)
    assert case["left_out"]["NumPy"].startswith("would take")
    assert "taut" in case["results"]
    monkeypatch.setattr("taut.bench.measure.available_memory", lambda: 1_500_000)
    assert measured("orthogonal", 256, numpy)["left_out"] == {
        "NumPy": "needs some 0.0 GB of memory"
    }
    assert measured("l2", 10**6)["left_out"] == {"all": "needs some 0.1 GB of memory"}


def test_a_process_says_why_it_ended():
    options = {"threads": 1, "quick": True, "directory": ""}
    job = {"process": "main", "libraries": ["taut"], "options": options, "cases": [["none", 1]]}
    with pytest.raises(WorkerEndedError, match="KeyError: 'none'"):
        list(processes.run(job))


def test_the_models_are_those_that_are_named():
    assert len(resnet50()) == 161
    assert elements(resnet50()) == 25_557_032


SMALL = [(name, min(kind.sizes)) for name, kind in KINDS.items() if name != "model"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in libraries.LIBRARIES if name != "taut"])
def test_every_library_computes_the_same(name, tmp_path):
    entry = libraries.LIBRARIES[name]
    for module in entry.needs:
        require(module)
    cases = [(kind, size) for kind, size in SMALL if entry.does(KINDS[kind])]
    options = {"threads": 1, "quick": True, "directory": str(tmp_path)}
    job = {"process": "main", "libraries": ["taut", name], "options": options, "cases": cases}
    events = list(processes.run(job, entry.environment))
    said = {what: content for event in events for what, content in event.items()}
    if "left_out" in said:
        assert not os.environ.get("CI"), said["left_out"]
        pytest.skip(f"not run: {said['left_out']}")
    found = [event["case"] for event in events if "case" in event]
    assert [(case["kind"], case["size"]) for case in found] == cases
    for case in found:
        assert case["wrong"] == case["left_out"] == {}
        assert len(case["results"]) >= 2
