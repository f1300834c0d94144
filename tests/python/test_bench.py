"""`taut bench`: that it verifies before it times, says what is missing, and keeps what it has."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import dataclasses
import json
import os
import re
import subprocess
import sys
import typing
from xml.etree import ElementTree

import numpy as np
import pytest
from frameworks import require

for library in ("matplotlib", "rich"):
    require(library)

from taut.bench import charts, libraries, machine, memory, plan, processes, program, results, tables
from taut.bench.contestant import Contestant, Outcome, WrongResultError, verify
from taut.bench.kinds import KINDS, MEMORY_OF, elements, resnet50
from taut.bench.measure import QUICK, Measurer
from taut.bench.processes import WorkerEndedError
from taut.command import bench as command

CLOSE = dataclasses.replace(QUICK, rounds=(2, 2), settling=0.0)


@pytest.fixture
def numpy_alone(monkeypatch):
    alone = {name: libraries.LIBRARIES[name] for name in ("taut", "NumPy")}
    monkeypatch.setattr(plan, "LIBRARIES", alone)
    monkeypatch.setattr(memory, "CONTESTANTS", {"taut": "taut", "NumPy": "NumPy"})


def spread(median):
    return {"median": median, "lower": 0.9 * median, "upper": 1.2 * median}


def document(names=("taut", "NumPy", "torch eager")):
    """Returns a document with every kind at every size, as if it had been measured."""
    cases = [
        {
            "kind": kind.name,
            "size": size,
            "elements": kind.elements(size),
            "process": "main",
            "counterpart": "taut",
            "rounds": 7,
            "again": spread(1.0),
            "results": {
                name: {
                    "seconds": spread(1e-9 * (number + 1) * kind.work(size)),
                    "ratio": spread(number + 1.0),
                    "calls": 3,
                    "error": 1e-7,
                }
                for number, name in enumerate(names)
            },
            "left_out": {"JAX jit": "needs some 5 GB of memory"},
            "wrong": {},
        }
        for kind in KINDS.values()
        for size in kind.sizes
    ]
    peaks = [
        {"size": size, "contestant": name, "bytes": 1000 * size, "left_out": None}
        for name in names
        for size in (1024, 4096)
    ]
    return {
        "schema": results.SCHEMA,
        "machine": machine.describe(2),
        "versions": {"taut": "1.0"},
        "quick": False,
        "complete": True,
        "left_out": {},
        "failures": [],
        "cases": cases,
        "memory": peaks,
    }


def assert_is(kind, value, where="document"):
    """Asserts that a value read from JSON is of a type: a TypedDict, a dict, a list or a class."""
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind)
        assert set(value) == set(hints), where
        for name, hint in hints.items():
            assert_is(hint, value[name], f"{where}.{name}")
    elif typing.get_origin(kind) in (dict, list):
        inner = typing.get_args(kind)[-1]
        assert isinstance(value, typing.get_origin(kind)), where
        for item in value.values() if isinstance(value, dict) else value:
            assert_is(inner, item, where)
    elif kind is not typing.Any:
        kinds = typing.get_args(kind) or (kind,)
        assert isinstance(value, kinds), where


def test_a_run_with_numpy_alone_prints_and_writes_what_it_measured(numpy_alone, tmp_path, capsys):
    path, folder = tmp_path / "bench.json", tmp_path / "charts"
    kinds = ["l2", "l2-gradient", "prox", "group-lasso", "orthogonal", "memory"]
    code = program.run(
        kinds, quick=True, threads=1, largest=10_000, json_file=path, charts_folder=folder
    )
    assert code == 0
    found = results.read(path)
    assert_is(results.Document, found)
    assert found["complete"]
    assert found["failures"] == []
    assert found["machine"]["threads"] == 1
    assert {case["kind"] for case in found["cases"]} == {*kinds} - {"memory"}
    for case in found["cases"]:
        assert set(case["results"]) == {"taut", "NumPy"}
        assert case["results"]["taut"]["ratio"]["median"] == 1
        assert case["elements"] <= 10_000
        for result in case["results"].values():
            assert 0 < result["seconds"]["lower"] <= result["seconds"]["upper"]
            assert result["calls"] >= 1
    peaks = {peak["contestant"]: peak["bytes"] for peak in found["memory"]}
    assert peaks["NumPy"] > 4 * 4096**2  # the cosines
    assert peaks["taut"] < peaks["NumPy"] / 4
    printed = capsys.readouterr().out
    for kind in kinds[:-1]:
        assert KINDS[kind].title in printed
    assert "1 thread for each library" in printed
    assert {file.name for file in folder.iterdir()} >= {"l2-ratio.svg", "memory.svg"}


def test_what_is_not_installed_is_left_out_and_said(monkeypatch, capsys):
    there = libraries.find_spec
    monkeypatch.setattr(
        libraries,
        "find_spec",
        lambda name: None if name in ("torch", "jax", "keras", "tensorflow") else there(name),
    )
    planned = plan.make(["l1"], quick=True)
    assert planned.left_out["torch"] == "not installed: torch"
    assert planned.left_out["Keras on TensorFlow"] == "not installed: keras, tensorflow"
    (group,) = planned.groups
    assert group.libraries == ("taut", "NumPy", "Eigen")
    monkeypatch.setattr(plan, "make", lambda *_: dataclasses.replace(planned, groups=()))
    assert program.run(["l1"], quick=True) == 0
    assert "Left out: JAX (not installed: jax)" in capsys.readouterr().out


def test_what_turns_out_to_be_missing_is_said_too(numpy_alone, monkeypatch, capsys):
    monkeypatch.setattr(processes, "run", lambda *_: iter([{"left_out": {"NumPy": "too old"}}]))
    program.run(["l2"], quick=True)
    assert "Left out: NumPy (too old)" in capsys.readouterr().out


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


class Doubling:
    """A library that forgets what L2's gradient is."""

    def begin(self, options):
        return {}

    def contestants(self, kind, weights):
        (x,) = weights
        value = 0.01 * float(np.square(x, dtype=np.float64).sum())
        yield Contestant("doubling", lambda: None, lambda: Outcome(value, [0.04 * x]))

        def fail():
            raise RuntimeError("no memory\nand more")

        yield Contestant("failing", fail, fail)


