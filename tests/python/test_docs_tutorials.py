"""The C++ of the site: a tutorial's trainer is built and run, and the reference has all headers."""

import re

import pytest
from pages import DOCS, text_of
from programs import build, run

HEADERS = DOCS.parent / "cpp" / "include"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_trainer_in_cpp_builds_and_its_penalties_show(tmp_path):
    page = "tutorials/cpp-trainer.md"
    (project,) = blocks(page, "cmake")
    (tmp_path / "CMakeLists.txt").write_text(project, encoding="utf-8")
    (tmp_path / "main.cpp").write_text("\n".join(blocks(page, "cpp")), encoding="utf-8")
    output = run(build(tmp_path, tmp_path / "build", finds_taut=True) / "trainer")
    rows = re.findall(r"^(\S.*\S) +loss (\S+), +(\d+) units, mean \|cos\| (\S+)$", output, re.M)
    ways = {name: (float(loss), int(units), float(cos)) for name, loss, units, cos in rows}
    assert list(ways) == ["neither", "orthogonal", "group lasso"]
    assert max(loss for loss, _, _ in ways.values()) < 0.3
    assert ways["orthogonal"][2] < 0.9 * ways["neither"][2]
    assert ways["group lasso"][1] < 20 < ways["neither"][1] == ways["orthogonal"][1]


def test_the_reference_has_every_public_header():
    headers = {path.relative_to(HEADERS).as_posix() for path in HEADERS.rglob("*.hpp")}
    shown = re.findall(
        r"\{literalinclude\} \.\./\.\./cpp/include/(\S+)", text_of("reference/cpp.md")
    )
    assert sorted(shown) == sorted(headers)
