"""The Python of the documentation's pages runs, each page's by itself."""

import ast
import sys
from pathlib import Path

import pytest
from frameworks import require
from pages import DOCS, agrees, examples, run_example, text_of, value_in_comment
from programs import run

# Pages whose examples a test of their subject runs, with more to say about them.
RUN_ELSEWHERE = {
    "inspect.md": ("test_inspect_reports.py",),
    "distributed.md": ("test_torch_sharded.py", "test_jax_sharded.py"),
    "jax.md": ("test_readme.py",),
    "keras.md": ("test_keras.py",),
    "penalties.md": ("test_readme.py",),
    "pytorch.md": ("test_readme.py",),
    "tensorflow.md": ("test_readme.py",),
    "which-penalty.md": ("test_readme.py",),
}


def with_examples():
    """Returns the pages that have Python examples, by their paths within the docs."""
    pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    return [page for page in pages if examples(text_of(page))]


def imported(page):
    """Returns the packages that a page's examples import."""
    names = set()
    for node in ast.walk(ast.parse("\n".join(examples(text_of(page))))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"taut"}


def run_here():
    """Returns the pages that are run here; what imports more than NumPy takes some seconds."""
    return [
        pytest.param(page, marks=pytest.mark.slow if imported(page) - {"numpy"} else ())
        for page in with_examples()
        if page not in RUN_ELSEWHERE
    ]


@pytest.mark.parametrize("page", run_here())
def test_a_page_s_examples_run_by_themselves(page, tmp_path, monkeypatch):
    for package in sorted(imported(page)):
        require(package)
    monkeypatch.chdir(tmp_path)
    run(sys.executable, "-W", "ignore", Path(__file__).with_name("pages.py"), DOCS / page)


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_the_other_pages_are_run_elsewhere(page):
    assert page in with_examples()
    for test in RUN_ELSEWHERE[page]:
        text = Path(__file__).with_name(test).read_text(encoding="utf-8")
        assert f"docs/{page}" in text or f'"docs" / "{page}"' in text


VALUES = "x = 1.5\nx  # 1.5\n[x, {'a': 2}]  # [1.5, {'a': 2}]\nx / 7  # 0.21…\nx  # a word"


def test_a_comment_that_is_a_value_is_compared():
    run_example(VALUES, {})
    assert agrees(0.1 + 0.2, *value_in_comment("# 0.3"))


@pytest.mark.parametrize(
    "wrong", ["x  # 1.6", "x / 7  # 0.23…", "[x]  # [1.5, 2]", "x == 1.5  # False", "'é'  # 'e'"]
)
def test_a_comment_that_is_another_value_is_an_error(wrong):
    with pytest.raises((AssertionError, ValueError)):
        run_example(f"x = 1.5\n{wrong}", {})
