"""`taut bench`: what a run prints, draws and writes, and what it keeps when it is stopped."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import dataclasses
import json
import re
import subprocess
import sys
import typing
from xml.etree import ElementTree

import pytest
from frameworks import require

for library in ("matplotlib", "rich"):
    require(library)

from measurements import Doubling, document, measured, spread
from taut.bench import charts, libraries, memory, plan, processes, program, results, tables
from taut.bench.kinds import KINDS, MEMORY_OF
from taut.bench.processes import WorkerEndedError
from taut.command import bench as command


@pytest.fixture
def numpy_alone(monkeypatch):
    alone = {name: libraries.LIBRARIES[name] for name in ("taut", "NumPy")}
    monkeypatch.setattr(plan, "LIBRARIES", alone)
    monkeypatch.setattr(memory, "CONTESTANTS", {"taut": "taut", "NumPy": "NumPy"})


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


def test_the_run_fails_with_a_wrong_contestant(numpy_alone, monkeypatch):
    wrong = measured("l2-gradient", 1000, Doubling())
    monkeypatch.setattr(processes, "run", lambda *_: iter([{"case": wrong}]))
    assert program.run(["l2-gradient"], quick=True, largest=100) == 1


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


@pytest.mark.parametrize(
    "again", [spread(1.2), {"median": 1.0, "lower": 0.9, "upper": 1.4}], ids=["median", "quartiles"]
)
def test_noise_is_said(again, capsys):
    found = document()
    found["cases"][0]["again"] = again
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


def test_the_command_knows_every_kind():
    assert set(command.KINDS) == set(plan.KIND_NAMES)
    assert plan.KIND_NAMES[-1] == "memory"
    assert MEMORY_OF.is_pairwise


def test_importing_taut_imports_no_benchmark():
    script = (
        "import sys, taut; sys.exit(any(name.startswith('taut.bench') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
