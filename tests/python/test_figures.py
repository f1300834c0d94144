"""Figures in the pages: all are what the script makes of the measurements."""

# ruff: noqa: E402 (what needs a library is imported once it is known to be there)

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from frameworks import require

for library in ("matplotlib", "rich"):
    require(library)

from measurements import document
from taut.bench import results

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "figures.py"
PAGE = """\
NumPy takes <!-- figure: lab ratio l2 1000000 NumPy --><!-- /figure --> times as long, "torch eager"
<!-- figure: lab ratio l2 1000000 "torch eager" -->old<!-- /figure -->; taut
<!-- figure: lab time l2 1000000 -->99 s<!-- /figure --> (again: <!-- figure: lab again l2 100 --><!-- /figure -->)
and <!-- figure: lab memory 4096 --><!-- /figure -->. On <!-- figure: lab machine --><!-- /figure -->.

<!-- figure: lab table model -->
old
<!-- /figure -->

<!-- figure: lab memory-table --><!-- /figure -->

<!-- figure: lab chart l2-ratio "Lines" --><!-- /figure -->

<!-- figure: lab-detailed report products --><!-- /figure -->

taut takes <!-- figure: lab-detailed cell products "8 x 8" taut "over torch.mm" --><!-- /figure --> of it.
"""  # noqa: E501 (a page's lines)


COLUMNS = ["", "median", "over torch.mm"]
EIGHT, NINE = (
    {
        "title": title,
        "columns": COLUMNS,
        "rows": [["torch.mm", time, "1.00"], ["taut", "1 ms", ratio]],
    }
    for title, time, ratio in [("8 x 8", "2 ms", "0.50"), ("9 x 9", "4 ms", "0.25")]
)
THREADS = {"title": "y_*", "columns": ["threads", "1", "2"], "rows": [["L2", "1.00", "1.90"]]}
DETAILED = {"schema": "detailed 1", "machine": {}, "programs": {"products": [EIGHT, THREADS, NINE]}}


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("figures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("reports", None)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "README.md").write_text("No figures.\n", encoding="utf-8")
    (tmp_path / "docs" / "guides").mkdir(parents=True)
    (tmp_path / "docs" / "guides" / "speed.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    results.write(document(), tmp_path / "benchmarks" / "results" / "lab.json")
    detailed = tmp_path / "benchmarks" / "results" / "lab-detailed.json"
    detailed.write_text(json.dumps(DETAILED), encoding="utf-8")
    return tmp_path


def test_the_pages_are_what_the_script_makes_of_the_measurements(figures):
    assert figures.stale(ROOT) == []


def test_a_page_gets_what_was_measured(figures, root):
    page = root / "docs" / "guides" / "speed.md"
    figures.write(root)
    text = page.read_text(encoding="utf-8")
    assert "NumPy -->2<!-- /figure --> times" in text
    assert '"torch eager" -->3<!-- /figure -->; taut' in text
    assert "1000000 -->1 ms<!-- /figure -->" in text
    assert "(again: <!-- figure: lab again l2 100 -->1.00<!-- /figure -->)" in text
    assert "memory 4096 -->3.91 MB<!-- /figure -->" in text
    assert "2 threads for each library" in text
    assert (
        "\n\n| elements | 200,000 | 25,557,032 |\n| --- | ---: | ---: |\n| taut | 200 µs |" in text
    )
    assert "\n| NumPy | 2 | 2 |\n" in text
    assert "\n| vectors | 1,024 | 4,096 |\n" in text
    assert "\n\n![Lines](../charts/lab/l2-ratio.svg)\n\n" in text
    assert "|  | torch.mm, time | taut |\n| --- | ---: | ---: |\n| 8 x 8 | 2 ms | 0.50 |\n" in text
    assert "| 9 x 9 | 4 ms | 0.25 |\n\ny\\_\\*:\n\n| threads | 1 | 2 |\n" in text
    assert '"over torch.mm" -->0.50<!-- /figure --> of it' in text
    assert [path.name for path in (root / "docs" / "charts" / "lab").iterdir()] == ["l2-ratio.svg"]
    figures.write(root)
    assert page.read_text(encoding="utf-8") == text


def test_what_is_not_as_measured_is_stale(figures, root):
    assert len(figures.stale(root)) == 2  # the page, and its chart
    figures.write(root)
    assert figures.stale(root) == []
    page = root / "docs" / "guides" / "speed.md"
    page.write_text(page.read_text(encoding="utf-8").replace("1 ms", "0 ms"), encoding="utf-8")
    assert figures.stale(root) == [str(page.relative_to(root))]


@pytest.mark.parametrize(
    "words",
    [
        "home ratio l2 100 NumPy",
        "lab speed l2",
        "lab ratio l2 100 Fortran",
        "lab ratio l3 100 NumPy",
        "lab ratio l2 NumPy",
        "lab memory 5",
        "lab table l3",
        "lab report products",
        "lab-detailed table l2",
        "lab-detailed report sums",
        "lab-detailed report products 7*",
        "lab-detailed cell products * taut median",
        "lab-detailed cell products '8 x 8' NumPy median",
    ],
)
def test_what_is_not_there_is_an_error(figures, root, words):
    page = root / "README.md"
    page.write_text(f"<!-- figure: {words} --><!-- /figure -->", encoding="utf-8")
    with pytest.raises(figures.FigureError):
        figures.write(root)


def test_a_figure_without_an_end_is_an_error(figures, root):
    page = root / "README.md"
    page.write_text("<!-- figure: lab memory 4096 -->4 MB", encoding="utf-8")
    with pytest.raises(figures.FigureError, match="no end"):
        figures.write(root)