def measured(kind, size, *more):
    used = {"taut": libraries.LIBRARIES["taut"].load(), **dict(enumerate(more))}
    return Measurer(used, "main", CLOSE).run(KINDS[kind], size)


def test_a_wrong_contestant_is_not_timed_and_the_run_fails(capsys):
    case = measured("l2-gradient", 1000, Doubling())
    assert set(case["results"]) == {"taut"}
    assert "what doubling writes is off by 1" in case["wrong"]["doubling"]
    assert case["left_out"]["failing"] == "RuntimeError: no memory"
    found = document()
    found["cases"] = [case]
    assert tables.show_end(program.Console(stderr=True, width=200), found)
    assert "wrong, and not timed: l2-gradient of 1,000: what doubling" in capsys.readouterr().err


def test_the_run_fails_with_a_wrong_contestant(numpy_alone, monkeypatch):
    wrong = measured("l2-gradient", 1000, Doubling())
    monkeypatch.setattr(processes, "run", lambda *_: iter([{"case": wrong}]))
    assert program.run(["l2-gradient"], quick=True, largest=100) == 1


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


def test_a_process_that_ends_costs_its_kind_and_no_other(numpy_alone, monkeypatch):
    case = measured("l2", 100)
    jobs = []

    def run(job, environment):
        jobs.append(job["cases"])
        if len(jobs) == 1:
            yield {"case": case}
            raise WorkerEndedError("ended by signal 9")
        yield from ({"case": case} for _ in job["cases"])

    monkeypatch.setattr(processes, "run", run)
    assert program.run(["l2", "prox"], quick=True, largest=10_000) == 0
    assert [[kind for kind, _ in cases] for cases in jobs] == [
        ["l2", "l2", "prox", "prox"],
        ["prox", "prox"],
    ]


def test_a_process_says_why_it_ended():
    options = {"threads": 1, "quick": True, "directory": ""}
    job = {"process": "main", "libraries": ["taut"], "options": options, "cases": [["none", 1]]}
    with pytest.raises(WorkerEndedError, match="KeyError: 'none'"):
        list(processes.run(job))


def test_an_interrupt_keeps_what_was_measured(numpy_alone, monkeypatch, tmp_path, capsys):
    case = measured("l2", 100)

    def run(job, environment):
        yield {"case": case}
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "run", run)
    path = tmp_path / "bench.json"
    assert program.run(["l2", "prox"], quick=True, json_file=path) == 130
    found = results.read(path)
    assert found["cases"] == json.loads(json.dumps([case]))
    assert not found["complete"]
    output = capsys.readouterr()
    assert KINDS["l2"].title in output.out
    assert "interrupted" in output.err


def test_noise_is_said(capsys):
    found = document()
    found["cases"][0]["again"] = spread(1.2)
    console = program.Console(width=200)
    assert not tables.show_end(console, found)
    assert f"noisy: in 1 of {len(found['cases'])} cases" in capsys.readouterr().out
    tables.show(console, found)
    assert " ~" in capsys.readouterr().out


def test_the_table_says_who_is_left_out_and_why(capsys):
    found = document()
    tables.show(program.Console(width=200), found)
    assert "- at 100: needs some 5 GB of memory: JAX jit" in capsys.readouterr().out


def test_charts_are_drawn_for_each_kind_and_are_svg(tmp_path):
    found = document()
    drawn = charts.write(found, tmp_path / "new" / "charts")
    names = {path.name for path in drawn}
    assert names == {f"{kind}-ratio.svg" for kind in KINDS} | {
        "l2-gradient-time.svg",
        "orthogonal-time.svg",
        "memory.svg",
    }
    for path in drawn:
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "NaN" not in text
        assert not re.search(r"fill: ?(#fff|white)", text)  # see-through, for light and dark pages
    again = charts.write(found, tmp_path, only={"memory.svg"})
    assert [path.name for path in again] == ["memory.svg"]
    assert again[0].read_bytes() == (tmp_path / "new" / "charts" / "memory.svg").read_bytes()


def test_every_contestant_that_is_drawn_has_a_style_and_a_library():
    timed = {"taut", *memory.CONTESTANTS}
    assert timed <= set(charts._STYLES)
    assert set(memory.CONTESTANTS.values()) <= set(libraries.LIBRARIES)


def test_nothing_is_drawn_of_nothing(tmp_path):
    empty = {**document(), "cases": [], "memory": []}
    assert charts.write(empty, tmp_path) == []


def test_a_foreign_file_is_no_document(tmp_path):
    path = tmp_path / "other.json"
    for content in ("[]", "{}", '{"schema": 0}'):
        path.write_text(content)
        with pytest.raises(results.UnknownSchemaError):
            results.read(path)


def test_the_models_are_those_that_are_named():
    assert len(resnet50()) == 161
    assert elements(resnet50()) == 25_557_032


def test_the_command_knows_every_kind():
    assert set(command.KINDS) == set(plan.KIND_NAMES)
    assert plan.KIND_NAMES[-1] == "memory"
    assert MEMORY_OF.is_pairwise


def test_importing_taut_imports_no_benchmark():
    script = (
        "import sys, taut; sys.exit(any(name.startswith('taut.bench') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


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
